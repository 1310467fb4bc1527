//! An operation happens whole or not at all, alone or in a group.

use doorward_store::{Operation, StoreError, Tx, TxError};

use crate::harness::{Run, on_each_engine, put, things};

/// Inserts a thing, then another with the same name.
#[derive(Clone)]
struct PutTwice(String);

impl Operation for PutTwice {
    type Output = ();

    async fn run(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        for _ in 0..2 {
            put(&self.0, 0).run(tx).await?;
        }
        Ok(())
    }
}

#[tokio::test]
async fn failed_operation_in_a_group_is_rolled_back_separately() {
    on_each_engine(async |database| {
        let store = database.store().await;
        let mut good = Vec::new();
        let mut bad = Vec::new();
        for number in 0..50 {
            let (one, other) = (store.clone(), store.clone());
            good.push(tokio::spawn(async move { one.write(put(&format!("good {number:02}"), number)).await }));
            bad.push(tokio::spawn(async move { other.write(PutTwice(format!("bad {number:02}"))).await }));
        }

        for task in good {
            assert_eq!(task.await.unwrap().unwrap(), 1);
        }
        for task in bad {
            assert!(matches!(task.await.unwrap(), Err(StoreError::Conflict)));
        }
        let expected: Vec<_> = (0..50).map(|n| (format!("good {n:02}"), n)).collect();
        assert_eq!(things(&store).await.unwrap(), expected);
    })
    .await;
}

#[tokio::test]
async fn committed_write_is_seen_by_every_later_reader() {
    on_each_engine(async |database| {
        let store = database.store().await;
        let other = database.open().await;
        for number in 0..20 {
            store.write(put(&format!("{number:02}"), number)).await.unwrap();
            let reader = if number % 2 == 0 { &store } else { &other };
            let seen = things(reader).await.unwrap().len();
            assert_eq!(i64::try_from(seen), Ok(number + 1));
        }
    })
    .await;
}

#[tokio::test]
async fn a_read_that_writes_is_a_fault_and_changes_nothing() {
    on_each_engine(async |database| {
        let store = database.store().await;
        let refused = store.read(put("a", 1)).await;
        assert!(matches!(refused, Err(StoreError::Fault(_))), "{refused:?}");
        assert!(things(&store).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_read_does_not_wait_for_a_writer() {
    on_each_engine(async |database| {
        let store = database.store().await;
        store.write(put("a", 1)).await.unwrap();

        // Another process has written and not committed.
        const WRITE: &str = "UPDATE things SET value = 2";
        let sqlite = database.sqlite_file().map(|file| rusqlite::Connection::open(file).unwrap());
        if let Some(other) = &sqlite {
            other.execute_batch("BEGIN IMMEDIATE").unwrap();
            other.execute_batch(WRITE).unwrap();
        }
        let postgres = database.postgres().await;
        if let Some(other) = &postgres {
            other.batch_execute("BEGIN").await.unwrap();
            other.batch_execute(WRITE).await.unwrap();
        }

        assert_eq!(things(&store).await.unwrap(), [("a".to_owned(), 1)]);
    })
    .await;
}

#[tokio::test]
async fn a_panic_in_an_operation_is_its_own() {
    #[derive(Clone)]
    struct Panic;

    impl Operation for Panic {
        type Output = ();

        async fn run(&self, tx: &mut impl Tx) -> Result<(), TxError> {
            put("panicked", 1).run(tx).await?;
            panic!("as the test wants it");
        }
    }

    on_each_engine(async |database| {
        let store = database.store().await;
        for _ in 0..20 {
            let panicking = store.clone();
            // PostgreSQL's operations run in their caller's task, which is where the panic stays.
            if let Ok(answer) = tokio::spawn(async move { panicking.write(Panic).await }).await {
                assert!(matches!(answer, Err(StoreError::Fault(_))));
            }
        }
        store.write(put("a", 1)).await.unwrap();
        assert_eq!(things(&store).await.unwrap(), [("a".to_owned(), 1)]);
    })
    .await;
}

#[tokio::test]
async fn a_caller_who_leaves_takes_no_connection_along() {
    on_each_engine(async |database| {
        let store = database.store().await;
        for number in 0..50 {
            let leaving = store.write(put(&format!("left {number}"), 1));
            tokio::select! {
                biased;
                _ = leaving => {}
                () = tokio::task::yield_now() => {}
            }
        }
        store.write(put("stayed", 1)).await.unwrap();
        assert!(things(&store).await.unwrap().contains(&("stayed".to_owned(), 1)));
    })
    .await;
}

#[tokio::test]
async fn foreign_keys_hold() {
    on_each_engine(async |database| {
        let store = database.store().await;
        store
            .write(Run::new("CREATE TABLE parts (thing text NOT NULL REFERENCES things (name) ON DELETE CASCADE)", []))
            .await
            .unwrap();
        store.write(put("a", 1)).await.unwrap();
        let part = |of: &str| Run::new("INSERT INTO parts (thing) VALUES ($1)", [of.into()]);

        store.write(part("a")).await.unwrap();
        let orphan = store.write(part("b")).await;

        assert!(matches!(orphan, Err(StoreError::Fault(_))), "{orphan:?}");
        let deleted = store.write(Run::new("DELETE FROM things", [])).await.unwrap();
        assert_eq!(deleted, 1);
        let left = store.write(Run::new("DELETE FROM parts", [])).await.unwrap();
        assert_eq!(left, 0);
    })
    .await;
}
