//! What becomes of the keys when a user or client is disabled.

use doorward_server::manage::keys::NewKey;
use serde_json::{Value, json};

use super::manager::{Manager, places, refused};
use crate::harness::*;

/// A key of an owner; its id and its secret.
async fn key_of(manager: &Manager<'_>, owner: &str) -> (String, String) {
    let body = json!({"api": "notes", "name": "ci", "owner": owner, "scopes": ["notes:read"]});
    let created = manager.post("/v1/keys", body).await.expect(201);
    (created.text("id"), created.text("secret"))
}

async fn verified(manager: &Manager<'_>, secret: &str) -> String {
    manager.post("/v1/keys/verify", json!({"key": secret})).await.expect(200).text("code")
}

async fn user_id(manager: &Manager<'_>, name: &str) -> String {
    let found = manager.get(&format!("/v1/users?username={name}")).await.expect(200).json();
    found["items"][0]["id"].as_str().unwrap().to_owned()
}

/// The newest event of an action.
async fn event(manager: &Manager<'_>, action: &str) -> Value {
    let found = manager.get(&format!("/v1/audit?action={action}&limit=1")).await.expect(200).json();
    found["items"][0].clone()
}

#[tokio::test]
async fn keys_of_a_disabled_user_are_revoked_for_good() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let id = user_id(&manager, BOB).await;
        let (key, secret) = key_of(&manager, &id).await;
        let (_, other) = key_of(&manager, "acme").await;
        assert_eq!(verified(&manager, &secret).await, "valid");
        let path = format!("/v1/users/{id}/disable");
        let body = json!({"keys": "revoke"});

        let unconfirmed = manager.post(&path, body.clone()).await;
        assert_eq!(refused(&unconfirmed, 409), "confirmation_required");
        assert_eq!(unconfirmed.json()["ends"]["keys"]["count"], 1);
        let preview = manager.post(&format!("{path}?dry_run=true"), body.clone()).await.expect(200).json();
        assert_eq!((&preview["ends"]["keys"]["count"], &preview["holds"]["keys"]["count"]), (&json!(1), &json!(1)));
        assert_eq!(verified(&manager, &secret).await, "valid", "nothing was changed");

        let disabled = manager.post(&format!("{path}?confirm=true"), body).await.expect(200);
        assert!(disabled.json()["disabled_at"].is_string());
        assert_eq!(verified(&manager, &secret).await, "key_revoked");
        assert_eq!(event(&manager, "user.disabled").await["details"]["keys_revoked"], "1");
        manager.act(&format!("/v1/users/{id}/enable")).await.expect(200);
        assert_eq!(verified(&manager, &secret).await, "key_revoked", "for good");
        assert_eq!(manager.get(&format!("/v1/keys/{key}")).await.json()["state"], "revoked");
        assert_eq!(verified(&manager, &other).await, "valid");
    })
    .await;
}

#[tokio::test]
async fn handed_over_key_works_with_its_new_owner() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let (bob, alice) = (user_id(&manager, BOB).await, user_id(&manager, ALICE).await);
        let (key, secret) = key_of(&manager, &bob).await;
        assert_eq!(verified(&manager, &secret).await, "valid");
        let hand_over = |to: &str| json!({"keys": {"hand_over_to": to}});
        let path = format!("/v1/users/{bob}/disable?confirm=true");

        let preview = format!("/v1/users/{bob}/disable?dry_run=true");
        let preview = manager.post(&preview, hand_over("acme")).await.expect(200).json();
        assert_eq!((&preview["ends"]["keys"]["count"], &preview["holds"]["keys"]["count"]), (&json!(0), &json!(1)));
        manager.post(&path, hand_over(&format!("user:{ALICE}"))).await.expect(200);

        assert_eq!(verified(&manager, &secret).await, "valid");
        assert_eq!(manager.get(&format!("/v1/keys/{key}")).await.json()["owner"], json!(alice));
        let details = event(&manager, "user.disabled").await["details"].clone();
        assert_eq!((&details["keys_handed_over"], &details["to"]), (&json!("1"), &json!(alice)));
        manager.act(&format!("/v1/users/{alice}/disable?confirm=true")).await.expect(200);
        assert_eq!(verified(&manager, &secret).await, "key_owner_disabled", "the state of the new owner counts");
        manager.act(&format!("/v1/users/{bob}/enable")).await.expect(200);
        let to_disabled = manager.post(&path, hand_over(&alice)).await;
        let to_itself = manager.post(&path, hand_over(&bob)).await;
        let to_nobody = manager.post(&path, hand_over("user:nobody")).await;
        for refused in [to_disabled, to_itself, to_nobody] {
            assert_eq!(places(&refused), ["/keys/hand_over_to"]);
        }
        for (body, place) in [(json!({"keys": "sell"}), "/keys"), (json!({"key": "revoke"}), "/key")] {
            assert_eq!(places(&manager.post(&path, body.clone()).await), [place], "{body}");
        }
        assert!(manager.get(&format!("/v1/users/{bob}")).await.json()["disabled_at"].is_null());
    })
    .await;
}

#[tokio::test]
async fn keys_of_a_disabled_client_are_revoked_or_handed_over() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let client = server.world.web.id.clone();
        let (_, first) = key_of(&manager, client.as_str()).await;
        let path = format!("/v1/clients/{client}/disable?confirm=true");
        manager.post(&path, json!({"keys": {"hand_over_to": "acme"}})).await.expect(200);
        let (_, second) = key_of(&manager, client.as_str()).await;
        assert_eq!(
            [verified(&manager, &first).await, verified(&manager, &second).await],
            ["valid", "key_owner_disabled"]
        );
        manager.post(&path, json!({"keys": "revoke"})).await.expect(200);
        assert_eq!([verified(&manager, &first).await, verified(&manager, &second).await], ["valid", "key_revoked"]);
        assert_eq!(event(&manager, "client.disabled").await["details"]["keys_revoked"], "1");
    })
    .await;
}

#[tokio::test]
async fn nobody_hands_over_keys_beyond_their_rights() {
    on_each_engine(async |server| {
        let all = Manager::of_all(server).await;
        let client = server.world.web.id.to_string();
        let body = json!({"api": "doorward", "name": "admin", "owner": client, "scopes": ["users:write"]});
        let created = all.post("/v1/keys", body).await.expect(201);
        let limited = |scopes| NewKey {
            limited_to_owners: vec![client.clone(), "acme".to_owned()],
            ..new_key("doorward", scopes)
        };
        let path = format!("/v1/clients/{client}/disable?confirm=true");
        let hand_over = |to: &str| json!({"keys": {"hand_over_to": to}});
        let weaker = Manager::by(server, limited("clients:write keys:write")).await;
        let beyond_owners = weaker.post(&path, hand_over("globex")).await;
        assert_eq!(places(&beyond_owners), ["/keys/hand_over_to"]);
        for body in [hand_over("acme"), json!({"keys": "revoke"})] {
            assert_eq!(refused(&weaker.post(&path, body).await, 403), "rights_exceeded");
        }
        let shown = all.get(&format!("/v1/keys/{}", created.text("id"))).await.json();
        assert_eq!((&shown["owner"], &shown["state"]), (&json!(client), &json!("active")));
        all.post(&path, hand_over("acme")).await.expect(200);
    })
    .await;
}
