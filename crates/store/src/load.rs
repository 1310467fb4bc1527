//! The load of a store, for metrics.

use crate::store::{Engine, Store};

/// The current load of a store, and its counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Operations that wait for the writer, a reader or a connection.
    pub waiting: usize,
    /// Transactions that were committed since the store was opened.
    pub commits: u64,
    /// Operations that were committed. SQLite commits all that wait at once.
    pub committed_operations: u64,
    /// The connections to PostgreSQL that requests use.
    pub connections: Option<Connections>,
}

/// Connections to a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// Those that an operation uses.
    pub in_use: usize,
    /// Those that wait for one.
    pub idle: usize,
    /// The maximum number of connections.
    pub most: usize,
}

impl Store {
    /// The current load of the store.
    pub fn load(&self) -> Load {
        match &*self.engine {
            Engine::Postgres(postgres) => postgres.load(),
            Engine::Sqlite(sqlite) => sqlite.load(),
        }
    }
}
