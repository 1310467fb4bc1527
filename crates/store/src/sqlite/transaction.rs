//! [`Tx`] on an SQLite connection, and the one poll that runs an operation on it.
//!
//! Easy to get wrong: SQLite numbers parameters by their first appearance, so in `$2 … $1` the first is `$2`. They
//! are bound by name.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection};

use super::connection::explain;
use crate::changes::Change;
use crate::tx::{Operation, Row, Tx, TxError, Value};

/// The transaction that is open on a connection.
pub(super) struct SqliteTx<'c> {
    // Exclusive, because a shared borrow of a connection can't be sent to another thread.
    connection: &'c mut Connection,
    writable: bool,
    failure: Option<TxError>,
    announced: bool,
}

impl<'c> SqliteTx<'c> {
    pub(super) fn writing(connection: &'c mut Connection) -> SqliteTx<'c> {
        SqliteTx { connection, writable: true, failure: None, announced: false }
    }

    /// Refuses every statement that writes, which is its operation's fault.
    pub(super) fn reading(connection: &'c mut Connection) -> SqliteTx<'c> {
        SqliteTx { writable: false, ..SqliteTx::writing(connection) }
    }

    /// Whether the operation appended to the changes log.
    pub(super) fn announced(&self) -> bool {
        self.announced
    }

    fn remember<T>(&mut self, statement: impl FnOnce(&Connection) -> Result<T, TxError>) -> Result<T, TxError> {
        let outcome = statement(self.connection);
        if let Err(error) = &outcome {
            self.failure.get_or_insert_with(|| error.clone());
        }
        outcome
    }
}

impl Tx for SqliteTx<'_> {
    async fn query(&mut self, sql: &'static str, params: &[Value]) -> Result<Vec<Row>, TxError> {
        let writable = self.writable;
        self.remember(|connection| query(bound(connection, sql, params, writable)?))
    }

    async fn execute(&mut self, sql: &'static str, params: &[Value]) -> Result<u64, TxError> {
        let writable = self.writable;
        self.remember(|connection| {
            let before = connection.total_changes();
            bound(connection, sql, params, writable).and_then(exhaust).map(|()| changed_since(connection, before))
        })
    }

    fn announce(&mut self, _: Change) {
        self.announced = true;
    }
}

/// Runs an operation to its end, here and now. A panic in it is its failure, not the thread's.
pub(super) fn run<O: Operation>(operation: &O, tx: &mut SqliteTx<'_>) -> Result<O::Output, TxError> {
    let polled = catch_unwind(AssertUnwindSafe(|| {
        let future = pin!(operation.run(tx));
        future.poll(&mut Context::from_waker(Waker::noop()))
    }));
    match polled {
        Ok(Poll::Ready(outcome)) => {
            let output = outcome?;
            tx.failure.take().map_or(Ok(output), Err)
        }
        Ok(Poll::Pending) => {
            Err(TxError::Defect("an operation awaited something else than its transaction".to_owned()))
        }
        Err(_) => Err(TxError::Defect("an operation panicked".to_owned())),
    }
}

/// Runs a statement that has no parameters and gives no rows, such as COMMIT.
pub(super) fn control(connection: &Connection, sql: &'static str) -> Result<(), TxError> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.raw_execute())
        .map(drop)
        .map_err(|error| explain(&error))
}

fn query(mut statement: CachedStatement<'_>) -> Result<Vec<Row>, TxError> {
    let mut columns: Option<Arc<str>> = None;
    let mut found = Vec::new();
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(|error| explain(&error))? {
        let columns = columns.get_or_insert_with(|| row.as_ref().column_names().collect::<Vec<_>>().join("\0").into());
        let values = (0..row.as_ref().column_count()).map(|index| value(row, index)).collect::<Result<_, _>>()?;
        found.push(Row::new(Arc::clone(columns), values));
    }
    Ok(found)
}

/// Runs a statement for its effect, whatever rows it gives.
fn exhaust(mut statement: CachedStatement<'_>) -> Result<(), TxError> {
    let mut rows = statement.raw_query();
    while rows.next().map_err(|error| explain(&error))?.is_some() {}
    Ok(())
}

/// The rows that the last statement wrote. SQLite keeps the number of an earlier one when the last wrote none.
fn changed_since(connection: &Connection, before: u64) -> u64 {
    if connection.total_changes() == before { 0 } else { connection.changes() }
}

fn bound<'c>(
    connection: &'c Connection,
    sql: &str,
    params: &[Value],
    writable: bool,
) -> Result<CachedStatement<'c>, TxError> {
    let mut statement = connection.prepare_cached(sql).map_err(|error| explain(&error))?;
    if !writable && !statement.readonly() {
        return Err(TxError::Defect(format!("a read writes: {sql}")));
    }
    if statement.parameter_count() != params.len() {
        return Err(TxError::Defect(format!(
            "{} parameters given, {} expected: {sql}",
            params.len(),
            statement.parameter_count()
        )));
    }
    for index in 1..=params.len() {
        let value = statement
            .parameter_name(index)
            .and_then(|name| name.strip_prefix('$')?.parse::<usize>().ok()?.checked_sub(1))
            .and_then(|index| params.get(index))
            .ok_or_else(|| TxError::Defect(format!("a parameter is not one of $1…: {sql}")))?;
        if matches!(value, Value::Text(text) if text.contains('\0')) {
            return Err(TxError::Defect("a text holds U+0000".to_owned()));
        }
        statement.raw_bind_parameter(index, value).map_err(|error| explain(&error))?;
    }
    Ok(statement)
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Int(number) => ValueRef::Integer(*number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

fn value(row: &rusqlite::Row<'_>, index: usize) -> Result<Value, TxError> {
    let wrong = |problem| Err(TxError::column(row.as_ref().column_name(index).unwrap_or_default(), problem));
    match row.get_ref(index).map_err(|error| explain(&error))? {
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Integer(number) => Ok(Value::Int(number)),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => Ok(Value::Text(text.to_owned())),
            Err(_) => wrong("is not UTF-8"),
        },
        ValueRef::Blob(bytes) => Ok(Value::Bytes(bytes.to_vec())),
        ValueRef::Real(_) => wrong("is a floating-point number"),
    }
}

/// Whether the connection still is in the transaction that was begun: SQLite ends it by itself after some errors,
/// a full disk among them.
pub(super) fn is_open(connection: &Connection) -> bool {
    !connection.is_autocommit()
}
