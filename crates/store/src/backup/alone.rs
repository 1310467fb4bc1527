//! One restore of a database at a time, and no server beside it.
//!
//! An SQLite database has its folder's lock. In PostgreSQL a connection of its own holds an advisory lock (PostgreSQL
//! manual, 13.3.5) for as long as the restore works: when the connection is lost, so is the lock.
//!
//! Easy to get wrong: that loss is noticed between two steps only. So each step also looks whether the mark in the
//! database is still its own: see [`super::mark`].

use std::time::Duration;

use tokio::time::sleep;

use super::BackupError;
use crate::error::StoreError;
use crate::postgres::HeldLock;
use crate::store::{Engine, Store};

/// Keeps every other restore off a database until it is dropped.
#[derive(Debug)]
pub struct Alone {
    /// None for SQLite.
    held: Option<HeldLock>,
}

impl Store {
    /// Begins a restore, unless another one is under way.
    ///
    /// # Errors
    /// [`BackupError::UnderWay`] if another one is.
    pub async fn begin_alone(&self) -> Result<Alone, BackupError> {
        let Engine::Postgres(postgres) = &*self.engine else { return Ok(Alone { held: None }) };
        for _ in 0..ATTEMPTS {
            if let Some(held) = postgres.try_lock(RESTORE).await? {
                return Ok(Alone { held: Some(held) });
            }
            sleep(PAUSE).await;
        }
        Err(BackupError::UnderWay)
    }
}

impl Alone {
    /// Refuses if connections of other processes are open that were there before this restore: those of servers, or of a
    /// pooler. Only PostgreSQL knows; SQLite's folder has a lock.
    ///
    /// # Errors
    /// [`BackupError::OthersAtWork`] if there are any.
    pub async fn ensure_no_others(&self) -> Result<(), BackupError> {
        let Some(held) = &self.held else { return Ok(()) };
        let mut others = 0;
        for _ in 0..ATTEMPTS {
            others = held.others_at_work().await.map_err(StoreError::from)?;
            if others == 0 {
                return Ok(());
            }
            sleep(PAUSE).await;
        }
        Err(BackupError::OthersAtWork(others))
    }

    /// Refuses to continue once the lock may be another's.
    pub(super) fn check(&self) -> Result<(), BackupError> {
        match &self.held {
            Some(held) if held.is_lost() => Err(BackupError::LockLost),
            _ => Ok(()),
        }
    }
}

/// The lock's name, nothing more.
const RESTORE: i64 = 4_919_131_752_989_213_765;

/// What was killed or stopped just now is still known to PostgreSQL for a moment.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);
