//! Counters of failed attempts: some are free, then there is a wait, and after a hundred in a row another way in.

use std::time::Duration;

use doorward_core::throttle::{DECAY, KNOWN_BROWSERS_ONLY_AFTER};
use doorward_store::failures::{Counter, Reservation, ReserveAttempt, SettleAttempt};

use crate::{
    harness::{Ask, on_each_engine},
    world::{World, race},
};

const MAX: Duration = Duration::from_secs(900);

fn counter(subject: &str, free: u32, most_in_a_row: Option<u32>) -> Counter {
    Counter { subject: subject.to_owned(), free, most_in_a_row }
}

fn name() -> Counter {
    counter("name/ada", 5, Some(KNOWN_BROWSERS_ONLY_AFTER))
}

fn attempt(world: &World, counters: Vec<Counter>) -> ReserveAttempt {
    ReserveAttempt { counters, max_wait: MAX, now: world.now() }
}

async fn settle(world: &World, clear: &[&str], give_back: &[&str]) {
    let subjects = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    world.write(SettleAttempt { clear: subjects(clear), give_back: subjects(give_back) }).await;
}

async fn sweep(world: &World) {
    world.sweep(Duration::from_secs(400 * 86_400)).await;
}

#[tokio::test]
async fn some_failures_are_free_and_then_waits_grow() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        for _ in 0..5 {
            assert_eq!(world.write(attempt(&world, vec![name()])).await, Reservation::Go);
        }
        for secs in [2, 4, 8] {
            let wait = Reservation::Wait(Duration::from_secs(secs));
            // Who has to wait is not counted, however often he asks.
            for _ in 0..3 {
                assert_eq!(world.write(attempt(&world, vec![name()])).await, wait);
            }
            world.advance(secs);
            assert_eq!(world.write(attempt(&world, vec![name()])).await, Reservation::Go);
        }
        let other = counter("name/eve", 5, None);
        assert_eq!(world.write(attempt(&world, vec![other])).await, Reservation::Go);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_at_the_same_time_count_each() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let counters = || vec![name(), counter("address/192.0.2.1", 50, None)];
        let outcomes = race(&world, (0..32).map(|_| attempt(&world, counters())).collect()).await;
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == Reservation::Go).count(), 5);
        assert!(outcomes.iter().all(|outcome| *outcome != Reservation::Closed));
    })
    .await;
}

#[tokio::test]
async fn one_counter_that_says_to_wait_stops_the_attempt_and_none_counts_it() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let address = || counter("address/192.0.2.1", 1, None);
        assert_eq!(world.write(attempt(&world, vec![address()])).await, Reservation::Go);
        for _ in 0..10 {
            let outcome = world.write(attempt(&world, vec![name(), address()])).await;
            assert!(matches!(outcome, Reservation::Wait(_)), "{outcome:?}");
        }
        // The name still has its five.
        for _ in 0..5 {
            assert_eq!(world.write(attempt(&world, vec![name()])).await, Reservation::Go);
        }
    })
    .await;
}

#[tokio::test]
async fn a_success_clears_the_name_and_gives_the_address_its_attempt_back() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let counters = || vec![name(), counter("address/192.0.2.1", 2, None)];
        for _ in 0..20 {
            assert_eq!(world.write(attempt(&world, counters())).await, Reservation::Go);
            settle(&world, &["name/ada"], &["address/192.0.2.1"]).await;
        }
        // Nothing becomes negative.
        settle(&world, &[], &["address/192.0.2.1"]).await;
        for _ in 0..2 {
            assert_eq!(world.write(attempt(&world, counters())).await, Reservation::Go);
        }
        assert!(matches!(world.write(attempt(&world, counters())).await, Reservation::Wait(_)));
    })
    .await;
}

#[tokio::test]
async fn a_hundred_failures_in_a_row_close_the_way_in_at_any_pace_and_for_any_time() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        for _ in 0..KNOWN_BROWSERS_ONLY_AFTER {
            assert_eq!(world.write(attempt(&world, vec![name()])).await, Reservation::Go);
            // Slow enough to be always free.
            world.advance(DECAY.as_secs());
            sweep(&world).await;
        }
        world.advance(400 * 86_400);
        sweep(&world).await;
        assert_eq!(world.write(attempt(&world, vec![name()])).await, Reservation::Closed);
        settle(&world, &["name/ada"], &[]).await;
        assert_eq!(world.write(attempt(&world, vec![name()])).await, Reservation::Go);
    })
    .await;
}

#[tokio::test]
async fn counters_that_close_nothing_are_swept_once_they_have_decayed() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        for number in 0..200 {
            let address = counter("address/192.0.2.1", u32::MAX, None);
            assert_eq!(world.write(attempt(&world, vec![address])).await, Reservation::Go, "{number}");
        }
        world.write(attempt(&world, vec![name()])).await;
        let subjects = async || {
            let rows = world.read(Ask::new("SELECT subject FROM failures ORDER BY subject", [])).await;
            rows.into_iter().map(|mut row| row.text().unwrap()).collect::<Vec<_>>()
        };
        sweep(&world).await;
        assert_eq!(subjects().await, ["address/192.0.2.1", "name/ada"]);
        world.advance(DECAY.as_secs() + 1);
        sweep(&world).await;
        assert_eq!(subjects().await, ["name/ada"]);
        world.advance(30 * 86_400);
        sweep(&world).await;
        assert!(subjects().await.is_empty());
    })
    .await;
}
