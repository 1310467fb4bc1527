//! An advisory lock of a session (PostgreSQL manual, 13.3.5), on a connection of its own.

use deadpool_postgres::{Client, ClientWrapper, Object};

use super::transaction::explain;
use crate::tx::TxError;

/// A lock that is held until this is dropped, or the connection is lost.
pub(crate) struct HeldLock {
    client: ClientWrapper,
}

impl HeldLock {
    /// Takes the lock, unless another session has it.
    pub(super) async fn acquire(client: Client, number: i64) -> Result<Option<HeldLock>, TxError> {
        let row = client.query_one("SELECT pg_try_advisory_lock($1)", &[&number]).await;
        let is_held = row.and_then(|row| row.try_get(0)).map_err(|error| explain(&error))?;
        // Out of the pool, so that nobody else uses it.
        Ok(if is_held { Some(HeldLock { client: Object::take(client) }) } else { None })
    }

    /// Whether the connection is gone, and the lock with it.
    pub(crate) fn is_lost(&self) -> bool {
        self.client.is_closed()
    }

    /// How many connections of other processes are open on the database that were there before this one.
    pub(crate) async fn others_at_work(&self) -> Result<u64, TxError> {
        // Connections name themselves, all servers of one configuration alike. This process's own others are younger than
        // its first one, which this is.
        let sql = "SELECT count(*) FROM pg_stat_activity other, pg_stat_activity own
                   WHERE own.pid = pg_backend_pid() AND other.datname = own.datname AND other.pid <> own.pid
                     AND other.application_name = own.application_name AND other.backend_start <= own.backend_start";
        let counted = self.client.query_one(sql, &[]).await.and_then(|row| row.try_get::<_, i64>(0));
        Ok(counted.map_err(|error| explain(&error))?.unsigned_abs())
    }
}

impl std::fmt::Debug for HeldLock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeldLock").finish_non_exhaustive()
    }
}
