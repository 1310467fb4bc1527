//! A connection as every thread opens it, and what SQLite's errors mean to callers.
//!
//! Easy to get wrong: SQLite opens a file without write permission as read-only and says so at the first write only;
//! a connection that failed is therefore replaced, not kept.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, config::DbConfig, ffi};

use crate::error::StoreError;
use crate::tx::TxError;

/// Opens the database for the one who writes, and makes the file (mode 0600) if there is none.
pub(super) fn create(path: &Path) -> Result<Connection, StoreError> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| StoreError::Unavailable(format!("{}: {error}", path.display())))?;
    open_for_writing(path).map_err(StoreError::from)
}

/// Opens the database that is there. A file that vanished is not made again: it would be an empty one.
pub(super) fn open(path: &Path) -> Result<Connection, TxError> {
    configured(path).map_err(|error| explain(&error))
}

fn configured(path: &Path) -> rusqlite::Result<Connection> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    write_ahead_log(&connection)?;
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;")?;
    // What a savepoint would roll back is kept beside the database: in memory, or else as a file in /var/tmp, a place
    // for everybody.
    connection.execute_batch("PRAGMA temp_store = MEMORY;")?;
    // A plan that depends on the bound values is computed again whenever they change, which is at each use, and costs
    // more than most statements here.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// Opens the database for the one who writes, who needs more memory for pages: rows are found by digests, so that a
/// group of writes falls everywhere, and what has no room is written before its time and read again. And who copies
/// the log only if the one whose work that is does not get to its end.
pub(super) fn open_for_writing(path: &Path) -> Result<Connection, TxError> {
    let connection = open(path)?;
    let settings = format!("PRAGMA cache_size = -{CACHE_KIB}; PRAGMA wal_autocheckpoint = {LONG_LOG};");
    connection.execute_batch(&settings).map_err(|error| explain(&error))?;
    Ok(connection)
}

/// Memory for pages, in KiB, taken as it is needed.
const CACHE_KIB: u32 = 8_192;

/// Pages of 4 KiB in the log from which on each commit tries to copy and end it: as many as readers still find quickly.
pub(super) const LONG_LOG: u32 = 4_000;

/// Two processes that open a new file at once both turn WAL on, and SQLite does not wait for that lock.
fn write_ahead_log(connection: &Connection) -> rusqlite::Result<()> {
    let mut attempt = 1;
    loop {
        match connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && attempt < ATTEMPTS => {
                attempt += 1;
                thread::sleep(PAUSE);
            }
            outcome => return outcome,
        }
    }
}

/// SQLite's error as callers must tell them apart. Its messages name tables and columns, never values.
pub(super) fn explain(error: &rusqlite::Error) -> TxError {
    let rusqlite::Error::SqliteFailure(failure, _) = error else {
        return TxError::Defect(error.to_string());
    };
    match failure.code {
        ErrorCode::ConstraintViolation => match failure.extended_code {
            ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID | ffi::SQLITE_CONSTRAINT_UNIQUE => {
                TxError::Conflict
            }
            _ => TxError::Defect(error.to_string()),
        },
        ErrorCode::CannotOpen
        | ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseCorrupt
        | ErrorCode::DatabaseLocked
        | ErrorCode::DiskFull
        | ErrorCode::FileLockingProtocolFailed
        | ErrorCode::NotADatabase
        | ErrorCode::OperationInterrupted
        | ErrorCode::OutOfMemory
        | ErrorCode::PermissionDenied
        | ErrorCode::ReadOnly
        | ErrorCode::SchemaChanged
        | ErrorCode::SystemIoFailure => TxError::Unavailable(error.to_string()),
        _ => TxError::Defect(error.to_string()),
    }
}

/// How long the writer of another process may hold the lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Prepared statements kept per connection; more than the operations have.
const STATEMENTS: usize = 512;

const ATTEMPTS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(20);
