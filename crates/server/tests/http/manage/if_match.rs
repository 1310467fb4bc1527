//! `If-Match` guards a deletion as it guards a change: what somebody else changed meanwhile is not deleted.

use reqwest::Method;
use serde_json::{Value, json};

use super::manager::Manager;
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
