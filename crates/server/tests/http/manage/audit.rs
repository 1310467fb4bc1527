//! `/v1/audit` and `/v1/explain`.

use doorward_server::manage::keys::NewKey;
use serde_json::{Value, json};

use super::manager::{Manager, places, refused};
use crate::harness::*;

async fn events(manager: &Manager<'_>, query: &str) -> Vec<Value> {
    manager.get(&format!("/v1/audit?{query}")).await.expect(200).json()["items"].as_array().unwrap().clone()
}

/// A client with one change, made over HTTP.
async fn changed_client(manager: &Manager<'_>) -> String {
    let new = json!({"client_name": "One", "grant_types": ["client_credentials"], "scope": "notes:read"});
    let id = manager.post("/v1/clients", new).await.expect(201).text("client_id");
    manager.patch(&format!("/v1/clients/{id}"), json!({"client_name": "Two"})).await.expect(200);
    id
}

#[tokio::test]
async fn audit_is_searched_newest_first_by_each_filter() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let id = changed_client(&manager).await;
        let of_client = events(&manager, &format!("subject={id}")).await;
        let actions: Vec<_> = of_client.iter().map(|event| event["action"].as_str().unwrap()).collect();
        assert_eq!(actions, ["client.updated", "client.created"]);
        let newest = &of_client[0];
        assert!(newest["at"].as_str().unwrap().ends_with('Z') && newest["at_ms"].is_null(), "{newest}");
        let actor = newest["actor"].as_str().unwrap();
        for query in [
            format!("about={id}&action=client.updated"),
            format!("actor={actor}&action=client.updated"),
            format!("subject={id}&limit=1&address=127.0.0.0/8"),
            format!("subject={id}&action=client.updated&since=2020-01-01T00:00:00Z&until=2100-01-01T00:00:00Z"),
        ] {
            assert_eq!(events(&manager, &query).await, std::slice::from_ref(newest), "{query}");
        }
        for query in ["subject=cli_1", "code=key_revoked", "until=2020-01-01T00:00:00Z", "address=192.0.2.1"] {
            assert!(events(&manager, query).await.is_empty(), "{query}");
        }
    })
    .await;
}

#[tokio::test]
async fn pages_of_the_audit_follow_each_other() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    let id = changed_client(&manager).await;
    let all = events(&manager, &format!("subject={id}")).await;
    let first = manager.get(&format!("/v1/audit?subject={id}&limit=1")).await.expect(200).json();
    let cursor = first["next"].as_str().unwrap();
    let second = events(&manager, &format!("subject={id}&limit=1&cursor={cursor}")).await;
    assert_eq!([first["items"][0].clone(), second[0].clone()], all[..]);
}

#[tokio::test]
async fn wrong_filters_are_named_at_once() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    let answer = manager.get("/v1/audit?action=nothing&code=5&since=yesterday&address=here&colour=red").await;
    assert_eq!(refused(&answer, 400), "query_invalid");
    assert_eq!(places(&answer).len(), 5, "{}", answer.body);
    let answer = manager.get("/v1/clients?colour=red&limit=many").await;
    assert_eq!(places(&answer), ["?limit", "?colour"]);
    assert!(answer.body.contains("must be a whole number"), "{}", answer.body);
    assert!(answer.body.contains("known are cursor, disabled, limit"), "{}", answer.body);
}

#[tokio::test]
async fn refusal_is_explained_by_its_trace_id() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    let trace_id = manager.get("/v1/clients/nothing").await.text("trace_id");
    server.explain(&trace_id).await;
    let story = manager.get(&format!("/v1/explain/{trace_id}")).await.expect(200).json();
    assert_eq!((&story["more"], &story["events"][0]["code"]), (&json!(0), &json!("id_unknown")));
    assert!(story["events"][0]["cause"].is_string() && story["events"][0]["remedy"].is_string());
    for unknown in ["nothing", "4bf92f3577b34da6a3ce929d0e0e4736"] {
        assert_eq!(refused(&manager.get(&format!("/v1/explain/{unknown}")).await, 404), "id_unknown");
    }
}

#[tokio::test]
async fn caller_with_limits_finds_no_events() {
    let server = TestServer::start().await;
    let trace_id = Manager::of_all(&server).await.get("/v1/clients/nothing").await.text("trace_id");
    server.explain(&trace_id).await;
    let new = NewKey { limited_to: vec!["notes".into()], ..new_key("doorward", "audit:read") };
    let limited = Manager::by(&server, new).await;
    assert!(events(&limited, "").await.is_empty());
    assert_eq!(refused(&limited.get(&format!("/v1/explain/{trace_id}")).await, 404), "id_unknown");
}

#[tokio::test]
async fn deletion_names_what_was_deleted() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let client = json!({"client_name": "Wiki", "grant_types": ["client_credentials"], "scope": "notes:read"});
        let user = json!({"username": "carol", "password": "a fine long password"});
        let api = json!({"name": "boards", "identifier": "urn:boards"});
        for (list, new, name) in [("clients", client, "Wiki"), ("users", user, "carol"), ("apis", api, "boards")] {
            let created = manager.post(&format!("/v1/{list}"), new).await.expect(201);
            let path = created.header("location").unwrap();
            manager.delete(path).await.expect(204);
            let newest = &events(&manager, &format!("subject={}&limit=1", path.rsplit('/').next().unwrap())).await[0];
            assert!(newest["action"].as_str().unwrap().ends_with(".deleted"), "{newest}");
            assert_eq!(newest["details"]["name"], name, "{newest}");
        }
    })
    .await;
}
