//! `POST /v1/audit/refusals`: guards deliver their refusals, and `explain` shows them.

use doorward_server::manage::audit::Explained;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::*;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const KEY_ID: &str = "key_01934b6a5c7d7f3e9a2b4c6d8e0f1a2b";

fn event(server: &TestServer) -> Value {
    json!({
        "trace_id": TRACE, "at_ms": server.now() * 1_000, "code": "insufficient_scope", "at": "https://notes.example",
        "method": "POST", "path": "/notes", "address": "192.0.2.1", "principal": KEY_ID, "facts": [["missing", "x"]],
    })
}

async fn deliver(server: &TestServer, by: &Registered, body: &Value) -> Answer {
    let request = server.caller.request(Method::POST, "/v1/audit/refusals").json(body);
    server.caller.send(request.basic_auth(&by.id, by.secret.as_deref())).await
}

#[tokio::test]
async fn refusals_delivered_by_an_api_are_explained() {
    on_each_engine(async |server| {
        let answer = deliver(server, &server.world.notes, &json!([event(server)])).await;
        assert_eq!((answer.status, answer.body.as_str()), (204, ""));
        let story = &server.explain(TRACE).await[0];
        assert_eq!((story.status, story.code.as_deref()), (Some(403), Some("insufficient_scope")));
        assert!(story.cause.is_some() && story.remedy.is_some());
        // The sentence that the caller got, by its name in a problem (RFC 9457).
        let detail = "The credential is valid, but lacks the required scope.";
        assert_eq!(serde_json::to_value(story).unwrap()["detail"], detail);
        assert_eq!((story.actor.as_deref(), story.address.as_deref()), (Some(KEY_ID), Some("192.0.2.1")));
        assert_eq!(story.details["missing"], "x");
        assert_eq!((&story.details["path"], &story.details["at"]), (&json!("/notes"), &json!("https://notes.example")));
    })
    .await;
}

#[tokio::test]
async fn api_reports_only_its_own_refusals_and_only_current_ones() {
    let server = TestServer::start().await;
    let mut forged = event(&server);
    forged["at"] = "https://mails.example/v1".into();
    forged["at_ms"] = ((server.now() + 86_400) * 1_000).into();
    forged["path"] = "/notes?token=secret".into();
    deliver(&server, &server.world.notes, &json!([forged])).await.expect(204);
    let story = &server.explain(TRACE).await[0];
    assert_eq!(story.details["at"], "https://notes.example");
    assert_eq!(story.details["path"], "/notes");
    assert_eq!(story.at.as_secs(), server.now());
}

#[tokio::test]
async fn an_api_can_not_write_what_the_server_or_its_operator_did() {
    let server = TestServer::start().await;
    for code in ["client_secret_wrong", "refresh_token_reused", "sign_in_throttled", "password_wrong", "not_found"] {
        let mut forged = event(&server);
        forged["code"] = code.into();
        deliver(&server, &server.world.notes, &json!([forged])).await.expect(204);
    }
    let mut forged = event(&server);
    forged["principal"] = "os:root".into();
    forged["address"] = "the operator's desk".into();
    forged["facts"] = json!([["reported_by", "doorward"], ["path", "/admin"], ["missing", server.world.key]]);
    deliver(&server, &server.world.notes, &json!([forged])).await.expect(204);
    let story = server.explain(TRACE).await;
    assert_eq!(story.len(), 1, "{story:#?}");
    assert_eq!((&story[0].actor, &story[0].address), (&None, &None));
    assert_eq!((&story[0].details["reported_by"], &story[0].details["path"]), (&json!("notes"), &json!("/notes")));
    assert_eq!(story[0].details["missing"], "[credential]");
}

#[tokio::test]
async fn event_with_a_count_is_counted_that_often() {
    let server = TestServer::start_with(|settings| settings.audit.fold_after = 1).await;
    for count in [40, 2_000, 0] {
        let mut many = event(&server);
        many["count"] = count.into();
        deliver(&server, &server.world.notes, &json!([many])).await.expect(204);
    }
    server.advance_secs(60);
    let is_refused = |event: &&Explained| event.code.as_deref() == Some("insufficient_scope");
    let sum = |events: &[Explained]| events.iter().filter(is_refused).map(|event| event.count).sum::<i64>();
    server.audit("all are counted", |events| sum(events) == 2_041).await;
}

#[tokio::test]
async fn only_an_api_delivers() {
    let server = TestServer::start().await;
    let body = json!([event(&server)]);
    assert_eq!(deliver(&server, &server.world.web, &body).await.problem(), (403, "insufficient_permission".into()));
    let wrong = Registered { secret: Some("dw_cs_wrong".into()), ..server.world.notes.clone() };
    assert_eq!(deliver(&server, &wrong, &body).await.problem(), (401, "client_authentication_failed".into()));
    let nobody = server.caller.send(server.caller.request(Method::POST, "/v1/audit/refusals").json(&body)).await;
    assert_eq!(nobody.problem(), (401, "credential_missing".into()));
    let by_key = server.caller.request(Method::POST, "/v1/audit/refusals").bearer_auth(&server.world.management_key);
    assert!(server.caller.send(by_key.json(&body)).await.status >= 400);
}

#[tokio::test]
async fn malformed_refusals_fail_and_unknown_codes_are_skipped() {
    let server = TestServer::start().await;
    let mut unknown = event(&server);
    unknown["code"] = "of_a_newer_guard".into();
    deliver(&server, &server.world.notes, &json!([unknown, event(&server)])).await.expect(204);
    assert_eq!(server.explain(TRACE).await.len(), 1);
    for (body, problem) in [
        (json!({}), (400, "body_malformed")),
        (json!([1]), (400, "body_malformed")),
        (json!([{}]), (422, "body_invalid")),
        (json!([{"trace_id": "x"}]), (422, "body_invalid")),
    ] {
        let answer = deliver(&server, &server.world.notes, &body).await;
        assert_eq!(answer.problem(), (problem.0, problem.1.into()), "{body}");
    }
    let short = json!({"trace_id": TRACE, "at_ms": 0, "code": "not_found", "at": "", "method": "", "path": ""});
    let many = vec![short; 501];
    assert_eq!(deliver(&server, &server.world.notes, &json!(many)).await.problem().0, 400);
}

#[tokio::test]
async fn member_of_a_refusal_that_is_wrong_is_named() {
    let server = TestServer::start().await;
    for (member, wrong) in [
        ("trace_id", json!("x")),
        ("trace_id", Value::Null),
        ("at_ms", json!("now")),
        ("code", json!(403)),
        ("at", Value::Null),
        ("method", json!(["GET"])),
        ("path", json!({})),
        ("address", json!(1)),
        ("principal", json!(1)),
        ("facts", json!({"missing": "x"})),
        ("count", json!(-1)),
    ] {
        let mut body = event(&server);
        body[member] = wrong;
        let answer = deliver(&server, &server.world.notes, &json!([event(&server), body])).await;
        assert_eq!(answer.problem(), (422, "body_invalid".into()), "{member}");
        assert!(answer.text("detail").ends_with(&format!(": {member}.")), "{}", answer.body);
    }
}

#[tokio::test]
async fn newer_guards_unknown_members_are_skipped_and_logged() {
    let logs = Logs::listen();
    let server = TestServer::start().await;
    let mut newer = event(&server);
    newer["confirmation"] = json!({"jkt": "x"});
    newer[&server.world.key] = 1.into();
    deliver(&server, &server.world.notes, &json!([newer])).await.expect(204);
    assert_eq!(server.explain(TRACE).await[0].code.as_deref(), Some("insufficient_scope"));
    let logged = logs.text();
    let line = logged.lines().find(|line| line.contains("not known here")).unwrap_or_else(|| panic!("{logged}"));
    assert!(line.contains("confirmation") && line.contains("notes"), "{line}");
    assert!(!logged.contains(&server.world.key[12..]));
}

#[tokio::test]
async fn a_flood_of_equal_refusals_becomes_one_counted_row() {
    let server = TestServer::start_with(|settings| settings.audit.fold_after = 3).await;
    for _ in 0..10 {
        server.caller.userinfo("nonsense").await.expect(401);
    }
    server.caller_from([127, 0, 0, 9]).userinfo("nonsense").await.expect(401);
    server.advance_secs(60);

    let is_refused = |event: &&Explained| event.code.as_deref() == Some("token_malformed");
    let counts = |events: &[Explained]| events.iter().filter(is_refused).map(|event| event.count).collect::<Vec<_>>();
    let events = server.audit("all are counted", |events| counts(events).iter().sum::<i64>() == 11).await;
    let mut counts = counts(&events);
    counts.sort();
    assert_eq!(counts, [1, 1, 1, 1, 7], "three of the flood, the one from elsewhere, and the rest");
}

#[tokio::test]
async fn address_with_many_refusals_gets_bounded_rows_and_lines() {
    let logs = Logs::listen();
    let server = TestServer::start_with(|settings| settings.audit.refusals_per_network = 6).await;
    let caller = server.caller_from([127, 0, 0, 77]);
    for _ in 0..5 {
        caller.userinfo("nonsense").await.expect(401);
        caller.post("/introspect", &[]).await;
        caller.post("/token", &[]).await;
        caller.post("/revoke", &[]).await;
    }
    server.advance_secs(60);
    let refused = |events: &[Explained]| {
        events.iter().filter(|event| event.action == "request.refused").map(|event| event.count).collect::<Vec<_>>()
    };
    let events = server.audit("all are counted", |events| refused(events).iter().sum::<i64>() == 20).await;
    let (single, counted): (Vec<_>, Vec<_>) = refused(&events).into_iter().partition(|count| *count == 1);
    assert_eq!(single.len(), 6);
    assert!(counted.len() <= 4, "one row per code: {counted:?}");
    let of_caller = |line: &&str| line.contains("refused") && line.contains("address=127.0.0.77");
    assert_eq!(logs.text().lines().filter(of_caller).count(), 6);
}

#[tokio::test]
async fn requests_for_unknown_addresses_are_counted() {
    let logs = Logs::listen();
    let server = TestServer::start().await;
    for last in 1..=20 {
        let caller = server.caller_from([127, 0, 2, last]);
        caller.get(&format!("/wp-admin/{last}")).await.expect(404);
        caller.get(&format!("/assets/{last}.css")).await.expect(404);
        caller.get(&format!("/denials/{last}")).await.expect(404);
    }
    server.caller.userinfo("nonsense").await.expect(401);
    server.advance_secs(60);
    let of = |events: &[Explained]| {
        let found = events.iter().filter(|event| event.code.as_deref() == Some("not_found"));
        found.map(|event| event.count).collect::<Vec<_>>()
    };
    let events = server.audit("they are counted", |events| !of(events).is_empty()).await;
    assert_eq!(of(&events), [60], "in one row");
    let row = events.iter().find(|event| event.code.as_deref() == Some("not_found")).unwrap();
    assert_eq!((&row.address, &row.trace_id, row.details.get("path")), (&None, &None, None));
    let is_line = |line: &str| line.contains("/wp-admin/") && !line.contains("DEBUG");
    assert!(!logs.text().lines().any(is_line), "{}", logs.text());
}

#[tokio::test]
async fn flood_of_reported_refusals_hides_no_refusal_of_the_server() {
    let logs = Logs::listen();
    let server = TestServer::start_with(|settings| settings.audit.refusals_per_second = 5).await;
    let strangers: Vec<_> = (0..100)
        .map(|last| {
            let mut event = event(&server);
            event["address"] = format!("10.0.0.{last}").into();
            event
        })
        .collect();
    deliver(&server, &server.world.notes, &json!(strangers)).await.expect(204);
    server.caller_from([127, 0, 0, 78]).userinfo("nonsense").await.expect(401);
    let own = |event: &Explained| event.code.as_deref() == Some("token_malformed");
    server.audit("the server's own", |events| events.iter().any(own)).await;
    assert!(logs.text().lines().any(|line| line.contains("refused") && line.contains("address=127.0.0.78")));
}

#[tokio::test]
async fn refusals_that_wait_are_bounded_and_delay_no_answer() {
    let server = TestServer::start_with(|settings| settings.limits.audit_queue = 5).await;
    // Nothing can be written while another program holds the database.
    let file = server.folder.as_ref().unwrap().path().join("doorward.db");
    let lock = rusqlite::Connection::open(file).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    for last in 1..=40 {
        server.caller_from([127, 0, 1, last]).userinfo("nonsense").await.expect(401);
    }
    drop(lock);
    let of_flood =
        |events: &[Explained]| events.iter().filter(|event| event.code.as_deref() == Some("token_malformed")).count();
    let events = server.audit("what had room", |events| of_flood(events) > 0).await;
    // Five waited, and five more may have been on their way to the database already.
    assert!(of_flood(&events) <= 10, "{events:#?}");
}
