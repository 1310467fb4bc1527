//! The PostgreSQL engine: a pool of connections, one transaction an operation, run again when PostgreSQL asks.
//!
//! Writes are READ COMMITTED: a conditional UPDATE waits for the row's lock and looks at the condition again
//! (PostgreSQL manual, 13.2.1), which settles every race that the operations have. Reads are one snapshot.
//!
//! Easy to get wrong: COMMIT after a failed statement is answered like a success, and rolls back. An operation that
//! swallowed such an error must not count as done. And a COMMIT whose answer is lost may have happened: the server is
//! asked for its outcome, since a client that retries would otherwise replay its own code.

mod connection;
mod fate;
mod held_lock;
mod listener;
mod transaction;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool_postgres::{Client, Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod};
use deadpool_postgres::{Runtime, Status, TimeoutType, Transaction};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_postgres::{IsolationLevel, error::SqlState};

use self::connection::Server;
use self::fate::Name;
use self::listener::Listener;
use self::transaction::{PostgresTx, explain};
use crate::error::StoreError;
use crate::load::{Connections, Load};
use crate::tx::{Operation, TxError, Urgency};

pub use self::connection::UnsafeDurability;
pub(crate) use self::held_lock::HeldLock;

/// A database on a PostgreSQL server.
pub(crate) struct Postgres {
    pool: Pool,
    /// For the queries that decide whether the server may continue, so that requests can't use up its connections.
    vital: Pool,
    server: Server,
    hints: watch::Sender<u64>,
    commits: AtomicU64,
    /// Listens from the first time that somebody wants to hear of changes.
    listener: OnceLock<Listener>,
}

impl Postgres {
    /// Reads the URL, and connects once so that a wrong one is found at the start.
    pub(crate) async fn open(url: &str) -> Result<Postgres, StoreError> {
        let server = Server::parse(url)?;
        let (hints, listener) = (watch::Sender::new(0), OnceLock::new());
        let (pool, vital) = (pool(&server, CONNECTIONS)?, pool(&server, VITAL_CONNECTIONS)?);
        let postgres = Postgres { pool, vital, server, hints, commits: AtomicU64::new(0), listener };
        drop(postgres.client(Urgency::Request).await?);
        Ok(postgres)
    }

    pub(crate) async fn write<O: Operation>(&self, operation: &O) -> Result<O::Output, StoreError> {
        self.run(operation, Access::Write).await
    }

    pub(crate) async fn read<O: Operation>(&self, operation: &O) -> Result<O::Output, StoreError> {
        self.run(operation, Access::Read).await
    }

    pub(crate) fn change_hints(&self) -> watch::Receiver<u64> {
        self.listener.get_or_init(|| Listener::start(self.server.clone(), self.hints.clone()));
        self.hints.subscribe()
    }

    pub(crate) fn load(&self) -> Load {
        let Status { max_size, size, available, waiting } = self.pool.status();
        let commits = self.commits.load(Ordering::Relaxed);
        let connections = Connections { in_use: size.saturating_sub(available), idle: available, most: max_size };
        Load { waiting, commits, committed_operations: commits, connections: Some(connections) }
    }

    /// Which of the server's settings lets it lose what it has acknowledged, if any does.
    pub(crate) async fn unsafe_durability(&self) -> Result<Option<UnsafeDurability>, StoreError> {
        let client = self.client(Urgency::Vital).await?;
        Ok(connection::unsafe_durability(&client).await.map_err(|error| explain(&error))?)
    }

    /// Takes a lock with a connection that lives as long as it is held, unless somebody has it.
    pub(crate) async fn try_lock(&self, number: i64) -> Result<Option<HeldLock>, StoreError> {
        let client = self.client(Urgency::Patient).await?;
        Ok(HeldLock::acquire(client, number).await?)
    }

    async fn run<O: Operation>(&self, operation: &O, access: Access) -> Result<O::Output, StoreError> {
        let run = self.run_to_its_end(operation, access);
        let outcome = match O::URGENCY {
            Urgency::Patient => run.await,
            Urgency::Request | Urgency::Vital => timeout(DEADLINE, run).await.unwrap_or_else(|_| Err(late())),
        };
        outcome.map_err(StoreError::from)
    }

    async fn run_to_its_end<O: Operation>(&self, operation: &O, access: Access) -> Result<O::Output, TxError> {
        let mut attempt = 1;
        loop {
            match self.attempt(operation, access).await {
                Err(TxError::Retry) if attempt < ATTEMPTS => {
                    sleep(PAUSE * attempt).await;
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    async fn attempt<O: Operation>(&self, operation: &O, access: Access) -> Result<O::Output, TxError> {
        let mut lease = Lease(Some(self.client(O::URGENCY).await?));
        let outcome = match access {
            Access::Read => read_in(lease.client(), operation).await,
            Access::Write => self.write_in(lease.client(), operation).await,
        };
        // It may be connected to a server that has become a read-only replica. A new connection asks again.
        if !matches!(outcome, Err(TxError::Unavailable(_))) {
            lease.give_back();
        }
        outcome
    }

    async fn write_in<O: Operation>(&self, client: &mut Client, operation: &O) -> Result<O::Output, TxError> {
        let transaction = begin(client, Access::Write).await?;
        let mut tx = PostgresTx::new(&transaction, true);
        // The name of the transaction is asked for on the way of its first statement, so that it costs no time.
        let (name, outcome) = tokio::join!(Name::of(&transaction), operation.run(&mut tx));
        let announced = tx.announced();
        let output = tx.end(outcome).map_err(|error| nothing_happened(error, &transaction))?;
        let name = name?;
        if let Err(error) = transaction.commit().await {
            match explain(&error) {
                TxError::Unavailable(reason) => self.await_fate(&name, reason).await?,
                error => return Err(error),
            }
        }
        self.commits.fetch_add(1, Ordering::Relaxed);
        if announced {
            self.hints.send_modify(|count| *count = count.wrapping_add(1));
            // Outside of the transaction, because it is only a hint: inside, NOTIFY takes a lock of the whole
            // cluster at the commit, and engines that speak PostgreSQL's protocol without it would refuse the write.
            let _ = client.batch_execute(listener::NOTIFY).await;
        }
        Ok(output)
    }

    /// What became of a transaction whose COMMIT was not answered: done, or to be run again.
    async fn await_fate(&self, name: &Name, reason: String) -> Result<(), TxError> {
        let unknown = || TxError::Unavailable(format!("{reason}; whether the transaction was committed is not known"));
        for attempt in 1..=ATTEMPTS {
            if let Ok(client) = self.client(Urgency::Vital).await {
                match name.fate(&client).await.as_deref() {
                    Ok("committed") => return Ok(()),
                    Ok("aborted") => return Err(TxError::Retry),
                    Ok("in progress") | Err(TxError::Unavailable(_)) => {}
                    // The server does not remember it, or knows no such question.
                    _ => return Err(unknown()),
                }
            }
            sleep(FATE_PAUSE * attempt).await;
        }
        Err(unknown())
    }

    async fn client(&self, urgency: Urgency) -> Result<Client, TxError> {
        let pool = if urgency == Urgency::Vital { &self.vital } else { &self.pool };
        pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) if error.code() == Some(&SqlState::CANNOT_CONNECT_NOW) => TxError::Retry,
            error => TxError::Unavailable(match error {
                PoolError::Backend(error) => connection::reason(&error),
                PoolError::PostCreateHook(HookError::Backend(error)) => connection::reason(&error),
                PoolError::PostCreateHook(HookError::Message(message)) => message.into_owned(),
                PoolError::Timeout(TimeoutType::Wait) => "every connection is in use".to_owned(),
                error => error.to_string(),
            }),
        })
    }
}

fn pool(server: &Server, size: usize) -> Result<Pool, StoreError> {
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = match server.tls.clone() {
        None => Manager::from_config(server.config.clone(), tokio_postgres::NoTls, recycling),
        Some(tls) => Manager::from_config(server.config.clone(), tls, recycling),
    };
    let prepare = Hook::async_fn(|client, _| Box::pin(async move { connection::prepare(client).await }));
    Pool::builder(manager)
        .max_size(size)
        .runtime(Runtime::Tokio1)
        .post_create(prepare)
        .wait_timeout(Some(WAIT))
        .create_timeout(Some(connection::CONNECT))
        .recycle_timeout(Some(WAIT))
        .build()
        .map_err(|error| StoreError::Fault(error.to_string()))
}

/// A connection that goes back to its pool only if all went well: one whose answer never came is of no use to others.
struct Lease(Option<Client>);

impl Lease {
    fn client(&mut self) -> &mut Client {
        self.0.as_mut().expect("it is given back at the end")
    }

    fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            drop(Object::take(client));
        }
    }
}

fn late() -> TxError {
    TxError::Unavailable(format!("PostgreSQL did not answer within {} s", DEADLINE.as_secs_f32()))
}

/// An error from before the COMMIT. If the connection is gone, nothing has happened, and another one may serve.
fn nothing_happened(error: TxError, transaction: &Transaction<'_>) -> TxError {
    match error {
        TxError::Unavailable(_) if transaction.client().is_closed() => TxError::Retry,
        error => error,
    }
}

impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Postgres").finish_non_exhaustive()
    }
}

#[derive(Clone, Copy)]
enum Access {
    Read,
    Write,
}

async fn begin(client: &mut Client, access: Access) -> Result<Transaction<'_>, TxError> {
    let transaction = match access {
        Access::Read => client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true),
        Access::Write => client.build_transaction().isolation_level(IsolationLevel::ReadCommitted),
    };
    match transaction.start().await {
        Ok(transaction) => Ok(transaction),
        // A connection that died in the pool; nothing has happened yet, so another one may serve.
        Err(error) if connection::is_broken(&error) => Err(TxError::Retry),
        Err(error) => Err(explain(&error)),
    }
}

async fn read_in<O: Operation>(client: &mut Client, operation: &O) -> Result<O::Output, TxError> {
    let transaction = begin(client, Access::Read).await?;
    let mut tx = PostgresTx::new(&transaction, false);
    let outcome = operation.run(&mut tx).await;
    // Dropping the transaction sends the ROLLBACK without waiting for the answer.
    tx.end(outcome)
}

/// Connections at most. PostgreSQL does its best work with a few per core.
const CONNECTIONS: usize = 16;

/// Of those, for the queries that decide whether the server may continue.
const VITAL_CONNECTIONS: usize = 2;

/// How long to wait for one of them.
const WAIT: Duration = Duration::from_secs(2);

/// How long an operation may take in total before its caller must retry. A caller that waits longer gives up without
/// having learned anything.
const DEADLINE: Duration = Duration::from_millis(4_500);

/// How long to wait before the server is asked again what became of a transaction.
const FATE_PAUSE: Duration = Duration::from_millis(50);

/// How often an operation is run before its caller must retry.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(5);
