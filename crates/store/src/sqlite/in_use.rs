//! A mark in the database's own header while a server works on it, by which half a copy is noticed.
//!
//! What is committed stands in the log (`doorward.db-wal`) before it is copied into the file. A server's end copies the
//! rest and takes the mark away; so a file with the mark and no log beside it was copied without its log. The mark is
//! SQLite's `user_version`, 4 bytes at offset 60 of the file (sqlite.org/fileformat2.html section 1.3), which every copy
//! carries.
//!
//! Easy to get wrong: SQLite makes a log as soon as it opens the file, and removes a log that has no file, so the look
//! comes before the database is opened. And the last connection to be closed copies the log and removes it, the mark left
//! behind: that must not be a command's which ran beside a server that was killed meanwhile.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, config::DbConfig};

use super::connection;
use crate::error::StoreError;
use crate::folder::FolderError;
use crate::lock::FolderLock;
use crate::tx::TxError;

/// Looks at the files before they are opened, and refuses what is only half of a database.
pub(super) fn check(database: &Path) -> Result<(), FolderError> {
    let failed = |source| FolderError::Io { folder: database.to_owned(), source };
    let has_log = fs::metadata(log_of(database)).is_ok_and(|log| log.len() > LOG_HEADER);
    let mut header = Vec::new();
    let length = match File::open(database) {
        Ok(file) => {
            let length = file.metadata().map_err(failed)?.len();
            file.take(HEADER).read_to_end(&mut header).map_err(failed)?;
            length
        }
        Err(error) if error.kind() == ErrorKind::NotFound => 0,
        Err(error) => return Err(failed(error)),
    };
    if length == 0 && has_log {
        return Err(FolderError::LogAlone { database: database.to_owned() });
    }
    let Ok(header) = <[u8; HEADER as usize]>::try_from(header) else { return Ok(()) };
    if has_log {
        // It holds what the file may lack.
        return Ok(());
    }
    if number(&header, 60) == IN_USE {
        return Err(FolderError::HalfCopy { database: database.to_owned() });
    }
    match size(&header) {
        Some(expected) if expected > length => {
            Err(FolderError::CutOff { database: database.to_owned(), expected, length })
        }
        _ => Ok(()),
    }
}

/// Sets the mark, in the file itself if no other process reads just now.
pub(super) fn begin(connection: &Connection) -> Result<(), TxError> {
    connection
        .pragma_update(None, "user_version", IN_USE)
        .and_then(|()| connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())))
        .map_err(|error| connection::explain(&error))
}

/// Takes the mark away and copies the whole log into the file.
pub(super) fn end(connection: &Connection) -> Result<(), TxError> {
    let is_busy = connection
        .pragma_update(None, "user_version", 0)
        .and_then(|()| connection.busy_timeout(PATIENCE))
        .and_then(|()| connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0)))
        .map_err(|error| connection::explain(&error))?;
    match is_busy {
        true => {
            Err(TxError::Unavailable("another process still reads it, and copies the log at its own end".to_owned()))
        }
        false => Ok(()),
    }
}

/// Closes the last connection of a process that does not serve. Beside a server the log stays, which is the server's to
/// copy. A mark that nobody stands behind any more, after a crash, is taken away before the log is.
pub(super) fn leave(connection: Connection, folder: &Path) -> Result<(), TxError> {
    let mark: u32 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|error| connection::explain(&error))?;
    // Held, so that no server sets its mark meanwhile.
    let lock = match mark {
        IN_USE => FolderLock::acquire(folder).ok(),
        _ => None,
    };
    // Where that can't be found out, the log stays as well: it loses nothing.
    if lock.is_none() && FolderLock::is_held_by_another(folder).unwrap_or(true) {
        let kept = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        return kept.map(drop).map_err(|error| connection::explain(&error));
    }
    if mark == IN_USE {
        clear(&connection)?;
    }
    // Before the lock is let go.
    drop(connection);
    Ok(())
}

/// Takes the database as whole although it carries the mark: it was copied by means that need no log. Refuses one that
/// is damaged. Blocks.
pub(super) fn accept(database: &Path) -> Result<(), StoreError> {
    let connection = connection::open(database)?;
    let found: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| connection::explain(&error))?;
    if found != "ok" {
        return Err(StoreError::Unavailable(format!("{} is damaged: {found}", database.display())));
    }
    clear(&connection).map_err(StoreError::from)
}

fn clear(connection: &Connection) -> Result<(), TxError> {
    connection.pragma_update(None, "user_version", 0).map_err(|error| connection::explain(&error))
}

/// The log's file.
fn log_of(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// How long the file must be by its header, if that says so (sqlite.org/fileformat2.html section 1.3.7).
fn size(header: &[u8; HEADER as usize]) -> Option<u64> {
    let page = match u64::from(number(header, 16) >> 16) {
        1 => 65_536,
        bytes => bytes,
    };
    let is_valid = header.starts_with(b"SQLite format 3\0") && number(header, 24) == number(header, 92);
    is_valid.then(|| page * u64::from(number(header, 28)))
}

fn number(header: &[u8; HEADER as usize], at: usize) -> u32 {
    u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

const HEADER: u64 = 100;

/// A log that is no longer than its header holds nothing.
const LOG_HEADER: u64 = 32;

const IN_USE: u32 = 1;

/// How long other processes' reads are waited for at the end. An operator, and `docker stop`, wait for all of the end.
const PATIENCE: Duration = Duration::from_secs(1);
