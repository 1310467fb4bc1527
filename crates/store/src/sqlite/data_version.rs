//! Hears of other processes' commits: `PRAGMA data_version` (sqlite.org/pragma.html#pragma_data_version) on a
//! connection of its own changes when any other connection has committed, and costs no read of the disk.
//!
//! Easy to get wrong: the number means something only compared with an earlier one of the same connection.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::watch;

use super::connection;
use super::identity::Identity;

/// A thread that looks every 100 ms.
#[derive(Debug)]
pub(super) struct DataVersion {
    end: Sender<()>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl DataVersion {
    pub(super) fn watch(path: PathBuf, identity: Arc<Identity>, hints: watch::Sender<u64>) -> DataVersion {
        let (end, ended) = channel();
        let started = thread::Builder::new()
            .name("doorward-watch".to_owned())
            .spawn(move || look(path, &identity, &hints, &ended));
        if let Err(error) = &started {
            // Followers look at the log themselves every second.
            tracing::warn!(%error, "could not start a thread to watch other processes' commits");
        }
        DataVersion { end, thread: Mutex::new(started.ok()) }
    }

    /// Ends the thread, and waits for that.
    pub(super) fn close(&self) {
        // Nobody hears it if there is no thread any more.
        let _ = self.end.send(());
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join();
        }
    }
}

fn look(path: PathBuf, identity: &Identity, hints: &watch::Sender<u64>, ended: &Receiver<()>) {
    let mut open: Option<Connection> = None;
    let mut seen = None;
    while ended.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
        // Also where nobody asks for anything, it is said at once that the files are gone.
        if identity.check().is_err() {
            open = None;
            continue;
        }
        if open.is_none() {
            open = connection::open(&path).ok();
        }
        let found = open.as_ref().and_then(|connection| {
            connection.pragma_query_value(None, "data_version", |row| row.get::<_, i64>(0)).ok()
        });
        if found.is_none() {
            open = None;
        }
        if found != seen {
            seen = found;
            hints.send_modify(|count| *count = count.wrapping_add(1));
        }
    }
}

const INTERVAL: Duration = Duration::from_millis(100);
