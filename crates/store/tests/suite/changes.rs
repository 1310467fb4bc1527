//! The changes log: dense positions in the order of the commits, heard by every process.

use std::time::Duration;

use doorward_core::clock::Timestamp;
use doorward_store::{Change, ChangeKind, Operation, Store, SweepChanges, Tx, TxError, append_change};

use crate::harness::{on_each_engine, put, things};

/// Puts a thing and appends a change about it; then fails on request.
#[derive(Clone)]
struct PutAndTell {
    name: String,
    at_ms: i64,
    fails: bool,
}

impl PutAndTell {
    fn new(name: &str) -> PutAndTell {
        PutAndTell { name: name.to_owned(), at_ms: 0, fails: false }
    }
}

impl Operation for PutAndTell {
    type Output = i64;

    async fn run(&self, tx: &mut impl Tx) -> Result<i64, TxError> {
        put(&self.name, 0).run(tx).await?;
        let position = append_change(tx, ChangeKind::Key, &self.name, Timestamp::from_millis(self.at_ms)).await?;
        if self.fails {
            return Err(TxError::Conflict);
        }
        Ok(position)
    }
}

/// Long enough for the slowest machine; the tests end when the change is seen.
const PATIENCE: Duration = Duration::from_secs(60);

async fn positions(store: &Store) -> Vec<i64> {
    let changes = store.changes_after(0, 10_000).await.unwrap();
    changes.iter().map(|change| change.position).collect()
}

#[tokio::test]
async fn a_change_is_read_as_it_was_appended() {
    on_each_engine(async |database| {
        let store = database.store().await;
        assert_eq!(store.position().await.unwrap(), 0);
        for (name, at_ms) in [("a", 10), ("b", 20), ("c", 30)] {
            let told = PutAndTell { at_ms, ..PutAndTell::new(name) };
            store.write(told).await.unwrap();
        }

        let change = |position, subject: &str, at_ms| Change {
            position,
            kind: Some(ChangeKind::Key),
            subject: subject.to_owned(),
            at_ms,
        };
        assert_eq!(store.position().await.unwrap(), 3);
        assert_eq!(store.changes_after(0, 2).await.unwrap(), [change(1, "a", 10), change(2, "b", 20)]);
        assert_eq!(store.changes_after(2, 10).await.unwrap(), [change(3, "c", 30)]);
        assert_eq!(store.changes_after(3, 10).await.unwrap(), []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn positions_are_dense_and_no_follower_skips_a_commit() {
    on_each_engine(async |database| {
        let store = database.store().await;
        let other = database.open().await;
        let writers: Vec<_> = (0..16)
            .map(|writer| {
                let store = if writer % 2 == 0 { &store } else { &other }.clone();
                tokio::spawn(async move {
                    for number in 0..10 {
                        let told =
                            PutAndTell { fails: number % 3 == 2, ..PutAndTell::new(&format!("{writer} {number}")) };
                        let _ = store.write(told).await;
                    }
                })
            })
            .collect();

        // A follower that reads while they write meets each position once, in order.
        let mut followed = Vec::new();
        while followed.len() < 16 * 7 {
            let after = followed.last().copied().unwrap_or(0);
            let found = other.wait_for_change(after, PATIENCE).await.unwrap();
            assert!(found > after, "no change came");
            let changes = other.changes_after(after, 5).await.unwrap();
            followed.extend(changes.iter().map(|change| change.position));
        }
        for writer in writers {
            writer.await.unwrap();
        }

        let dense: Vec<_> = (1..=16 * 7).collect();
        assert_eq!(followed, dense);
        assert_eq!(positions(&store).await, dense);
        assert_eq!(things(&store).await.unwrap().len(), dense.len());
    })
    .await;
}

#[tokio::test]
async fn a_change_is_heard_in_its_own_process_and_in_others() {
    on_each_engine(async |database| {
        let store = database.store().await;
        let other = database.open().await;
        for (round, name) in (0..).zip(["a", "b", "c"]) {
            let own = {
                let store = store.clone();
                tokio::spawn(async move { store.wait_for_change(round, PATIENCE).await })
            };
            let others = {
                let other = other.clone();
                tokio::spawn(async move { other.wait_for_change(round, PATIENCE).await })
            };
            tokio::task::yield_now().await;

            store.write(PutAndTell::new(name)).await.unwrap();

            assert_eq!(own.await.unwrap().unwrap(), round + 1);
            assert_eq!(others.await.unwrap().unwrap(), round + 1);
        }
    })
    .await;
}

#[tokio::test]
async fn waiting_ends_with_the_same_position_when_nothing_happens() {
    on_each_engine(async |database| {
        let store = database.store().await;
        store.write(put("not announced", 1)).await.unwrap();
        let found = store.wait_for_change(0, Duration::from_millis(20)).await;
        assert_eq!(found.unwrap(), 0);
        let found = store.wait_for_change(5, PATIENCE).await;
        assert_eq!(found.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_sweep_takes_the_oldest_and_leaves_no_hole() {
    on_each_engine(async |database| {
        let store = database.store().await;
        // The clock was set back once: position 4 is older than 3.
        for (name, at_ms) in [("a", 10), ("b", 20), ("c", 50), ("d", 30), ("e", 60)] {
            let told = PutAndTell { at_ms, ..PutAndTell::new(name) };
            store.write(told).await.unwrap();
        }
        let sweep = async |before_ms, limit| store.write(SweepChanges { before_ms, limit }).await.unwrap();

        assert_eq!(sweep(5, 100).await, 0);
        assert_eq!(sweep(40, 1).await, 1);
        assert_eq!(positions(&store).await, [2, 3, 4, 5]);
        assert_eq!(sweep(40, 100).await, 1);
        assert_eq!(positions(&store).await, [3, 4, 5]);
        assert_eq!(sweep(1000, 100).await, 3);
        assert_eq!(sweep(1000, 100).await, 0);
        assert_eq!(store.position().await.unwrap(), 5);

        store.write(PutAndTell::new("f")).await.unwrap();
        assert_eq!(positions(&store).await, [6]);
    })
    .await;
}
