//! `If-Match` guards a deletion as it guards a change: what somebody else changed meanwhile is not deleted.

use reqwest::Method;
use serde_json::{Value, json};

use super::manager::{Manager, refused};
use crate::harness::*;

/// How often a change and a deletion of each kind are sent at the same time.
const ROUNDS: usize = 20;

/// A change and a deletion of what was just created, with one tag at the same time. Exactly one is done.
async fn race(manager: &Manager<'_>, collection: &str, new: Value, patch: Value) {
    let created = manager.post(collection, new).await.expect(201);
    let (path, tag) = (created.header("location").unwrap(), created.header("etag").unwrap());
    let fresh = [("if-match", tag)];
    let (changed, deleted) = tokio::join!(
        manager.send(Method::PATCH, path, &fresh, Some(patch.clone())),
        manager.send(Method::DELETE, path, &fresh, None),
    );
    match (changed.status, deleted.status) {
        (200, 412) => {
            let (member, value) = patch.as_object().unwrap().iter().next().unwrap();
            assert_eq!(manager.get(path).await.expect(200).json()[member], *value);
            manager.delete(path).await.expect(204);
        }
        (404 | 412, 204) => assert_eq!(manager.get(path).await.status, 404),
        both => panic!("{collection}: {both:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_a_change_and_a_deletion_with_one_tag_wins() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        for round in 0..ROUNDS {
            let name = format!("racer{round}");
            let api = json!({"name": name, "identifier": format!("urn:{name}")});
            race(&manager, "/v1/apis", api, json!({"access_token_ttl": 60})).await;
            let client = json!({"client_name": name, "grant_types": ["client_credentials"], "scope": "notes:read"});
            race(&manager, "/v1/clients", client, json!({"client_name": "Other"})).await;
            let user = json!({"username": name, "password": "a fine long password"});
            race(&manager, "/v1/users", user, json!({"name": "Other"})).await;
        }
    })
    .await;
}

/// Two actions on one endpoint of webhooks, with one tag at the same time. Exactly one is done.
async fn race_at_webhook(manager: &Manager<'_>, one: (Method, &str), other: (Method, &str)) {
    let created = manager.post("/v1/webhooks", json!({"url": "https://hooks.example/"})).await.expect(201);
    let (path, tag) = (created.header("location").unwrap().to_owned(), created.header("etag").unwrap().to_owned());
    let act = async |(method, action): (Method, &str)| {
        let body = (method == Method::PATCH).then(|| json!({"description": "Other"}));
        manager.send(method, &format!("{path}{action}"), &[("if-match", &tag)], body).await.status
    };
    let both = tokio::join!(act(one.clone()), act(other.clone()));
    assert!(matches!(both, (200, 412) | (412, 200)), "{one:?} {other:?}: {both:?}");
    manager.delete(&path).await.expect(204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_actions_on_a_webhook_with_one_tag_wins() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let disable = (Method::POST, "/disable");
        let rotate = (Method::POST, "/rotate-secret");
        let update = (Method::PATCH, "");
        for _ in 0..ROUNDS / 2 {
            race_at_webhook(&manager, disable.clone(), disable.clone()).await;
            race_at_webhook(&manager, rotate.clone(), rotate.clone()).await;
            race_at_webhook(&manager, disable.clone(), rotate.clone()).await;
            race_at_webhook(&manager, update.clone(), disable.clone()).await;
            race_at_webhook(&manager, update.clone(), rotate.clone()).await;
        }
    })
    .await;
}

/// Two actions on one key, with one tag at the same time. Exactly one is done.
async fn race_at_key(manager: &Manager<'_>, one: (Method, &str), other: (Method, &str)) {
    let created = manager.post("/v1/keys", json!({"api": "notes", "name": "ci", "uses": 5})).await.expect(201);
    let (path, tag) = (created.header("location").unwrap().to_owned(), created.header("etag").unwrap().to_owned());
    manager.post("/v1/keys/verify", json!({"key": created.text("secret")})).await.expect(200);
    let act = async |(method, action): (Method, &str)| {
        let body = (method == Method::PATCH).then(|| json!({"name": "other"}));
        manager.send(method, &format!("{path}{action}"), &[("if-match", &tag)], body).await.status
    };
    let both = tokio::join!(act(one.clone()), act(other.clone()));
    assert!(matches!(both, (200, 412) | (412, 200)), "{one:?} {other:?}: {both:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_actions_on_a_key_with_one_tag_wins() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let (disable, revoke, update) = ((Method::POST, "/disable"), (Method::POST, "/revoke"), (Method::PATCH, ""));
        for _ in 0..ROUNDS / 2 {
            race_at_key(&manager, disable.clone(), disable.clone()).await;
            race_at_key(&manager, disable.clone(), revoke.clone()).await;
            race_at_key(&manager, update.clone(), disable.clone()).await;
            race_at_key(&manager, update.clone(), revoke.clone()).await;
        }
    })
    .await;
}

/// Operations of the description on one thing that can be shown: each with the path, which has an id in place of each
/// parameter, and with whether it describes `If-Match`.
async fn operations_on_one(server: &TestServer, ids: &[(&str, String)]) -> Vec<(Method, String, bool)> {
    let document = server.caller.get("/openapi.json").await.expect(200).json();
    let paths = document["paths"].as_object().unwrap();
    let mut found = Vec::new();
    for (path, item) in paths {
        let Some(end) = path.rfind('}').filter(|end| paths[&path[..=*end]]["get"].is_object()) else { continue };
        assert!(paths.contains_key(&path[..=end]));
        for (method, operation) in item.as_object().unwrap().iter().filter(|(method, _)| *method != "get") {
            let parameters = operation["parameters"].as_array().unwrap();
            let path = ids.iter().fold(path.clone(), |path, (name, id)| path.replace(&format!("{{{name}}}"), id));
            assert!(!path.contains('{'), "say here what {path} is about");
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            found.push((method, path, parameters.iter().any(|parameter| parameter["name"] == "If-Match")));
        }
    }
    assert!(found.len() >= 20, "{found:?}");
    found
}

#[tokio::test]
async fn every_operation_on_one_thing_honours_if_match() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    server.tokens_of(&server.world.web, &AuthorizationRequest::of(&server.world.web)).await;
    let first = async |list: &str, member: &str| {
        manager.get(list).await.expect(200).json()["items"][0][member].as_str().unwrap().to_owned()
    };
    let client = json!({"client_name": "Robot", "grant_types": ["client_credentials"], "scope": "notes:read"});
    let client = manager.post("/v1/clients", client).await.expect(201).text("client_id");
    let role = json!({"holder": client, "api": "notes", "role": "admin"});
    let role = manager.post("/v1/roles", role).await.expect(201).json();
    let ids = [
        ("api_id", role["api_id"].as_str().unwrap().to_owned()),
        ("client_id", client.clone()),
        ("grant_id", first("/v1/grants", "id").await),
        ("key_id", first("/v1/keys", "id").await),
        ("kid", first("/v1/signing-keys", "kid").await),
        ("session_id", first("/v1/sessions", "id").await),
        ("user_id", first("/v1/users?username=alice", "id").await),
        ("holder", client),
        ("api", role["api_id"].as_str().unwrap().to_owned()),
        ("role", "admin".to_owned()),
    ];
    let webhook = manager.post("/v1/webhooks", json!({"url": "https://hooks.example/"})).await.expect(201).text("id");
    let event = manager.act(&format!("/v1/webhooks/{webhook}/test")).await.expect(200).text("id");
    let ids: Vec<_> = ids.into_iter().chain([("webhook_id", webhook), ("event_id", event)]).collect();
    let before = manager.get("/v1/audit?limit=1").await.json()["items"][0]["id"].clone();
    for (method, path, is_described) in operations_on_one(&server, &ids).await {
        assert!(is_described, "{method} {path} does not describe If-Match");
        let body = match (&method, path.ends_with("/password")) {
            (_, true) => Some(json!({"password": "a fine long password"})),
            (&Method::PATCH, _) => Some(json!({})),
            _ if path.ends_with("/rotate") => Some(json!({})),
            _ => None,
        };
        let stale = [("if-match", "\"stale\"")];
        let answer = manager.send(method.clone(), &path, &stale, body).await;
        assert_eq!(refused(&answer, 412), "precondition_failed", "{method} {path}");
    }
    let since = manager.get("/v1/audit?limit=50").await.json()["items"].as_array().unwrap().clone();
    let changed = since.iter().take_while(|event| event["id"] != before).filter(|event| event["code"].is_null());
    let changed: Vec<_> = changed.map(|event| event["action"].clone()).collect();
    assert!(changed.is_empty(), "{changed:?}");
}

#[tokio::test]
async fn tag_from_before_a_role_was_given_is_stale() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let client = json!({"client_name": "Robot", "grant_types": ["client_credentials"], "scope": "notes:read"});
        let created = manager.post("/v1/clients", client).await.expect(201);
        let (path, stale) = (created.header("location").unwrap(), [("if-match", created.header("etag").unwrap())]);
        let role = json!({"holder": created.text("client_id"), "api": "notes", "role": "admin"});
        manager.post("/v1/roles", role).await.expect(201);
        for (method, path) in [(Method::POST, &*format!("{path}/disable")), (Method::DELETE, path)] {
            assert_eq!(refused(&manager.send(method, path, &stale, None).await, 412), "precondition_failed");
        }
        let shown = manager.get(path).await.expect(200);
        let fresh = [("if-match", shown.header("etag").unwrap())];
        manager.send(Method::POST, &format!("{path}/disable"), &fresh, None).await.expect(200);
    })
    .await;
}
