//! Keys that may be used from some addresses only, at each way in which a key is verified.

use doorward_server::manage::keys::NewKey;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    harness::*,
    manage::manager::{Manager, places},
};

fn bound(api: &str, scopes: &str, addresses: &[&str]) -> NewKey {
    let allowed_addresses = addresses.iter().map(|address| (*address).to_owned()).collect();
    NewKey { allowed_addresses, ..new_key(api, scopes) }
}

/// What the API notes is answered at a path about its caller's key.
async fn ask(server: &TestServer, path: &str, body: Value) -> Value {
    let notes = &server.world.notes;
    let request = server.caller.request(Method::POST, path).basic_auth(&notes.id, notes.secret.as_deref());
    server.caller.send(request.json(&body)).await.expect(200).json()
}

#[tokio::test]
async fn key_verification_knows_the_callers_address() {
    on_each_engine(async |server| {
        let bound = key(&server.app, bound("notes", "notes:read", &["192.0.2.0/24", "2001:db8::/64"])).await;
        let about = async |key: &str, address: Value| {
            let body = json!({"key": key, "scopes": ["notes:read"], "address": address});
            ask(server, "/v1/keys/verify", body).await
        };
        for inside in ["192.0.2.7", "::ffff:192.0.2.7", "2001:db8::9", "[2001:db8::9]:443"] {
            let verdict = about(&bound, json!(inside)).await;
            assert_eq!((&verdict["valid"], &verdict["reusable"]), (&json!(true), &json!(false)), "{inside}");
        }
        for outside in [json!("192.0.3.1"), json!("2001:db8:0:1::"), json!("unknown"), json!(""), Value::Null] {
            let verdict = about(&bound, outside.clone()).await;
            let refused = json!({"valid": false, "code": "key_address_not_allowed", "reusable": false});
            assert_eq!(verdict, refused, "{outside}");
        }
        let free = about(&server.world.key, Value::Null).await;
        assert_eq!((&free["valid"], &free["reusable"]), (&json!(true), &Value::Null));
    })
    .await;
}

#[tokio::test]
async fn revoked_key_is_revoked_from_everywhere() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    let body = json!({"api": "notes", "name": "ci", "allowed_addresses": ["192.0.2.0/24"]});
    let created = manager.post("/v1/keys", body).await.expect(201);
    manager.act(&format!("/v1/keys/{}/revoke", created.text("id"))).await.expect(200);
    let verdict = ask(&server, "/v1/keys/verify", json!({"key": created.text("secret")})).await;
    assert_eq!(verdict, json!({"valid": false, "code": "key_revoked"}));
}

#[tokio::test]
async fn answer_for_the_caller_is_403_without_a_challenge() {
    let server = TestServer::start().await;
    let bound = key(&server.app, bound("notes", "notes:read", &["192.0.2.0/24"])).await;
    let about = async |address: Value| {
        let body = json!({"headers": {"x-api-key": bound}, "method": "GET", "uri": "/notes", "address": address});
        ask(&server, "/v1/requests/verify", body).await
    };
    let inside = about(json!("192.0.2.1")).await;
    assert_eq!((&inside["allowed"], &inside["reusable"]), (&json!(true), &json!(false)));
    for outside in [json!("192.0.3.1"), Value::Null] {
        let verdict = about(outside).await;
        assert_eq!((&verdict["allowed"], &verdict["code"]), (&json!(false), &json!("key_address_not_allowed")));
        assert_eq!(verdict["answer"]["status"], 403);
        assert_eq!(verdict["answer"]["headers"]["www-authenticate"], Value::Null);
        assert!(!verdict["answer"]["body"].as_str().unwrap().contains("192.0.3.1"), "the caller knows its address");
    }
}

#[tokio::test]
async fn management_api_and_introspection_refuse_other_addresses() {
    let server = TestServer::start().await;
    let here = key(&server.app, bound("doorward", "keys:read", &["127.0.0.1", "::1"])).await;
    let there = key(&server.app, bound("doorward", "keys:read", &["192.0.2.0/24"])).await;
    let get = async |key: &str| server.caller.get_with("/v1/keys", &[("x-api-key", key)]).await;
    get(&here).await.expect(200);
    let refused = get(&there).await.expect(403);
    assert_eq!(refused.text("code"), "key_address_not_allowed");

    let of_notes = key(&server.app, bound("notes", "notes:read", &["127.0.0.1", "::1"])).await;
    let introspected = server.caller.post_as(&server.world.notes, "/introspect", &[("token", &of_notes)]).await;
    assert_eq!(introspected.expect(200).json(), json!({"active": false}), "nobody knows where its caller is");
}

#[tokio::test]
async fn list_is_created_shown_and_changed() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let body = json!({"api": "notes", "name": "ci", "allowed_addresses": ["192.0.2.7", "2001:db8::/32"]});
        let created = manager.post("/v1/keys", body).await.expect(201);
        let path = format!("/v1/keys/{}", created.text("id"));
        let shown = manager.get(&path).await.json()["allowed_addresses"].clone();
        assert_eq!(shown, json!(["192.0.2.7/32", "2001:db8::/32"]));
        let from = async |address: &str| {
            let body = json!({"key": created.text("secret"), "address": address});
            ask(server, "/v1/keys/verify", body).await["valid"].clone()
        };
        assert_eq!(from("192.0.2.8").await, false);
        let renamed = manager.patch(&path, json!({"name": "build"})).await.expect(200).json();
        assert_eq!(renamed["allowed_addresses"], shown);
        manager.patch(&path, json!({"allowed_addresses": ["192.0.2.0/24"]})).await.expect(200);
        assert_eq!((from("192.0.2.8").await, from("2001:db8::1").await), (json!(true), json!(false)));
        manager.patch(&path, json!({"allowed_addresses": null})).await.expect(200);
        assert_eq!(from("203.0.113.1").await, true);
    })
    .await;
}

#[tokio::test]
async fn each_address_that_is_none_has_its_place() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    let list = json!(["192.0.2.1/24", "192.0.2.1", "host.example"]);
    let body = json!({"api": "notes", "name": "ci", "allowed_addresses": list});
    let refused = manager.post("/v1/keys", body).await.expect(422);
    assert_eq!(places(&refused), ["/allowed_addresses/0", "/allowed_addresses/2"]);
    let many: Vec<_> = (0..65).map(|number| format!("192.0.2.{number}")).collect();
    let body = json!({"api": "notes", "name": "ci", "allowed_addresses": many});
    assert_eq!(places(&manager.post("/v1/keys", body).await.expect(422)), ["/allowed_addresses"]);
}
