//! Rows that are copies of one that Doorward wrote itself, with a few columns changed.
//!
//! The columns come from the database, so that a column that a later migration adds is copied like the others.

use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use doorward_store::{Location, Operation, Row, Store, Tx, TxError, Urgency, Value};
use tokio::task::JoinSet;

/// A row, and how to insert others like it.
#[derive(Clone)]
pub(crate) struct Template {
    columns: Vec<String>,
    row: Vec<Value>,
    insert_one: &'static str,
    insert_batch: &'static str,
}

impl Template {
    /// The only row of `table` with this value in `column`.
    pub(crate) async fn read(
        store: &Store,
        location: &Location,
        table: &str,
        (column, value): (&str, &Value),
    ) -> Result<Self> {
        let columns = match location {
            Location::Sqlite(_) => "SELECT name FROM pragma_table_info($1) ORDER BY cid",
            Location::Postgres(_) => {
                "SELECT CAST(column_name AS text) FROM information_schema.columns
                 WHERE table_name = CAST($1 AS text) ORDER BY ordinal_position"
            }
        };
        let mut columns = store.read(Ask { sql: columns, params: vec![table.into()] }).await?;
        let columns = columns.iter_mut().map(Row::text).collect::<Result<Vec<_>, _>>()?;
        ensure!(!columns.is_empty(), "there is no table {table}");
        let names = columns.join(", ");
        let sql = kept(format!("SELECT {names} FROM {table} WHERE {column} = $1"));
        let mut found = store.read(Ask { sql, params: vec![value.clone()] }).await?;
        let (Some(row), true) = (found.pop(), found.is_empty()) else { bail!("{table} does not have one such row") };
        let width = columns.len();
        let places = |row: usize| {
            let places = (1..=width).map(|column| format!("${}", row * width + column));
            format!("({})", places.collect::<Vec<_>>().join(", "))
        };
        let insert = |rows: usize| {
            let rows = (0..rows).map(places).collect::<Vec<_>>().join(", ");
            kept(format!("INSERT INTO {table} ({names}) VALUES {rows}"))
        };
        let (insert_one, insert_batch) = (insert(1), insert(BATCH));
        Ok(Self { row: values(row, width)?, columns, insert_one, insert_batch })
    }

    /// Where these columns are in a row.
    pub(crate) fn places<const N: usize>(&self, columns: [&str; N]) -> Result<[usize; N]> {
        let mut places = [0; N];
        for (place, name) in places.iter_mut().zip(columns) {
            *place = self.columns.iter().position(|column| column == name).with_context(|| format!("no {name}"))?;
        }
        Ok(places)
    }

    /// A copy of the row with other values at these places.
    pub(crate) fn copy<const N: usize>(&self, places: [usize; N], values: [Value; N]) -> Vec<Value> {
        let mut row = self.row.clone();
        for (place, value) in places.into_iter().zip(values) {
            row[place] = value;
        }
        row
    }
}

/// Inserts rows in transactions of their own, several at the same time.
pub(crate) struct Filler {
    store: Store,
    template: Template,
    rows: Vec<Vec<Value>>,
    running: JoinSet<Result<()>>,
}

impl Filler {
    pub(crate) fn new(store: &Store, template: &Template) -> Self {
        Self { store: store.clone(), template: template.clone(), rows: Vec::new(), running: JoinSet::new() }
    }

    pub(crate) async fn add(&mut self, row: Vec<Value>) -> Result<()> {
        self.rows.push(row);
        if self.rows.len() >= TRANSACTION { self.flush().await } else { Ok(()) }
    }

    pub(crate) async fn end(mut self) -> Result<()> {
        self.flush().await?;
        while let Some(done) = self.running.join_next().await {
            done??;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        while self.running.len() >= AT_ONCE {
            self.running.join_next().await.context("there was one")???;
        }
        let (store, rows) = (self.store.clone(), std::mem::take(&mut self.rows).into());
        let Template { insert_one, insert_batch, .. } = self.template;
        let insert = Insert { insert_one, insert_batch, rows };
        self.running.spawn(async move { Ok(store.write(insert).await?) });
        Ok(())
    }
}

/// Rows of one statement.
const BATCH: usize = 100;
/// Rows of one transaction.
const TRANSACTION: usize = 4_000;
const AT_ONCE: usize = 3;

#[derive(Clone)]
struct Insert {
    insert_one: &'static str,
    insert_batch: &'static str,
    rows: Arc<[Vec<Value>]>,
}

impl Operation for Insert {
    type Output = ();

    const URGENCY: Urgency = Urgency::Patient;

    async fn run(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        let mut batches = self.rows.chunks_exact(BATCH);
        for batch in &mut batches {
            tx.execute(self.insert_batch, &batch.concat()).await?;
        }
        for row in batches.remainder() {
            tx.execute(self.insert_one, row).await?;
        }
        Ok(())
    }
}

/// Runs one statement that reads, and gives its rows.
#[derive(Clone)]
pub(crate) struct Ask {
    pub(crate) sql: &'static str,
    pub(crate) params: Vec<Value>,
}

impl Operation for Ask {
    type Output = Vec<Row>;

    const URGENCY: Urgency = Urgency::Patient;

    async fn run(&self, tx: &mut impl Tx) -> Result<Vec<Row>, TxError> {
        tx.query(self.sql, &self.params).await
    }
}

/// The only number that a statement gives.
pub(crate) async fn number(store: &Store, sql: &'static str) -> Result<i64> {
    let mut rows = store.read(Ask { sql, params: vec![] }).await?;
    Ok(rows.first_mut().context("a count is a row")?.int()?)
}

/// The fields of a row, whatever their types.
fn values(mut row: Row, width: usize) -> Result<Vec<Value>> {
    let field = |_| {
        // An accessor takes the field also when it is of another type.
        let (mut as_text, mut as_bytes) = (row.clone(), row.clone());
        let int = row.opt_int().map(Value::from);
        let value =
            int.or_else(|_| as_text.opt_text().map(Value::from)).or_else(|_| as_bytes.opt_bytes().map(Value::from));
        value.context("a column is of no known type")
    };
    (0..width).map(field).collect()
}

/// Statements are constants to the store. There are a few for each table.
fn kept(statement: String) -> &'static str {
    statement.leak()
}
