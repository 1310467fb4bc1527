//! A few threads that read, each with a connection of its own. In WAL mode they neither wait for the writer nor keep
//! it waiting.
//!
//! Easy to get wrong: a reader that stays in its transaction keeps the WAL from being checkpointed. Each operation's
//! ends with it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::connection;
use super::identity::Identity;
use super::queue::Queue;
use super::transaction::{SqliteTx, control, is_open, run};
use crate::error::StoreError;
use crate::tx::{Operation, TxError};

/// The way to the reader threads.
#[derive(Debug)]
pub(super) struct Readers {
    queue: Queue<Read>,
}

/// Reads on a connection, or hears why there is none; answers its caller, and says whether the connection is to be
/// kept.
type Read = Box<dyn FnOnce(Result<&mut Connection, TxError>) -> bool + Send>;

impl Readers {
    pub(super) fn start(path: &Path, identity: &Arc<Identity>) -> Result<Readers, StoreError> {
        let (queue, reads) = mpsc::channel(WAITING);
        let reads = Arc::new(Mutex::new(reads));
        let threads = thread::available_parallelism().map_or(2, |cores| cores.get().clamp(2, 4));
        let start = || {
            let (path, identity, reads) = (path.to_owned(), Arc::clone(identity), Arc::clone(&reads));
            thread::Builder::new()
                .name("doorward-read".to_owned())
                .spawn(move || work(path, &identity, &reads))
                .map_err(|error| StoreError::Unavailable(format!("no thread: {error}")))
        };
        let threads = (0..threads).map(|_| start()).collect::<Result<_, _>>()?;
        Ok(Readers { queue: Queue::new(queue, threads) })
    }

    /// How many operations wait for a thread.
    pub(super) fn waiting(&self) -> usize {
        self.queue.waiting()
    }

    /// Ends the threads, after what waits.
    pub(super) fn close(&self) {
        self.queue.close();
    }

    pub(super) async fn read<O: Operation>(&self, operation: O) -> Result<O::Output, StoreError> {
        let (caller, answer) = oneshot::channel();
        let read: Read = Box::new(move |connection| {
            if caller.is_closed() {
                return true;
            }
            let outcome = connection.and_then(|connection| read_in(connection, &operation));
            let healthy = !matches!(outcome, Err(TxError::Unavailable(_)));
            // The caller may have left meanwhile.
            let _ = caller.send(outcome.map_err(StoreError::from));
            healthy
        });
        self.queue.send(read, "too many reads are waiting")?;
        answer.await.map_err(|_| StoreError::Unavailable("a reader gave up".to_owned()))?
    }
}

fn work(path: PathBuf, identity: &Identity, reads: &Mutex<mpsc::Receiver<Read>>) {
    let mut open = None;
    loop {
        // One thread waits in the queue, the others for the lock; nothing can panic while it is held.
        let next = reads.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        let Some(read) = next else { return };
        let connection = identity.check().and_then(|()| match &mut open {
            Some(connection) => Ok(connection),
            none => connection::open(&path).map(|connection| none.insert(connection)),
        });
        if !read(connection) {
            open = None;
        }
    }
}

fn read_in<O: Operation>(connection: &mut Connection, operation: &O) -> Result<O::Output, TxError> {
    control(connection, "BEGIN")?;
    let outcome = run(operation, &mut SqliteTx::reading(connection));
    // SQLite may have ended the transaction itself, after an I/O error.
    if is_open(connection) {
        control(connection, "ROLLBACK")?;
    }
    outcome
}

/// Operations that may wait. Beyond it, callers must retry.
const WAITING: usize = 16_384;
