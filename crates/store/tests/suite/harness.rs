//! A fresh database for each test, and operations for the tests.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use doorward_store::{Change, Location, Operation, Row, Store, StoreError, Tx, TxError, Value, prepare_folder};
use secrecy::ExposeSecret;
use tokio_postgres::{Client, NoTls};

/// A database of one test.
#[derive(Clone)]
pub(crate) struct Database {
    pub(crate) location: Location,
}

impl Database {
    /// A handle of its own, as another process would have it.
    pub(crate) async fn open(&self) -> Store {
        Store::open(&self.location).await.unwrap()
    }

    /// A handle on the migrated database, which has a table `things(name, value)` as well.
    pub(crate) async fn store(&self) -> Store {
        let store = self.open().await;
        store.migrate().await.unwrap();
        store
            .write(Run::new("CREATE TABLE things (name text NOT NULL PRIMARY KEY, value bigint NOT NULL)", []))
            .await
            .unwrap();
        store
    }

    /// The SQLite file, if this is SQLite.
    pub(crate) fn sqlite_file(&self) -> Option<PathBuf> {
        match &self.location {
            Location::Sqlite(folder) => Some(folder.join("doorward.db")),
            Location::Postgres(_) => None,
        }
    }

    /// A connection of somebody else to the database, if this is PostgreSQL.
    pub(crate) async fn postgres(&self) -> Option<Client> {
        match &self.location {
            Location::Postgres(url) => Some(connect(url.expose_secret()).await),
            _ => None,
        }
    }
}

/// Runs a test on a fresh database of each engine.
pub(crate) async fn on_each_engine<F: Future<Output = ()>>(test: impl Fn(Database) -> F) {
    let folder = tempfile::tempdir().unwrap();
    prepare_folder(folder.path()).unwrap();
    test(Database { location: Location::Sqlite(folder.path().to_owned()) }).await;

    if let Ok(cluster) = std::env::var("DOORWARD_TEST_POSTGRES") {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("doorward_store_{}_{number}", std::process::id());
        let superuser = connect(&cluster).await;
        let create = format!("CREATE DATABASE {name}");
        superuser.batch_execute(&create).await.unwrap();
        test(Database { location: Location::Postgres(database_url(&cluster, &name).into()) }).await;
        let drop = format!("DROP DATABASE {name} WITH (FORCE)");
        superuser.batch_execute(&drop).await.unwrap();
    }
}

/// The cluster's URL with another database in its path.
fn database_url(cluster: &str, name: &str) -> String {
    let (base, query) = cluster.split_once('?').unwrap_or((cluster, ""));
    let authority = base.find("://").unwrap() + 3;
    let end = base[authority..].find('/').map_or(base.len(), |at| at + authority);
    format!("{}/{name}?{query}", &base[..end])
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[derive(Clone)]
pub(crate) struct Run {
    sql: &'static str,
    params: Vec<Value>,
}

impl Run {
    pub(crate) fn new(sql: &'static str, params: impl IntoIterator<Item = Value>) -> Run {
        Run { sql, params: params.into_iter().collect() }
    }
}

impl Operation for Run {
    type Output = u64;

    async fn run(&self, tx: &mut impl Tx) -> Result<u64, TxError> {
        tx.execute(self.sql, &self.params).await
    }
}

/// Runs one statement and gives its rows.
#[derive(Clone)]
pub(crate) struct Ask {
    sql: &'static str,
    params: Vec<Value>,
}

impl Ask {
    pub(crate) fn new(sql: &'static str, params: impl IntoIterator<Item = Value>) -> Ask {
        Ask { sql, params: params.into_iter().collect() }
    }
}

impl Operation for Ask {
    type Output = Vec<Row>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Vec<Row>, TxError> {
        tx.query(self.sql, &self.params).await
    }
}

/// A statement with its parameters.
pub(crate) type Statement = (&'static str, Vec<Value>);

/// Runs an operation, and gives beside its output the statements that it ran.
#[derive(Clone)]
pub(crate) struct Recorded<O>(pub(crate) O);

impl<O: Operation> Operation for Recorded<O> {
    type Output = (O::Output, Vec<Statement>);

    async fn run(&self, tx: &mut impl Tx) -> Result<Self::Output, TxError> {
        let mut recorder = Recorder { tx, statements: Vec::new() };
        let output = self.0.run(&mut recorder).await?;
        Ok((output, recorder.statements))
    }
}

struct Recorder<'a, T> {
    tx: &'a mut T,
    statements: Vec<Statement>,
}

impl<T: Tx> Tx for Recorder<'_, T> {
    async fn query(&mut self, sql: &'static str, params: &[Value]) -> Result<Vec<Row>, TxError> {
        self.statements.push((sql, params.to_vec()));
        self.tx.query(sql, params).await
    }

    async fn execute(&mut self, sql: &'static str, params: &[Value]) -> Result<u64, TxError> {
        self.statements.push((sql, params.to_vec()));
        self.tx.execute(sql, params).await
    }

    fn announce(&mut self, change: Change) {
        self.tx.announce(change);
    }
}

/// How a statement would be run, a line for each step: on PostgreSQL with an index wherever one finds or orders the rows.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) of: Statement,
    pub(crate) is_sqlite: bool,
}

impl Operation for Plan {
    type Output = Vec<String>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Vec<String>, TxError> {
        let (sql, params) = &self.of;
        let explain = if self.is_sqlite { "EXPLAIN QUERY PLAN" } else { "EXPLAIN" };
        if !self.is_sqlite {
            tx.execute("SET LOCAL enable_seqscan = off", &[]).await?;
            tx.execute("SET LOCAL enable_sort = off", &[]).await?;
        }
        let mut rows = tx.query(format!("{explain} {sql}").leak(), params).await?;
        let step = |row: &mut Row| {
            if self.is_sqlite {
                // The step's number, its parent's, and one without a meaning.
                let _ = (row.int()?, row.int()?, row.int()?);
            }
            row.text()
        };
        rows.iter_mut().map(step).collect()
    }
}

pub(crate) fn put(name: &str, value: i64) -> Run {
    Run::new("INSERT INTO things (name, value) VALUES ($1, $2)", [name.into(), value.into()])
}

/// The values of all things, by name.
pub(crate) async fn things(store: &Store) -> Result<Vec<(String, i64)>, StoreError> {
    let rows = store.read(Ask::new("SELECT name, value FROM things ORDER BY name", [])).await?;
    Ok(rows.into_iter().map(|mut row| (row.text().unwrap(), row.int().unwrap())).collect())
}
