//! `GET /metrics`, on a listener of its own: what happened is counted, and no caller adds a series.

use std::collections::{BTreeMap, BTreeSet};

use doorward_core::api_key::{ApiKey, Environment, KeyPrefix};
use doorward_guard::SystemRng;
use doorward_listen::Serve;
use doorward_server::monitoring;
use reqwest::Method;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::harness::*;

/// The listener for metrics: its URL, and the task that serves it.
async fn listener(server: &TestServer) -> (String, JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serve = Serve { router: monitoring::router(server.app.clone()), ..Serve::default() };
    (url, tokio::spawn(doorward_listen::serve(vec![listener], serve, std::future::pending())))
}

/// Each series with its value.
async fn series(server: &TestServer) -> BTreeMap<String, f64> {
    let (url, serving) = listener(server).await;
    let answer = Caller::new(&url).get("/metrics").await.expect(200);
    serving.abort();
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let lines = answer.body.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let read = |line: &str| line.rsplit_once(' ').map(|(name, value)| (name.to_owned(), value.parse().unwrap()));
    lines.map(|line| read(line).unwrap()).collect()
}

#[tokio::test]
async fn keys_verified_by_introspection_are_counted() {
    let server = TestServer::start().await;
    let (notes, key) = (&server.world.notes, &server.world.key);
    assert!(server.caller.is_active(notes, key).await);
    assert!(!server.caller.is_active(notes, &server.world.management_key).await);
    assert!(!server.caller.is_active(&server.world.web, key).await, "no API, so nothing is verified");
    let found = series(&server).await;
    let verified = |outcome| found.get(&format!(r#"doorward_keys_verified_total{{outcome="{outcome}"}}"#)).copied();
    assert_eq!((verified("valid"), verified("key_of_another_api")), (Some(1.0), Some(1.0)));
}

#[tokio::test]
async fn requests_tokens_keys_and_refusals_are_counted() {
    on_each_engine(async |server| {
        let (notes, web, key) = (&server.world.notes, &server.world.web, &server.world.key);
        server.tokens(web).await;
        server.caller.refresh(web, "dw_rt_unknown").await;
        let authorization = basic(&notes.id, notes.secret.as_deref().unwrap());
        for key in [key.as_str(), "sk_live_mistyped"] {
            server.caller.verify_key(("authorization", &authorization), key, &[]).await.expect(200);
        }
        let found = series(server).await;
        let value = |name: &str| found.get(name).copied();
        let requests = |status| {
            value(&format!(r#"doorward_http_requests_total{{route="/token",method="POST",status="{status}"}}"#))
        };
        assert_eq!((requests(200), requests(400)), (Some(1.0), Some(1.0)));
        assert_eq!(value(r#"doorward_http_request_duration_seconds_count{route="/token"}"#), Some(2.0));
        assert_eq!(value(r#"doorward_access_tokens_issued_total{grant_type="authorization_code"}"#), Some(1.0));
        assert_eq!(value(r#"doorward_keys_verified_total{outcome="valid"}"#), Some(1.0));
        assert_eq!(value(r#"doorward_keys_verified_total{outcome="key_mistyped"}"#), Some(1.0));
        assert_eq!(value(r#"doorward_refusals_total{code="refresh_token_unknown"}"#), Some(1.0), "{found:?}");
        for present in [
            r#"doorward_store_operation_duration_seconds_count{kind="read"}"#,
            r#"doorward_store_operation_duration_seconds_count{kind="write"}"#,
            "doorward_store_commits_total",
            r#"doorward_cache_entries{cache="clients"}"#,
            "doorward_password_hashes_total",
            "process_resident_memory_bytes",
        ] {
            assert!(value(present).is_some_and(|value| value > 0.0), "{present}: {found:?}");
        }
        assert_eq!(value("doorward_audit_dropped_events_total"), Some(0.0));
        assert_eq!(value(r#"doorward_refusals_total{code="key_revoked"}"#), Some(0.0), "it begins at 0");
        let committed = value("doorward_store_committed_operations_total");
        assert!(committed >= value("doorward_store_commits_total"), "{found:?}");
        let of_keys = |what| value(&format!(r#"doorward_cache_{what}{{cache="keys"}}"#));
        assert_eq!(
            (of_keys("misses_total"), of_keys("hits_total"), of_keys("entries")),
            (Some(1.0), Some(0.0), Some(1.0))
        );
        server.caller.verify_key(("authorization", &authorization), key, &[]).await.expect(200);
        let found = series(server).await;
        let of_keys = |what: &str| found[&format!(r#"doorward_cache_{what}{{cache="keys"}}"#)];
        assert_eq!((of_keys("misses_total"), of_keys("hits_total")), (1.0, 1.0));
    })
    .await;
}

#[tokio::test]
async fn no_caller_adds_a_series() {
    let server = TestServer::start().await;
    let ask = async |n: usize| {
        let (caller, unique) = (server.caller_from([127, 0, 1, u8::try_from(n).unwrap()]), format!("n{n}"));
        caller.get(&format!("/nowhere/{unique}?q={unique}")).await.expect(404);
        caller.get(&format!("/assets/{unique}")).await.expect(404);
        caller
            .get_with("/jwks", &[("user-agent", &unique), ("origin", &format!("https://{unique}.example"))])
            .await
            .expect(200);
        let invented = Method::from_bytes(format!("GET{n}").as_bytes()).unwrap();
        caller.send(caller.request(invented, "/token")).await.expect(405);
        let client =
            Registered { id: format!("cli_{unique}"), secret: Some(unique.clone()), ..server.world.web.clone() };
        caller.client_credentials(&client, &unique).await.expect(401);
        caller.client_credentials(&server.world.web, &unique).await.expect(400);
        let notes = &server.world.notes;
        let authorization = basic(&notes.id, notes.secret.as_deref().unwrap());
        let key = ApiKey::generate(&KeyPrefix::default(), Environment::Live, &SystemRng::default());
        caller.verify_key(("authorization", &authorization), key.reveal(), &[&unique]).await.expect(200);
        for (code, address) in [("key_unknown", format!("198.51.100.{n}")), (unique.as_str(), unique.clone())] {
            let event = json!({"trace_id": format!("{n:032x}"), "code": code, "at_ms": 0, "count": 2, "method": unique,
                "path": unique, "at": unique, "address": address, "facts": [[unique, unique]]});
            let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
            let request = caller.request(Method::POST, "/v1/audit/refusals").body(json!([event]).to_string());
            let request = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
            caller.send(request).await.expect(204);
        }
    };
    ask(1).await;
    let names = |found: BTreeMap<String, f64>| found.into_keys().collect::<BTreeSet<_>>();
    let before = names(series(&server).await);
    for n in 2..40 {
        ask(n).await;
    }
    let found = series(&server).await;
    assert_eq!(found[r#"doorward_reported_refusals_total{code="key_unknown"}"#], 78.0);
    assert_eq!(found["doorward_http_server_errors_total"], 0.0);
    let after = names(found);
    assert_eq!(after.difference(&before).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[tokio::test]
async fn audit_is_measured_beside_its_bounds() {
    let server = TestServer::start_with(|settings| settings.audit.max_refusals = 5).await;
    for _ in 0..20 {
        server.caller.userinfo("nonsense").await.expect(401);
    }
    server.app.flush_audit().await.unwrap();
    server.advance_secs(300);
    assert!(doorward_server::tasks::sweep_all(&server.app).await.unwrap());
    let found = series(&server).await;
    let value = |name: &str| found[&format!("doorward_audit_{name}")];
    assert_eq!((value("refusals"), value("refusals_max")), (5.0, 5.0));
    assert_eq!((value("events_max"), value("bytes_max")), (10_000_000.0, 8_589_934_592.0));
    assert!(value("events") > 5.0 && value("bytes") > 300.0 * value("events"), "{found:?}");
    assert_eq!(found[r#"doorward_swept_rows_total{kind="audit_beyond_its_bounds"}"#], 15.0);
}

#[tokio::test]
async fn server_itself_answers_no_metrics() {
    let server = TestServer::start().await;
    assert_eq!(server.caller.get("/metrics").await.problem(), (404, "not_found".into()));
}

#[tokio::test]
async fn refusals_of_the_management_api_are_this_servers_own() {
    let server = TestServer::start().await;
    let mistyped = format!("sk_live_{}", "0".repeat(38));
    server.caller.verify_key(("x-api-key", &mistyped), "anything", &[]).await.expect(401);
    let found = series(&server).await;
    assert_eq!(found[r#"doorward_refusals_total{code="key_mistyped"}"#], 1.0);
    assert_eq!(found[r#"doorward_reported_refusals_total{code="key_mistyped"}"#], 0.0);
}

#[tokio::test]
async fn metrics_say_which_check_of_readiness_fails() {
    let server = TestServer::start().await;
    let ready = async |check| series(&server).await[&format!(r#"doorward_ready{{check="{check}"}}"#)];
    assert_eq!((ready("database").await, ready("changes").await, ready("shutdown").await), (1.0, 1.0, 1.0));
    server.app.begin_to_end();
    assert_eq!((ready("database").await, ready("shutdown").await), (1.0, 0.0));
}

/// A page in the operator's browser asks under a name that its own DNS server resolves to 127.0.0.1.
#[tokio::test]
async fn page_reads_no_metrics_by_dns_rebinding() {
    let server = TestServer::start().await;
    let (url, serving) = listener(&server).await;
    for (host, status) in [("evil.example:1", 421), ("localhost:1", 200), ("127.0.0.1", 200), ("[::1]:1", 200)] {
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = raw(&url, request.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{host}: {answer}");
        assert_eq!(answer.contains("ask for an IP address"), status == 421, "{host}: {answer}");
    }
    serving.abort();
}
