//! The errors that callers of the store must distinguish.
//!
//! Easy to get wrong: [`StoreError::Unavailable`] does not say that nothing happened. A connection that breaks during
//! the commit leaves the outcome unknown; callers answer 503 and have acknowledged nothing.

use crate::folder::FolderError;
use crate::tx::TxError;

/// Why the store failed. May be logged: it contains no stored value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A row with the same primary or unique key exists; nothing was written.
    #[error("a row with the same key exists")]
    Conflict,
    /// An error in this program: a statement that the database rejects, an impossible row, a panic.
    #[error("the store has a fault: {0}")]
    Fault(String),
    /// The data folder can't be used as it is.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The database's URL can't be used; says what to change.
    #[error("{0}")]
    Location(&'static str),
    /// The database is being filled from a backup, or that was killed.
    #[error("the database is being restored, or a restore did not finish")]
    Restoring,
    /// The database is older than this program; it is migrated at the server's start or by command.
    #[error(
        "the database has schema {found}, this program needs {known}: start the server with this version, or run `doorward migrate`"
    )]
    SchemaBehind {
        /// The newest migration that was applied.
        found: i64,
        /// The newest migration that this program knows.
        known: i64,
    },
    /// The database was migrated by a newer program, and migrations go forward only.
    #[error("the database has schema {found}, this program supports at most {known}: run the newer version")]
    SchemaNewer {
        /// The newest migration that was applied.
        found: i64,
        /// The newest migration that this program knows.
        known: i64,
    },
    /// The database is gone, full, locked or overloaded. To be tried again later; the store recovers by itself.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
}

impl From<TxError> for StoreError {
    fn from(error: TxError) -> StoreError {
        match error {
            TxError::Conflict => StoreError::Conflict,
            TxError::Column { .. } | TxError::Defect(_) | TxError::Unreadable { .. } => {
                StoreError::Fault(error.to_string())
            }
            TxError::Retry => StoreError::Unavailable("the operation kept losing against others".to_owned()),
            TxError::Unavailable(reason) => StoreError::Unavailable(reason),
        }
    }
}
