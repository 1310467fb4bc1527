//! Counts of the use of keys: added up, read by page, and removed when they are old.

use std::time::Duration;

use doorward_core::{
    id::KeyId,
    key_usage::{Day, Latencies},
};
use doorward_store::{
    keys::{CountUsage, UsageCount, UsageOf},
    sweep::{Sweep, Swept},
};

use crate::{
    harness::on_each_engine,
    world::{KEY_USAGE, World, race},
};

fn count(key: &KeyId, day: i64, outcome: &str, latencies: [u64; 4]) -> UsageCount {
    UsageCount { key: key.clone(), day: Day(day), outcome: outcome.to_owned(), latencies: Latencies(latencies) }
}

fn all(key: &KeyId) -> UsageOf {
    UsageOf { key: key.clone(), since: Day(0), until: Day(i64::MAX), after: None, limit: 100 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_that_come_together_add_up() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let keys = [(); 2].map(|()| KeyId::new(world.now(), &world.rng));
        let write = |n: usize| {
            let mut counts = vec![count(&keys[0], 5, "valid", [1, 0, 2, 0]), count(&keys[1], 5, "valid", [0, 1, 0, 0])];
            if n.is_multiple_of(2) {
                counts.reverse();
            }
            CountUsage { counts }
        };
        race(&world, (0..10).map(write).collect()).await;
        assert_eq!(world.read(all(&keys[0])).await, [count(&keys[0], 5, "valid", [10, 0, 20, 0])]);
        assert_eq!(world.read(all(&keys[1])).await, [count(&keys[1], 5, "valid", [0, 10, 0, 0])]);
    })
    .await;
}

#[tokio::test]
async fn counts_are_read_by_day_and_page() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let key = KeyId::new(world.now(), &world.rng);
        let written =
            [count(&key, 5, "key_revoked", [1; 4]), count(&key, 5, "valid", [2; 4]), count(&key, 6, "valid", [3; 4])];
        world.write(CountUsage { counts: written.to_vec() }).await;
        assert_eq!(world.read(all(&key)).await, written);
        assert_eq!(world.read(UsageOf { since: Day(6), ..all(&key) }).await, written[2..]);
        assert_eq!(world.read(UsageOf { until: Day(5), ..all(&key) }).await, written[..2]);
        assert_eq!(world.read(UsageOf { limit: 1, ..all(&key) }).await, written[..1]);
        let after = Some((Day(5), "key_revoked".to_owned()));
        assert_eq!(world.read(UsageOf { after, ..all(&key) }).await, written[1..]);
    })
    .await;
}

#[tokio::test]
async fn counts_are_removed_when_they_are_old_in_small_steps() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let today = Day::of(world.now()).0;
        let oldest_kept = Day::of(world.now().minus(KEY_USAGE)).0;
        let key = KeyId::new(world.now(), &world.rng);
        let old = (0..Sweep::STEP + 1).map(|n| count(&key, oldest_kept - 1 - n, "valid", [1; 4]));
        let kept = [count(&key, oldest_kept, "valid", [1; 4]), count(&key, today, "valid", [1; 4])];
        world.write(CountUsage { counts: old.chain(kept.clone()).collect() }).await;
        let sweep = world.sweep_of(Swept::KeyUsage);
        assert_eq!(world.write(sweep.clone()).await, Sweep::STEP as u64);
        assert_eq!(world.write(sweep.clone()).await, 1);
        assert_eq!(world.write(sweep).await, 0);
        assert_eq!(world.read(all(&key)).await, kept);
        world.clock.advance(Duration::from_secs(86_400));
        assert_eq!(world.write(world.sweep_of(Swept::KeyUsage)).await, 1);
    })
    .await;
}
