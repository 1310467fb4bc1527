//! A bounded queue to threads, which end when it is closed, after what it holds.

use std::fmt;
use std::sync::{Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::error::StoreError;

/// The way to threads that take their work from one queue.
pub(super) struct Queue<T> {
    /// None once it is closed.
    sender: RwLock<Option<mpsc::Sender<T>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl<T> Queue<T> {
    pub(super) fn new(sender: mpsc::Sender<T>, threads: Vec<JoinHandle<()>>) -> Queue<T> {
        Queue { sender: RwLock::new(Some(sender)), threads: Mutex::new(threads) }
    }

    /// Adds to the queue. `full` is what a caller hears for whom there is no room.
    pub(super) fn send(&self, work: T, full: &'static str) -> Result<(), StoreError> {
        let sender = self.sender.read().unwrap_or_else(PoisonError::into_inner);
        let Some(sender) = &*sender else { return Err(StoreError::Unavailable(CLOSED.to_owned())) };
        sender.try_send(work).map_err(|error| {
            let reason = match error {
                TrySendError::Closed(_) => CLOSED,
                TrySendError::Full(_) => full,
            };
            StoreError::Unavailable(reason.to_owned())
        })
    }

    pub(super) fn waiting(&self) -> usize {
        let sender = self.sender.read().unwrap_or_else(PoisonError::into_inner);
        sender.as_ref().map_or(0, |sender| sender.max_capacity() - sender.capacity())
    }

    /// Takes nothing more, and waits until the threads have done what is in the queue and have ended.
    pub(super) fn close(&self) {
        drop(self.sender.write().unwrap_or_else(PoisonError::into_inner).take());
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A thread that panicked has ended as well.
            let _ = thread.join();
        }
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

const CLOSED: &str = "the database is closed";
