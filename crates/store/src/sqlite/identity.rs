//! Whether the files that this process has open are still those under their names.
//!
//! A folder that is deleted or replaced under a running server leaves it with files that nobody will find again: what it
//! writes there is lost with it. So before anything is acknowledged, the names are looked up.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::tx::TxError;

/// The files of one data folder, as they were when they were opened.
#[derive(Debug)]
pub(super) struct Identity {
    files: Mutex<Vec<Watched>>,
    is_lost: AtomicBool,
}

#[derive(Debug)]
struct Watched {
    path: PathBuf,
    /// Device and inode; `None` until there is such a file.
    opened: Option<(u64, u64)>,
    is_log: bool,
}

impl Identity {
    /// Watches the database and its log, which comes with the first use.
    pub(super) fn of_database(path: &Path) -> Identity {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let identity = Identity { files: Mutex::default(), is_lost: AtomicBool::new(false) };
        identity.watch(path.to_owned());
        identity.add(log.into(), true);
        identity
    }

    pub(super) fn watch(&self, path: PathBuf) {
        self.add(path, false);
    }

    fn add(&self, path: PathBuf, is_log: bool) {
        let opened = found(&path).unwrap_or_default();
        self.files().push(Watched { path, opened, is_log });
    }

    /// SQLite removes the log when the last connection is closed, and makes another one: the next one that is found is the
    /// right one.
    pub(super) fn forget_log(&self) {
        let mut files = self.files();
        for file in files.iter_mut().filter(|file| file.is_log) {
            file.opened = None;
        }
    }

    /// Refuses if one of the files is gone, or another one has taken its place.
    pub(super) fn check(&self) -> Result<(), TxError> {
        let lost = self.files().iter_mut().find_map(Watched::check);
        let was_lost = self.is_lost.swap(lost.is_some(), Ordering::Relaxed);
        match lost {
            None if was_lost => tracing::warn!("the files of the data folder are back"),
            Some(ref why) if !was_lost => {
                tracing::error!("{why}: refusing everything until it is back or this server is restarted");
            }
            _ => {}
        }
        lost.map_or(Ok(()), |why| Err(TxError::Unavailable(why)))
    }

    fn files(&self) -> MutexGuard<'_, Vec<Watched>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watched {
    /// Why it is not the file that was opened, if it is not.
    fn check(&mut self) -> Option<String> {
        let path = self.path.display();
        match (found(&self.path), self.opened) {
            (Ok(found), None) => {
                self.opened = found;
                None
            }
            (Ok(Some(found)), Some(opened)) if found == opened => None,
            (Ok(Some(_)), Some(_)) => Some(format!("{path} was replaced by another file")),
            (Ok(None), Some(_)) => Some(format!("{path} was removed")),
            (Err(error), _) => Some(format!("{path} can't be looked up: {error}")),
        }
    }
}

/// Device and inode of the file under this name.
fn found(path: &Path) -> io::Result<Option<(u64, u64)>> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some((metadata.dev(), metadata.ino()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removed_or_replaced_file_is_noticed_until_it_is_back() {
        let folder = tempfile::tempdir().unwrap();
        let (path, aside) = (folder.path().join("doorward.db"), folder.path().join("aside"));
        fs::write(&path, "").unwrap();
        let identity = Identity::of_database(&path);
        let refusal = || identity.check().err().map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(refusal(), "");
        // The log comes later.
        let log = folder.path().join("doorward.db-wal");
        fs::write(&log, "").unwrap();
        assert_eq!(refusal(), "");

        fs::rename(&path, &aside).unwrap();
        assert!(refusal().ends_with("doorward.db was removed"), "{}", refusal());
        fs::write(&path, "").unwrap();
        assert!(refusal().ends_with("doorward.db was replaced by another file"), "{}", refusal());
        fs::rename(&aside, &path).unwrap();
        assert_eq!(refusal(), "");

        fs::remove_file(&log).unwrap();
        assert!(refusal().ends_with("-wal was removed"), "{}", refusal());
    }
}
