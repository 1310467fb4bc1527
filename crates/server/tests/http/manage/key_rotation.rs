//! `/v1/keys/{id}/rotate`.

use doorward_server::manage::keys::{Expiry, NewKey};
use reqwest::Method;
use serde_json::{Value, json};

use super::manager::{Manager, places, refused};
use crate::harness::*;

const DAY: u64 = 86_400;

/// A new key of the API `notes`: its path and its secret.
async fn created(manager: &Manager<'_>, members: Value) -> (String, String) {
    let mut body = json!({"api": "notes", "name": "ci", "scopes": ["notes:read"]});
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    let created = manager.post("/v1/keys", body).await.expect(201);
    (format!("/v1/keys/{}", created.text("id")), created.text("secret"))
}

async fn rotated(manager: &Manager<'_>, path: &str, body: Value) -> Answer {
    manager.post(&format!("{path}/rotate"), body).await
}

async fn code(manager: &Manager<'_>, secret: &str) -> String {
    manager.post("/v1/keys/verify", json!({"key": secret})).await.expect(200).text("code")
}

#[tokio::test]
async fn old_key_works_until_its_successor_has_taken_over() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let members = json!({"owner": "acme", "roles": ["admin"], "metadata": {"plan": "pro"}});
        let (old, old_secret) = created(&manager, members).await;
        let answer = rotated(&manager, &old, json!({})).await.expect(201);
        let (new, new_secret) = (answer.header("location").unwrap().to_owned(), answer.text("secret"));
        let successor = manager.get(&new).await.expect(200);
        assert_eq!(successor.header("etag"), answer.header("etag"));
        let (before, after) = (manager.get(&old).await.json(), successor.json());
        for member in ["name", "apis", "scopes", "roles", "owner", "environment", "metadata", "limited_to"] {
            assert_eq!(before[member], after[member], "{member}");
        }
        assert_eq!(after["rotation"]["predecessor"], before["id"]);
        assert_eq!(before["rotation"]["successor"], after["id"]);
        assert_eq!(before["rotation"]["deadline"], before["expires_at"], "it ends at the deadline by itself");

        let state = async || manager.get(&old).await.json()["rotation"]["state"].clone();
        server.run_due().await;
        assert_eq!(
            (code(&manager, &old_secret).await, state().await),
            ("valid".into(), json!("waiting_for_first_use"))
        );
        assert_eq!(code(&manager, &new_secret).await, "valid");
        server.run_due().await;
        assert_eq!(state().await, "both_in_use");
        for _ in 0..26 {
            server.advance_secs(DAY / 24);
            server.run_due().await;
        }
        assert_eq!((code(&manager, &old_secret).await, state().await), ("key_expired".into(), json!("done")));
        assert_eq!(code(&manager, &new_secret).await, "valid");
        let events = server.audit("events", |events| !events.is_empty()).await;
        let of_old = events.iter().filter(|event| event.subject.as_deref() == before["id"].as_str());
        // The last use of the old key is reported a moment later.
        let changes = of_old.map(|event| &*event.action).filter(|action| *action != "key.used_after_end");
        assert_eq!(changes.collect::<Vec<_>>(), ["key.created", "key.rotated", "key.rotation_ended"]);
    })
    .await;
}

#[tokio::test]
async fn old_key_in_use_ends_at_the_deadline() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    let (old, secret) = created(&manager, json!({"expires_in": 100 * DAY})).await;
    let answer = rotated(&manager, &old, json!({"overlap": 3_600, "quiet_for": 600})).await.expect(201);
    server.advance_secs(3_599);
    assert_eq!(code(&manager, &secret).await, "valid");
    server.advance_secs(1);
    assert_eq!(code(&manager, &secret).await, "key_expired", "no task has to run for that");
    assert_eq!(code(&manager, &answer.text("secret")).await, "valid");
    let at_once = created(&manager, json!({})).await;
    rotated(&manager, &at_once.0, json!({"overlap": 0})).await.expect(201);
    assert_eq!(code(&manager, &at_once.1).await, "key_expired");
}

#[tokio::test]
async fn second_rotation_names_the_successor() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    let (old, _) = created(&manager, json!({})).await;
    let first = rotated(&manager, &old, json!({})).await.expect(201);
    let second = rotated(&manager, &old, json!({})).await;
    assert_eq!(refused(&second, 409), "conflict");
    assert!(second.body.contains(&first.text("id")), "{}", second.body);
    let reissued = rotated(&manager, &old, json!({"replace_unused": true})).await.expect(201);
    assert_eq!(reissued.text("id"), first.text("id"));
    assert_eq!(code(&manager, &first.text("secret")).await, "key_unknown");
    assert_eq!(code(&manager, &reissued.text("secret")).await, "valid");
    server.run_due().await;
    let used = rotated(&manager, &old, json!({"replace_unused": true})).await;
    assert_eq!(refused(&used, 409), "conflict", "its secret is in use");
    manager.act(&format!("/v1/keys/{}/revoke", first.text("id"))).await.expect(200);
    let another = rotated(&manager, &old, json!({})).await.expect(201);
    assert_ne!(another.text("id"), first.text("id"), "a revoked successor is none");
}

#[tokio::test]
async fn repeated_rotation_gets_the_same_answer() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    let (old, _) = created(&manager, json!({})).await;
    let path = format!("{old}/rotate");
    let key = [("idempotency-key", "5f9c2f1e-6d0b-4f0e-9c57-000000000002")];
    let first = manager.send(Method::POST, &path, &key, Some(json!({}))).await.expect(201);
    let again = manager.send(Method::POST, &path, &key, Some(json!({}))).await.expect(201);
    assert_eq!(first.body, again.body);
    let other = manager.send(Method::POST, &path, &key, Some(json!({"overlap": 60}))).await;
    assert_eq!(refused(&other, 422), "idempotency_key_reused");
}

#[tokio::test]
async fn only_an_active_key_is_rotated() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    let (disabled, _) = created(&manager, json!({})).await;
    manager.act(&format!("{disabled}/disable")).await.expect(200);
    let (revoked, _) = created(&manager, json!({})).await;
    manager.act(&format!("{revoked}/revoke")).await.expect(200);
    let (expired, _) = created(&manager, json!({"expires_in": 1})).await;
    server.advance_secs(1);
    for path in [disabled, revoked, expired] {
        assert_eq!(refused(&rotated(&manager, &path, json!({})).await, 409), "conflict", "{path}");
    }
    let (path, _) = created(&manager, json!({})).await;
    let places = places(&rotated(&manager, &path, json!({"overlap": 31_536_001, "quiet_for": 1, "colour": 1})).await);
    assert!(places.contains(&"/colour".to_owned()), "{places:?}");
    let wrong = rotated(&manager, &path, json!({"overlap": 31_536_001, "quiet_for": 299})).await;
    assert_eq!(super::manager::places(&wrong), ["/overlap", "/quiet_for"]);
    let unknown = rotated(&manager, "/v1/keys/key_00000000000000000000000000000000", json!({})).await;
    assert_eq!(refused(&unknown, 404), "id_unknown");
}

#[tokio::test]
async fn nobody_gains_rights_by_rotating() {
    let server = TestServer::start().await;
    let all = Manager::of_all(&server).await;
    let strong = json!({"api": "doorward", "name": "ops", "scopes": ["users:write"]});
    let strong = format!("/v1/keys/{}", all.post("/v1/keys", strong).await.expect(201).text("id"));
    let of_day = NewKey {
        expiry: Expiry::After(std::time::Duration::from_secs(DAY)),
        ..new_key("doorward", "keys:read keys:write")
    };
    let weak = Manager::by(&server, of_day).await;
    assert_eq!(refused(&rotated(&weak, &strong, json!({})).await, 403), "rights_exceeded");
    let same = json!({"api": "doorward", "name": "ops", "scopes": ["keys:read"], "expires_in": DAY / 2});
    let same = format!("/v1/keys/{}", weak.post("/v1/keys", same).await.expect(201).text("id"));
    server.advance_secs(DAY / 3);
    let successor = rotated(&weak, &same, json!({})).await.expect(201).json();
    let own = all.get("/v1/keys?limit=100").await.json()["items"].clone();
    let own = own
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["name"] == "key for doorward" && key["scopes"] == json!(["keys:read", "keys:write"]));
    assert!(successor["expires_at"].as_str() <= own.unwrap()["expires_at"].as_str(), "no later than the caller's");
    let limited =
        Manager::by(&server, NewKey { limited_to: vec!["mails".into()], ..new_key("doorward", "keys:write") }).await;
    let (path, _) = created(&all, json!({})).await;
    assert_eq!(refused(&rotated(&limited, &path, json!({})).await, 404), "id_unknown");
}

#[tokio::test]
async fn scopes_removed_from_the_api_stay_out_of_the_successor() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    let (old, _) = created(&manager, json!({"scopes": ["notes:read", "notes:write"]})).await;
    let apis = manager.get("/v1/apis?limit=100").await.json()["items"].clone();
    let notes = apis.as_array().unwrap().iter().find(|api| api["name"] == "notes").unwrap().clone();
    let path = format!("/v1/apis/{}", notes["id"].as_str().unwrap());
    let scopes = notes["scopes"].as_array().unwrap().clone();
    let kept: Vec<_> = scopes.iter().filter(|scope| scope["scope"] != "notes:write").cloned().collect();
    manager.patch(&format!("{path}?confirm=true"), json!({ "scopes": kept })).await.expect(200);
    let successor = rotated(&manager, &old, json!({})).await.expect(201).json();
    manager.patch(&path, json!({ "scopes": scopes })).await.expect(200);
    let successor = manager.get(&format!("/v1/keys/{}", successor["id"].as_str().unwrap())).await.json();
    assert_eq!(successor["scopes"], json!(["notes:read"]));
}

#[tokio::test]
async fn limits_count_for_all_keys_of_a_rotation() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let members = json!({"uses": 4, "quota": {"requests": 100, "per": "day"}});
        let (mut path, mut secret) = created(&manager, members).await;
        for left in [3, 2, 1] {
            let old = std::mem::take(&mut secret);
            assert_eq!(code(&manager, &old).await, "valid");
            let answer = rotated(&manager, &path, json!({"overlap": 0})).await.expect(201);
            assert_eq!(answer.json()["uses_left"], left);
            path = answer.header("location").unwrap().to_owned();
            let shown = manager.get(&path).await.expect(200);
            assert_eq!((&shown.json()["uses_left"], &shown.json()["quota_left"]), (&json!(left), &json!(96 + left)));
            assert_eq!(shown.header("etag"), answer.header("etag"));
            secret = answer.text("secret");
        }
        let last = rotated(&manager, &path, json!({})).await.expect(201).text("secret");
        assert_eq!(code(&manager, &secret).await, "valid");
        assert_eq!(code(&manager, &last).await, "key_uses_exhausted", "both keys take from the same number");
        assert_eq!(code(&manager, &secret).await, "key_uses_exhausted");
        manager.patch(&path, json!({"uses": 1})).await.expect(200);
        assert_eq!(
            (code(&manager, &secret).await, code(&manager, &last).await),
            ("valid".into(), "key_uses_exhausted".into())
        );
    })
    .await;
}

#[tokio::test]
async fn rate_limit_counts_for_both_keys_of_a_rotation() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    let (path, old) = created(&manager, json!({"rate_limit": {"requests": 2, "seconds": 60}})).await;
    let new = rotated(&manager, &path, json!({})).await.expect(201).text("secret");
    assert_eq!((code(&manager, &old).await, code(&manager, &new).await), ("valid".into(), "valid".into()));
    assert_eq!(code(&manager, &old).await, "key_rate_limited");
}
