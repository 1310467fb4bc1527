//! Which process serves a data folder: an advisory lock on `doorward.lock`, held while a server runs.
//!
//! The command line works beside a server, so the lock does not guard the database (SQLite does that itself). It keeps
//! a second server away, and makes the command line refuse to migrate.
//!
//! Easy to get wrong: the file stays when the server ends; only the lock says whether one runs.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::folder::FolderError;

/// Held by a running server; let go when dropped, and by the operating system when the process dies.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
    path: PathBuf,
}

impl FolderLock {
    /// Takes the folder for this server.
    ///
    /// # Errors
    /// [`FolderError::Held`] when another server has it.
    pub fn acquire(folder: &Path) -> Result<FolderLock, FolderError> {
        Self::acquire_for(folder, "")
    }

    /// Takes the folder for a command. A program that is kept off reports that command's name.
    ///
    /// # Errors
    /// [`FolderError::Held`] when a server or another command has it.
    pub fn acquire_for(folder: &Path, command: &str) -> Result<FolderLock, FolderError> {
        let failed = |source| FolderError::Io { folder: folder.to_owned(), source };
        let mut file = open(folder, true).map_err(failed)?;
        let mut attempt = 1;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                // A command that asks `is_held` has the lock for a moment.
                Err(TryLockError::WouldBlock) if attempt < ATTEMPTS => {
                    attempt += 1;
                    thread::sleep(PAUSE);
                }
                Err(TryLockError::WouldBlock) => {
                    let (pid, command) = holder(&mut file);
                    return Err(FolderError::Held { folder: folder.to_owned(), pid, command });
                }
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
        file.set_len(0).map_err(failed)?;
        writeln!(file, "{} {command}", std::process::id()).map_err(failed)?;
        Ok(FolderLock { _file: file, path: folder.join(NAME) })
    }

    /// The file that is locked.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a server in another process than this one has the folder now.
    pub(crate) fn is_held_by_another(folder: &Path) -> Result<bool, FolderError> {
        if !FolderLock::is_held(folder)? {
            return Ok(false);
        }
        let failed = |source| FolderError::Io { folder: folder.to_owned(), source };
        let mut file = open(folder, false).map_err(failed)?;
        Ok(holder(&mut file).0 != Some(std::process::id()))
    }

    /// Whether a server has the folder now.
    pub fn is_held(folder: &Path) -> Result<bool, FolderError> {
        let failed = |source| FolderError::Io { folder: folder.to_owned(), source };
        let file = match open(folder, false) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(failed(error)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

/// The process that has the lock, and the command that it runs if it is not a server, as far as they could be read.
fn holder(file: &mut File) -> (Option<u32>, Option<String>) {
    let mut text = String::new();
    if file.take(LONGEST).read_to_string(&mut text).is_err() {
        return (None, None);
    }
    let (pid, command) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    (pid.parse().ok(), Some(command.to_owned()).filter(|command| !command.is_empty()))
}

fn open(folder: &Path, create: bool) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(create).truncate(false).mode(0o600).open(folder.join(NAME))
}

const NAME: &str = "doorward.lock";

/// More than a process's number and a command take.
const LONGEST: u64 = 100;

const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::FolderLock;
    use crate::folder::FolderError;

    #[test]
    fn a_second_server_is_refused_until_the_first_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!FolderLock::is_held(folder.path()).unwrap());

        let first = FolderLock::acquire(folder.path()).unwrap();
        assert!(FolderLock::is_held(folder.path()).unwrap());
        let refused = FolderLock::acquire(folder.path()).unwrap_err();
        assert!(matches!(refused, FolderError::Held { pid: Some(pid), .. } if pid == std::process::id()));

        drop(first);
        let command = FolderLock::acquire_for(folder.path(), "doorward restore").unwrap();
        let refused = FolderLock::acquire(folder.path()).unwrap_err().to_string();
        let pid = std::process::id();
        assert!(refused.contains(&format!("in use by `doorward restore` (process {pid})")), "{refused}");
        drop(command);
        assert!(!FolderLock::is_held(folder.path()).unwrap());
        FolderLock::acquire(folder.path()).unwrap();
    }
}
