//! A backup of either engine fills either engine, whole or not at all.

use std::{
    fs::File,
    io::{Read, Seek, Write},
    sync::Arc,
};

use doorward_core::{
    clock::Timestamp, denial::Denial, digest::MasterKey, id::AuditId, random::SeededRng, secret::SecretString,
};
use doorward_store::{
    KNOWN_SCHEMA, Location, Store, StoreError, Value,
    audit::AuditContext,
    backup::{Backup, BackupError, Contents, Issued, NewBackup, OnProgress, Restored, Verified},
    keys::FindKey,
    prepare_folder,
    tokens::IsTokenRevoked,
    trusted_clock::FindNewestTime,
};

use crate::{
    harness::{Ask, Database, Run, on_each_engine},
    keys,
    world::{World, outcome},
};

fn master_keys() -> Vec<MasterKey> {
    vec![MasterKey::generate(&SeededRng::new(100))]
}

fn silent() -> OnProgress {
    Arc::new(|_| {})
}

async fn back_up(store: &Store) -> (File, Contents) {
    let file = tempfile::tempfile().unwrap();
    let rng = SeededRng::new(200);
    let new = NewBackup {
        created_at: Timestamp::from_secs(1_700_000_000),
        issuer: "https://as.example".to_owned(),
        program: "0.1.0".to_owned(),
        master_keys: &master_keys(),
        passphrase: Some(&"a long passphrase".into()),
        rng: &rng,
    };
    let (heading, contents) = store.back_up(file.try_clone().unwrap(), &new, &silent()).await.unwrap();
    assert_eq!(heading.master_key, master_keys()[0].id());
    (file, contents)
}

fn verify(file: &File) -> Result<Verified, BackupError> {
    Backup::open(file.try_clone().unwrap())?.verify(&master_keys(), &silent())
}

async fn restore(world: &World, file: &File, store: &Store, issued: Issued) -> Restored {
    store.ensure_empty().await.unwrap();
    let verified = verify(file).unwrap();
    let alone = store.begin_alone().await.unwrap();
    store.restore(&alone, verified, master_keys(), issued, world.audit(), &silent()).await.unwrap()
}

/// A refresh in another database than the world's own.
async fn refreshes(world: &World, store: &Store, token: &SecretString) -> Result<SecretString, Denial> {
    outcome(store.write(world.refresh(token, &world.public, 1)).await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backup_of_either_engine_fills_either() {
    on_each_engine(async |source| {
        let world = &World::new(&source).await;
        // More rows than a page has, and than a statement inserts.
        let mut made = Vec::new();
        for number in 0..1_100 {
            made.push(keys::created(world, keys::key(world, &number.to_string())).await.id);
        }
        let (token, _) = world.sign_in(&world.public).await;
        let token = world.refreshes(&token, &world.public).await.unwrap();
        let (file, contents) = back_up(&world.store).await;
        assert_eq!((contents.rows_of("api_keys"), contents.rows_of("refresh_tokens")), (1_100, 2));

        let (file, contents, made, token) = (&file, &contents, &made, &token);
        on_each_engine(async |destination| {
            let store = destination.open().await;
            let restored = restore(world, file, &store, Issued::Kept).await;
            assert_eq!((&restored.contents, &restored.ended), (contents, &None));
            store.check_schema().await.unwrap();
            assert!(store.position().await.unwrap() > world.store.position().await.unwrap());
            assert!(store.changes_after(0, 1).await.unwrap().is_empty());
            for id in made {
                let [here, there] = [&store, &world.store].map(|store| store.read(FindKey { id: id.clone() }));
                let (here, there) = (here.await.unwrap().unwrap(), there.await.unwrap().unwrap());
                assert_eq!(format!("{here:?}"), format!("{there:?}"));
            }
            refreshes(world, &store, token).await.unwrap();
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restore_ends_what_was_issued_before() {
    on_each_engine(async |source| {
        let world = &World::new(&source).await;
        let (token, issued) = world.sign_in(&world.public).await;
        let given = world.give(&world.public).await;
        let (file, _) = back_up(&world.store).await;

        let (file, token, issued, given) = (&file, &token, &issued, &given);
        on_each_engine(async |destination| {
            let store = destination.open().await;
            let restored = restore(world, file, &store, Issued::Ended).await;
            let ended = restored.ended.unwrap();
            assert_eq!((ended.grants, ended.consents), (2, 1));

            assert_eq!(refreshes(world, &store, token).await.unwrap_err(), Denial::GrantEnded);
            let refused = store.write(world.redeem(given).0).await.unwrap().unwrap_err();
            assert_eq!(refused.denial, Denial::GrantEnded);
            let grant_id = Some(issued.grant.id.to_string());
            assert!(store.read(IsTokenRevoked { id: issued.claims.id.to_string(), grant_id }).await.unwrap());
            let rows = async |sql| store.read(Ask::new(sql, [])).await.unwrap().len();
            assert_eq!(rows("SELECT id FROM clients WHERE tokens_ended_at IS NULL").await, 0);
            assert_eq!(rows("SELECT id FROM refresh_families WHERE ended_at IS NULL").await, 0);
            assert_eq!(rows("SELECT id FROM audit WHERE action = 'backup.restored'").await, 1);
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restore_ends_what_was_issued_despite_a_wrong_clock() {
    on_each_engine(async |database| {
        let world = &World::new(&database).await;
        let (file, _) = back_up(&world.store).await;
        let made = Timestamp::from_secs(1_700_000_000);
        let hours = |number: u64| std::time::Duration::from_secs(number * 3_600);
        let store = &world.store;
        let alone = &store.begin_alone().await.unwrap();
        let by_clock = |at| AuditContext { id: AuditId::new(at, &world.rng), at, ..world.audit() };
        let moments = async || {
            let sql = "SELECT DISTINCT tokens_ended_at FROM clients";
            let rows = store.read(Ask::new(sql, [])).await.unwrap();
            rows.into_iter().map(|mut row| Timestamp::from_millis(row.int().unwrap())).collect::<Vec<_>>()
        };
        let newest = store.read(FindNewestTime).await.unwrap().unwrap();
        let latest = newest.max(made);

        let behind = by_clock(latest.minus(hours(2)));
        let verified = verify(&file).unwrap();
        store.restore(alone, verified, master_keys(), Issued::Ended, behind, &silent()).await.unwrap();
        assert_eq!(moments().await, [Timestamp::from_secs(latest.as_secs())]);

        let ahead = by_clock(latest.plus(hours(2)));
        store.restore_in_place(alone, Issued::Ended, ahead).await.unwrap();
        assert_eq!(moments().await, [Timestamp::from_secs(latest.plus(hours(2)).as_secs())]);

        // By the right clock it is still the newest event that counts, unless an operator says that the clock is right.
        for (issued, moment) in [(Issued::Ended, latest.plus(hours(2))), (Issued::EndedNow, latest)] {
            let ended = store.restore_in_place(alone, issued, by_clock(latest)).await.unwrap().unwrap();
            assert_eq!(moments().await, [ended.moment]);
            assert_eq!(ended.moment, Timestamp::from_secs(moment.as_secs()));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backup_shows_one_moment_while_others_write() {
    on_each_engine(async |source| {
        let world = Arc::new(World::new(&source).await);
        let writers: Vec<_> = (0..4)
            .map(|_| {
                let world = world.clone();
                tokio::spawn(async move {
                    loop {
                        world.give(&world.public).await;
                    }
                })
            })
            .collect();
        for round in 1..=5 {
            let given = || world.store.read(Ask::new("SELECT id FROM grants", []));
            while given().await.unwrap().len() < 20 * round {}
            let (file, contents) = back_up(&world.other).await;
            // Each grant comes with its code, in one transaction.
            assert_eq!(contents.rows_of("grants"), contents.rows_of("codes"));
            assert_eq!(verify(&file).unwrap().contents, contents);
        }
        for writer in &writers {
            writer.abort();
        }
    })
    .await;
}

fn bytes(mut file: &File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn altered_or_cut_backup_is_refused() {
    on_each_engine(async |source| {
        let world = World::new(&source).await;
        for number in 0..100 {
            keys::created(&world, keys::key(&world, &number.to_string())).await;
        }
        let whole = bytes(&back_up(&world.store).await.0);
        verify(&file(&whole)).unwrap();

        for at in (0..whole.len()).step_by(whole.len() / 200) {
            let mut altered = whole.clone();
            altered[at] ^= 1;
            assert!(verify(&file(&altered)).is_err(), "byte {at} of {}", whole.len());
            assert!(verify(&file(&whole[..at])).is_err(), "cut after {at} of {}", whole.len());
        }
        assert!(verify(&file(&[&whole[..], &[0]].concat())).is_err());

        let backup = Backup::open(file(&whole)).unwrap();
        assert_eq!(backup.enclosed_keys(&"a long passphrase".into()).unwrap()[0].id(), master_keys()[0].id());
        assert!(matches!(backup.enclosed_keys(&"another one".into()), Err(BackupError::Passphrase)));
        let other = [MasterKey::generate(&SeededRng::new(101))];
        assert!(matches!(backup.verify(&other, &silent()), Err(BackupError::MasterKey { .. })));
        assert!(matches!(Backup::open(file(b"SQLite format 3\0")), Err(BackupError::NotABackup)));
        assert!(matches!(Backup::open(file(b"doorward-backup 2\n{}\n")), Err(BackupError::Newer(_))));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_in_a_backup_is_readable_without_its_master_key() {
    on_each_engine(async |source| {
        let world = World::new(&source).await;
        let contents = bytes(&back_up(&world.store).await.0);
        let user = world.user.id.as_str().as_bytes();
        assert!(!contents.windows(user.len()).any(|window| window == user));
        assert!(!contents.windows(6).any(|window| window == b"argon2"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn database_with_data_is_not_restored_over() {
    on_each_engine(async |database| {
        let empty = database.open().await;
        empty.ensure_empty().await.unwrap();
        empty.migrate().await.unwrap();
        empty.ensure_empty().await.unwrap();

        World::new(&database).await;
        assert!(matches!(empty.ensure_empty().await, Err(BackupError::Holds { .. })));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backup_of_an_older_schema_is_migrated_by_its_restore() {
    on_each_engine(async |source| {
        let store = source.open().await;
        store.migrate_to(7).await.unwrap();
        let sql = "INSERT INTO api_keys (id, digest, pepper, hint, created_at, metadata)
                   VALUES ('key_1', $1, 'p', 'h', 1, '{}')";
        store.write(Run::new(sql, [[1; 32].into()])).await.unwrap();
        let (file, _) = back_up(&store).await;
        let folder = tempfile::tempdir().unwrap();
        prepare_folder(folder.path()).unwrap();
        let world = &World::new(&Database { location: Location::Sqlite(folder.path().to_owned()) }).await;

        on_each_engine(async |destination| {
            let store = destination.open().await;
            restore(world, &file, &store, Issued::Ended).await;
            assert_eq!(store.schema_version().await.unwrap(), KNOWN_SCHEMA);
            let found = store.read(Ask::new("SELECT digest FROM api_keys WHERE id = 'key_1'", [])).await.unwrap();
            assert_eq!(found.into_iter().next().unwrap().bytes().unwrap(), [1; 32]);
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unfinished_restore_is_recognized_and_started_again() {
    on_each_engine(async |source| {
        let world = &World::new(&source).await;
        let (file, contents) = back_up(&world.store).await;

        let (file, contents) = (&file, &contents);
        on_each_engine(async |destination| {
            let store = destination.open().await;
            let alone = &store.begin_alone().await.unwrap();
            let cut = || async {
                // What the restore had verified is cut off before it is read again.
                let damaged = tempfile::tempfile().unwrap();
                (&damaged).write_all(&bytes(file)).unwrap();
                let verified = verify(&damaged).unwrap();
                let length = damaged.metadata().unwrap().len();
                damaged.set_len(length - 1).unwrap();
                store.restore(alone, verified, master_keys(), Issued::Ended, world.audit(), &silent()).await
            };
            for _ in 0..2 {
                assert!(matches!(cut().await, Err(BackupError::CutOff)));
                let belonging = store.belonging("doorward").await.unwrap();
                assert!(belonging.is_being_filled && !belonging.has_data, "{belonging:?}");
            }

            let verified = verify(file).unwrap();
            let restored = store.restore(alone, verified, master_keys(), Issued::Ended, world.audit(), &silent()).await;
            assert_eq!(&restored.unwrap().contents, contents);
            let belonging = store.belonging("notes1").await.unwrap();
            assert!(!belonging.is_being_filled && belonging.has_data, "{belonging:?}");
            assert_eq!(belonging.management.as_deref(), Some("https://notes1.example"));
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn database_of_a_newer_version_is_not_emptied() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (file, _) = back_up(&world.store).await;
        let newer = Run::new("INSERT INTO schema_migrations (number, name) VALUES (1000, 'later')", []);
        world.store.write(newer).await.unwrap();

        let (alone, verified) = (world.store.begin_alone().await.unwrap(), verify(&file).unwrap());
        let refused =
            world.store.restore(&alone, verified, master_keys(), Issued::Ended, world.audit(), &silent()).await;
        assert!(matches!(refused, Err(BackupError::Store(StoreError::SchemaNewer { .. }))));
        assert!(world.store.belonging("doorward").await.unwrap().has_data);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restore_beside_another_one_or_a_server_is_refused() {
    on_each_engine(async |database| {
        let server = database.postgres().await;
        let (first, second) = (database.open().await, database.open().await);
        let alone = second.begin_alone().await.unwrap();
        let is_postgres = server.is_some();
        // The first handle is another process's, and was there before.
        let refused = alone.ensure_no_others().await;
        assert_eq!(matches!(refused, Err(BackupError::OthersAtWork(1))), is_postgres, "{refused:?}");
        let refused = first.begin_alone().await;
        assert_eq!(matches!(refused, Err(BackupError::UnderWay)), is_postgres, "{refused:?}");

        if let Some(server) = server {
            drop(first);
            let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'doorward'
                       AND pid NOT IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory')";
            server.batch_execute(sql).await.unwrap();
            second.schema_version().await.unwrap();
            alone.ensure_no_others().await.unwrap();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restore_without_its_mark_or_lock_does_not_finish() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (file, _) = back_up(&world.store).await;
        let store = &world.store;
        let alone = store.begin_alone().await.unwrap();
        let replaced = Arc::new(std::sync::atomic::AtomicBool::new(false));
        // While the rows are compared, another process begins: its mark is the one that counts.
        let (other, handle) = (world.other.clone(), tokio::runtime::Handle::current());
        let on_progress: OnProgress = Arc::new(move |progress| {
            if progress.step == "Comparing" && !replaced.swap(true, std::sync::atomic::Ordering::Relaxed) {
                let other = other.clone();
                let sql = "UPDATE schema_migrations SET name = 'restoring another' WHERE number < 0";
                let handle = handle.clone();
                let set = std::thread::spawn(move || handle.block_on(other.write(Run::new(sql, []))));
                set.join().unwrap().unwrap();
            }
        });
        let verified = verify(&file).unwrap();
        let refused = store.restore(&alone, verified, master_keys(), Issued::Kept, world.audit(), &on_progress).await;
        assert!(refused.unwrap_err().to_string().contains("another restore has begun"));
        assert!(store.belonging("doorward").await.unwrap().is_being_filled, "the other's mark remains");
        assert!(matches!(store.check_schema().await, Err(StoreError::Restoring)));

        if let Some(superuser) = database.postgres().await {
            let sql = "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks WHERE locktype = 'advisory'
                       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
            superuser.batch_execute(sql).await.unwrap();
            let next = store.begin_alone().await.unwrap();
            let verified = verify(&file).unwrap();
            let refused = store.restore(&alone, verified, master_keys(), Issued::Kept, world.audit(), &silent()).await;
            assert!(matches!(refused, Err(BackupError::LockLost)), "{refused:?}");
            let verified = verify(&file).unwrap();
            store.restore(&next, verified, master_keys(), Issued::Kept, world.audit(), &silent()).await.unwrap();
        }
    })
    .await;
}

/// A table's columns with their types, as the engine's own catalogue has them.
async fn columns(database: &Database, store: &Store) -> Vec<(String, String, String)> {
    let catalogue = match database.sqlite_file() {
        Some(_) => {
            "SELECT t.name, c.name AS field, lower(c.type) FROM sqlite_schema t, pragma_table_info(t.name) c
             WHERE t.type = 'table' AND t.name <> 'schema_migrations' ORDER BY t.rootpage, c.cid"
        }
        None => {
            "SELECT c.relname AS name, a.attname AS field, format_type(a.atttypid, NULL) AS type
             FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
             WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND c.relname <> 'schema_migrations'
               AND a.attnum > 0 AND NOT a.attisdropped ORDER BY c.oid, a.attnum"
        }
    };
    let mut columns = Vec::new();
    for mut row in store.read(Ask::new(catalogue, [])).await.unwrap() {
        columns.push((row.text().unwrap(), row.text().unwrap(), row.text().unwrap()));
    }
    // It has one row and can have no other one. `backup_of_either_engine_fills_either` compares its position.
    columns.retain(|(table, ..)| table != "change_counter");
    columns
}

/// A value of a column's type. Equal for all texts, so that rows refer to rows that are there.
fn value(kind: &str) -> Value {
    match kind {
        "bigint" => 1_234_567.into(),
        "bytea" => vec![7, 0, 255].into(),
        "text" => "x".into(),
        other => panic!("a column of type {other}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_column_of_each_table_comes_back() {
    on_each_engine(async |source| {
        let world = &World::new(&source).await;
        let columns = &columns(&source, &world.store).await;
        assert!(columns.iter().any(|(table, ..)| table == "trusted_clock"), "the catalogue is read: {columns:?}");
        // Created in an order in which they can be filled.
        for table in columns.chunk_by(|one, other| one.0 == other.0) {
            let names: Vec<_> = table.iter().map(|(_, name, _)| format!("\"{name}\"")).collect();
            let places: Vec<_> = (1..=table.len()).map(|number| format!("${number}")).collect();
            let sql = format!("INSERT INTO {} ({}) VALUES ({})", table[0].0, names.join(", "), places.join(", "));
            world.store.write(Run::new(sql.leak(), table.iter().map(|(_, _, kind)| value(kind)))).await.unwrap();
        }
        let file = &back_up(&world.store).await.0;

        on_each_engine(async |destination| {
            let store = destination.open().await;
            restore(world, file, &store, Issued::Kept).await;
            // A restore empties the log of changes, so that no follower continues at its old position.
            for (table, name, kind) in columns.iter().filter(|(table, ..)| table != "changes") {
                let sql = format!("SELECT count(*) FROM {table} WHERE \"{name}\" = $1");
                let mut found = store.read(Ask::new(sql.leak(), [value(kind)])).await.unwrap().remove(0);
                assert_eq!(found.int().unwrap(), 1, "{table}.{name}");
            }
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restored_database_has_its_schema_noted_as_others_do() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (file, _) = back_up(&world.store).await;
        let noted = async |store: &Store| {
            let sql = "SELECT number, usable_from FROM schema_migrations ORDER BY number";
            let rows = store.read(Ask::new(sql, [])).await.unwrap().into_iter();
            rows.map(|mut row| (row.int().unwrap(), row.opt_int().unwrap())).collect::<Vec<_>>()
        };
        let before = noted(&world.store).await;

        // Over what is there, as after one that was killed.
        let verified = verify(&file).unwrap();
        let alone = world.store.begin_alone().await.unwrap();
        world.store.restore(&alone, verified, master_keys(), Issued::Kept, world.audit(), &silent()).await.unwrap();

        assert_eq!(noted(&world.store).await, before);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_that_nobody_has_used_is_restored_over() {
    on_each_engine(async |database| {
        let store = database.open().await;
        store.migrate().await.unwrap();
        store.write(Run::new("INSERT INTO trusted_clock (id, at) VALUES (1, 1)", [])).await.unwrap();
        store.ensure_unused().await.unwrap();
        assert!(matches!(store.ensure_empty().await, Err(BackupError::Holds { .. })));

        World::new(&database).await;
        assert!(matches!(store.ensure_unused().await, Err(BackupError::Holds { .. })));
    })
    .await;
}
