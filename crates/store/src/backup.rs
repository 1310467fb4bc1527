//! Backups: every row of one moment in one file, which either engine can be filled from.
//!
//! [`Store::back_up`] reads one snapshot beside the running server. [`Backup::open`] reads a file's heading,
//! [`Backup::verify`] all of it, and [`Store::restore`] fills a database from a verified one. Memory stays bounded
//! however large the database is. The file's form is in [`archive`], what a restored server does with what was issued
//! before in [`issued`].
//!
//! Easy to get wrong: a restore that is killed must not leave a database that looks complete. Rows come in one
//! transaction, and from before the first change until after the last one a mark is in the table of migrations.

mod alone;
mod archive;
mod enclosed;
mod fill;
mod issued;
mod long;
mod mark;
mod read;
mod rows;
mod tables;

use std::io;
use std::sync::Arc;

pub use self::alone::Alone;
pub use self::archive::{Backup, Heading, Verified};
pub use self::enclosed::Enclosed;
pub use self::fill::Restored;
pub use self::issued::{EndedByRestore, Issued};
pub(crate) use self::mark::{FROM_A_BACKUP, IN_PLACE};
pub use self::read::{NewBackup, NoteBackup};
use self::rows::Tally;
use crate::error::StoreError;

/// What a backup or a database holds: each table with its number of rows, and what they add up to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    tables: Vec<(String, Tally)>,
}

impl Contents {
    /// The tables with the number of their rows.
    pub fn tables(&self) -> impl Iterator<Item = (&str, u64)> {
        self.tables.iter().map(|(name, tally)| (name.as_str(), tally.rows))
    }

    /// The rows of all tables.
    pub fn rows(&self) -> u64 {
        self.tables().map(|(_, rows)| rows).sum()
    }

    /// The rows of one table.
    pub fn rows_of(&self, table: &str) -> u64 {
        self.tables().find(|(name, _)| *name == table).map_or(0, |(_, rows)| rows)
    }

    /// Fails at the first table whose rows are not the same.
    fn ensure_equal(&self, found: &Contents) -> Result<(), BackupError> {
        let differing = self.tables.iter().find(|table| !found.tables.contains(table));
        differing.map_or(Ok(()), |(name, tally)| {
            let (expected, found) = (tally.rows, found.rows_of(name));
            Err(BackupError::Inconsistent(match expected == found {
                true => format!("{name} has all {found} rows, but their contents differ"),
                false => format!("{name} has {found} rows, and {expected} were read"),
            }))
        })
    }
}

/// The progress of a long operation.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// What is being done.
    pub step: &'static str,
    /// The table at work.
    pub table: &'a str,
    /// Rows that are done.
    pub done: u64,
    /// Rows of all tables together.
    pub total: u64,
}

/// Gets reports of progress, often: it must be quick.
pub type OnProgress = Arc<dyn Fn(Progress<'_>) + Send + Sync>;

/// Why a backup can't be written, read or restored. Contains no stored value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// A part does not open under the key of the backup, or follows another part than it was written after.
    #[error("the backup was altered or damaged (in part {part}) and can't be trusted: use another one")]
    Altered {
        /// The number of the part, from 0.
        part: u64,
    },
    /// The file ends before the backup does.
    #[error("the backup was cut off: copy the file again, or use another one")]
    CutOff,
    /// A fault of this program.
    #[error("the backup is invalid: {0}")]
    Fault(String),
    /// The place holds data.
    #[error(
        "the database contains data ({rows} rows in {table}): restore into an empty one. Move doorward.db away, or create \
         another PostgreSQL database"
    )]
    Holds {
        /// A table that has rows.
        table: String,
        /// How many, or at least so many.
        rows: u64,
    },
    /// What was read does not agree with what was written.
    #[error("{0}")]
    Inconsistent(String),
    /// The file can't be read or written.
    #[error(transparent)]
    Io(io::Error),
    /// The connection to PostgreSQL that kept other restores off was lost.
    #[error("the connection that locks out other restores was lost: run the command again")]
    LockLost,
    /// The master key of the backup is missing.
    #[error(
        "the backup needs the master key {needed}, and {}: put that key into the master key's file, or give the \
         passphrase of a backup that includes it",
        listed(.given)
    )]
    MasterKey {
        /// The id of the missing key.
        needed: String,
        /// The ids of those that are.
        given: Vec<String>,
    },
    /// A newer program wrote the file.
    #[error("the backup is from a newer version ({0}): use that version to restore it")]
    Newer(String),
    /// The backup includes no master key.
    #[error("the backup includes no master key: it can be opened only with the key's own file")]
    NoMasterKey,
    /// Another kind of file.
    #[error("the file is not a Doorward backup")]
    NotABackup,
    /// Servers work on the database.
    #[error("{0} connections of servers or of a pooler are open on the PostgreSQL database: end them first")]
    OthersAtWork(u64),
    /// The passphrase is wrong.
    #[error("the passphrase does not open the master key of this backup")]
    Passphrase,
    /// The database failed or is not available.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another process fills the database.
    #[error("another restore or move into this database is running: wait until it ends. Nothing was changed")]
    UnderWay,
}

impl From<io::Error> for BackupError {
    fn from(error: io::Error) -> BackupError {
        // The readers below speak in errors of I/O; their own causes come back as they were.
        match error.downcast::<BackupError>() {
            Ok(cause) => cause,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => BackupError::CutOff,
            Err(error) => BackupError::Io(error),
        }
    }
}

fn listed(ids: &[String]) -> String {
    match ids {
        [] => "none is given".to_owned(),
        [one] => format!("the one given is {one}"),
        several => format!("those given are {}", several.join(", ")),
    }
}
