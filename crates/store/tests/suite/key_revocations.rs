//! All keys of a selection, revoked in one transaction.

use std::time::Duration;

use doorward_core::{
    api_key::KeyMetadata,
    clock::Timestamp,
    id::KeyId,
    key_selection::KeySelection,
    rights::{Limits, Power, Rights},
    scope::{Scope, ScopeSet},
};
use doorward_store::{
    ChangeKind,
    audit::{AuditAction, AuditFilter, SearchAudit},
    keys::{CanReportRevocations, FindKey, KeyRecord, ReportRevocations, RevokeKeys, SelectKeys, Selected},
    webhooks::ListDeliveries,
};

use crate::{
    filter_plans::assert_reads_by,
    harness::on_each_engine,
    keys::{created, key},
    lists::{full_world, new_api},
    webhooks::created as endpoint,
    world::World,
};

fn select(selection: KeySelection) -> SelectKeys {
    SelectKeys { selection, rights: Rights::All, most: 100 }
}

fn of_owner(owner: &str) -> KeySelection {
    KeySelection { owner: Some(owner.parse().unwrap()), ..KeySelection::default() }
}

fn revoke(world: &World, select: SelectKeys) -> RevokeKeys {
    RevokeKeys { select, now: world.now(), audit: world.audit().with("owner", "acme") }
}

async fn owned(world: &World, name: &str, owner: &str) -> KeyRecord {
    world.advance(1);
    created(world, KeyRecord { owner: Some(owner.parse().unwrap()), ..key(world, name) }).await
}

/// The ids of what a selection meets, and how many keys are beyond the caller's rights.
#[track_caller]
fn met(selected: Selected) -> (Vec<KeyId>, usize) {
    match selected {
        Selected::All { keys, beyond_rights } => (keys.into_iter().map(|key| key.id).collect(), beyond_rights),
        Selected::TooMany { before } => panic!("too many, {before:?}"),
    }
}

async fn is_revoked(world: &World, id: &KeyId) -> bool {
    world.read(FindKey { id: id.clone() }).await.unwrap().revoked_at.is_some()
}

#[tokio::test]
async fn all_keys_that_match_are_revoked_with_one_event_and_change() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let before = owned(&world, "before", "acme").await;
        world.write(revoke(&world, select(of_owner("acme")))).await;
        // More than one statement takes.
        let mut keys = Vec::new();
        for number in 0..103 {
            keys.push(owned(&world, &format!("{number}"), "acme").await.id);
        }
        let other = owned(&world, "other", "globex").await;
        let position = world.store.position().await.unwrap();

        let selected = world.write(revoke(&world, SelectKeys { most: 103, ..select(of_owner("acme")) })).await;

        assert_eq!(met(selected), (keys.clone(), 0));
        for id in &keys {
            assert!(is_revoked(&world, id).await);
        }
        let at = world.read(FindKey { id: before.id }).await.unwrap().revoked_at;
        assert!(at < Some(world.now()) && !is_revoked(&world, &other.id).await);
        let changes = world.store.changes_after(position, 10).await.unwrap();
        let changes: Vec<_> = changes.iter().map(|change| (change.kind, change.subject.as_str())).collect();
        assert_eq!(changes, [(Some(ChangeKind::Keys), "")]);
        let filter = AuditFilter { action: Some(AuditAction::KeysRevoked), ..AuditFilter::default() };
        let events = world.read(SearchAudit { filter, after: None, before: None, limit: 10 }).await.events;
        let details = [&events[0].details["owner"], &events[0].details["keys"]];
        assert_eq!((details, events.len()), ([&"acme".into(), &"103".into()], 2));
        assert!(!world.read(CanReportRevocations { waiting: 1 }).await, "there is no endpoint");
        let again = world.write(revoke(&world, select(of_owner("acme")))).await;
        assert_eq!((met(again), world.store.position().await.unwrap()), ((vec![], 0), position + 1));
    })
    .await;
}

#[tokio::test]
async fn each_key_that_was_revoked_with_others_is_reported_once() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (all, of_others) = (
            endpoint(&world, |_| {}).await,
            endpoint(&world, |metadata| metadata.owners = vec!["globex".parse().unwrap()]).await,
        );
        let mut ids = vec![];
        for name in ["one", "two", "three"] {
            ids.push(owned(&world, name, "acme").await.id.to_string());
        }
        world.write(revoke(&world, select(of_owner("acme")))).await;
        world.advance(60);
        assert!(
            world.read(CanReportRevocations { waiting: 1 }).await
                && !world.read(CanReportRevocations { waiting: 0 }).await
        );
        let mut steps = 1;
        while world.write(ReportRevocations { limit: 2 }).await {
            steps += 1;
        }
        assert_eq!((steps, world.read(CanReportRevocations { waiting: 100 }).await), (2, false));
        let sent = async |webhook| {
            let list = ListDeliveries { webhook, state: None, before: None, limit: 100 };
            world.read(list).await
        };
        let found = sent(all.id).await;
        let mut reported: Vec<_> = found
            .iter()
            .map(|sent| {
                assert_eq!((sent.event_type.as_str(), sent.occurred_at), ("key.revoked", world.now().minus(MINUTE)));
                let data: serde_json::Value = serde_json::from_str(&sent.data).unwrap();
                data["key_id"].as_str().unwrap().to_owned()
            })
            .collect();
        reported.sort();
        assert_eq!(reported, ids);
        assert!(sent(of_others.id).await.is_empty(), "they are somebody else's");
    })
    .await;
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn too_many_keys_are_refused_with_a_time_that_divides_them() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let mut keys = Vec::new();
        for number in 0..4 {
            keys.push(owned(&world, &format!("{number}"), "acme").await);
        }
        let few = |selection| SelectKeys { most: 3, ..select(selection) };
        let since = KeySelection { created_since: Some(Timestamp::from_secs(0)), ..KeySelection::default() };
        let before = |selected| match selected {
            Selected::TooMany { before } => before,
            Selected::All { keys, .. } => panic!("{keys:?}"),
        };
        let until = before(world.write(revoke(&world, few(since.clone()))).await);
        assert_eq!(until, Some(keys[3].created_at));
        assert_eq!(before(world.write(revoke(&world, few(of_owner("acme")))).await), None, "no time would help");
        for key in &keys {
            assert!(!is_revoked(&world, &key.id).await);
        }
        let first = world.write(revoke(&world, few(KeySelection { created_until: until, ..since }))).await;
        let rest =
            world.write(revoke(&world, few(KeySelection { created_since: until, ..KeySelection::default() }))).await;
        assert_eq!([met(first).0.len(), met(rest).0.len()], [3, 1]);
    })
    .await;
}

#[tokio::test]
async fn keys_beyond_the_rights_of_the_caller_are_left_out() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let other_api = new_api(&world, "other").await.id;
        let scope = ScopeSet::parse("users:write").unwrap();
        let stronger = key(&world, "stronger");
        let metadata = KeyMetadata { scope, ..stronger.metadata.clone() };
        created(&world, KeyRecord { metadata, owner: Some("acme".parse().unwrap()), ..stronger }).await;
        let elsewhere = key(&world, "elsewhere");
        let metadata = KeyMetadata { apis: vec![other_api, world.api.id.clone()], ..elsewhere.metadata.clone() };
        created(&world, KeyRecord { metadata, owner: Some("acme".parse().unwrap()), ..elsewhere }).await;
        let reached = owned(&world, "reached", "acme").await;
        let power = Power {
            limits: Limits { apis: vec![world.api.id.clone()], owners: vec!["acme".parse().unwrap()] },
            ..Power::of_scopes(&ScopeSet::parse("keys:write").unwrap())
        };
        let rights = Rights::Some(power);
        let limited = |selection| SelectKeys { rights: rights.clone(), ..select(selection) };
        assert_eq!(met(world.write(revoke(&world, limited(of_owner("acme")))).await), (vec![reached.id], 1));
        owned(&world, "of another", "globex").await;
        assert_eq!(met(world.read(limited(of_owner("globex"))).await), (vec![], 0));
        assert_eq!(met(world.read(SelectKeys { rights: Rights::Own, ..select(of_owner("globex")) }).await).0, []);
    })
    .await;
}

#[tokio::test]
async fn each_selection_reads_by_an_index() {
    on_each_engine(async |database| {
        let world = full_world(&database).await;
        let (api, time, all) = (Some(world.api.id.clone()), Some(world.now()), KeySelection::default);
        let scope = Some(Scope::parse("notes1:read").unwrap());
        for (selection, table, index) in [
            (of_owner("acme"), "api_keys", "api_keys_live_of_owner"),
            (
                KeySelection { api: api.clone(), created_by: Some("a".into()), ..all() },
                "api_keys",
                "api_keys_of_creator",
            ),
            (KeySelection { api: api.clone(), scope: scope.clone(), ..all() }, "key_apis", "pkey"),
            (KeySelection { api, created_since: time, ..all() }, "api_keys", "api_keys_by_creation"),
            (KeySelection { created_until: time, ..all() }, "api_keys", "api_keys_by_creation"),
            (KeySelection { scope, ..all() }, "api_keys", "api_keys_live"),
        ] {
            assert_reads_by(&world, &database, select(selection), table, index).await;
        }
    })
    .await;
}
