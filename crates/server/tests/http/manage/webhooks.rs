//! `/v1/webhooks`: endpoints. What they are sent is in the tests of webhooks.

use doorward_core::id::ApiId;
use doorward_server::manage::keys::NewKey;
use reqwest::Method;
use serde_json::{Value, json};

use super::manager::{Manager, places, refused};
use crate::harness::*;

const URL: &str = "https://hooks.example/doorward";

#[tokio::test]
async fn endpoint_is_created_changed_disabled_and_deleted() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let new = json!({"url": URL, "events": ["key.revoked"], "description": " For billing "});
        let created = manager.post("/v1/webhooks", new).await.expect(201);
        let path = created.header("location").unwrap().to_owned();
        let secret = created.text("secret");
        assert!(path.starts_with("/v1/webhooks/whk_") && secret.starts_with("whsec_"), "{path}");
        assert_eq!(created.text("description"), "For billing");
        server.advance_secs(60);

        let shown = manager.get(&path).await.expect(200);
        assert_eq!(shown.header("etag"), created.header("etag"));
        assert!(!shown.body.contains(&secret) && shown.json().get("secret").is_none());
        let patch = json!({"events": null, "description": null, "url": "https://hooks.example/2"});
        let changed = manager.patch(&path, patch).await.expect(200).json();
        assert_eq!((&changed["events"], &changed["description"]), (&json!([]), &Value::Null));
        assert_ne!(changed["updated_at"], changed["created_at"]);
        let stale = [("if-match", created.header("etag").unwrap())];
        let change = Some(json!({"description": "Other"}));
        assert_eq!(refused(&manager.send(Method::PATCH, &path, &stale, change).await, 412), "precondition_failed");
        assert_eq!(refused(&manager.send(Method::DELETE, &path, &stale, None).await, 412), "precondition_failed");

        assert!(manager.act(&format!("{path}/disable")).await.expect(200).json()["disabled_at"].is_string());
        assert_eq!(manager.act(&format!("{path}/enable")).await.expect(200).json()["disabled_at"], Value::Null);
        let listed = manager.get("/v1/webhooks").await.expect(200).json();
        assert_eq!((listed["items"].as_array().unwrap().len(), &listed["next"]), (1, &Value::Null));
        manager.delete(&path).await.expect(204);
        for path in [path.clone(), format!("{path}/deliveries"), format!("{path}/deliveries/evt_1")] {
            assert_eq!(refused(&manager.get(&path).await, 404), "id_unknown", "{path}");
        }
        assert_eq!(manager.get("/v1/webhooks").await.json()["items"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn every_mistake_of_an_endpoint_is_named_at_once() {
    let server = TestServer::start_with(|settings| settings.webhooks.allow_loopback = false).await;
    let manager = Manager::of_all(&server).await;
    let unknown = "api_00000000000000000000000000000000";
    let body = json!({"url": "https://10.0.0.1/", "events": ["key.revoked", "key.painted"], "apis": [unknown],
                      "owners": ["usr_00000000000000000000000000000000"]});
    let answer = manager.post("/v1/webhooks", body).await;
    assert_eq!(refused(&answer, 422), "body_invalid");
    assert_eq!(places(&answer), ["/url", "/events/1", "/apis/0", "/owners/0"]);
    let body = json!({"url": "http://hooks.example/", "events": "all", "apis": ["notes"], "colour": "red"});
    assert_eq!(places(&manager.post("/v1/webhooks", body).await), ["/apis/0", "/colour", "/events", "/url"]);
    for url in ["https://localhost/", "http://127.0.0.1:9000/", "https://[::1]/", "https://169.254.169.254/"] {
        assert_eq!(places(&manager.post("/v1/webhooks", json!({"url": url})).await), ["/url"], "{url}");
    }
}

#[tokio::test]
async fn number_of_endpoints_is_bounded() {
    let server = TestServer::start_with(|settings| settings.limits.webhooks = 2).await;
    let manager = Manager::of_all(&server).await;
    let create = async || manager.post("/v1/webhooks", json!({"url": URL})).await;
    let first = create().await.expect(201);
    create().await.expect(201);
    assert_eq!(refused(&create().await, 409), "conflict");
    manager.delete(first.header("location").unwrap()).await.expect(204);
    create().await.expect(201);
}

#[tokio::test]
async fn repeated_creation_shows_the_same_secret() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    let key = [("idempotency-key", "5f9c2f1e-6d0b-4f0e-9c57-0000000000aa")];
    let create = async || manager.send(Method::POST, "/v1/webhooks", &key, Some(json!({"url": URL}))).await;
    let (first, second) = (create().await.expect(201), create().await.expect(201));
    assert_eq!(first.body, second.body);
    assert_eq!(manager.get("/v1/webhooks").await.json()["items"].as_array().unwrap().len(), 1);
}

/// The key of somebody who is limited to an API.
fn limited(api: &str) -> NewKey {
    NewKey { limited_to: vec![api.to_owned()], ..new_key("doorward", "webhooks:read webhooks:write") }
}

#[tokio::test]
async fn limited_caller_sees_only_endpoints_within_its_limits() {
    let server = TestServer::start().await;
    let all = Manager::of_all(&server).await;
    let notes = all.get("/v1/apis?limit=200").await.json()["items"].as_array().unwrap().clone();
    let id_of = |name: &str| notes.iter().find(|api| api["name"] == name).unwrap()["id"].as_str().unwrap().to_owned();
    let notes = id_of("notes");
    ApiId::parse(&notes).unwrap();
    let manager = Manager::by(&server, limited("notes")).await;
    let of_all = all.post("/v1/webhooks", json!({"url": URL})).await.expect(201);
    let of_all = of_all.header("location").unwrap();
    assert_eq!(refused(&manager.post("/v1/webhooks", json!({"url": URL})).await, 403), "rights_exceeded");
    let management = json!({"url": URL, "apis": [notes, id_of("doorward")]});
    assert_eq!(places(&manager.post("/v1/webhooks", management).await), ["/apis/1"], "another API is as unknown");
    let own = manager.post("/v1/webhooks", json!({"url": URL, "apis": [notes]})).await.expect(201);
    let own = own.header("location").unwrap();
    assert_eq!(manager.get("/v1/webhooks").await.json()["items"].as_array().unwrap().len(), 1);
    assert_eq!(all.get("/v1/webhooks").await.json()["items"].as_array().unwrap().len(), 2);
    assert_eq!(refused(&manager.patch(own, json!({"apis": null})).await, 403), "rights_exceeded");
    for path in ["", "/deliveries"] {
        assert_eq!(refused(&manager.get(&format!("{of_all}{path}")).await, 404), "id_unknown");
    }
    for verb in ["disable", "enable", "rotate-secret", "test", "replay"] {
        assert_eq!(refused(&manager.act(&format!("{of_all}/{verb}")).await, 404), "id_unknown", "{verb}");
    }
    assert_eq!(refused(&manager.delete(of_all).await, 404), "id_unknown");
}
