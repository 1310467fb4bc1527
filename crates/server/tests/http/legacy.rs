//! Keys that still come by a legacy way: accepted under conditions, and reported.

use doorward_core::clock::Timestamp;
use doorward_server::manage::{keys, times};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{denials::scene::Api, harness::*, manage::manager::Manager};

/// The conditions of a route, with one of them replaced.
fn conditions(server: &TestServer, name: &str, value: Value) -> Value {
    let until = times::rfc3339(Timestamp::from_secs(server.now() + 86_400));
    let mut conditions = json!({"parameter": "key", "route": "GET /export", "networks": ["192.0.2.0/24"],
        "per_minute": 30, "until": until});
    match value {
        Value::Null => drop(conditions.as_object_mut().unwrap().remove(name)),
        value => conditions[name] = value,
    }
    conditions
}

fn usual(server: &TestServer) -> Value {
    conditions(server, "per_minute", json!(30))
}

/// The answer about a request to `uri` on a route with these conditions.
async fn ask(server: &TestServer, uri: &str, address: Option<&str>, conditions: Value) -> Answer {
    let body = json!({"headers": {}, "method": "GET", "uri": uri, "scopes": ["notes:read"], "address": address,
        "allow_keys_in_query": conditions});
    let notes = &server.world.notes;
    let request = server.caller.request(Method::POST, "/v1/requests/verify").json(&body);
    server.caller.send(request.basic_auth(&notes.id, notes.secret.as_deref())).await
}

async fn report(server: &TestServer, query: &str) -> Vec<Value> {
    server.app.flush_legacy_uses().await.unwrap();
    let manager = Manager::with(server, "audit:read").await;
    let answer = manager.get(&format!("/v1/legacy{query}")).await.expect(200);
    answer.json()["items"].as_array().unwrap().clone()
}

const ADDRESS: Option<&str> = Some("192.0.2.7");

#[tokio::test]
async fn key_in_the_query_passes_under_conditions_and_is_reported() {
    on_each_engine(async |server| {
        let uri = format!("/export?page=2&key={}", server.world.key);
        let verdict = ask(server, &uri, ADDRESS, usual(server)).await.expect(200).json();
        assert_eq!((&verdict["allowed"], &verdict["uri"]), (&json!(true), &json!("/export?page=2")), "{verdict}");
        let headers = &verdict["answer"]["headers"];
        assert_eq!(headers["sunset"].as_str().map(|date| date.ends_with(" GMT")), Some(true));
        assert_eq!(
            (&headers["cache-control"], &headers["referrer-policy"]),
            (&json!("private"), &json!("no-referrer"))
        );
        ask(server, &uri, ADDRESS, usual(server)).await.expect(200);
        ask(server, &uri, Some("192.0.2.8"), usual(server)).await.expect(200);
        let found = report(server, "").await;
        let rows: Vec<_> = found.iter().map(|row| (&row["network"], &row["count"])).collect();
        assert_eq!(rows, [(&json!("192.0.2.7"), &json!(2)), (&json!("192.0.2.8"), &json!(1))]);
        let row = &found[0];
        assert_eq!(
            (&row["api"], &row["way"], &row["route"]),
            (&json!("notes"), &json!("query"), &json!("GET /export"))
        );
        assert_eq!(row["is_left"], true);
        assert_eq!((report(server, "?api=notes").await.len(), report(server, "?api=mails").await.len()), (2, 0));
        let key = row["key"].as_str().unwrap();
        keys::revoke(&server.app, &operator(), key).await.unwrap();
        assert_eq!(report(server, "").await[0]["is_left"], false, "its holder has nothing left to change");
    })
    .await;
}

#[tokio::test]
async fn condition_that_is_not_met_refuses_with_the_usual_answer() {
    let server = TestServer::start().await;
    let uri = format!("/export?key={}", server.world.key);
    let past = times::rfc3339(Timestamp::from_secs(server.now()));
    for (address, conditions) in [
        (None, usual(&server)),
        (Some("192.0.3.7"), usual(&server)),
        (ADDRESS, conditions(&server, "until", json!(past))),
        (ADDRESS, conditions(&server, "parameter", json!("api_key"))),
    ] {
        let verdict = ask(&server, &uri, address, conditions.clone()).await.expect(200).json();
        assert_eq!(
            (&verdict["allowed"], &verdict["code"]),
            (&json!(false), &json!("credential_in_query")),
            "{conditions}"
        );
        assert_eq!(verdict["answer"]["status"], 400);
    }
    let twice = format!("{uri}&key={}", server.world.key);
    assert_eq!(ask(&server, &twice, ADDRESS, usual(&server)).await.text("code"), "credential_multiple");
    assert_eq!(report(&server, "").await, [] as [Value; 0]);
}

#[tokio::test]
async fn route_without_a_real_condition_is_a_mistake_of_the_api() {
    let server = TestServer::start().await;
    let uri = format!("/export?key={}", server.world.key);
    let far = times::rfc3339(Timestamp::from_secs(server.now() + 400 * 86_400));
    for (name, value) in [
        ("networks", json!([])),
        ("networks", json!(["0.0.0.0/0"])),
        ("networks", Value::Null),
        ("per_minute", json!(0)),
        ("per_minute", Value::Null),
        ("until", json!(far)),
        ("until", json!("tomorrow")),
        ("until", Value::Null),
        ("route", json!("")),
        ("colour", json!("red")),
    ] {
        let answer = ask(&server, &uri, ADDRESS, conditions(&server, name, value.clone())).await.expect(422);
        assert_eq!(answer.json()["errors"][0]["pointer"], "/allow_keys_in_query", "{name} {value}");
    }
}

#[tokio::test]
async fn requests_beyond_the_rate_of_a_route_wait() {
    let server = TestServer::start().await;
    let uri = format!("/export?key={}", server.world.key);
    let strict = || conditions(&server, "per_minute", json!(1));
    assert_eq!(ask(&server, &uri, ADDRESS, strict()).await.json()["allowed"], true);
    let verdict = ask(&server, &uri, ADDRESS, strict()).await.expect(200).json();
    assert_eq!((&verdict["code"], &verdict["answer"]["status"]), (&json!("legacy_rate_limited"), &json!(429)));
    assert_eq!(verdict["answer"]["headers"]["retry-after"], "60");
    assert!(verdict["answer"]["headers"]["sunset"].is_string());
    server.advance_secs(60);
    assert_eq!(ask(&server, &uri, ADDRESS, strict()).await.json()["allowed"], true);
}

#[tokio::test]
async fn guard_delivers_the_uses_that_it_counted() {
    let server = TestServer::start().await;
    let api = Api::serve(&server).await;
    for _ in 0..3 {
        api.caller.get(&format!("/export?api_key={}", server.world.key)).await.expect(200);
    }
    api.guard.flush().await;
    let found = report(&server, "").await;
    assert_eq!((found.len(), &found[0]["count"], &found[0]["network"]), (1, &json!(3), &json!("127.0.0.1")));
}

async fn deliver(server: &TestServer, by: &Registered, body: &Value) -> Answer {
    let request = server.caller.request(Method::POST, "/v1/audit/legacy-uses").json(body);
    server.caller.send(request.basic_auth(&by.id, by.secret.as_deref())).await
}

#[tokio::test]
async fn api_reports_uses_of_keys_that_exist_within_bounds() {
    let server = TestServer::start().await;
    let created = keys::create(&server.app, &operator(), new_key("notes", "notes:read")).await.unwrap();
    let used = |key: &str, count: i64| {
        json!({"way": "query", "key": key, "route": format!("GET /x/{}", created.key.reveal()), "network": "192.0.2.1",
            "count": count, "first_at_ms": 0, "last_at_ms": 4_102_444_800_000_i64, "of_a_newer_guard": true})
    };
    let mut of_another_way = used(created.view.id.as_str(), 1);
    of_another_way["way"] = json!("carrier pigeon");
    let unknown = "key_01934b6a5c7d7f3e9a2b4c6d8e0f1a2b";
    let body = json!([used(created.view.id.as_str(), 7), used(unknown, 1), used("x", 1), of_another_way]);
    assert_eq!(deliver(&server, &server.world.notes, &body).await.status, 204);
    let found = report(&server, "").await;
    assert_eq!((found.len(), &found[0]["count"]), (1, &json!(7)));
    assert_eq!(found[0]["route"], "GET /x/[credential]");
    assert_eq!(found[0]["last_used_at"], times::rfc3339(Timestamp::from_secs(server.now())));
    let short = json!({"way": "query", "key": "x", "route": "r", "first_at_ms": 0, "last_at_ms": 0});
    let many = |count| json!(vec![short.clone(); count]);
    assert_eq!(deliver(&server, &server.world.notes, &many(500)).await.status, 204);
    assert_eq!(deliver(&server, &server.world.notes, &many(501)).await.status, 400);
    assert_eq!(deliver(&server, &server.world.notes, &json!([{"way": "query"}])).await.status, 422);
    let nobody = server.caller.request(Method::POST, "/v1/audit/legacy-uses").json(&json!([]));
    assert_eq!(server.caller.send(nobody).await.status, 401);
    let limited = keys::NewKey { limited_to: vec!["notes".into()], ..new_key("doorward", "audit:read") };
    let limited = Manager::by(&server, limited).await;
    assert_eq!(limited.get("/v1/legacy").await.expect(200).json()["items"], json!([]));
}
