//! After a clean end the SQLite file alone is whole, and half a copy is known as one.

use std::{fs, path::Path};

use doorward_store::{FolderError, FolderLock, Location, Store, StoreError, prepare_folder};
use tempfile::TempDir;

use crate::harness::{Database, put, things};

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    prepare_folder(folder.path()).unwrap();
    folder
}

fn database(folder: &TempDir) -> Database {
    Database { location: Location::Sqlite(folder.path().to_owned()) }
}

/// Copies files of a database into a new folder. With the log they stand for those that a killed server left, which no
/// copy can be: they get the mark of an earlier version, which is not of one file.
fn copied(from: &Path, names: &[&str]) -> TempDir {
    let copy = folder();
    for name in names {
        fs::copy(from.join(name), copy.path().join(name)).unwrap();
    }
    let database = copy.path().join("doorward.db");
    if names.contains(&"doorward.db-wal") && database.exists() {
        let mut bytes = fs::read(&database).unwrap();
        if bytes.get(60..64).is_some_and(|mark| mark != [0; 4]) {
            bytes[60..64].copy_from_slice(&[0, 0, 0, 1]);
            fs::write(&database, bytes).unwrap();
        }
    }
    copy
}

async fn refusal(folder: &TempDir) -> FolderError {
    let files = || fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let before = files();
    let StoreError::Folder(refusal) = Store::open(&database(folder).location).await.unwrap_err() else {
        panic!("another refusal");
    };
    assert_eq!(files(), before, "nothing is written");
    refusal
}

async fn holds(folder: &TempDir, names: &[&str]) {
    let store = database(folder).open().await;
    let found: Vec<_> = things(&store).await.unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(found, names);
    store.close().await;
}

#[tokio::test]
async fn closed_database_is_whole_in_one_file() {
    for serves in [false, true] {
        let folder = folder();
        let store = database(&folder).store().await;
        if serves {
            store.serve().await.unwrap();
        }
        store.write(put("a", 1)).await.unwrap();
        let other_handle = store.clone();
        store.close().await;

        let refused = other_handle.write(put("b", 1)).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        let files: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(files, ["doorward.db"]);
        holds(&copied(folder.path(), &["doorward.db"]), &["a"]).await;
    }
}

#[tokio::test]
async fn last_handle_closes_the_database() {
    let folder = folder();
    let store = database(&folder).store().await;
    store.write(put("a", 1)).await.unwrap();
    drop(store);
    holds(&copied(folder.path(), &["doorward.db"]), &["a"]).await;
    assert!(!folder.path().join("doorward.db-wal").exists());
}

#[tokio::test]
async fn file_is_complete_when_a_server_ends_beside_an_idle_process() {
    let folder = folder();
    let other = database(&folder).open().await;
    let store = database(&folder).store().await;
    store.serve().await.unwrap();
    store.write(put("a", 1)).await.unwrap();
    assert_eq!(things(&other).await.unwrap().len(), 1);

    store.close().await;

    holds(&copied(folder.path(), &["doorward.db"]), &["a"]).await;
    drop(other);
}

#[tokio::test]
async fn log_is_copied_when_its_last_reader_ends() {
    let folder = folder();
    let store = database(&folder).store().await;
    store.serve().await.unwrap();
    let reader = rusqlite::Connection::open(folder.path().join("doorward.db")).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM things").unwrap();
    store.write(put("a", 1)).await.unwrap();

    store.close().await;

    // What the copy lacks is known, and the files together are whole.
    let alone = copied(folder.path(), &["doorward.db"]);
    assert!(matches!(refusal(&alone).await, FolderError::HalfCopy { .. }));
    holds(&copied(folder.path(), &["doorward.db", "doorward.db-wal"]), &["a"]).await;
    reader.execute_batch("COMMIT").unwrap();
    drop(reader);
    holds(&copied(folder.path(), &["doorward.db"]), &["a"]).await;
}

#[tokio::test]
async fn copy_of_a_served_database_without_its_log_is_refused() {
    let folder = folder();
    let store = database(&folder).store().await;
    store.serve().await.unwrap();
    store.write(put("a", 1)).await.unwrap();

    let alone = copied(folder.path(), &["doorward.db"]);
    let error = refusal(&alone).await;
    assert!(matches!(error, FolderError::HalfCopy { .. }));
    assert!(error.to_string().contains("doorward.db-wal") && error.to_string().contains("doorward backup"), "{error}");
    holds(&copied(folder.path(), &["doorward.db", "doorward.db-wal"]), &["a"]).await;

    let log = copied(folder.path(), &["doorward.db-wal"]);
    assert!(matches!(refusal(&log).await, FolderError::LogAlone { .. }));
    fs::write(log.path().join("doorward.db"), "").unwrap();
    assert!(matches!(refusal(&log).await, FolderError::LogAlone { .. }));

    // Copied by SQLite itself, it is whole and has the mark.
    let whole = copied(folder.path(), &[]);
    let target = whole.path().join("doorward.db");
    let connection = rusqlite::Connection::open(folder.path().join("doorward.db")).unwrap();
    connection.execute("VACUUM INTO ?1", [target.to_str().unwrap()]).unwrap();
    assert!(matches!(refusal(&whole).await, FolderError::HalfCopy { .. }));
    // Its newest time can be read before it is accepted.
    let location = database(&whole).location;
    assert_eq!(Store::newest_time_of_copy(&location).await.unwrap(), None, "it has no such tables");
    assert!(matches!(refusal(&whole).await, FolderError::HalfCopy { .. }));
    Store::accept_copy(&location).await.unwrap();
    holds(&whole, &["a"]).await;
}

#[tokio::test]
async fn database_of_a_killed_server_is_whole_after_the_next_command() {
    let folder = folder();
    let store = database(&folder).store().await;
    store.serve().await.unwrap();
    store.write(put("a", 1)).await.unwrap();
    let killed = copied(folder.path(), &["doorward.db", "doorward.db-wal"]);

    holds(&killed, &["a"]).await;

    holds(&copied(killed.path(), &["doorward.db"]), &["a"]).await;
}

/// Takes the folder's lock as a server of another process would.
fn lock_of_another(folder: &TempDir) -> FolderLock {
    let lock = FolderLock::acquire(folder.path()).unwrap();
    fs::write(folder.path().join("doorward.lock"), "1\n").unwrap();
    lock
}

#[tokio::test]
async fn command_beside_a_server_leaves_its_mark() {
    let folder = folder();
    let _lock = lock_of_another(&folder);
    let store = database(&folder).store().await;
    store.serve().await.unwrap();
    store.write(put("a", 1)).await.unwrap();

    holds(&folder, &["a"]).await;

    let alone = copied(folder.path(), &["doorward.db"]);
    assert!(matches!(refusal(&alone).await, FolderError::HalfCopy { .. }));
}

#[tokio::test]
async fn command_that_outlives_a_killed_server_leaves_no_damage() {
    for is_killed_before_the_end in [true, false] {
        let server = folder();
        let store = database(&server).store().await;
        store.serve().await.unwrap();
        store.write(put("a", 1)).await.unwrap();
        // What the server leaves when it is killed, and the command that ran beside it.
        let killed = copied(server.path(), &["doorward.db", "doorward.db-wal"]);
        let lock = lock_of_another(&killed);
        let command = database(&killed).open().await;
        command.write(put("b", 1)).await.unwrap();

        if is_killed_before_the_end {
            drop(lock);
            command.close().await;
        } else {
            // Or while the command closes the database.
            command.close().await;
            drop(lock);
        }

        holds(&killed, &["a", "b"]).await;
        holds(&copied(killed.path(), &["doorward.db"]), &["a", "b"]).await;
    }
}

#[tokio::test]
async fn process_with_the_lock_copies_the_log_when_it_ends() {
    let folder = folder();
    let _lock = FolderLock::acquire(folder.path()).unwrap();
    let store = database(&folder).store().await;
    store.write(put("a", 1)).await.unwrap();
    store.close().await;
    assert!(!folder.path().join("doorward.db-wal").exists());
}

#[tokio::test]
async fn file_that_was_cut_off_is_refused() {
    let folder = folder();
    let store = database(&folder).store().await;
    store.close().await;

    let file = fs::OpenOptions::new().write(true).open(folder.path().join("doorward.db")).unwrap();
    let length = file.metadata().unwrap().len();
    file.set_len(length - 4096).unwrap();

    let error = refusal(&folder).await;
    assert!(matches!(error, FolderError::CutOff { expected, .. } if expected == length), "{error:?}");
}
