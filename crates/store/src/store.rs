//! The store: one of two engines behind the same three verbs, write, read and migrate.
//!
//! Easy to get wrong: a write whose future is dropped may still happen (SQLite's writer has taken it, PostgreSQL has
//! the commit); what was not answered is unknown, not undone.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use doorward_core::clock::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::watch;
use tokio::task;

use crate::error::StoreError;
use crate::lock::FolderLock;
use crate::postgres::{Postgres, UnsafeDurability};
use crate::sqlite::Sqlite;
use crate::tx::Operation;

/// A handle on the database. Cheap to clone; the database is closed with the last clone, if not before.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) engine: Arc<Engine>,
    observer: Arc<OnceLock<Observer>>,
}

/// Is called with the kind of each operation, `read` or `write`, and how long it took, waiting included.
struct Observer(Box<dyn Fn(&'static str, Duration) + Send + Sync>);

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}

/// Where the database is.
#[derive(Clone, Debug)]
pub enum Location {
    /// `postgres://user:password@host/database`. Over a network it must say `sslmode=require` (the server's
    /// certificate is verified against the platform's roots) or `sslmode=disable`.
    Postgres(SecretString),
    /// The data folder; the database is `doorward.db` in it. See [`prepare_folder`](crate::prepare_folder).
    Sqlite(PathBuf),
}

#[derive(Debug)]
pub(crate) enum Engine {
    Postgres(Box<Postgres>),
    Sqlite(Box<Sqlite>),
}

impl Store {
    /// Opens the database, and creates the SQLite file if there is none. Creates no tables: see [`Store::migrate`].
    ///
    /// # Errors
    /// [`StoreError::Folder`] and [`StoreError::Location`] need somebody to change something;
    /// [`StoreError::Unavailable`] may pass.
    pub async fn open(location: &Location) -> Result<Store, StoreError> {
        let engine = match location {
            Location::Postgres(url) => Engine::Postgres(Box::new(Postgres::open(url.expose_secret()).await?)),
            Location::Sqlite(folder) => Engine::Sqlite(Box::new(Sqlite::open(folder.clone()).await?)),
        };
        Ok(Store { engine: Arc::new(engine), observer: Arc::default() })
    }

    /// The newest time in a database that [`Store::accept_copy`] would accept. It shows whether this machine's clock
    /// can be right. Changes nothing. `None` if the database has to be accepted first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if it is damaged.
    pub async fn newest_time_of_copy(location: &Location) -> Result<Option<Timestamp>, StoreError> {
        match location {
            // Nothing is to be accepted there.
            Location::Postgres(_) => Ok(None),
            Location::Sqlite(folder) => Sqlite::newest_time_of_copy(folder.clone()).await,
        }
    }

    /// Takes a database that was put into its place by other means than ours as whole, although a server's mark is in it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if it is damaged.
    pub async fn accept_copy(location: &Location) -> Result<(), StoreError> {
        match location {
            // Recovery, by PostgreSQL itself, gives whole databases only.
            Location::Postgres(_) => Ok(()),
            Location::Sqlite(folder) => Sqlite::accept(folder.clone()).await,
        }
    }

    /// Marks that a server works on the database, until [`Store::close`]. A copy of the database's file during that
    /// time is recognized as incomplete.
    pub async fn serve(&self) -> Result<(), StoreError> {
        match &*self.engine {
            Engine::Postgres(_) => Ok(()),
            Engine::Sqlite(sqlite) => sqlite.serve().await,
        }
    }

    /// Finishes what waits and closes the database, even if others have a handle on it: from here on the file of an
    /// SQLite database is complete. Without it the last handle closes the database.
    pub async fn close(self) {
        let closed = task::spawn_blocking(move || match &*self.engine {
            // Nothing is kept back that its end would have to write.
            Engine::Postgres(_) => {}
            Engine::Sqlite(sqlite) => sqlite.close(),
        });
        if let Err(error) = closed.await {
            tracing::warn!(%error, "the database was not closed");
        }
    }

    /// Runs the operation in one transaction. When this answers, the outcome survives a crash.
    pub async fn write<O: Operation>(&self, operation: O) -> Result<O::Output, StoreError> {
        let start = self.start();
        let outcome = match &*self.engine {
            Engine::Postgres(postgres) => postgres.write(&operation).await,
            Engine::Sqlite(sqlite) => sqlite.write(operation).await,
        };
        self.observe("write", start);
        outcome
    }

    /// Runs an operation that only reads, on one snapshot. Never waits for a writer, and sees every write that was
    /// answered before.
    pub async fn read<O: Operation>(&self, operation: O) -> Result<O::Output, StoreError> {
        let start = self.start();
        let outcome = match &*self.engine {
            Engine::Postgres(postgres) => postgres.read(&operation).await,
            Engine::Sqlite(sqlite) => sqlite.read(operation).await,
        };
        self.observe("read", start);
        outcome
    }

    /// Has every operation observed from now on, by the first one who asks for it. Operations that were given up by their
    /// callers are not among them.
    pub fn observed_by(&self, observer: impl Fn(&'static str, Duration) + Send + Sync + 'static) {
        let _ = self.observer.set(Observer(Box::new(observer)));
    }

    /// When an operation begins, if somebody wants to know.
    fn start(&self) -> Option<Instant> {
        self.observer.get().map(|_| Instant::now())
    }

    fn observe(&self, kind: &'static str, start: Option<Instant>) {
        if let (Some(Observer(observer)), Some(start)) = (self.observer.get(), start) {
            observer(kind, start.elapsed());
        }
    }

    /// Refuses everything once the lock's file is not the one under its name any more: then another server may have taken
    /// the folder. PostgreSQL has no folder.
    pub fn depend_on(&self, lock: &FolderLock) {
        match &*self.engine {
            Engine::Postgres(_) => {}
            Engine::Sqlite(sqlite) => sqlite.watch_file(lock.path().to_owned()),
        }
    }

    /// Which setting of a PostgreSQL server lets it lose what it has acknowledged, if one does. SQLite is set up by this
    /// crate.
    pub async fn unsafe_durability(&self) -> Result<Option<UnsafeDurability>, StoreError> {
        match &*self.engine {
            Engine::Postgres(postgres) => postgres.unsafe_durability().await,
            Engine::Sqlite(_) => Ok(None),
        }
    }

    /// Wakes up when somebody may have appended to the changes log. A hint, which can be missing or false.
    pub(crate) fn change_hints(&self) -> watch::Receiver<u64> {
        match &*self.engine {
            Engine::Postgres(postgres) => postgres.change_hints(),
            Engine::Sqlite(sqlite) => sqlite.change_hints(),
        }
    }

    /// How long to rely on hints before looking at the changes log itself.
    pub(crate) fn recheck_interval(&self) -> Duration {
        match &*self.engine {
            // Other processes' NOTIFY is sent after the commit and can be lost with its sender.
            Engine::Postgres(_) => Duration::from_millis(250),
            // PRAGMA data_version, looked at every 100 ms, misses nothing.
            Engine::Sqlite(_) => Duration::from_secs(1),
        }
    }
}
