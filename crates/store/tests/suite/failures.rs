//! Counters of failed attempts: some are free, then there is a wait, and after a hundred in a row a slow pace.

use std::time::Duration;

use doorward_core::throttle::{DECAY, SLOW_AFTER, SLOW_PACE};
use doorward_store::failures::{Counter, Lane, Reservation, ReserveAttempt, SettleAttempt, Slow};

use crate::{
    harness::{Ask, on_each_engine},
    world::{World, race},
};

const MAX: Duration = Duration::from_secs(900);

fn counter(subject: &str, free: u32, slow: Option<Slow>) -> Counter {
    Counter { subject: subject.to_owned(), free, slow }
}

fn name() -> Counter {
    name_from("192.0.2.1")
}

fn name_from(network: &str) -> Counter {
    let lane = |subject: &str, pace| Lane { subject: subject.to_owned(), pace };
    let lanes = vec![lane("slow/ada", SLOW_PACE), lane(&format!("slow/ada/{network}"), MAX)];
    counter("name/ada", 5, Some(Slow { after: SLOW_AFTER, lanes }))
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
            // An attempt that has to wait is not counted, however often it comes.
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
        assert!(outcomes.iter().all(|outcome| !matches!(outcome, Reservation::Slow(_))));
    })
    .await;
}

#[tokio::test]
async fn waiting_attempt_is_counted_by_no_counter() {
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
async fn success_clears_the_name_and_refunds_the_address() {
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
async fn each_network_has_a_slow_pace_after_a_hundred_failures() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let try_from = async |network| world.write(attempt(&world, vec![name_from(network)])).await;
        for _ in 0..SLOW_AFTER {
            assert_eq!(try_from("192.0.2.1").await, Reservation::Go);
            // Slow enough to be always free.
            world.advance(DECAY.as_secs());
            sweep(&world).await;
        }
        assert_eq!(try_from("192.0.2.1").await, Reservation::Go, "the first at the slow pace");
        assert_eq!(try_from("192.0.2.1").await, Reservation::Slow(MAX));
        assert_eq!(try_from("192.0.2.2").await, Reservation::Slow(SLOW_PACE), "over all networks");
        world.advance(SLOW_PACE.as_secs());
        assert_eq!(try_from("192.0.2.1").await, Reservation::Slow(MAX - SLOW_PACE));
        assert_eq!(try_from("192.0.2.2").await, Reservation::Go, "who guesses uses up nobody else's");
        settle(&world, &["name/ada"], &[]).await;
        assert_eq!(try_from("192.0.2.1").await, Reservation::Go, "a success ends it");
    })
    .await;
}

#[tokio::test]
async fn attempts_that_have_to_wait_leave_no_row() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let address = || counter("address/192.0.2.1", 1, None);
        assert_eq!(world.write(attempt(&world, vec![address()])).await, Reservation::Go);
        for number in 0..10 {
            let name = counter(&format!("name/{number}"), 5, None);
            assert!(matches!(world.write(attempt(&world, vec![name, address()])).await, Reservation::Wait(_)));
        }
        assert_eq!(world.read(Ask::new("SELECT subject FROM failures", [])).await.len(), 1);
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
        world.advance(86_400);
        sweep(&world).await;
        assert!(subjects().await.is_empty(), "anybody can make a row for a name");
        for _ in 0..30 {
            world.advance(MAX.as_secs());
            assert_eq!(world.write(attempt(&world, vec![name()])).await, Reservation::Go);
        }
        world.advance(29 * 86_400);
        sweep(&world).await;
        assert_eq!(subjects().await, ["name/ada"], "many in a row add up");
        world.advance(86_400 + 1);
        sweep(&world).await;
        assert!(subjects().await.is_empty());
    })
    .await;
}
