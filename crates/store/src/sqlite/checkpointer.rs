//! Copies committed pages from the log into the database beside the writer, so that no commit waits for that.
//!
//! Easy to get wrong: the log starts again only after all of it was copied while nobody wrote, which beside a busy
//! writer never happens. The writer therefore copies the rest itself when the log has become long: see
//! [`connection::open_for_writing`]. Source: sqlite.org/wal.html section 3.3.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use rusqlite::Connection;

use super::connection;
use crate::tx::TxError;

/// The way to the thread that copies.
#[derive(Debug)]
pub(super) struct Checkpointer {
    wake: SyncSender<()>,
    /// None: there is no thread, and the writer copies.
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    pub(super) fn start(path: PathBuf) -> Checkpointer {
        let (wake, woken) = sync_channel(1);
        let started = thread::Builder::new().name("doorward-copy".to_owned()).spawn(move || work(path, &woken));
        if let Err(error) = &started {
            tracing::warn!(%error, "could not start a thread to copy the log: some commits will wait for it");
        }
        Checkpointer { wake, thread: started.ok() }
    }

    /// Ends the thread, and waits for what it is copying.
    pub(super) fn end(self) {
        drop(self.wake);
        if let Some(thread) = self.thread {
            // One that panicked has ended as well.
            let _ = thread.join();
        }
    }

    /// Copies what is committed by now, soon.
    pub(super) fn wake(&self) {
        // It is at work, and will look again; or there is no thread, and the writer copies.
        let _ = self.wake.try_send(());
    }
}

fn work(path: PathBuf, woken: &Receiver<()>) {
    let mut open = None;
    while woken.recv().is_ok() {
        if let Err(error) = copy(&mut open, &path) {
            // The log grows until the next attempt. A disk that is full or gone fails the writer too, who says so.
            tracing::debug!(%error, "the log was not copied");
            open = None;
        }
    }
}

fn copy(open: &mut Option<Connection>, path: &Path) -> Result<(), TxError> {
    let connection = match open {
        Some(connection) => connection,
        none => none.insert(connection::open(path)?),
    };
    // Waits for nobody, and copies what no reader still needs as it was.
    let began = Instant::now();
    let pages = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get::<_, i64>(1));
    if pages.map_err(|error| connection::explain(&error))? >= i64::from(connection::LONG_LOG) {
        // While this one copies, the writer can't: it is let, so that the log ends.
        thread::sleep(began.elapsed());
    }
    Ok(())
}
