//! A database that is full, locked or gone is "unavailable", and is used again once it is back.

use std::fs;
use std::time::Duration;

use doorward_store::{Location, Operation, Store, StoreError, Tx, TxError, prepare_folder};

use secrecy::ExposeSecret;

use crate::{
    harness::{Ask, on_each_engine, put, things},
    proxy::Proxy,
};

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

/// Asks until the store has recovered. A test that waits without success is ended by its runner.
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
async fn database_locked_by_another_process_is_used_again_later() {
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
async fn write_on_a_closed_connection_is_run_on_another_one() {
    on_each_engine(async |database| {
        let Some(somebody) = database.postgres().await else { return };
        let store = database.store().await;
        for round in 0..5 {
            let end = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
                       WHERE datname = current_database() AND pid <> pg_backend_pid()";
            somebody.execute(end, &[]).await.unwrap();
            store.write(put(&format!("round {round}"), 1)).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn write_whose_commit_was_not_answered_is_known_to_be_done() {
    on_each_engine(async |database| {
        let Some(proxy) = Proxy::before(&database).await else { return };
        database.store().await;
        let store = Store::open(&proxy.location).await.unwrap();
        store.write(put("before", 1)).await.unwrap();

        // Not that of "READ COMMITTED".
        proxy.cut_after("COMMIT\0");
        store.write(put("cut after the commit", 1)).await.unwrap();
        proxy.cut_after("INSERT INTO things");
        store.write(put("cut before it", 1)).await.unwrap();

        let found = things(&store).await.unwrap();
        let found: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(found, ["before", "cut after the commit", "cut before it"]);
        assert_eq!(proxy.cuts(), 2);
    })
    .await;
}

#[tokio::test]
async fn frozen_server_is_unavailable_until_it_continues() {
    on_each_engine(async |database| {
        let Some(proxy) = Proxy::before(&database).await else { return };
        database.store().await;
        let store = Store::open(&proxy.location).await.unwrap();
        proxy.freeze(true);
        let asked = tokio::spawn({
            let store = store.clone();
            async move { store.write(put("a", 1)).await }
        });
        proxy.until_asked().await;
        // From here on the clock jumps to the next timer whenever nothing else is left to do.
        tokio::time::pause();
        let refused = asked.await.unwrap();
        tokio::time::resume();
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");

        proxy.freeze(false);
        recovered(&store, "b").await;
    })
    .await;
}

#[tokio::test]
async fn durability_does_not_depend_on_the_databases_default() {
    on_each_engine(async |database| {
        let Some(somebody) = database.postgres().await else { return };
        let name: String = somebody.query_one("SELECT current_database()", &[]).await.unwrap().get(0);
        let off = format!("ALTER DATABASE {name} SET synchronous_commit = off");
        somebody.batch_execute(&off).await.unwrap();
        let store = database.store().await;
        let shown = store.write(Ask::new("SHOW synchronous_commit", [])).await.unwrap();
        assert_eq!(shown.into_iter().next().unwrap().text().unwrap(), "on");
        assert_eq!(store.unsafe_durability().await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn host_that_accepts_writes_is_used() {
    on_each_engine(async |database| {
        let Location::Postgres(url) = &database.location else { return };
        database.store().await;
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let url = url.expose_secret();
        let at = url.find('@').map_or(url.find("://").unwrap() + 3, |at| at + 1);
        let location = Location::Postgres(format!("{}{nobody},{}", &url[..at], &url[at..]).into());
        let store = Store::open(&location).await.unwrap();
        recovered(&store, "a").await;
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
