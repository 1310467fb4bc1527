//! The schema goes forward, once, whoever asks for it.

use doorward_store::{Applied, KNOWN_SCHEMA, StoreError};

use crate::harness::{Ask, Run, on_each_engine};

#[tokio::test]
async fn every_earlier_version_is_brought_to_the_newest() {
    for from in 0..=KNOWN_SCHEMA {
        on_each_engine(async |database| {
            let store = database.open().await;
            assert_eq!(store.schema_version().await.unwrap(), 0);
            store.migrate_to(from).await.unwrap();
            assert_eq!(store.schema_version().await.unwrap(), from);

            let applied = store.migrate().await.unwrap();

            let to = KNOWN_SCHEMA;
            assert_eq!(applied, Applied { from, to });
            assert_eq!(store.migrate().await.unwrap(), Applied { from: to, to });
            assert_eq!(store.position().await.unwrap(), 0);
            store.check_schema().await.unwrap();
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_start_together_migrate_once() {
    on_each_engine(async |database| {
        let mut starting = Vec::new();
        for _ in 0..6 {
            let database = database.clone();
            starting.push(tokio::spawn(async move { database.open().await.migrate().await }));
        }
        for start in starting {
            assert_eq!(start.await.unwrap().unwrap().to, KNOWN_SCHEMA);
        }

        let rows = database.open().await.read(Ask::new("SELECT number FROM schema_migrations", [])).await.unwrap();
        assert_eq!(i64::try_from(rows.len()), Ok(KNOWN_SCHEMA));
    })
    .await;
}

#[tokio::test]
async fn a_database_of_a_newer_program_is_refused() {
    on_each_engine(async |database| {
        let store = database.open().await;
        assert!(matches!(store.check_schema().await, Err(StoreError::SchemaBehind { found: 0, .. })));
        store.migrate().await.unwrap();
        store.write(Run::new("INSERT INTO schema_migrations (number, name) VALUES (999, 'later')", [])).await.unwrap();

        for refused in [store.migrate().await.map(drop), store.check_schema().await] {
            assert!(matches!(refused, Err(StoreError::SchemaNewer { found: 999, .. })));
        }
    })
    .await;
}
