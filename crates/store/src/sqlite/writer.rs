//! The one thread that writes: takes every operation that waits, runs them inside one transaction, commits once, and
//! only then answers. If one fails, all are run again, each in a SAVEPOINT of its own.
//!
//! Easy to get wrong: an outcome is worth nothing before the COMMIT. If that fails, or SQLite gave the transaction up
//! on the way, every operation of the group gets the error, also those that had gone well.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};

use super::checkpointer::Checkpointer;
use super::connection;
use super::identity::Identity;
use super::in_use;
use super::queue::Queue;
use super::transaction::{SqliteTx, control, is_open, run};
use crate::error::StoreError;
use crate::load::Load;
use crate::tx::{Operation, TxError};

/// The way to the writer thread.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Queue<Box<dyn Job>>,
    is_serving: Arc<AtomicBool>,
    done: Arc<Done>,
}

/// What has been committed since the database was opened.
#[derive(Debug, Default)]
struct Done {
    commits: AtomicU64,
    operations: AtomicU64,
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        path: PathBuf,
        identity: Arc<Identity>,
        hints: watch::Sender<u64>,
    ) -> Result<Writer, StoreError> {
        let (queue, jobs) = mpsc::channel(WAITING);
        let checkpointer = Checkpointer::start(path.clone());
        let is_serving = Arc::new(AtomicBool::new(false));
        let done = Arc::new(Done::default());
        let committer = Committer {
            connection: Some(connection),
            path,
            identity,
            hints,
            checkpointer,
            uncopied: 0,
            is_serving: Arc::clone(&is_serving),
            done: Arc::clone(&done),
        };
        let thread = thread::Builder::new()
            .name("doorward-write".to_owned())
            .spawn(move || committer.work(jobs))
            .map_err(|error| StoreError::Unavailable(format!("no thread: {error}")))?;
        Ok(Writer { queue: Queue::new(queue, vec![thread]), is_serving, done })
    }

    /// What waits to be written, and what has been.
    pub(super) fn load(&self) -> Load {
        Load {
            waiting: self.queue.waiting(),
            commits: self.done.commits.load(Ordering::Relaxed),
            committed_operations: self.done.operations.load(Ordering::Relaxed),
            connections: None,
        }
    }

    /// Says that from here on the process serves: its end takes the mark away that says so in the database.
    pub(super) fn serve(&self) {
        self.is_serving.store(true, Ordering::Relaxed);
    }

    /// Ends the thread, which copies the log into the database before.
    pub(super) fn close(&self) {
        self.queue.close();
    }

    pub(super) async fn write<O: Operation>(&self, operation: O) -> Result<O::Output, StoreError> {
        let (caller, answer) = oneshot::channel();
        let job = Waiting { operation, outcome: None, caller };
        self.queue.send(Box::new(job), "too many writes are waiting")?;
        answer.await.map_err(|_| StoreError::Unavailable("the writer gave up".to_owned()))?
    }
}

/// An operation in the queue, whatever its type.
trait Job: Send {
    /// Runs it and keeps its outcome. Says whether its effects are to stay.
    fn run(&mut self, tx: &mut SqliteTx<'_>) -> bool;

    /// Whether somebody still waits for it.
    fn is_wanted(&self) -> bool;

    /// Whether it ran, and its effects are to stay.
    fn stays(&self) -> bool;

    /// Gives the caller the outcome, or the error that befell the whole group.
    fn answer(self: Box<Self>, group: Result<(), TxError>);
}

struct Waiting<O: Operation> {
    operation: O,
    outcome: Option<Result<O::Output, TxError>>,
    caller: oneshot::Sender<Result<O::Output, StoreError>>,
}

impl<O: Operation> Job for Waiting<O> {
    fn run(&mut self, tx: &mut SqliteTx<'_>) -> bool {
        let outcome = run(&self.operation, tx);
        let stays = outcome.is_ok();
        self.outcome = Some(outcome);
        stays
    }

    fn is_wanted(&self) -> bool {
        !self.caller.is_closed()
    }

    fn stays(&self) -> bool {
        self.outcome.as_ref().is_some_and(Result::is_ok)
    }

    fn answer(self: Box<Self>, group: Result<(), TxError>) {
        let Waiting { outcome, caller, .. } = *self;
        let answer = match (group, outcome) {
            (Err(error), _) => Err(error),
            (Ok(()), Some(outcome)) => outcome,
            // Skipped, because nobody waits for it.
            (Ok(()), None) => return,
        };
        // The caller may have left in the meantime. The write remains.
        let _ = caller.send(answer.map_err(StoreError::from));
    }
}

struct Committer {
    /// None after a failure; opened again for the next group.
    connection: Option<Connection>,
    path: PathBuf,
    identity: Arc<Identity>,
    hints: watch::Sender<u64>,
    checkpointer: Checkpointer,
    /// Operations committed since the log was to be copied.
    uncopied: usize,
    is_serving: Arc<AtomicBool>,
    done: Arc<Done>,
}

impl Committer {
    fn work(mut self, mut jobs: mpsc::Receiver<Box<dyn Job>>) {
        let mut group = Vec::with_capacity(GROUP);
        while jobs.blocking_recv_many(&mut group, GROUP) > 0 {
            // Operations catch their own panics. Should anything else panic, the callers of this group hear that the
            // writer gave up, and the next group gets a fresh connection.
            let survived = catch_unwind(AssertUnwindSafe(|| self.serve(mem::take(&mut group))));
            if survived.is_err() {
                self.close();
            }
        }
        self.end();
    }

    /// Closes the database. SQLite itself copies the log and removes it when the last connection of all processes is
    /// closed. A server copies it also beside others, so that the file alone is whole.
    fn end(self) {
        self.checkpointer.end();
        let ended = match (self.is_serving.load(Ordering::Relaxed), self.connection) {
            (true, Some(open)) => in_use::end(&open),
            // Another database under the same name is somebody else's to end.
            (true, None) => self
                .identity
                .check()
                .and_then(|()| connection::open_for_writing(&self.path))
                .and_then(|open| in_use::end(&open)),
            (false, Some(open)) => in_use::leave(open, self.path.parent().unwrap_or(Path::new("."))),
            (false, None) => Ok(()),
        };
        if let Err(error) = ended {
            tracing::warn!(
                %error,
                "the database's log was not copied completely: a copy of the database needs doorward.db-wal beside it"
            );
        }
    }

    fn serve(&mut self, mut group: Vec<Box<dyn Job>>) {
        let committed = self.commit(&mut group);
        if committed.is_ok() {
            self.done.commits.fetch_add(1, Ordering::Relaxed);
            let stay = group.iter().filter(|job| job.stays()).count();
            self.done.operations.fetch_add(stay as u64, Ordering::Relaxed);
        }
        match &committed {
            Ok(true) => self.hints.send_modify(|count| *count = count.wrapping_add(1)),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, operations = group.len(), "a group of operations was not committed");
                self.close();
            }
        }
        self.uncopied += group.len();
        if self.uncopied >= UNCOPIED {
            self.uncopied = 0;
            self.checkpointer.wake();
        }
        for job in group {
            job.answer(committed.clone().map(drop));
        }
    }

    /// Closes the connection; the next group opens another one.
    fn close(&mut self) {
        self.identity.forget_log();
        self.connection = None;
    }

    /// Says whether one of the operations that stay has appended to the changes log.
    fn commit(&mut self, group: &mut [Box<dyn Job>]) -> Result<bool, TxError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => {
                // Another database under the same name is not opened in its place.
                self.identity.check()?;
                none.insert(connection::open_for_writing(&self.path)?)
            }
        };
        control(connection, "BEGIN IMMEDIATE")?;
        let announced = match run_all(connection, group)? {
            Some(announced) => announced,
            None => {
                control(connection, "ROLLBACK")?;
                control(connection, "BEGIN IMMEDIATE")?;
                run_each_apart(connection, group)?
            }
        };
        // As late as possible: what is committed into a file that is gone must not be acknowledged.
        self.identity.check()?;
        control(connection, "COMMIT")?;
        Ok(announced)
    }
}

/// Runs the operations without a way to take one of them back: a savepoint keeps a copy of each page that changes, and
/// hardly ever does one fail. Says whether one has appended to the changes log; `None` as soon as one has failed.
fn run_all(connection: &mut Connection, group: &mut [Box<dyn Job>]) -> Result<Option<bool>, TxError> {
    let mut announced = false;
    for job in group.iter_mut().filter(|job| job.is_wanted()) {
        let (stays, announces) = run_one(connection, job)?;
        if !stays {
            return Ok(None);
        }
        announced |= announces;
    }
    Ok(Some(announced))
}

/// Runs the operations and takes back those that fail. Says whether one that stays has appended to the changes log.
fn run_each_apart(connection: &mut Connection, group: &mut [Box<dyn Job>]) -> Result<bool, TxError> {
    let mut announced = false;
    for job in group.iter_mut().filter(|job| job.is_wanted()) {
        control(connection, "SAVEPOINT operation")?;
        let (stays, announces) = run_one(connection, job)?;
        if !stays {
            control(connection, "ROLLBACK TO operation")?;
        }
        control(connection, "RELEASE operation")?;
        announced |= stays && announces;
    }
    Ok(announced)
}

/// Runs one operation. Says whether its effects are to stay, and whether it has appended to the changes log.
fn run_one(connection: &mut Connection, job: &mut Box<dyn Job>) -> Result<(bool, bool), TxError> {
    let mut tx = SqliteTx::writing(connection);
    let stays = job.run(&mut tx);
    let announces = tx.announced();
    if !is_open(connection) {
        return Err(TxError::Unavailable("SQLite rolled the transaction back: disk full, or an I/O error".to_owned()));
    }
    Ok((stays, announces))
}

/// Operations that may wait. Beyond it, callers must retry. This is above what a second's commits take, so that only a
/// stalled disk fills it.
const WAITING: usize = 16_384;

/// After how many operations the log is copied. Each changes a few pages, so that this is SQLite's own measure, a
/// thousand of them.
const UNCOPIED: usize = 256;

/// Operations in one commit at most, which bounds how long the first of them waits for the last.
const GROUP: usize = 256;
