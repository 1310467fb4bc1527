//! The transaction as an operation sees it: statements with `$1…` parameters, rows, and what can go wrong.
//!
//! Easy to get wrong: an operation may run more than once (PostgreSQL ends transactions with serialization failures,
//! SQLite's writer takes a group back when one of it fails), so it holds its random values and its time as fields and
//! touches nothing but the transaction. On SQLite each run is one poll on the writer's thread: it may await the
//! transaction's own futures, nothing else.

use std::fmt;
use std::sync::Arc;

/// One open transaction of either engine.
///
/// A statement that fails dooms the transaction, as PostgreSQL has it: also when the operation swallows the error,
/// the whole operation is rolled back and answered with that error.
pub trait Tx: Send {
    /// Runs a statement and gives its rows, those of `RETURNING` included.
    fn query(&mut self, sql: &'static str, params: &[Value]) -> impl Future<Output = Result<Vec<Row>, TxError>> + Send;

    /// Runs a statement for its effect and gives the number of rows that it inserted, updated or deleted.
    fn execute(&mut self, sql: &'static str, params: &[Value]) -> impl Future<Output = Result<u64, TxError>> + Send;

    /// Notes that followers of the changes log are to be woken once this transaction has committed.
    /// [`append_change`](crate::append_change) calls it; operations have no reason to.
    fn announce_change(&mut self);
}

/// Something that happens to the store, whole or not at all.
pub trait Operation: Clone + Send + Sync + 'static {
    /// What the caller learns. A refusal belongs in here: an `Err` would roll its effects back.
    type Output: Send + 'static;

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

/// One row of an answer, read by column name.
///
/// Each accessor fails with [`TxError::Column`] when the column is missing or of another type, and those without
/// `opt_` when it is NULL.
#[derive(Clone, Debug)]
pub struct Row {
    columns: Arc<[Box<str>]>,
    values: Vec<Value>,
}

impl Row {
    pub(crate) fn new(columns: Arc<[Box<str>]>, values: Vec<Value>) -> Row {
        Row { columns, values }
    }

    /// A `bigint`.
    pub fn int(&self, column: &str) -> Result<i64, TxError> {
        self.opt_int(column)?.ok_or_else(|| null(column))
    }

    /// A `text`.
    pub fn text(&self, column: &str) -> Result<&str, TxError> {
        self.opt_text(column)?.ok_or_else(|| null(column))
    }

    /// A `bytea`.
    pub fn bytes(&self, column: &str) -> Result<&[u8], TxError> {
        self.opt_bytes(column)?.ok_or_else(|| null(column))
    }

    /// A `bigint` or NULL.
    pub fn opt_int(&self, column: &str) -> Result<Option<i64>, TxError> {
        match self.value(column)? {
            Value::Null => Ok(None),
            Value::Int(number) => Ok(Some(*number)),
            Value::Text(_) | Value::Bytes(_) => Err(TxError::column(column, "is not a bigint")),
        }
    }

    /// A `text` or NULL.
    pub fn opt_text(&self, column: &str) -> Result<Option<&str>, TxError> {
        match self.value(column)? {
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            Value::Int(_) | Value::Bytes(_) => Err(TxError::column(column, "is not a text")),
        }
    }

    /// A `bytea` or NULL.
    pub fn opt_bytes(&self, column: &str) -> Result<Option<&[u8]>, TxError> {
        match self.value(column)? {
            Value::Null => Ok(None),
            Value::Bytes(bytes) => Ok(Some(bytes)),
            Value::Int(_) | Value::Text(_) => Err(TxError::column(column, "is not a bytea")),
        }
    }

    fn value(&self, column: &str) -> Result<&Value, TxError> {
        self.columns
            .iter()
            .position(|name| **name == *column)
            .and_then(|index| self.values.get(index))
            .ok_or_else(|| TxError::column(column, "is not in the answer"))
    }
}

fn null(column: &str) -> TxError {
    TxError::column(column, "is NULL")
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
        /// What is wrong with it, after the name in a sentence.
        problem: &'static str,
    },
    /// A row with the same primary or unique key exists.
    #[error("a row with the same key exists")]
    Conflict,
    /// The statement or the operation is wrong: a fault of this program, not of the database.
    #[error("{0}")]
    Defect(String),
    /// The engine asks for the operation to be run again. The store does that; an operation passes it on.
    #[error("the transaction lost against another one")]
    Retry,
    /// The database can't be reached, or can't do its work now.
    #[error("{0}")]
    Unavailable(String),
}

impl TxError {
    /// For what an operation finds in a row and can't be: `TxError::column("scope", "is not a scope")`.
    pub fn column(column: &str, problem: &'static str) -> TxError {
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
    fn a_field_is_read_by_name_and_only_as_its_own_type() {
        let row = Row::new(
            ["n", "t", "b", "none"].map(Box::from).into(),
            vec![7.into(), "x".into(), Value::from(vec![1]), Value::Null],
        );

        assert_eq!(row.int("n"), Ok(7));
        assert_eq!(row.text("t"), Ok("x"));
        assert_eq!(row.bytes("b"), Ok(&[1][..]));
        assert_eq!(row.opt_int("none"), Ok(None));
        assert_eq!(row.opt_text("none"), Ok(None));
        assert_eq!(row.opt_bytes("none"), Ok(None));
        assert_eq!(row.int("none"), Err(TxError::column("none", "is NULL")));
        assert_eq!(row.text("n"), Err(TxError::column("n", "is not a text")));
        assert_eq!(row.bytes("t"), Err(TxError::column("t", "is not a bytea")));
        assert_eq!(row.int("b"), Err(TxError::column("b", "is not a bigint")));
        assert_eq!(row.int("N"), Err(TxError::column("N", "is not in the answer")));
    }
}
