//! [`Tx`] on a PostgreSQL connection: prepared statements, values in binary, errors by SQLSTATE.
//!
//! Source: PostgreSQL manual, appendix A. Easy to get wrong: the driver's own texts include DETAIL, which repeats the
//! values of the row; only code and message are passed on.

use std::error::Error;
use std::sync::Arc;

use bytes::BytesMut;
use deadpool_postgres::Transaction;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, WrongType, to_sql_checked};
use tokio_postgres::{Column, Statement};

use super::connection::{is_broken, reason};
use crate::changes::Change;
use crate::tx::{Row, Tx, TxError, Value};

/// The transaction that is open on a connection.
pub(super) struct PostgresTx<'t> {
    transaction: &'t Transaction<'t>,
    writable: bool,
    failure: Option<TxError>,
    announced: bool,
}

impl<'t> PostgresTx<'t> {
    pub(super) fn new(transaction: &'t Transaction<'t>, writable: bool) -> PostgresTx<'t> {
        PostgresTx { transaction, writable, failure: None, announced: false }
    }

    /// What the operation gave, if each of its statements went well: only then may it be committed.
    pub(super) fn end<T>(self, outcome: Result<T, TxError>) -> Result<T, TxError> {
        let output = outcome?;
        self.failure.map_or(Ok(output), Err)
    }

    /// Whether the operation appended to the changes log.
    pub(super) fn announced(&self) -> bool {
        self.announced
    }

    async fn prepare(&self, sql: &'static str) -> Result<Statement, TxError> {
        match self.transaction.prepare_cached(sql).await {
            Ok(statement) => Ok(statement),
            Err(error) => Err(self.explain(&error)),
        }
    }

    fn explain(&self, error: &tokio_postgres::Error) -> TxError {
        // A migration changed what a prepared statement gives (a code that it shares with much else), or a pooler in
        // between has switched connections.
        let stale = error.as_db_error().is_some_and(|database| {
            *database.code() == SqlState::INVALID_SQL_STATEMENT_NAME
                || (*database.code() == SqlState::FEATURE_NOT_SUPPORTED
                    && database.routine() == Some("RevalidateCachedQuery"))
        });
        if stale {
            self.transaction.statement_cache.clear();
            return TxError::Retry;
        }
        // Before the COMMIT nothing has happened, and another connection may serve.
        if is_broken(error) {
            return TxError::Retry;
        }
        match explain(error) {
            // Without this, a read that writes would be taken for a replica's refusal.
            TxError::Unavailable(reason)
                if !self.writable && error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION) =>
            {
                TxError::Defect(reason)
            }
            explained => explained,
        }
    }

    fn remember<T>(&mut self, outcome: Result<T, TxError>) -> Result<T, TxError> {
        if let Err(error) = &outcome {
            self.failure.get_or_insert_with(|| error.clone());
        }
        outcome
    }
}

impl Tx for PostgresTx<'_> {
    async fn query(&mut self, sql: &'static str, params: &[Value]) -> Result<Vec<Row>, TxError> {
        let outcome = async {
            let statement = self.prepare(sql).await?;
            let rows =
                self.transaction.query(&statement, &borrowed(params)).await.map_err(|error| self.explain(&error))?;
            let columns = statement.columns();
            let names: Arc<str> = columns.iter().map(Column::name).collect::<Vec<_>>().join("\0").into();
            rows.iter()
                .map(|row| {
                    let values = columns.iter().enumerate().map(|(index, column)| value(row, index, column));
                    Ok(Row::new(Arc::clone(&names), values.collect::<Result<_, _>>()?))
                })
                .collect()
        }
        .await;
        self.remember(outcome)
    }

    async fn execute(&mut self, sql: &'static str, params: &[Value]) -> Result<u64, TxError> {
        let outcome = async {
            let statement = self.prepare(sql).await?;
            self.transaction.execute(&statement, &borrowed(params)).await.map_err(|error| self.explain(&error))
        }
        .await;
        self.remember(outcome)
    }

    fn announce(&mut self, _: Change) {
        self.announced = true;
    }
}

/// PostgreSQL's error as callers must tell them apart.
pub(super) fn explain(error: &tokio_postgres::Error) -> TxError {
    let Some(database) = error.as_db_error() else {
        return if is_broken(error) { TxError::Unavailable(reason(error)) } else { TxError::Defect(reason(error)) };
    };
    let (code, message) = (database.code(), database.message());
    let text = || format!("PostgreSQL {}: {message}", code.code());
    match *code {
        SqlState::UNIQUE_VIOLATION => TxError::Conflict,
        SqlState::T_R_SERIALIZATION_FAILURE | SqlState::T_R_DEADLOCK_DETECTED => TxError::Retry,
        // A replica took the place of the primary, or the transaction waited for too long.
        SqlState::READ_ONLY_SQL_TRANSACTION
        | SqlState::LOCK_NOT_AVAILABLE
        | SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN
        | SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => TxError::Unavailable(text()),
        // Classes: connection, authorization, resources, operator, system, configuration, internal.
        _ => match code.code().get(..2) {
            Some("08" | "28" | "53" | "57" | "58" | "F0" | "XX") => TxError::Unavailable(text()),
            _ => TxError::Defect(text()),
        },
    }
}

fn borrowed(params: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    params.iter().map(|value| value as _).collect()
}

impl ToSql for Value {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Value::Null => Ok(IsNull::Yes),
            Value::Int(number) if *ty == Type::INT4 => i32::try_from(*number)?.to_sql(ty, out),
            Value::Int(number) if *ty == Type::INT8 => number.to_sql(ty, out),
            Value::Text(text) if <&str as ToSql>::accepts(ty) => text.to_sql(ty, out),
            Value::Bytes(bytes) if *ty == Type::BYTEA => bytes.to_sql(ty, out),
            Value::Int(_) => Err(Box::new(WrongType::new::<i64>(ty.clone()))),
            Value::Text(_) => Err(Box::new(WrongType::new::<String>(ty.clone()))),
            Value::Bytes(_) => Err(Box::new(WrongType::new::<Vec<u8>>(ty.clone()))),
        }
    }

    fn accepts(_: &Type) -> bool {
        // Depends on the value: `to_sql` decides.
        true
    }

    to_sql_checked!();
}

fn value(row: &tokio_postgres::Row, index: usize, column: &Column) -> Result<Value, TxError> {
    fn field<'r, T: FromSql<'r>>(row: &'r tokio_postgres::Row, index: usize) -> Result<Option<T>, TxError> {
        row.try_get(index).map_err(|error| TxError::Defect(error.to_string()))
    }

    Ok(match *column.type_() {
        Type::BOOL => field::<bool>(row, index)?.map(i64::from).into(),
        Type::INT2 => field::<i16>(row, index)?.map(i64::from).into(),
        Type::INT4 => field::<i32>(row, index)?.map(i64::from).into(),
        Type::INT8 => field::<i64>(row, index)?.into(),
        Type::BPCHAR | Type::NAME | Type::TEXT | Type::VARCHAR => field::<&str>(row, index)?.into(),
        Type::BYTEA => field::<&[u8]>(row, index)?.into(),
        _ => {
            return Err(TxError::column(column.name(), "is neither a bigint nor a text nor a bytea: cast it"));
        }
    })
}
