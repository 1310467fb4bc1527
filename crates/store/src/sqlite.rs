//! The embedded engine: SQLite in WAL mode, one writer thread, a few reader threads.
//!
//! A commit costs one fsync however many operations it carries, so the writer commits all that wait as a group.
//! Sources: sqlite.org/wal.html, sqlite.org/lang_savepoint.html, sqlite.org/pragma.html.
//!
//! Easy to get wrong: WAL with `synchronous=NORMAL` loses the last commits in a power failure; only FULL keeps what
//! was answered.

mod checkpointer;
mod connection;
mod data_version;
mod identity;
mod readers;
mod transaction;
mod writer;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use tokio::sync::watch;
use tokio::task;

use self::data_version::DataVersion;
use self::identity::Identity;
use self::readers::Readers;
use self::writer::Writer;
use crate::error::StoreError;
use crate::folder::check_folder;
use crate::tx::Operation;

/// The name of the database's file in a data folder.
pub const DATABASE: &str = "doorward.db";

/// A database file, open. Its threads end when this is dropped.
#[derive(Debug)]
pub(crate) struct Sqlite {
    writer: Writer,
    readers: Readers,
    identity: Arc<Identity>,
    path: PathBuf,
    hints: watch::Sender<u64>,
    /// Watches other processes from the first time that somebody wants to hear of changes.
    others: OnceLock<DataVersion>,
}

impl Sqlite {
    pub(crate) async fn open(folder: PathBuf) -> Result<Sqlite, StoreError> {
        task::spawn_blocking(move || {
            check_folder(&folder)?;
            let path = folder.join(DATABASE);
            let connection = connection::create(&path)?;
            let (hints, identity) = (watch::Sender::new(0), Arc::new(Identity::of_database(&path)));
            Ok(Sqlite {
                writer: Writer::start(connection, path.clone(), identity.clone(), hints.clone())?,
                readers: Readers::start(&path, &identity)?,
                identity,
                path,
                hints,
                others: OnceLock::new(),
            })
        })
        .await
        .map_err(|_| StoreError::Fault("opening the database panicked".to_owned()))?
    }

    pub(crate) async fn write<O: Operation>(&self, operation: O) -> Result<O::Output, StoreError> {
        self.writer.write(operation).await
    }

    pub(crate) async fn read<O: Operation>(&self, operation: O) -> Result<O::Output, StoreError> {
        self.readers.read(operation).await
    }

    /// Refuses everything from the moment that this file is not the one under its name any more.
    pub(crate) fn watch_file(&self, path: PathBuf) {
        self.identity.watch(path);
    }

    pub(crate) fn change_hints(&self) -> watch::Receiver<u64> {
        self.others.get_or_init(|| DataVersion::watch(self.path.clone(), self.identity.clone(), self.hints.clone()));
        self.hints.subscribe()
    }
}
