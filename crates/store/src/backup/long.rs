//! Work that is longer than a request's: the bounds of a session on PostgreSQL are meant for those.

use crate::error::StoreError;
use crate::store::{Engine, Store};
use crate::tx::{Operation, Tx, TxError, Urgency};

impl Store {
    /// Reads for as long as it takes.
    pub(super) async fn read_long<O: Operation>(&self, work: O) -> Result<O::Output, StoreError> {
        self.read(Long { before: self.before_long_work(), work }).await
    }

    /// Writes for as long as it takes.
    pub(super) async fn write_long<O: Operation>(&self, work: O) -> Result<O::Output, StoreError> {
        self.write(Long { before: self.before_long_work(), work }).await
    }

    fn before_long_work(&self) -> &'static [&'static str] {
        match &*self.engine {
            Engine::Postgres(_) => &[
                "SET LOCAL statement_timeout = 0",
                "SET LOCAL lock_timeout = '10s'",
                "SET LOCAL idle_in_transaction_session_timeout = 0",
            ],
            Engine::Sqlite(_) => &[],
        }
    }
}

/// An operation without the bounds of a request.
#[derive(Clone)]
struct Long<O> {
    before: &'static [&'static str],
    work: O,
}

impl<O: Operation> Operation for Long<O> {
    type Output = O::Output;

    const URGENCY: Urgency = Urgency::Patient;

    async fn run(&self, tx: &mut impl Tx) -> Result<O::Output, TxError> {
        for statement in self.before {
            tx.execute(statement, &[]).await?;
        }
        self.work.run(tx).await
    }
}
