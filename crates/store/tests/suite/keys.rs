//! API keys: found by digest, revoked once, digested again, and valid only as long as their owner.

use doorward_core::{
    api_key::KeyMetadata,
    clock::Timestamp,
    digest::{MasterKey, Peppers},
    holder::Owner,
    id::KeyId,
};
use doorward_store::{
    ChangeKind,
    clients::{ChangeClient, ClientChange},
    keys::{
        CreateKey, DisableKey, FindKey, FindKeyByDigest, KeyRecord, KeyRevocation, KeyTouch, ListKeys, RevokeKey,
        TouchKeys,
    },
    users::{ChangeUser, UserChange},
};

use crate::{
    harness::on_each_engine,
    world::{World, race},
};

pub(crate) fn key(world: &World, secret: &str) -> KeyRecord {
    KeyRecord {
        id: KeyId::new(world.now(), &world.rng),
        digest: world.peppers.digest(secret),
        hint: "sk_live_abcd".to_owned(),
        metadata: KeyMetadata {
            name: "a key".to_owned(),
            apis: vec![world.api.id.clone()],
            scope: world.public.metadata.scope.clone(),
            ..KeyMetadata::default()
        },
        owner: None,
        roles: vec![],
        created_at: world.now(),
        created_by: Some("os:ada".to_owned()),
        scope_given_at: world.now(),
        expires_at: None,
        revoked_at: None,
        disabled_at: None,
        leaked_at: None,
        leak_source: None,
        last_used_at: None,
        last_used_address: None,
        owner_is_disabled: false,
        owner_is_deleted: false,
    }
}

pub(crate) async fn created(world: &World, key: KeyRecord) -> KeyRecord {
    world.write(CreateKey { key: key.clone(), audit: world.audit() }).await;
    key
}

fn touch(key: &KeyRecord, at: Timestamp, address: &str) -> KeyTouch {
    KeyTouch { id: key.id.clone(), at, address: Some(address.to_owned()), digest: None }
}

async fn find(world: &World, secret: &str) -> Option<KeyRecord> {
    world.read(FindKeyByDigest { candidates: world.peppers.candidates(secret).collect() }).await
}

fn revoke(world: &World, key: &KeyRecord) -> RevokeKey {
    RevokeKey { id: key.id.clone(), now: world.now(), audit: world.audit() }
}

#[tokio::test]
async fn key_is_found_only_by_its_digest_under_a_live_pepper() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let created = created(&world, key(&world, "one")).await;
        assert_eq!(find(&world, "one").await.unwrap().id, created.id);
        assert!(find(&world, "two").await.is_none());
        let mut other_pepper = created.digest.clone();
        other_pepper.pepper = "another".to_owned();
        assert!(world.read(FindKeyByDigest { candidates: vec![other_pepper] }).await.is_none());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_revoked_once_and_announced_once() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let created = created(&world, key(&world, "one")).await;
        let position = world.store.position().await.unwrap();

        let outcomes = race(&world, (0..8).map(|_| revoke(&world, &created)).collect()).await;

        assert_eq!(outcomes.iter().filter(|outcome| **outcome == KeyRevocation::Now).count(), 1);
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == KeyRevocation::Before).count(), 7);
        assert_eq!(find(&world, "one").await.unwrap().revoked_at, Some(world.now()));
        let changes = world.store.changes_after(position, 10).await.unwrap();
        let changes: Vec<_> = changes.iter().map(|change| (change.kind, change.subject.as_str())).collect();
        assert_eq!(changes, [(Some(ChangeKind::Key), created.id.as_str())]);
        let unknown = revoke(&world, &key(&world, "two"));
        assert_eq!(world.write(unknown).await, KeyRevocation::Unknown);
    })
    .await;
}

#[tokio::test]
async fn a_use_under_a_new_master_key_lets_the_old_pepper_go() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let created = created(&world, key(&world, "one")).await;
        let new = Peppers::new([&MasterKey::generate(&world.rng)]);
        let digest = Some(new.digest("one"));
        let uses = vec![KeyTouch { digest, ..touch(&created, world.now(), "192.0.2.1") }];

        world.write(TouchKeys { uses }).await;

        assert!(find(&world, "one").await.is_none());
        let found = world.read(FindKeyByDigest { candidates: new.candidates("one").collect() }).await.unwrap();
        assert_eq!((found.id, found.last_used_at), (created.id, Some(world.now())));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_use_moves_forward_only_also_from_two_servers() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let mut keys = Vec::new();
        for number in 0..8 {
            keys.push(created(&world, key(&world, &format!("{number}"))).await);
        }
        let early = world.now();
        world.advance(60);
        let forth: Vec<_> = keys.iter().map(|key| touch(key, world.now(), "192.0.2.2")).collect();
        let back: Vec<_> = keys.iter().rev().map(|key| touch(key, early, "192.0.2.1")).collect();

        for _ in 0..5 {
            race(&world, vec![TouchKeys { uses: forth.clone() }, TouchKeys { uses: back.clone() }]).await;
        }

        for key in keys {
            let found = world.read(FindKey { id: key.id }).await.unwrap();
            assert_eq!(found.last_used_at, Some(world.now()));
            assert_eq!(found.last_used_address.as_deref(), Some("192.0.2.2"));
        }
    })
    .await;
}

#[tokio::test]
async fn disabled_key_can_be_enabled_until_it_is_revoked() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let key = created(&world, key(&world, "one")).await;
        let position = world.store.position().await.unwrap();
        let change = async |is_disabled| {
            let (id, now, audit) = (key.id.clone(), world.now(), world.audit());
            world.write(DisableKey { id, is_disabled, now, audit }).await
        };
        let disabled_at = async || find(&world, "one").await.unwrap().disabled_at;
        assert!(!change(false).await && disabled_at().await.is_none());
        assert!(change(true).await && disabled_at().await == Some(world.now()));
        assert!(!change(true).await, "it was disabled before");
        assert!(change(false).await && disabled_at().await.is_none());
        assert!(change(true).await);
        world.write(revoke(&world, &key)).await;
        assert!(!change(false).await && disabled_at().await.is_some(), "a revoked key stays as it is");
        let changes = world.store.changes_after(position, 10).await.unwrap();
        let of_key = changes.iter().filter(|change| change.subject == key.id.as_str());
        assert_eq!(of_key.count(), 4, "the other servers learn of each change");
    })
    .await;
}

#[tokio::test]
async fn key_of_a_customer_of_the_api_is_good() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let owner: Owner = "acme".parse().unwrap();
        created(&world, KeyRecord { owner: Some(owner.clone()), ..key(&world, "one") }).await;
        let found = find(&world, "one").await.unwrap();
        assert_eq!(
            (found.owner.as_ref(), found.owner_is_disabled, found.owner_is_deleted),
            (Some(&owner), false, false)
        );
        let filter = doorward_store::keys::KeyFilter { owner: Some(owner), revoked: None };
        assert_eq!(world.read(ListKeys { filter, after: None, limit: 10 }).await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_key_says_whether_its_owner_is_disabled_or_gone() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let of = |secret: &str, owner: Owner| KeyRecord { owner: Some(owner), ..key(&world, secret) };
        created(&world, of("user", Owner::User(world.user.id.clone()))).await;
        created(&world, of("client", Owner::Client(world.public.id.clone()))).await;
        created(&world, of("nobody", Owner::User(world.fresh_user("Eve").id))).await;
        let disabled = async |secret| find(&world, secret).await.unwrap().owner_is_disabled;
        assert!(!disabled("user").await && !disabled("client").await && disabled("nobody").await);

        let (now, audit) = (world.now(), world.audit());
        world.write(ChangeUser { id: world.user.id.clone(), change: UserChange::Disable, now, audit }).await;
        let audit = world.audit();
        world.write(ChangeClient { id: world.public.id.clone(), change: ClientChange::Delete, now, audit }).await;

        assert!(disabled("user").await && disabled("client").await);
        let deleted = async |secret| find(&world, secret).await.unwrap().owner_is_deleted;
        assert!(!deleted("user").await && deleted("client").await && deleted("nobody").await);
    })
    .await;
}

#[tokio::test]
async fn keys_are_listed_page_by_page_in_order_of_creation() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let mut ids = Vec::new();
        for number in 0..5 {
            world.advance(1);
            ids.push(created(&world, key(&world, &format!("{number}"))).await.id);
        }
        let mut seen = Vec::new();
        loop {
            let page = world.read(ListKeys { filter: Default::default(), after: seen.last().cloned(), limit: 2 }).await;
            if page.is_empty() {
                break;
            }
            assert!(page.len() <= 2);
            seen.extend(page.into_iter().map(|key| key.id));
        }
        assert_eq!(seen, ids);
    })
    .await;
}
