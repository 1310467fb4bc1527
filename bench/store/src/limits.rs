//! How long bare SQLite takes to commit the rows that an answer of Doorward's waits for: what no durable answer can pass.
//!
//! Doorward's own operations run on a database, and the statements that write are recorded. The same statements with the
//! same values then run on a copy from before, one after the other, as many operations in a commit as there are callers.
//! Nothing is decided, and nothing else is read. So the limit follows when an operation or the schema changes.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use doorward_core::{
    checksummed::{self, ACCESS_TOKEN_PREFIX, REFRESH_TOKEN_PREFIX},
    client::Client,
    grant::{
        audience::{self, Apis, RequestedAccess},
        refresh::{RefreshLimits, RefreshRequest},
    },
    new_access_token::Bearer,
    random::{self, SeededRng},
    scope::ScopeSet,
    secret::{ExposeSecret, SecretString},
};
use doorward_store::{
    Change, DATABASE, Operation, Row, Store, Tx, TxError, Value, refresh::Refresh, tokens::StoreAccessToken,
};
use rusqlite::Connection;
use tokio::task::JoinSet;

use crate::{
    fill::{self, Size},
    sign_in::{access_token, apis, audit, find, now},
    site::Site,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How many operations of each kind are committed
    #[arg(long, default_value_t = 12_800)]
    operations: usize,
}

/// Callers of `xtask bench` for each kind of answer.
const REFRESHING: usize = 64;
const GETTING_OPAQUE: usize = 32;

pub(crate) async fn measure(doorward: &Path, folder: &Path, options: &Options) -> Result<()> {
    let site = Arc::new(Site::create(doorward, &folder.join("site"), None).await?);
    let store = site.store().await?;
    fill::fill(&site, &store, Size { keys: 10, grants: 1_000 }).await?;
    let world = World { apis: apis(&store).await?, refreshing: find(&store, &site.others).await?, site: site.clone() };
    store.close().await;
    let database = folder.join("site/data").join(DATABASE);
    let before = folder.join("before.db");
    fs::copy(&database, &before)?;
    let store = site.store().await?;
    let opaque = find(&store, &site.machine).await?;
    let world = Arc::new(world);
    let refreshes = record(&store, REFRESHING, options.operations, |store, caller, count| {
        refresh(world.clone(), store, caller, count)
    });
    let refreshes = refreshes.await?;
    let tokens = record(&store, GETTING_OPAQUE, options.operations, |store, caller, count| {
        get_opaque(world.clone(), opaque.clone(), store, caller, count)
    });
    let tokens = tokens.await?;
    store.close().await;
    let us = |recorded: &[Writes], callers| commit(&before, &folder.join("copy.db"), recorded, callers);
    let figures = serde_json::json!({
        "refresh": { "commit_us": us(&refreshes, REFRESHING)? },
        "opaque": { "commit_us": us(&tokens, GETTING_OPAQUE)? },
    });
    println!("{figures}");
    Ok(())
}

/// Microseconds for each operation when SQLite commits them in groups.
fn commit(before: &Path, copy: &Path, operations: &[Writes], group: usize) -> Result<f64> {
    fs::copy(before, copy)?;
    let database = Connection::open(copy)?;
    database.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    database.execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -8192;")?;
    database.set_prepared_statement_cache_capacity(100);
    let mut time = Duration::ZERO;
    for (nth, group) in operations.chunks_exact(group).enumerate() {
        let start = Instant::now();
        database.execute_batch("BEGIN IMMEDIATE")?;
        for Write { sql, params, rows } in group.iter().flatten() {
            let changed = write(&database, sql, params)?;
            ensure!(changed == *rows, "the statement changed {changed} rows instead of {rows}: {sql}");
        }
        database.execute_batch("COMMIT")?;
        // The first one prepares the statements.
        time += if nth == 0 { Duration::ZERO } else { start.elapsed() };
    }
    drop(database);
    let operations = (operations.len() / group).saturating_sub(1) * group;
    Ok(time.as_secs_f64() * 1e6 / operations as f64)
}

fn write(database: &Connection, sql: &str, params: &[Value]) -> Result<u64> {
    let mut statement = database.prepare_cached(sql)?;
    for at in 1..=statement.parameter_count() {
        // SQLite numbers parameters in the order in which they appear first.
        let number = statement.parameter_name(at).and_then(|name| name.strip_prefix('$')?.parse::<usize>().ok());
        let value = number.and_then(|number| params.get(number - 1)).context("a parameter is missing")?;
        statement.raw_bind_parameter(at, value)?;
    }
    Ok(statement.raw_execute()?.try_into()?)
}

/// What one operation wrote.
type Writes = Vec<Write>;

#[derive(Clone)]
struct Write {
    sql: &'static str,
    params: Vec<Value>,
    rows: u64,
}

/// Lets callers run operations at the same time. Gives what each operation wrote, in an order in which it can be repeated.
async fn record<F>(
    store: &Store,
    callers: usize,
    operations: usize,
    run: impl Fn(Recording, usize, usize) -> F,
) -> Result<Vec<Writes>>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let recorded = Arc::new(Mutex::new(Vec::with_capacity(operations)));
    let mut running = JoinSet::new();
    for caller in 0..callers {
        let recording = Recording { store: store.clone(), recorded: recorded.clone() };
        running.spawn(run(recording, caller, operations / callers));
    }
    while let Some(done) = running.join_next().await {
        done??;
    }
    let mut recorded = recorded.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(std::mem::take(&mut *recorded))
}

struct Recording {
    store: Store,
    recorded: Arc<Mutex<Vec<Writes>>>,
}

impl Recording {
    async fn write<O: Operation>(&self, operation: O) -> Result<O::Output> {
        let (output, writes) = self.store.write(Recorded(operation)).await?;
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner).push(writes);
        Ok(output)
    }
}

/// The inputs of the operations.
struct World {
    site: Arc<Site>,
    apis: Arc<Apis>,
    refreshing: Arc<Client>,
}

async fn refresh(world: Arc<World>, store: Recording, caller: usize, count: usize) -> Result<()> {
    let World { site, apis, refreshing: client } = &*world;
    let (rng, number) = (SeededRng::new((1 << 50) | caller as u64), caller as u64);
    let mut token: SecretString = fill::refresh_token(number).into();
    for _ in 0..count {
        let (successor, now) = (checksummed::generate(REFRESH_TOKEN_PREFIX, &rng), now());
        let refresh = Refresh {
            candidates: vec![site.peppers.digest(token.expose_secret())],
            token,
            request: RefreshRequest { client_id: client.id.clone(), address: [127, 0, 0, 1].into() },
            apis: apis.clone(),
            registered: client.metadata.scope.clone(),
            asked: Ok(RequestedAccess::default()),
            successor_digest: site.peppers.digest(successor.expose_secret()),
            successor,
            seal_nonce: random::bytes(&rng),
            access_token: access_token(now, &rng),
            limits: RefreshLimits::default(),
            audit: audit(now, client, &rng),
            now,
        };
        token = store.write(refresh).await?.ok().context("a refresh was refused")?.refresh_token;
    }
    Ok(())
}

async fn get_opaque(
    world: Arc<World>,
    client: Arc<Client>,
    store: Recording,
    caller: usize,
    count: usize,
) -> Result<()> {
    let World { site, apis, .. } = &*world;
    let rng = SeededRng::new((1 << 51) | caller as u64);
    let asked = RequestedAccess { scopes: Some(ScopeSet::parse("opaque")?), resource: None };
    let access = audience::client_credentials(apis, &client, asked);
    let (api, scopes) = access.ok().context("the client may not have an opaque token")?;
    for _ in 0..count {
        let (now, opaque) = (now(), checksummed::generate(ACCESS_TOKEN_PREFIX, &rng));
        let mut token = access_token(now, &rng);
        token.opaque = Some(site.peppers.digest(opaque.expose_secret()));
        let bearer = Bearer {
            subject: client.id.to_string(),
            client_id: client.id.to_string(),
            scopes: scopes.clone(),
            roles: api.roles_among(&client.roles),
            grant_id: None,
            auth_time: None,
        };
        let claims = token.claims(Some(&api), bearer);
        store.write(StoreAccessToken { token, api: api.clone(), claims, audit: audit(now, &client, &rng) }).await?;
    }
    Ok(())
}

/// Runs an operation, and gives beside its output what it wrote.
#[derive(Clone)]
struct Recorded<O>(O);

impl<O: Operation> Operation for Recorded<O> {
    type Output = (O::Output, Writes);

    async fn run(&self, tx: &mut impl Tx) -> Result<Self::Output, TxError> {
        let mut recorder = Recorder { tx, writes: Vec::new() };
        let output = self.0.run(&mut recorder).await?;
        Ok((output, recorder.writes))
    }
}

struct Recorder<'a, T> {
    tx: &'a mut T,
    writes: Writes,
}

impl<T: Tx> Tx for Recorder<'_, T> {
    async fn query(&mut self, sql: &'static str, params: &[Value]) -> Result<Vec<Row>, TxError> {
        let found = self.tx.query(sql, params).await?;
        if !sql.trim_start().starts_with("SELECT") {
            self.writes.push(Write { sql, params: params.to_vec(), rows: found.len() as u64 });
        }
        Ok(found)
    }

    async fn execute(&mut self, sql: &'static str, params: &[Value]) -> Result<u64, TxError> {
        let rows = self.tx.execute(sql, params).await?;
        self.writes.push(Write { sql, params: params.to_vec(), rows });
        Ok(rows)
    }

    fn announce(&mut self, change: Change) {
        self.tx.announce(change);
    }
}
