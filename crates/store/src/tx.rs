//! The transaction as an operation sees it: statements with `$1…` parameters, rows, and what can go wrong.
//!
//! Easy to get wrong: an operation may run more than once (PostgreSQL ends transactions with serialization failures,
//! SQLite's writer takes a group back when one of it fails), so it holds its random values and its time as fields and
//! touches nothing but the transaction. On SQLite each run is one poll on the writer's thread: it may await the
//! transaction's own futures, nothing else.

use std::fmt;
use std::sync::Arc;
use std::vec;

use crate::changes::Change;

/// One open transaction of either engine.
///
/// A statement that fails dooms the transaction, as PostgreSQL has it: also when the operation swallows the error,
/// the whole operation is rolled back and answered with that error.
pub trait Tx: Send {
    /// Runs a statement and gives its rows, those of `RETURNING` included.
    fn query(&mut self, sql: &'static str, params: &[Value]) -> impl Future<Output = Result<Vec<Row>, TxError>> + Send;

    /// Runs a statement that gives at most one row.
    fn query_opt(
        &mut self,
        sql: &'static str,
        params: &[Value],
    ) -> impl Future<Output = Result<Option<Row>, TxError>> + Send {
        async move {
            let mut rows = self.query(sql, params).await?;
            match rows.len() {
                0 | 1 => Ok(rows.pop()),
                _ => Err(TxError::Defect(format!("more than one row: {sql}"))),
            }
        }
    }

    /// Runs a statement that always gives one row.
    fn query_one(&mut self, sql: &'static str, params: &[Value]) -> impl Future<Output = Result<Row, TxError>> + Send {
        async move { self.query_opt(sql, params).await?.ok_or_else(|| TxError::Defect(format!("no row: {sql}"))) }
    }

    /// Runs a statement for its effect and gives the number of rows that it inserted, updated or deleted.
    fn execute(&mut self, sql: &'static str, params: &[Value]) -> impl Future<Output = Result<u64, TxError>> + Send;

    /// Notes a change that was appended to the changes log: followers are woken once this transaction has committed.
    /// [`append_change`](crate::append_change) calls it; operations have no reason to.
    fn announce(&mut self, change: Change);
}

/// Who waits for an operation, which decides how long it may take and on which connections it runs. In SQLite, where
/// nothing is far away, all are alike.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Urgency {
    /// Nobody does; it may take as long as it takes.
    Patient,
    /// Somebody's request, which is better answered 503 than not at all.
    Request,
    /// The server itself, to know whether it may continue: never behind requests.
    Vital,
}

/// Something that happens to the store, whole or not at all.
pub trait Operation: Clone + Send + Sync + 'static {
    /// What the caller learns. A refusal belongs in here: an `Err` would roll its effects back.
    type Output: Send + 'static;

    /// Who waits for it.
    const URGENCY: Urgency = Urgency::Request;

    /// Runs inside one transaction; may run again from the start, with nothing of the run before left.
    fn run(&self, tx: &mut impl Tx) -> impl Future<Output = Result<Self::Output, TxError>> + Send;
}

/// A parameter, or a field of a row: what both engines can hold without a conversion.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// SQL's NULL, of any type.
    Null,
    /// `bigint`.
    Int(i64),
    /// `text`; without U+0000, which PostgreSQL can't store.
    Text(String),
    /// `bytea`.
    Bytes(Vec<u8>),
}

/// Digests, names and addresses pass through here, and database drivers log their parameters by `Debug`.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("Null"),
            Value::Int(number) => write!(f, "Int({number})"),
            Value::Text(text) => write!(f, "Text([{} bytes])", text.len()),
            Value::Bytes(bytes) => write!(f, "Bytes([{} bytes])", bytes.len()),
        }
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Value {
        Value::Int(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Value {
        Value::Bytes(bytes)
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Value {
        Value::Bytes(bytes.to_vec())
    }
}

impl From<[u8; 32]> for Value {
    fn from(bytes: [u8; 32]) -> Value {
        Value::Bytes(bytes.to_vec())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::Null, Into::into)
    }
}

/// One row of an answer, whose fields are taken one after the other, in the order of the statement's columns.
///
/// Each accessor takes the next field and fails with [`TxError::Column`] when there is none or when it is of another
/// type, and those without `opt_` when it is NULL.
#[derive(Clone, Debug)]
pub struct Row {
    /// With a U+0000 between them, for all rows of an answer: only errors need them.
    columns: Arc<str>,
    fields: vec::IntoIter<Value>,
    taken: usize,
}

impl Row {
    pub(crate) fn new(columns: Arc<str>, values: Vec<Value>) -> Row {
        Row { columns, fields: values.into_iter(), taken: 0 }
    }

    /// The fields that were not taken yet.
    pub(crate) fn into_values(self) -> Vec<Value> {
        self.fields.collect()
    }

    /// A `bigint`.
    pub fn int(&mut self) -> Result<i64, TxError> {
        self.opt_int()?.ok_or_else(|| self.error("is NULL"))
    }

    /// A `text`.
    pub fn text(&mut self) -> Result<String, TxError> {
        self.opt_text()?.ok_or_else(|| self.error("is NULL"))
    }

    /// A `bytea`.
    pub fn bytes(&mut self) -> Result<Vec<u8>, TxError> {
        self.opt_bytes()?.ok_or_else(|| self.error("is NULL"))
    }

    /// A `bigint` or NULL.
    pub fn opt_int(&mut self) -> Result<Option<i64>, TxError> {
        match self.take()? {
            Value::Null => Ok(None),
            Value::Int(number) => Ok(Some(number)),
            Value::Text(_) | Value::Bytes(_) => Err(self.error("is not a bigint")),
        }
    }

    /// A `text` or NULL.
    pub fn opt_text(&mut self) -> Result<Option<String>, TxError> {
        match self.take()? {
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            Value::Int(_) | Value::Bytes(_) => Err(self.error("is not a text")),
        }
    }

    /// A `bytea` or NULL.
    pub fn opt_bytes(&mut self) -> Result<Option<Vec<u8>>, TxError> {
        match self.take()? {
            Value::Null => Ok(None),
            Value::Bytes(bytes) => Ok(Some(bytes)),
            Value::Int(_) | Value::Text(_) => Err(self.error("is not a bytea")),
        }
    }

    /// An error in the field that was taken last, as the rest of a sentence that begins with its column.
    pub(crate) fn error(&self, problem: &'static str) -> TxError {
        TxError::Column { column: self.column(), problem }
    }

    /// The field that was taken last holds a text that this program can't read.
    pub(crate) fn unreadable(&self) -> TxError {
        TxError::Unreadable { column: self.column() }
    }

    /// The next field, without taking it, if it is a `text`.
    pub(crate) fn next_text(&self) -> Option<&str> {
        match self.fields.as_slice().first() {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The next fields, without taking them, as far as they are `text`.
    pub(crate) fn next_texts<const N: usize>(&self) -> [String; N] {
        std::array::from_fn(|place| match self.fields.as_slice().get(place) {
            Some(Value::Text(text)) => text.clone(),
            _ => String::new(),
        })
    }

    /// The name of the column whose field was taken last, or its number.
    fn column(&self) -> String {
        let name = self.columns.split('\0').nth(self.taken.saturating_sub(1));
        name.map_or_else(|| self.taken.to_string(), str::to_owned)
    }

    fn take(&mut self) -> Result<Value, TxError> {
        self.taken += 1;
        self.fields.next().ok_or_else(|| self.error("is not in the answer"))
    }
}

/// Why an operation could not be carried out. Its transaction is rolled back.
///
/// No variant carries a value of a row or a parameter, so each may be logged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TxError {
    /// A column is missing, or holds what it must not.
    #[error("column {column} {problem}")]
    Column {
        /// Its name in the answer.
        column: String,
        /// The error, as the rest of a sentence that begins with the column.
        problem: &'static str,
    },
    /// A row with the same primary or unique key exists.
    #[error("a row with the same key exists")]
    Conflict,
    /// The statement or the operation is wrong: a fault of this program, not of the database.
    #[error("{0}")]
    Defect(String),
    /// The engine asks for the operation to be run again. The store does that; an operation passes it on.
    #[error("the transaction conflicted with another one")]
    Retry,
    /// The database can't be reached, or can't do its work now.
    #[error("{0}")]
    Unavailable(String),
    /// A column holds a text that this program can't read: a newer one may have written it.
    #[error("column {column} does not read back")]
    Unreadable {
        /// Its name in the answer.
        column: String,
    },
}

impl TxError {
    /// An error in a column, as the rest of a sentence: `TxError::column("scope", "is not a scope")`.
    pub(crate) fn column(column: &str, problem: &'static str) -> TxError {
        TxError::Column { column: column.to_owned(), problem }
    }
}

#[cfg(test)]
mod tests {
    use super::{Row, TxError, Value};

    #[test]
    fn debug_shows_no_contents() {
        let shown = format!("{:?}", [Value::from("canary"), Value::from(&b"canary"[..])]);
        assert_eq!(shown, "[Text([6 bytes]), Bytes([6 bytes])]");
    }

    #[test]
    fn fields_are_taken_in_order_and_only_as_their_own_type() {
        let values = vec![7.into(), "x".into(), Value::from(vec![1]), Value::Null];
        let row = || Row::new("n\0t\0b\0none".into(), values.clone());
        let wrong = TxError::column;

        let mut good = row();
        assert_eq!((good.int(), good.text(), good.bytes()), (Ok(7), Ok("x".to_owned()), Ok(vec![1])));
        assert_eq!(good.opt_int(), Ok(None));
        assert_eq!(good.opt_int(), Err(wrong("5", "is not in the answer")));

        let mut bad = row();
        assert_eq!(bad.text(), Err(wrong("n", "is not a text")));
        assert_eq!(bad.bytes(), Err(wrong("t", "is not a bytea")));
        assert_eq!(bad.int(), Err(wrong("b", "is not a bigint")));
        assert_eq!(bad.int(), Err(wrong("none", "is NULL")));
    }
}
