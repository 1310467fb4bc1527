//! The PostgreSQL engine: a pool of connections, one transaction an operation, run again when PostgreSQL asks.
//!
//! Writes are READ COMMITTED: a conditional UPDATE waits for the row's lock and looks at the condition again
//! (PostgreSQL manual, 13.2.1), which settles every race that the operations have. Reads are one snapshot.
//!
//! Easy to get wrong: COMMIT after a failed statement is answered like a success, and rolls back. An operation that
//! swallowed such an error must not be taken for done.

mod connection;
mod listener;
mod transaction;

use std::sync::OnceLock;
use std::time::Duration;

use deadpool_postgres::{
    Client, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType,
};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_postgres::IsolationLevel;

use self::connection::Server;
use self::listener::Listener;
use self::transaction::{PostgresTx, explain};
use crate::error::StoreError;
use crate::tx::{Operation, TxError};

/// A database on a PostgreSQL server.
pub(crate) struct Postgres {
    pool: Pool,
    server: Server,
    hints: watch::Sender<u64>,
    /// Listens from the first time that somebody wants to hear of changes.
    listener: OnceLock<Listener>,
}

impl Postgres {
    /// Reads the URL, and connects once so that a wrong one is found at the start.
    pub(crate) async fn open(url: &str) -> Result<Postgres, StoreError> {
        let server = Server::parse(url)?;
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = match server.tls.clone() {
            None => Manager::from_config(server.config.clone(), tokio_postgres::NoTls, recycling),
            Some(tls) => Manager::from_config(server.config.clone(), tls, recycling),
        };
        let pool = Pool::builder(manager)
            .max_size(CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(WAIT))
            .create_timeout(Some(connection::CONNECT))
            .recycle_timeout(Some(WAIT))
            .build()
            .map_err(|error| StoreError::Fault(error.to_string()))?;
        let postgres = Postgres { pool, server, hints: watch::Sender::new(0), listener: OnceLock::new() };
        drop(postgres.client().await?);
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

    async fn run<O: Operation>(&self, operation: &O, access: Access) -> Result<O::Output, StoreError> {
        let mut attempt = 1;
        loop {
            match self.attempt(operation, access).await {
                Err(TxError::Retry) if attempt < ATTEMPTS => {
                    sleep(PAUSE * attempt).await;
                    attempt += 1;
                }
                outcome => return outcome.map_err(StoreError::from),
            }
        }
    }

    async fn attempt<O: Operation>(&self, operation: &O, access: Access) -> Result<O::Output, TxError> {
        let mut client = self.client().await?;
        let outcome = match access {
            Access::Read => read_in(&mut client, operation).await,
            Access::Write => self.write_in(&mut client, operation).await,
        };
        if let Err(TxError::Unavailable(_)) = outcome {
            // It may be connected to a server that has become a read-only replica. Another one asks anew.
            drop(Object::take(client));
        }
        outcome
    }

    async fn write_in<O: Operation>(&self, client: &mut Client, operation: &O) -> Result<O::Output, TxError> {
        let mut tx = begin(client, Access::Write).await?;
        let outcome = operation.run(&mut tx).await;
        let announced = tx.announced();
        let output = tx.commit(outcome).await?;
        if announced {
            self.hints.send_modify(|count| *count = count.wrapping_add(1));
            // Outside of the transaction, because it is only a hint: inside, NOTIFY takes a lock of the whole
            // cluster at the commit, and engines that speak PostgreSQL's protocol without it would refuse the write.
            let _ = client.batch_execute(listener::NOTIFY).await;
        }
        Ok(output)
    }

    async fn client(&self) -> Result<Client, TxError> {
        self.pool.get().await.map_err(|error| {
            TxError::Unavailable(match error {
                PoolError::Backend(error) => connection::reason(&error),
                PoolError::Timeout(TimeoutType::Wait) => "every connection is in use".to_owned(),
                error => error.to_string(),
            })
        })
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

async fn begin(client: &mut Client, access: Access) -> Result<PostgresTx<'_>, TxError> {
    let transaction = match access {
        Access::Read => client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true),
        Access::Write => client.build_transaction().isolation_level(IsolationLevel::ReadCommitted),
    };
    match transaction.start().await {
        Ok(transaction) => Ok(PostgresTx::new(transaction, matches!(access, Access::Write))),
        // A connection that died in the pool; nothing has happened yet, so another one may serve.
        Err(error) if error.is_closed() => Err(TxError::Retry),
        Err(error) => Err(explain(&error)),
    }
}

async fn read_in<O: Operation>(client: &mut Client, operation: &O) -> Result<O::Output, TxError> {
    let mut tx = begin(client, Access::Read).await?;
    let outcome = operation.run(&mut tx).await;
    // Dropping it sends the ROLLBACK without waiting for the answer.
    tx.end(outcome)
}

/// Connections at most. PostgreSQL does its best work with a few per core.
const CONNECTIONS: usize = 16;

/// How long to wait for one of them.
const WAIT: Duration = Duration::from_secs(2);

/// How often an operation is run, before its caller is told to come back.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(5);
