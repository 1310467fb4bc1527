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
mod in_use;
mod log;
mod queue;
mod readers;
mod transaction;
mod writer;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use doorward_core::clock::Timestamp;
use tokio::sync::watch;
use tokio::task;

use self::data_version::DataVersion;
use self::identity::Identity;
use self::readers::Readers;
use self::writer::Writer;
use crate::error::StoreError;
use crate::folder::check_folder;
use crate::load::Load;
use crate::tx::Operation;

/// The name of the database's file in a data folder.
pub const DATABASE: &str = "doorward.db";

/// A database file, open. It is closed when this is dropped, if not before.
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
            in_use::check(&path)?;
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

    pub(crate) fn load(&self) -> Load {
        let writer = self.writer.load();
        Load { waiting: writer.waiting + self.readers.waiting(), ..writer }
    }

    /// Refuses everything from the moment that this file is not the one under its name any more.
    pub(crate) fn watch_file(&self, path: PathBuf) {
        self.identity.watch(path);
    }

    /// Takes the file in a folder as whole although it carries the mark of a server. Refuses a damaged one.
    pub(crate) async fn accept(folder: PathBuf) -> Result<(), StoreError> {
        let accepted = task::spawn_blocking(move || {
            check_folder(&folder)?;
            in_use::accept(&folder.join(DATABASE))
        });
        accepted.await.map_err(|_| StoreError::Fault("checking the database panicked".to_owned()))?
    }

    /// The newest time in a database that [`Sqlite::accept`] would accept. Changes nothing.
    pub(crate) async fn newest_time_of_copy(folder: PathBuf) -> Result<Option<Timestamp>, StoreError> {
        let found = task::spawn_blocking(move || {
            check_folder(&folder)?;
            in_use::newest_time(&folder.join(DATABASE)).map_err(StoreError::from)
        });
        found.await.map_err(|_| StoreError::Fault("reading the database panicked".to_owned()))?
    }

    /// Marks the file as one that a server works on, until [`Self::close`].
    pub(crate) async fn serve(&self) -> Result<(), StoreError> {
        let path = self.path.clone();
        let marked = task::spawn_blocking(move || connection::open(&path).and_then(|open| in_use::begin(&open, &path)));
        marked.await.map_err(|_| StoreError::Fault("marking the database panicked".to_owned()))??;
        self.writer.serve();
        Ok(())
    }

    /// Finishes what waits, and closes the database. Blocks.
    pub(crate) fn close(&self) {
        if let Some(others) = self.others.get() {
            others.close();
        }
        self.readers.close();
        // Last, so that nobody in this process reads any more when the log is copied.
        self.writer.close();
    }

    pub(crate) fn change_hints(&self) -> watch::Receiver<u64> {
        self.others.get_or_init(|| DataVersion::watch(self.path.clone(), self.identity.clone(), self.hints.clone()));
        self.hints.subscribe()
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.close();
    }
}
