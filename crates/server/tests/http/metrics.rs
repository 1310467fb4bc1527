//! `GET /metrics`, on a listener of its own: what happened is counted, and no caller adds a series.

use std::collections::{BTreeMap, BTreeSet};

use doorward_core::api_key::{ApiKey, Environment, KeyPrefix};
use doorward_guard::SystemRng;
use doorward_listen::Serve;
use doorward_server::monitoring;
use reqwest::Method;
use serde_json::json;

use crate::harness::*;

/// Each series with its value, from a listener of its own.
async fn series(server: &TestServer) -> BTreeMap<String, f64> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let caller = Caller::new(&format!("http://{}", listener.local_addr().unwrap()));
    let serve = Serve { router: monitoring::router(server.app.clone()), ..Serve::default() };
    let serving = tokio::spawn(doorward_listen::serve(vec![listener], serve, std::future::pending()));
    let answer = caller.get("/metrics").await.expect(200);
    serving.abort();
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let lines = answer.body.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let read = |line: &str| line.rsplit_once(' ').map(|(name, value)| (name.to_owned(), value.parse().unwrap()));
    lines.map(|line| read(line).unwrap()).collect()
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
    })
    .await;
}

#[tokio::test]
async fn no_caller_adds_a_series() {
    let server = TestServer::start().await;
    let ask = async |n: usize| {
        let (caller, unique) = (server.caller_from([127, 0, 1, u8::try_from(n).unwrap()]), format!("n{n}"));
        caller.get(&format!("/nowhere/{unique}?q={unique}")).await;
        caller.get(&format!("/assets/{unique}")).await;
        caller.get_with("/jwks", &[("user-agent", &unique), ("origin", &format!("https://{unique}.example"))]).await;
        let invented = Method::from_bytes(format!("GET{n}").as_bytes()).unwrap();
        caller.send(caller.request(invented, "/token")).await;
        let client =
            Registered { id: format!("cli_{unique}"), secret: Some(unique.clone()), ..server.world.web.clone() };
        caller.client_credentials(&client, &unique).await;
        caller.client_credentials(&server.world.web, &unique).await;
        let notes = &server.world.notes;
        let authorization = basic(&notes.id, notes.secret.as_deref().unwrap());
        let key = ApiKey::generate(&KeyPrefix::default(), Environment::Live, &SystemRng::default());
        caller.verify_key(("authorization", &authorization), key.reveal(), &[&unique]).await;
        let event = json!({"trace_id": "0".repeat(32), "code": unique, "at_ms": 0, "count": 1, "method": unique,
            "path": unique, "at": unique, "facts": []});
        caller.post_bytes("/v1/refusals", "application/json", json!({ "events": [event] }).to_string()).await;
    };
    ask(1).await;
    let names = |found: BTreeMap<String, f64>| found.into_keys().collect::<BTreeSet<_>>();
    let before = names(series(&server).await);
    for n in 2..40 {
        ask(n).await;
    }
    let after = names(series(&server).await);
    assert_eq!(after.difference(&before).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[tokio::test]
async fn server_itself_answers_no_metrics() {
    let server = TestServer::start().await;
    assert_eq!(server.caller.get("/metrics").await.problem(), (404, "not_found".into()));
}
