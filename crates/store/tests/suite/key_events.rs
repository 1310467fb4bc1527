//! What webhooks report of keys, in the transaction of the change.

use std::time::Duration;

use doorward_core::{id::WebhookId, leaks::LeakPolicy, webhook_event::EventType};
use doorward_store::{
    keys::{KeyRecord, Leak, NoticeExpiring, RevokeKey},
    webhooks::{ListDeliveries, WebhookRecord},
};

use crate::{harness::on_each_engine, keys, webhooks::created as endpoint, world::World};

const DAY: Duration = Duration::from_secs(86_400);

/// What was sent to an endpoint, the newest first: the types, and what they are about.
pub(crate) async fn sent(world: &World, webhook: &WebhookRecord) -> Vec<(String, serde_json::Value)> {
    let list = ListDeliveries { webhook: WebhookId::clone(&webhook.id), state: None, before: None, limit: 100 };
    let found = world.read(list).await;
    found
        .into_iter()
        .map(|sent| (sent.event_type.as_str().to_owned(), serde_json::from_str(&sent.data).unwrap()))
        .collect()
}

#[tokio::test]
async fn revoked_key_is_reported_once_to_whom_it_concerns() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let all = endpoint(&world, |_| {}).await;
        let of_others = endpoint(&world, |metadata| metadata.owners = vec!["globex".parse().unwrap()]).await;
        let owner = Some("acme".parse().unwrap());
        let key = keys::created(&world, KeyRecord { owner, ..keys::key(&world, "one") }).await;
        for _ in 0..2 {
            world.write(RevokeKey { id: key.id.clone(), now: world.now(), audit: world.audit() }).await;
        }
        let data = serde_json::json!({
            "key_id": key.id, "hint": key.hint, "name": key.metadata.name, "owner": "acme",
        });
        assert_eq!(sent(&world, &all).await, [(EventType::KeyRevoked.to_string(), data)]);
        assert!(sent(&world, &of_others).await.is_empty(), "it is somebody else's");
    })
    .await;
}

#[tokio::test]
async fn leaked_key_is_reported_with_its_revocation() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let all = endpoint(&world, |_| {}).await;
        let key = keys::created(&world, keys::key(&world, "one")).await;
        let leak = |policy| {
            let (audit, audit_of_revocation) = (world.audit(), world.audit());
            Leak { id: key.id.clone(), policy, source: None, now: world.now(), audit, audit_of_revocation }
        };
        world.write(leak(LeakPolicy::Flag)).await;
        let types = async || sent(&world, &all).await.into_iter().map(|(word, _)| word).collect::<Vec<_>>();
        assert_eq!(types().await, ["key.leaked"]);
        world.advance(1);
        world.write(leak(LeakPolicy::Revoke)).await;
        let mut found = types().await;
        found.sort();
        assert_eq!(found, ["key.leaked", "key.leaked", "key.revoked"]);
    })
    .await;
}

#[tokio::test]
async fn key_that_ends_soon_is_reported_once() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let all = endpoint(&world, |_| {}).await;
        let notice = || NoticeExpiring { ahead: 7 * DAY, now: world.now(), audits: vec![world.audit(), world.audit()] };
        world.write(notice()).await;
        let expires_at = Some(world.now().plus(8 * DAY));
        let key = keys::created(&world, KeyRecord { expires_at, ..keys::key(&world, "one") }).await;
        world.advance(2 * 86_400);
        for _ in 0..2 {
            world.write(notice()).await;
        }
        let [(word, data)] = &sent(&world, &all).await[..] else { panic!("not one event") };
        assert_eq!(word, "key.expiring");
        assert_eq!((&data["key_id"], &data["days_ahead"]), (&serde_json::json!(key.id), &serde_json::json!(7)));
    })
    .await;
}
