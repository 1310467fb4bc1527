//! A database that is full, locked or gone is "unavailable", and is used again once it is back.

use std::fs;
use std::time::Duration;

use doorward_store::{Location, Operation, Store, StoreError, Tx, TxError, prepare_folder};

use crate::harness::{on_each_engine, put, things};

/// Fills the database beyond a limit that the connection is given for it.
#[derive(Clone)]
struct FillTheDisk;

impl Operation for FillTheDisk {
    type Output = ();

    async fn run(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        tx.query("PRAGMA max_page_count = 1", &[]).await?;
        let large = "x".repeat(100_000);
        let sql = "INSERT INTO things (name, value) VALUES ($1, 1)";
        tx.execute(sql, &[large.into()]).await.map(drop)
    }
}

/// Asks until the store has recovered; a test that waits in vain is ended by its runner.
async fn recovered(store: &Store, name: &str) {
    while let Err(error) = store.write(put(name, 1)).await {
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(things(store).await.unwrap().contains(&(name.to_owned(), 1)));
}

#[tokio::test]
async fn a_full_disk_loses_nothing_that_was_answered() {
    on_each_engine(async |database| {
        if database.sqlite_file().is_none() {
            return;
        }
        let store = database.store().await;
        store.write(put("before", 1)).await.unwrap();

        let tasks: Vec<_> = (0..20)
            .map(|number| {
                let (one, other) = (store.clone(), store.clone());
                let name = format!("beside {number}");
                (
                    tokio::spawn(async move { one.write(FillTheDisk).await }),
                    tokio::spawn(async move { (other.write(put(&name, 1)).await, name) }),
                )
            })
            .collect();

        let mut answered = vec!["before".to_owned()];
        for (full, beside) in tasks {
            let full = full.await.unwrap();
            assert!(matches!(full, Err(StoreError::Unavailable(_))), "{full:?}");
            match beside.await.unwrap() {
                (Ok(_), name) => answered.push(name),
                (Err(error), _) => {
                    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
                }
            }
        }
        answered.sort();
        let found = things(&store).await.unwrap();
        let found: Vec<_> = found.into_iter().map(|(name, _)| name).collect();
        assert_eq!(found, answered);
        recovered(&store, "after").await;
    })
    .await;
}

#[tokio::test]
async fn a_database_that_another_process_keeps_locked_is_used_again_afterwards() {
    on_each_engine(async |database| {
        let Some(file) = database.sqlite_file() else {
            return;
        };
        let store = database.store().await;
        let other = rusqlite::Connection::open(file).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();

        let refused = store.write(put("a", 1)).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");

        other.execute_batch("ROLLBACK").unwrap();
        recovered(&store, "b").await;
    })
    .await;
}

#[tokio::test]
async fn a_file_that_is_no_database_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    prepare_folder(folder.path()).unwrap();
    let file = folder.path().join("doorward.db");
    let text = "not a database ".repeat(100);
    fs::write(&file, &text).unwrap();

    let refused = Store::open(&Location::Sqlite(folder.path().to_owned())).await;

    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

#[tokio::test]
async fn connections_that_the_server_ends_are_replaced() {
    on_each_engine(async |database| {
        let Some(somebody) = database.postgres().await else {
            return;
        };
        let store = database.store().await;
        for round in 0..5 {
            somebody
                .execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                     WHERE datname = current_database() AND pid <> pg_backend_pid()",
                    &[],
                )
                .await
                .unwrap();
            recovered(&store, &format!("round {round}")).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_unavailable() {
    // A port that was free a moment ago and that nobody listens on.
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let url = format!("postgres://u:canary@127.0.0.1:{port}/d");
    let refused = Store::open(&Location::Postgres(url.into())).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
    assert!(!format!("{refused} {refused:?}").contains("canary"));
}
