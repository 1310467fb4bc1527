//! Signing keys: of two processes that find one due, one adds it.

use std::time::Duration;

use doorward_core::{
    id::SigningKeyId,
    jwk::Algorithm,
    signing::{KeyTimes, RotationSchedule},
};
use doorward_store::signing_keys::{
    AddSigningKey, ListSigningKeys, RemoveSigningKey, SealingMasterKeys, SigningKeyRecord, WithdrawSigningKey,
};

use crate::{
    harness::{Run, on_each_engine},
    world::{World, race},
};

const SCHEDULE: RotationSchedule = RotationSchedule {
    rotate_every: Duration::from_secs(30 * 86_400),
    publish_before_use: Duration::from_secs(86_400),
    retire_after: Duration::from_secs(86_400),
};

fn add(world: &World, algorithm: Algorithm, only_if_due: Option<RotationSchedule>) -> AddSigningKey {
    let times = KeyTimes {
        unused_since: None,
        id: SigningKeyId::new(world.now(), &world.rng),
        algorithm,
        published_at: world.now(),
        active_from: world.now(),
    };
    let key = SigningKeyRecord {
        times,
        sealed: vec![0, 1, 2, 255],
        sealed_under: "master".to_owned(),
        public_jwk: "{}".to_owned(),
    };
    AddSigningKey { key, only_if_due, now: world.now(), audit: world.audit() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_processes_adds_a_due_key() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        for algorithm in [Algorithm::EdDSA, Algorithm::RS256] {
            let position = world.store.position().await.unwrap();
            let operations = (0..8).map(|_| add(&world, algorithm, Some(SCHEDULE))).collect();
            let added = race(&world, operations).await.into_iter().filter(|added| *added).count();
            assert_eq!(added, 1);
            // Those that were too late change nothing.
            assert_eq!(world.store.position().await.unwrap(), position + 1);
        }
        assert_eq!(world.read(ListSigningKeys).await.len(), 2);
        assert!(world.write(add(&world, Algorithm::EdDSA, None)).await);
        assert_eq!(world.read(ListSigningKeys).await.len(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_key_reads_back_and_is_removed_once() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let operation = add(&world, Algorithm::ES256, None);
        world.write(operation.clone()).await;
        let found = world.read(ListSigningKeys).await.remove(0);
        assert_eq!(found.times, operation.key.times);
        assert_eq!(
            (found.sealed, found.sealed_under, found.public_jwk),
            (operation.key.sealed, operation.key.sealed_under, operation.key.public_jwk)
        );
        let remove = || RemoveSigningKey { id: operation.key.times.id.clone(), now: world.now(), audit: world.audit() };
        assert!(world.write(remove()).await);
        assert!(!world.write(remove()).await);
        assert!(world.read(ListSigningKeys).await.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_who_rotate_at_once_add_two_waiting_keys() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let later = world.now().plus(Duration::from_secs(86_400));
        let waiting = || {
            let added = add(&world, Algorithm::ES256, None);
            let times = KeyTimes { active_from: later, ..added.key.times };
            AddSigningKey { key: SigningKeyRecord { times, ..added.key }, ..added }
        };
        let (one, other) = (&world.store, &world.other);
        let added =
            tokio::join!(one.write(waiting()), other.write(waiting()), one.write(waiting()), other.write(waiting()));
        let added = [added.0, added.1, added.2, added.3].iter().filter(|added| added.is_ok()).count();
        assert_eq!(added, 2);
        assert_eq!(world.read(ListSigningKeys).await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn withdrawn_key_has_a_successor_only_if_it_signs() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (signing, next) = (add(&world, Algorithm::ES256, None), add(&world, Algorithm::ES256, None));
        let later = world.now().plus(Duration::from_secs(86_400));
        let times = KeyTimes { active_from: later, ..next.key.times };
        let next = AddSigningKey { key: SigningKeyRecord { times, ..next.key }, ..next };
        for operation in [signing.clone(), next.clone()] {
            world.write(operation).await;
        }
        let withdraw = |key: &AddSigningKey, successor: &AddSigningKey| WithdrawSigningKey {
            id: key.key.times.id.clone(),
            successor: successor.key.clone(),
            now: world.now(),
            audit: world.audit(),
        };
        let listed =
            async || -> Vec<_> { world.read(ListSigningKeys).await.into_iter().map(|key| key.times.id).collect() };
        let successor = add(&world, Algorithm::ES256, None);
        assert!(world.write(withdraw(&next, &successor)).await);
        assert_eq!(listed().await, std::slice::from_ref(&signing.key.times.id));
        assert!(world.write(withdraw(&signing, &successor)).await);
        assert_eq!(listed().await, std::slice::from_ref(&successor.key.times.id));
        assert!(!world.write(withdraw(&signing, &add(&world, Algorithm::ES256, None))).await);
        assert_eq!(listed().await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn key_of_an_unknown_algorithm_keeps_its_master_key() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let newer = add(&world, Algorithm::RS256, None);
        let newer = AddSigningKey { key: SigningKeyRecord { sealed_under: "older".to_owned(), ..newer.key }, ..newer };
        world.write(newer.clone()).await;
        let known = add(&world, Algorithm::ES256, None);
        world.write(known.clone()).await;
        let sql = "UPDATE signing_keys SET algorithm = 'ML-DSA-44' WHERE id = $1";
        assert_eq!(world.write(Run::new(sql, [newer.key.times.id.as_str().into()])).await, 1);
        let listed = world.read(ListSigningKeys).await;
        assert_eq!(listed.into_iter().map(|key| key.times).collect::<Vec<_>>(), [known.key.times]);
        let sealing: Vec<_> = world.read(SealingMasterKeys).await.into_iter().collect();
        assert_eq!(sealing, ["master", "older"]);
    })
    .await;
}
