//! `POST /v1/keys/revoke`: all keys that match.

use doorward_server::manage::keys::NewKey;
use serde_json::{Value, json};

use super::manager::{Manager, places, refused};
use crate::harness::*;

async fn verified(manager: &Manager<'_>, secret: &str) -> String {
    manager.post("/v1/keys/verify", json!({"key": secret})).await.expect(200).text("code")
}

fn new(api: &str, owner: &str) -> Value {
    json!({"api": api, "name": "ci", "owner": owner, "scopes": [format!("{api}:read")]})
}

#[tokio::test]
async fn keys_that_match_are_counted_listed_and_revoked() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let mut secrets = Vec::new();
        for (api, owner) in [("notes", "acme"), ("notes", "acme"), ("mails", "acme"), ("notes", "globex")] {
            server.advance_secs(1);
            secrets.push(manager.post("/v1/keys", new(api, owner)).await.expect(201).text("secret"));
        }
        let codes = async || {
            let mut codes = Vec::new();
            for secret in &secrets {
                codes.push(verified(&manager, secret).await);
            }
            codes
        };
        assert_eq!(codes().await, ["valid"; 4], "and now they are in the cache");
        let asked = json!({"owner": "acme", "api": "notes"});

        let counted = manager.post("/v1/keys/revoke?dry_run=true", asked.clone()).await.expect(200).json();
        assert_eq!((&counted["count"], &counted["dry_run"]), (&json!(2), &json!(true)));
        assert_eq!(counted["by_api"], json!([{"name": "notes", "count": 2}]));
        assert_eq!(counted["by_owner"], json!([{"name": "acme", "count": 2}]));
        assert_eq!(counted["keys"].as_array().unwrap().len(), 2);
        let unconfirmed = manager.post("/v1/keys/revoke", asked.clone()).await;
        assert_eq!(refused(&unconfirmed, 409), "confirmation_required");
        assert_eq!(unconfirmed.json()["ends"]["keys"]["count"], 2);
        assert_eq!(codes().await, ["valid"; 4], "nothing was changed");

        let revoked = manager.post("/v1/keys/revoke?confirm=true", asked.clone()).await.expect(200).json();
        assert_eq!((&revoked["count"], &revoked["keys"][0]["state"]), (&json!(2), &json!("revoked")));
        assert_eq!(codes().await, ["key_revoked", "key_revoked", "valid", "valid"]);
        let events = manager.get("/v1/audit?action=keys.revoked").await.expect(200).json();
        let details = &events["items"][0]["details"];
        assert_eq!([&details["owner"], &details["api"], &details["keys"]], ["acme", "notes", "2"]);
        let again = manager.post("/v1/keys/revoke", asked).await.expect(200).json();
        assert_eq!(again["count"], 0, "there is nothing to confirm");
        let by_scope = manager.post("/v1/keys/revoke?dry_run=true", json!({"scope": "mails:read"})).await.expect(200);
        assert_eq!((&by_scope.json()["count"], &by_scope.json()["by_owner"][0]["name"]), (&json!(1), &json!("acme")));
    })
    .await;
}

#[tokio::test]
async fn revocation_of_many_names_what_exists_and_a_condition() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    for (asked, place) in [
        (json!({}), ""),
        (json!({"api": "nothing"}), "/api"),
        (json!({"owner": "user:nobody"}), "/owner"),
        (json!({"created_since": "yesterday"}), "/created_since"),
        (json!({"name": "ci"}), "/name"),
    ] {
        let refused = manager.post("/v1/keys/revoke?confirm=true", asked.clone()).await;
        assert_eq!(places(&refused), [place], "{asked}");
    }
    assert_eq!(verified(&manager, server.world.key.as_ref()).await, "valid");
}

#[tokio::test]
async fn limited_caller_revokes_only_what_it_reaches() {
    on_each_engine(async |server| {
        let all = Manager::of_all(server).await;
        let mails = all.post("/v1/keys", new("mails", "acme")).await.expect(201).text("secret");
        let notes = all.post("/v1/keys", new("notes", "acme")).await.expect(201).text("secret");
        let admin = json!({"api": "doorward", "name": "admin", "owner": "acme", "scopes": ["users:write"]});
        let admin = all.post("/v1/keys", admin).await.expect(201).text("id");
        let of_notes = NewKey { limited_to: vec!["notes".to_owned()], ..new_key("doorward", "keys:write") };
        let of_notes = Manager::by(server, of_notes).await;
        let asked = json!({"owner": "acme"});
        assert_eq!(of_notes.post("/v1/keys/revoke?dry_run=true", asked.clone()).await.expect(200).json()["count"], 1);
        let weaker = Manager::with(server, "keys:write").await;
        let counted = weaker.post("/v1/keys/revoke?dry_run=true", asked.clone()).await.expect(200).json();
        assert_eq!((&counted["count"], &counted["beyond_rights"]), (&json!(2), &json!(1)));
        of_notes.post("/v1/keys/revoke?confirm=true", asked.clone()).await.expect(200);
        assert_eq!([verified(&all, &notes).await, verified(&all, &mails).await], ["key_revoked", "valid"]);
        weaker.post("/v1/keys/revoke?confirm=true", asked).await.expect(200);
        assert_eq!(verified(&all, &mails).await, "key_revoked");
        assert_eq!(all.get(&format!("/v1/keys/{admin}")).await.json()["state"], "active");
        let reader = Manager::with(server, "keys:read").await;
        assert_eq!(refused(&reader.post("/v1/keys/revoke", json!({"owner": "acme"})).await, 403), "insufficient_scope");
    })
    .await;
}
