//! Uses of keys that their owners should look at: each is reported once, over all servers.

use doorward_core::{denial::Denial, id::KeyId, unusual_use::UnusualUse};
use doorward_store::{
    audit::{AuditContext, AuditEvent, AuditFilter},
    keys::{KeyNetworkUse, NoteKeyNetworks, ReportUnusualUses, UnusualKeyUse},
    sweep::Swept,
};
use serde_json::json;

use crate::{
    harness::on_each_engine,
    key_events::sent,
    key_rotation::rotation,
    keys,
    webhooks::created as endpoint,
    world::{World, race},
};

const HOUR: u64 = 3_600;

fn used(world: &World, id: &KeyId, what: UnusualUse) -> ReportUnusualUses {
    let audit = AuditContext { address: Some("192.0.2.7".to_owned()), ..world.audit() };
    ReportUnusualUses { uses: vec![UnusualKeyUse { id: id.clone(), what, audit }] }
}

fn from(world: &World, id: &KeyId, network: &str) -> NoteKeyNetworks {
    NoteKeyNetworks { uses: vec![KeyNetworkUse { id: id.clone(), network: network.to_owned(), audit: world.audit() }] }
}

/// The events of an action about a key, the latest first.
async fn events(world: &World, action: &str, id: &KeyId) -> Vec<AuditEvent> {
    let events = world.newest_events(AuditFilter::default(), 200).await;
    events
        .into_iter()
        .filter(|event| event.action.as_str() == action && event.subject.as_deref() == Some(id.as_str()))
        .collect()
}

/// The networks that were reported as new to a key, the latest first.
async fn reported(world: &World, id: &KeyId) -> Vec<String> {
    let events = events(world, "key.new_network", id).await;
    events.iter().map(|event| event.details["network"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn use_after_the_end_is_reported_once_an_hour() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let webhook = endpoint(&world, |_| {}).await;
        let key = keys::created(&world, keys::key(&world, "one")).await;
        let revoked = UnusualUse::AfterEnd(Denial::KeyRevoked);
        let of_servers = async || {
            race(&world, (0..6).map(|_| used(&world, &key.id, revoked)).collect()).await;
            events(&world, "key.used_after_end", &key.id).await
        };
        let first = of_servers().await;
        assert_eq!(first.len(), 1);
        assert_eq!(
            (&first[0].details["reason"], first[0].address.as_deref()),
            (&json!("key_revoked"), Some("192.0.2.7"))
        );
        let sent = sent(&world, &webhook).await;
        assert_eq!((sent.len(), sent[0].0.as_str()), (1, "key.used_after_end"));
        assert_eq!((&sent[0].1["key_id"], &sent[0].1["address"]), (&json!(key.id), &json!("192.0.2.7")));
        world.advance(HOUR - 1);
        assert_eq!(of_servers().await.len(), 1);
        world.advance(1);
        assert_eq!(of_servers().await.len(), 2);
        // Another reason is another report.
        world.write(used(&world, &key.id, UnusualUse::AfterLeak)).await;
        assert_eq!(events(&world, "key.used_after_leak", &key.id).await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn reports_of_keys_that_are_gone_or_old_leave_nothing() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let unknown = KeyId::new(world.now(), &world.rng);
        world.write(used(&world, &unknown, UnusualUse::AfterLeak)).await;
        assert!(events(&world, "key.used_after_leak", &unknown).await.is_empty());
        world.advance(HOUR);
        assert_eq!(world.write(world.sweep_of(Swept::KeyUnusualUses)).await, 0, "an hour is not over yet");
        world.advance(1);
        assert_eq!(world.write(world.sweep_of(Swept::KeyUnusualUses)).await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_networks_after_the_first_are_new() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let webhook = endpoint(&world, |_| {}).await;
        let key = keys::created(&world, keys::key(&world, "one")).await;
        let of_servers = async |network: &str| {
            race(&world, (0..6).map(|_| from(&world, &key.id, network)).collect()).await;
            world.advance(1);
            reported(&world, &key.id).await
        };
        assert!(of_servers("192.0.2.0/24").await.is_empty(), "the first use of a key");
        assert_eq!(of_servers("198.51.100.0/24").await, ["198.51.100.0/24"]);
        assert_eq!(of_servers("192.0.2.0/24").await.len(), 1, "it is known");
        let sent = sent(&world, &webhook).await;
        assert_eq!((sent.len(), sent[0].0.as_str()), (1, "key.new_network"));
        assert_eq!(sent[0].1["network"], "198.51.100.0/24");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_first_networks_at_the_same_time_are_one_report() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        for number in 0..5 {
            let key = keys::created(&world, keys::key(&world, &format!("key {number}"))).await;
            race(&world, vec![from(&world, &key.id, "192.0.2.0/24"), from(&world, &key.id, "2001:db8:1::/48")]).await;
            assert_eq!(reported(&world, &key.id).await.len(), 1);
        }
    })
    .await;
}

#[tokio::test]
async fn only_the_latest_networks_of_a_key_are_remembered() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let key = keys::created(&world, keys::key(&world, "one")).await;
        let use_from = async |number: u32| {
            world.write(from(&world, &key.id, &format!("10.0.{number}.0/24"))).await;
            world.advance(1);
            reported(&world, &key.id).await.len()
        };
        for number in 0..16 {
            assert_eq!(use_from(number).await, number as usize);
        }
        assert_eq!(use_from(0).await, 15, "it is known, and now the latest");
        assert_eq!(use_from(16).await, 16);
        assert_eq!(use_from(1).await, 17, "16 others were used since then");
        assert_eq!(use_from(0).await, 17);
    })
    .await;
}

#[tokio::test]
async fn successor_knows_the_networks_of_its_predecessor() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let old = keys::created(&world, keys::key(&world, "old")).await;
        world.write(from(&world, &old.id, "192.0.2.0/24")).await;
        let rotate = rotation(&world, &old.id, "new", false).await;
        let successor = rotate.successor.id.clone();
        world.write(rotate).await;
        world.write(from(&world, &successor, "192.0.2.0/24")).await;
        assert!(reported(&world, &successor).await.is_empty());
        world.write(from(&world, &successor, "203.0.113.0/24")).await;
        assert_eq!(reported(&world, &successor).await, ["203.0.113.0/24"]);
    })
    .await;
}
