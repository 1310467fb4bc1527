//! `?dry_run=true`: what a change or a deletion would end, and nothing else.

use reqwest::Method;
use serde_json::{Value, json};

use super::manager::{Manager, refused};
use crate::harness::*;

/// The operations that describe `dry_run`, from the description: each with its path.
async fn with_dry_run(server: &TestServer) -> Vec<(Method, String)> {
    let document = server.caller.get("/openapi.json").await.expect(200).json();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            if parameters.iter().any(|parameter| parameter["name"] == "dry_run") {
                found.push((Method::from_bytes(method.to_uppercase().as_bytes()).unwrap(), path.clone()));
            }
        }
    }
    assert!(found.len() >= 5, "{found:?}");
    found
}

#[tokio::test]
async fn dry_run_names_what_would_end_and_changes_nothing() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        server.tokens_of(&server.world.web, &AuthorizationRequest::of(&server.world.web)).await;
        let apis = manager.get("/v1/apis").await.expect(200).json();
        let notes = apis["items"].as_array().unwrap().iter().find(|api| api["name"] == "notes").unwrap().clone();
        let user = manager.get("/v1/users?username=alice").await.expect(200).json()["items"][0]["id"].clone();
        for (method, path) in with_dry_run(server).await {
            let (path, change) = match path.as_str() {
                "/v1/apis/{api_id}" => (path.replace("{api_id}", notes["id"].as_str().unwrap()), json!({"scopes": []})),
                "/v1/clients/{client_id}" => {
                    (path.replace("{client_id}", &server.world.web.id), json!({"scope": "openid", "default_scope": ""}))
                }
                "/v1/clients/{client_id}/disable" => (path.replace("{client_id}", &server.world.web.id), Value::Null),
                "/v1/users/{user_id}" | "/v1/users/{user_id}/disable" => {
                    (path.replace("{user_id}", user.as_str().unwrap()), Value::Null)
                }
                // It is about any number of keys, and has tests of its own.
                "/v1/keys/revoke" => continue,
                other => panic!("say here what {other} is about"),
            };
            let body = (method == Method::PATCH).then_some(change);
            let send = async |query: &str, headers: &[(&str, &str)]| {
                manager.send(method.clone(), &format!("{path}{query}"), headers, body.clone()).await
            };
            let thing = path.trim_end_matches("/disable");
            let before = manager.get(thing).await.expect(200);
            let needs = send("", &[]).await;
            assert_eq!(refused(&needs, 409), "confirmation_required", "{method} {path}");
            let tag = before.header("etag").unwrap();
            let dry = send("?dry_run=true", &[("if-match", tag)]).await.expect(200);
            assert_eq!(dry.json()["ends"], needs.json()["ends"], "{method} {path}");
            assert_ne!(dry.json()["ends"]["grants"]["count"], 0);
            if let Some(change) = &body {
                for (member, value) in change.as_object().unwrap() {
                    assert_eq!(dry.json()[member], *value, "{path}: what would be there");
                }
                assert_eq!(dry.header("etag"), Some(tag), "the tag of what is there");
            }
            assert_eq!(manager.get(thing).await.expect(200).body, before.body, "{method} {path}");
            let stale = send("?dry_run=true", &[("if-match", "\"stale\"")]).await;
            assert_eq!(refused(&stale, 412), "precondition_failed");
            assert_eq!(refused(&send("?dry_run=true&confirm=true", &[]).await, 400), "query_invalid");
        }
    })
    .await;
}
