//! A mark in the database's own header while a server works on it, by which half a copy is noticed.
//!
//! What is committed is in the log (`doorward.db-wal`) before it is copied into the file. A server copies the rest when
//! it ends, and removes the mark. So a file with the mark and no log beside it was copied without its log. The mark is
//! SQLite's `user_version`, 4 bytes at offset 60 of the file (sqlite.org/fileformat2.html section 1.3), which every
//! copy carries. It is computed from the number that the file system has for the file, so that a copy is known as one:
//! file and log may have been copied at two moments, between which the log started again. Such a pair can lack rows and
//! still pass all of SQLite's checks.
//!
//! Easy to get wrong: SQLite makes a log as soon as it opens the file, and removes a log that has no file, so the look
//! comes before the database is opened. And the last connection to be closed copies the log and removes it, the mark left
//! behind: that must not be a command's which ran beside a server that was killed meanwhile.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use doorward_core::clock::Timestamp;
use rusqlite::{Connection, OpenFlags, config::DbConfig};

use super::connection;
use super::log::Log;
use super::transaction::{SqliteTx, run};
use crate::error::StoreError;
use crate::folder::FolderError;
use crate::lock::FolderLock;
use crate::trusted_clock::FindNewestTime;
use crate::tx::TxError;

/// Looks at the files before they are opened, and refuses what is only half of a database.
pub(super) fn check(database: &Path) -> Result<(), FolderError> {
    let failed = |source| FolderError::Io { folder: database.to_owned(), source };
    let log = Log::look(&log_of(database)).map_err(failed)?;
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
    if length == 0 && log != Log::None {
        return Err(FolderError::LogAlone { database: database.to_owned() });
    }
    let Ok(header) = <[u8; HEADER as usize]>::try_from(header) else { return Ok(()) };
    let mark = if header.starts_with(MAGIC) { number(&header, 60) } else { NOT_IN_USE };
    match log {
        Log::None if mark != NOT_IN_USE => return Err(FolderError::HalfCopy { database: database.to_owned() }),
        Log::Foreign if mark != NOT_IN_USE => return Err(FolderError::OtherLog { database: database.to_owned() }),
        Log::None | Log::Foreign => {}
        // It holds what the file may lack.
        Log::Begun | Log::Filled => {
            let inode = fs::metadata(database).map_err(failed)?.ino();
            let is_copy = ![NOT_IN_USE, OLDER_MARK, mark_of(inode), older_mark_of(inode)].contains(&mark);
            return match (is_copy, log) {
                (true, _) => Err(FolderError::Copied { database: database.to_owned() }),
                (false, Log::Begun) if mark != NOT_IN_USE => look_through(database),
                (false, _) => Ok(()),
            };
        }
    }
    match size(&header) {
        Some(expected) if expected > length => {
            Err(FolderError::CutOff { database: database.to_owned(), expected, length })
        }
        _ => Ok(()),
    }
}

/// Reads all of a database whose log was begun, or is damaged. The files stay as they are.
fn look_through(database: &Path) -> Result<(), FolderError> {
    let read = || -> rusqlite::Result<String> {
        let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.busy_timeout(PATIENCE)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
    };
    let found = read().unwrap_or_else(|error| error.to_string());
    if found != "ok" {
        return Err(FolderError::Torn { database: database.to_owned(), found });
    }
    Ok(())
}

/// Sets the mark, in the file itself if no other process reads just now.
pub(super) fn begin(connection: &Connection, database: &Path) -> Result<(), TxError> {
    let metadata = fs::metadata(database);
    let metadata = metadata.map_err(|error| TxError::Unavailable(format!("{}: {error}", database.display())))?;
    let mark = mark_of(metadata.ino());
    connection
        .pragma_update(None, "user_version", mark)
        .and_then(|()| connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())))
        .map_err(|error| connection::explain(&error))
}

/// Takes the mark away and copies the whole log into the file.
pub(super) fn end(connection: &Connection) -> Result<(), TxError> {
    let is_busy = connection
        .pragma_update(None, "user_version", NOT_IN_USE)
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

/// Closes the last connection of a process that does not serve. Beside a server the log stays, for the server to copy.
/// After a crash, a mark without a server is removed before the log is.
pub(super) fn leave(connection: Connection, folder: &Path) -> Result<(), TxError> {
    let mark: u32 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|error| connection::explain(&error))?;
    // Held, so that no server sets its mark meanwhile.
    let lock = match mark {
        NOT_IN_USE => None,
        _ => FolderLock::acquire(folder).ok(),
    };
    // Where that can't be found out, the log stays as well: it loses nothing.
    if lock.is_none() && FolderLock::is_held_by_another(folder).unwrap_or(true) {
        let kept = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        return kept.map(drop).map_err(|error| connection::explain(&error));
    }
    if mark != NOT_IN_USE {
        clear(&connection)?;
    }
    // Before the lock is let go.
    drop(connection);
    Ok(())
}

/// The newest time in a database that is not accepted yet. The files stay as they are. `None` also for a database of an
/// older program, which keeps it elsewhere. Blocks.
pub(super) fn newest_time(database: &Path) -> Result<Option<Timestamp>, TxError> {
    let mut connection = connection::open(database)?;
    let kept = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
    kept.map_err(|error| connection::explain(&error))?;
    match run(&FindNewestTime, &mut SqliteTx::reading(&mut connection)) {
        Err(TxError::Defect(_)) => Ok(None),
        found => found,
    }
}

/// Takes the database as whole although it carries the mark: it was copied by means that need no log. Refuses one that
/// is damaged. Blocks.
pub(super) fn accept(database: &Path) -> Result<(), StoreError> {
    let connection = connection::open(database)?;
    let found: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| connection::explain(&error))?;
    let damaged = |why: &dyn std::fmt::Display| {
        StoreError::Unavailable(format!("{} is damaged: {why}. Restore a backup", database.display()))
    };
    if found != "ok" {
        return Err(damaged(&found));
    }
    clear(&connection)?;
    // Only here is it found that the file is far too short for its log.
    let copied = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    copied.map_err(|error| damaged(&error))
}

fn clear(connection: &Connection) -> Result<(), TxError> {
    connection.pragma_update(None, "user_version", NOT_IN_USE).map_err(|error| connection::explain(&error))
}

/// The mark of a file, by the number that its file system has for it. Moved within that, it keeps it; copied, it does not.
///
/// A copy often has one of the next numbers, so these must have other marks. The multiplication by an odd number spreads them
/// over all 31 bits (Knuth, The Art of Computer Programming, volume 3, section 6.4).
fn mark_of(inode: u64) -> u32 {
    let spread = inode.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33;
    // Neither of the two others.
    (spread as u32).max(2)
}

/// The mark that version 0.1 set before, which a server that crashed may have left. Every other neighbour shares it.
fn older_mark_of(inode: u64) -> u32 {
    ((inode ^ (inode >> 31)) & 0x7fff_ffff) as u32 | 2
}

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
    let is_valid = header.starts_with(MAGIC) && number(header, 24) == number(header, 92);
    is_valid.then(|| page * u64::from(number(header, 28)))
}

fn number(header: &[u8; HEADER as usize], at: usize) -> u32 {
    u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

const HEADER: u64 = 100;

/// What the header of every database begins with.
const MAGIC: &[u8] = b"SQLite format 3\0";

const NOT_IN_USE: u32 = 0;

/// The mark of an earlier version, for any file.
const OLDER_MARK: u32 = 1;

/// How long other processes' reads are waited for at the end. An operator, and `docker stop`, wait for all of the end.
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with a database that a server works on, and that database's connection.
    fn served() -> (tempfile::TempDir, PathBuf, Connection) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("doorward.db");
        let connection = connection::create(&path).unwrap();
        connection.execute_batch("CREATE TABLE t (x); CREATE INDEX i ON t (x)").unwrap();
        begin(&connection, &path).unwrap();
        (folder, path, connection)
    }

    fn fill(connection: &Connection) {
        let sql = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
                   INSERT INTO t SELECT i FROM n";
        connection.execute_batch(sql).unwrap();
    }

    #[test]
    fn files_with_neighbouring_numbers_have_different_marks() {
        for inode in (0..10_000).chain(u64::from(u32::MAX) - 5_000..u64::from(u32::MAX) + 5_000) {
            for step in 1..64 {
                assert_ne!(mark_of(inode), mark_of(inode + step), "{inode} and {step} more");
            }
            assert!(mark_of(inode) < 1 << 31 && mark_of(inode) >= 2);
        }
    }

    #[test]
    fn mark_of_a_crashed_older_server_is_accepted() {
        let (_folder, path, connection) = served();
        fill(&connection);
        connection.pragma_update(None, "user_version", older_mark_of(fs::metadata(&path).unwrap().ino())).unwrap();
        connection.query_row("PRAGMA wal_checkpoint(FULL)", [], |_| Ok(())).unwrap();
        connection.execute_batch("DELETE FROM t WHERE x = 17").unwrap();
        check(&path).unwrap();
    }

    #[test]
    fn file_and_log_copied_under_a_server_need_accepting() {
        let (folder, path, connection) = served();
        let copied = tempfile::tempdir().unwrap();
        let copy = copied.path().join("doorward.db");
        // The copy has the earlier file: what follows is in the file when the log starts again.
        fs::copy(&path, &copy).unwrap();
        fill(&connection);
        connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())).unwrap();
        connection.execute_batch("DELETE FROM t WHERE x = 17").unwrap();
        fs::copy(log_of(&path), log_of(&copy)).unwrap();
        let before = fs::read(&copy).unwrap();
        assert!(matches!(check(&copy), Err(FolderError::Copied { .. })));
        assert_eq!(fs::read(&copy).unwrap(), before);
        assert!(accept(&copy).is_err(), "it lacks what was in the first log");
        assert!(matches!(check(&copy), Err(FolderError::Copied { .. })));
        fs::copy(&path, &copy).unwrap();
        fs::copy(log_of(&path), log_of(&copy)).unwrap();
        assert!(matches!(check(&copy), Err(FolderError::Copied { .. })));
        accept(&copy).unwrap();
        check(&copy).unwrap();

        // Where it was, also under another name, it is no copy.
        check(&path).unwrap();
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
        drop(connection);
        let moved = folder.path().join("moved.db");
        fs::rename(&path, &moved).unwrap();
        fs::rename(log_of(&path), log_of(&moved)).unwrap();
        check(&moved).unwrap();
    }

    #[test]
    fn log_started_at_a_crash_is_accepted_and_other_data_is_not() {
        let (_folder, path, connection) = served();
        fill(&connection);
        connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())).unwrap();
        connection.execute_batch("DELETE FROM t WHERE x = 17").unwrap();
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
        drop(connection);
        let whole = fs::read(log_of(&path)).unwrap();
        let mut begun = whole.clone();
        begun[40] ^= 1;
        fs::write(log_of(&path), begun).unwrap();
        check(&path).unwrap();
        for wrong in [vec![0; 9_000], vec![0xA5; 9_000]] {
            fs::write(log_of(&path), wrong).unwrap();
            assert!(matches!(check(&path), Err(FolderError::OtherLog { .. })));
        }
        fs::write(log_of(&path), whole).unwrap();
        check(&path).unwrap();
    }
}
