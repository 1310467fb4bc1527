//! The database of one test, on each engine.

use std::sync::atomic::{AtomicU32, Ordering};

use doorward_core::secret::ExposeSecret;
use doorward_server::Settings;
use doorward_store::{Location, Operation, Tx, TxError, Value, prepare_folder};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

use super::server::TestServer;

/// Where a server keeps what it must remember.
#[derive(Clone)]
pub(crate) struct Database {
    pub(crate) location: Location,
}

/// Runs a test on SQLite, and on PostgreSQL too where the environment names a cluster.
pub(crate) async fn on_each_engine(test: impl AsyncFn(&TestServer)) {
    on_each_engine_with(|_| {}, test).await;
}

/// The same with other settings.
pub(crate) async fn on_each_engine_with(change: impl Fn(&mut Settings), test: impl AsyncFn(&TestServer)) {
    let server = TestServer::start_with(&change).await;
    test(&server).await;
    drop(server);
    if let Some(database) = Database::postgres().await {
        let server = TestServer::on(database.clone(), &change).await;
        test(&server).await;
        drop(server);
        database.drop_postgres().await;
    }
}

impl Database {
    /// A folder for SQLite, which lives as long as what is given with it.
    pub(crate) fn sqlite() -> (Self, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        prepare_folder(folder.path()).unwrap();
        (Self { location: Location::Sqlite(folder.path().to_owned()) }, folder)
    }

    /// A new database on the cluster of `DOORWARD_TEST_POSTGRES`, the URL of a superuser there.
    pub(crate) async fn postgres() -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let cluster = std::env::var("DOORWARD_TEST_POSTGRES").ok()?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("doorward_server_{}_{number}", std::process::id());
        connect(&cluster).await.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        Some(Self { location: Location::Postgres(with_database(&cluster, &name).into()) })
    }

    pub(crate) async fn drop_postgres(&self) {
        self.superuser().await.batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name())).await.unwrap();
    }

    /// Takes the database away, with every connection to it, or brings it back.
    pub(crate) async fn allow_connections(&self, allowed: bool) {
        let (superuser, name) = (self.superuser().await, self.name());
        superuser.batch_execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {allowed}")).await.unwrap();
        if !allowed {
            let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
            superuser.execute(end, &[&name]).await.unwrap();
        }
    }

    /// All that the database holds, by its place: the bytes of SQLite's files, PostgreSQL's tables as text.
    pub(crate) async fn contents(&self) -> Vec<(String, Vec<u8>)> {
        let url = match &self.location {
            Location::Sqlite(folder) => {
                let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
                return files.map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())).collect();
            }
            Location::Postgres(url) => url,
        };
        let client = connect(url.expose_secret()).await;
        let tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'";
        let mut contents = Vec::new();
        for table in client.query(tables, &[]).await.unwrap() {
            let table: String = table.get(0);
            let rows = client.query(&format!("SELECT t::text FROM {table} t"), &[]).await.unwrap();
            let rows: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
            contents.push((table, rows.join("\n").into_bytes()));
        }
        contents
    }

    fn name(&self) -> String {
        let Location::Postgres(url) = &self.location else { panic!("a database of PostgreSQL") };
        let path = url::Url::parse(url.expose_secret()).unwrap().path().to_owned();
        path.trim_start_matches('/').to_owned()
    }

    async fn superuser(&self) -> Client {
        connect(&std::env::var("DOORWARD_TEST_POSTGRES").unwrap()).await
    }
}

/// One statement, for a state that no verb of the server leads to.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) sql: &'static str,
    pub(crate) params: Vec<Value>,
}

impl Operation for Run {
    type Output = u64;

    async fn run(&self, tx: &mut impl Tx) -> Result<u64, TxError> {
        tx.execute(self.sql, &self.params).await
    }
}

/// The URL of a cluster with another database in its path.
fn with_database(cluster: &str, name: &str) -> String {
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
