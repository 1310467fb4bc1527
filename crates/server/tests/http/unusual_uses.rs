//! Uses of keys that their owners should look at, in the audit: after the end of a key, after it leaked, and from a network
//! that is new to it.

use serde_json::{Value, json};

use crate::{
    harness::*,
    leaks::{report, set_policy},
    manage::manager::Manager,
};

/// A key of the API `notes`: its path and its secret.
async fn new_key(manager: &Manager<'_>) -> (String, String) {
    let body = json!({"api": "notes", "name": "ci", "scopes": ["notes:read"], "expires_in": 86_400});
    let created = manager.post("/v1/keys", body).await.expect(201);
    (format!("/v1/keys/{}", created.text("id")), created.text("secret"))
}

async fn verify(manager: &Manager<'_>, key: &str, address: &str) {
    manager.post("/v1/keys/verify", json!({"key": key, "address": address})).await.expect(200);
}

/// The details of each event of these actions, the oldest first, once what waits is written.
async fn events(server: &TestServer, action: &str) -> Vec<Value> {
    server.app.flush_unusual_uses().await.unwrap();
    let events = server.audit("events", |events| !events.is_empty()).await;
    let events = events.iter().filter(|event| event.action == action);
    events.map(|event| json!([event.subject, event.address, event.details])).collect()
}

async fn set_key_policy(manager: &Manager<'_>, policy: Value) -> Answer {
    let apis = manager.get("/v1/apis").await.expect(200).json();
    let notes = apis["items"].as_array().unwrap().iter().find(|api| api["name"] == "notes").unwrap();
    let path = format!("/v1/apis/{}", notes["id"].as_str().unwrap());
    manager.patch(&path, json!({"key_policy": policy})).await
}

#[tokio::test]
async fn ended_key_in_use_is_an_event_of_its_own() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let (path, key) = new_key(&manager).await;
        verify(&manager, &key, "192.0.2.7").await;
        assert!(events(server, "key.used_after_end").await.is_empty());
        manager.post(&format!("{path}/revoke"), json!({})).await;
        for _ in 0..3 {
            verify(&manager, &key, "192.0.2.7").await;
            assert_eq!(events(server, "key.used_after_end").await.len(), 1);
        }
        let id = path.rsplit('/').next().unwrap();
        let expected = json!([id, "192.0.2.7", {"name": "ci", "reason": "key_revoked"}]);
        assert_eq!(events(server, "key.used_after_end").await, [expected]);
        server.advance_secs(3_600);
        verify(&manager, &key, "192.0.2.8").await;
        assert_eq!(events(server, "key.used_after_end").await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn leaked_key_that_works_is_reported_when_it_is_used() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        set_policy(&manager, "flag").await;
        let (_, key) = new_key(&manager).await;
        report(&server.caller, json!({"key": key, "source": "a chat"})).await;
        assert!(events(server, "key.used_after_leak").await.is_empty());
        verify(&manager, &key, "192.0.2.7").await;
        assert_eq!(events(server, "key.used_after_leak").await.len(), 1);
        assert!(events(server, "key.used_after_end").await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn new_network_is_reported_where_the_policy_asks_for_it() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let (_, key) = new_key(&manager).await;
        let use_from = async |address: &str| {
            verify(&manager, &key, address).await;
            events(server, "key.new_network").await.len()
        };
        set_key_policy(&manager, json!({})).await.expect(200);
        assert_eq!((use_from("203.0.113.1").await, use_from("192.0.2.7").await), (0, 0), "it is off by default");
        let set = set_key_policy(&manager, json!({"new_network": "report"})).await.expect(200);
        assert_eq!(set.json()["key_policy"]["new_network"], "report");
        assert_eq!(use_from("192.0.2.7").await, 0, "nothing was remembered, so this is the first");
        assert_eq!(use_from("192.0.2.200").await, 0, "the same network");
        assert_eq!(use_from("198.51.100.7").await, 1);
        assert_eq!(use_from("198.51.100.7").await, 1);
        assert_eq!(use_from("2001:db8:1:2::3").await, 2);
        let networks: Vec<_> = events(server, "key.new_network").await;
        assert_eq!(networks[1][2]["network"], "2001:db8:1::/48", "{networks:?}");
        let wrong = set_key_policy(&manager, json!({"new_network": "shout"})).await;
        assert!((400..500).contains(&wrong.status), "{} {}", wrong.status, wrong.body);
    })
    .await;
}
