//! A server in the test's own process, on a free port of the loopback, with a clock that changes only when it is moved.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use doorward_core::{
    clock::{Clock, ManualClock, Timestamp},
    digest::MasterKey,
    jwk::{Algorithm, SigningKey},
    seal,
    secret::{ExposeSecret, SecretString},
};
use doorward_guard::SystemRng;
use doorward_listen::Serve;
use doorward_server::{
    App, Settings,
    app::Components,
    manage::{
        self,
        audit::{self, Explained},
    },
    metrics::Metrics,
    tasks::{self, Tasks},
};
use doorward_store::{Store, audit::AuditFilter, signing_keys::ListSigningKeys};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    sync::{Mutex, oneshot},
    task::JoinHandle,
};

use super::{
    browser::Browser,
    caller::Caller,
    database::Database,
    request::{AuthorizationRequest, VERIFIER},
    world::{Registered, World},
};

/// The start time of every server: in March 2030.
const START: Timestamp = Timestamp::from_secs(1_900_000_000);

/// How long a test waits for what must come. It never decides whether a test passes but when it hangs.
const CEILING: Duration = Duration::from_secs(30);

/// A running server and who is there.
pub(crate) struct TestServer {
    pub(crate) app: Arc<App>,
    pub(crate) clock: Arc<ManualClock>,
    /// A caller from 127.0.0.1.
    pub(crate) caller: Caller,
    pub(crate) world: World,
    pub(crate) database: Database,
    /// The folder of SQLite, as long as its server exists.
    pub(crate) folder: Option<TempDir>,
    master_key: SecretString,
    tasks: Mutex<Option<Tasks>>,
    end: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl TestServer {
    /// A server on SQLite, with the defaults except for what a password costs.
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// A server on SQLite with other settings.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        let (database, folder) = Database::sqlite();
        Self { folder: Some(folder), ..Self::on(database, change).await }
    }

    /// A server on a database of its own.
    pub(crate) async fn on(database: Database, change: impl FnOnce(&mut Settings)) -> Self {
        let clock = Arc::new(ManualClock::at(START));
        let master_key = MasterKey::generate(&SystemRng::default()).reveal();
        let listener = doorward_listen::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let mut settings = Settings::new(&base);
        (settings.password.memory_kib, settings.password.iterations) = (64, 1);
        change(&mut settings);
        let app = open(&database, settings, clock.clone(), &master_key).await;
        tasks::run_due(&app).await.unwrap();
        manage::apis::ensure_management(&app).await.unwrap();
        let world = World::make(&app, &clock).await;
        let (tasks, end, serving) = serve(&app, listener).await;
        let caller = Caller::new(&base);
        Self {
            app,
            clock,
            caller,
            world,
            database,
            folder: None,
            master_key,
            tasks: Mutex::new(Some(tasks)),
            end,
            serving,
        }
    }

    /// Ends the server, and starts another one at the same address on what it left.
    pub(crate) async fn restart(self) -> Self {
        let (stopped, address) = self.stop().await;
        stopped.start(address).await
    }

    /// Ends the server; it can be started again.
    pub(crate) async fn stop(self) -> (Stopped, SocketAddr) {
        let Self { app, clock, caller, world, database, folder, master_key, tasks, end, serving } = self;
        let address = caller.base.strip_prefix("http://").unwrap().parse().unwrap();
        let _ = end.send(());
        serving.await.unwrap();
        if let Some(tasks) = tasks.into_inner() {
            tasks.stop().await;
        }
        let settings = app.settings.clone();
        drop(app);
        (Stopped { clock, world, database, folder, master_key, settings }, address)
    }

    /// Ends the tasks: nothing happens beside the test, and what changes is known by the process's own commits.
    pub(crate) async fn stop_tasks(&self) {
        if let Some(tasks) = self.tasks.lock().await.take() {
            tasks.stop().await;
        }
    }

    /// Another server on the same database, as another process would be: with a store, caches and a port of its own.
    pub(crate) async fn beside(&self) -> Self {
        let stopped = Stopped {
            clock: self.clock.clone(),
            world: self.world.clone(),
            database: self.database.clone(),
            folder: None,
            master_key: self.master_key.clone(),
            settings: self.app.settings.clone(),
        };
        stopped.start(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    pub(crate) fn advance_secs(&self, secs: u64) {
        self.advance(Duration::from_secs(secs));
    }

    pub(crate) fn now(&self) -> i64 {
        self.clock.now().as_secs()
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.app.settings.issuer
    }

    /// A caller from another address.
    pub(crate) fn caller_from(&self, address: [u8; 4]) -> Caller {
        Caller::from_address(&self.caller.base, address.into())
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser::new(&self.caller)
    }

    /// A code that Alice gave, for everything that a right request asks for.
    pub(crate) async fn code(&self, client: &Registered) -> String {
        self.code_of(&AuthorizationRequest::of(client)).await
    }

    /// A code that Alice gave for a request.
    pub(crate) async fn code_of(&self, request: &AuthorizationRequest) -> String {
        self.browser().authorize(request).await.sent("code").expect("a code")
    }

    /// What a client gets from a code that Alice gave, for everything that a right request asks for.
    pub(crate) async fn tokens(&self, client: &Registered) -> Value {
        self.tokens_of(client, &AuthorizationRequest::of(client)).await
    }

    /// What a client gets from a code that Alice gave for a request.
    pub(crate) async fn tokens_of(&self, client: &Registered, request: &AuthorizationRequest) -> Value {
        let code = self.code_of(request).await;
        self.redeem(client, &code).await.expect(200).json()
    }

    /// Redeems a code as it should be.
    pub(crate) async fn redeem(&self, client: &Registered, code: &str) -> super::Answer {
        self.caller.token(client, &redemption(client, code)).await
    }

    /// The server's own signing key: what a test signs with it is what a compromised or faulty issuer would sign.
    pub(crate) async fn signing_key(&self, algorithm: Algorithm) -> SigningKey {
        let records = self.app.store.read(ListSigningKeys).await.unwrap();
        let record = records.into_iter().find(|record| record.times.algorithm == algorithm).unwrap();
        let key = MasterKey::parse(self.master_key.expose_secret()).unwrap().derive("doorward/signing-keys");
        let id = record.times.id.to_string();
        let pkcs8 = seal::open(&key, &format!("signing-key/{id}"), &record.sealed).unwrap();
        SigningKey::from_pkcs8(id, algorithm, &pkcs8).unwrap()
    }

    /// The master key, as in its file.
    pub(crate) fn master_key(&self) -> &str {
        self.master_key.expose_secret()
    }

    /// Does what is due, and learns of it as any server does.
    pub(crate) async fn run_due(&self) {
        let position = self.app.store.position().await.unwrap();
        self.app.flush_uses().await.unwrap();
        tasks::run_due(&self.app).await.unwrap();
        self.app.catch_up(position).await.unwrap();
    }

    /// Lets the time pass until the current signing keys have retired.
    pub(crate) async fn retire_signing_keys(&self) {
        let schedule = self.app.settings.signing;
        self.advance(schedule.rotate_every - schedule.publish_before_use);
        self.run_due().await;
        self.advance(schedule.publish_before_use);
    }

    /// Lets the time pass until signing keys that have retired are removed.
    pub(crate) async fn remove_retired_signing_keys(&self) {
        self.advance(self.app.settings.signing.retire_after);
        self.run_due().await;
    }

    /// What `explain` says of a trace, once the queue was written.
    pub(crate) async fn explain(&self, trace_id: &str) -> Vec<Explained> {
        self.app.flush_audit().await.unwrap();
        // The server's own flush may be writing at this moment.
        eventually("the trace is in the audit", async || {
            let found = audit::explain(&self.app, trace_id, 1_000).await.unwrap().events;
            (!found.is_empty()).then_some(found)
        })
        .await
    }

    /// The events of the audit, once they are what a test waits for: the server writes the queue by itself as well, and
    /// may be about it at this moment.
    pub(crate) async fn audit(&self, what: &str, are_there: impl Fn(&[Explained]) -> bool) -> Vec<Explained> {
        eventually(what, async || {
            self.app.flush_audit().await.unwrap();
            let events = audit::tail(&self.app, &AuditFilter::default(), None, None, 10_000).await.unwrap().events;
            are_there(&events).then_some(events)
        })
        .await
    }

    /// The codes of so many refusals, in the order of the alphabet.
    pub(crate) async fn refusals(&self, count: usize) -> Vec<String> {
        let codes = |events: &[Explained]| events.iter().filter_map(|event| event.code.clone()).collect::<Vec<_>>();
        let mut codes = codes(&self.audit("refusals", |events| codes(events).len() >= count).await);
        codes.sort();
        codes
    }
}

/// The form that redeems a code as it should be.
pub(crate) fn redemption<'a>(client: &'a Registered, code: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", &client.redirect_uri),
        ("code_verifier", VERIFIER),
    ]
}

/// Waits until something is there, without a say in how long that may take.
pub(crate) async fn eventually<T>(what: &str, find: impl AsyncFn() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = find().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(CEILING, found).await.unwrap_or_else(|_| panic!("never came: {what}"))
}

/// What a server leaves when it ends.
pub(crate) struct Stopped {
    clock: Arc<ManualClock>,
    world: World,
    database: Database,
    folder: Option<TempDir>,
    master_key: SecretString,
    pub(crate) settings: Settings,
}

impl Stopped {
    pub(crate) async fn start(self, address: SocketAddr) -> TestServer {
        let Self { clock, world, database, folder, master_key, settings } = self;
        let listener = doorward_listen::bind(address).await.unwrap();
        let caller = Caller::new(&format!("http://{}", listener.local_addr().unwrap()));
        let app = open(&database, settings, clock.clone(), &master_key).await;
        let (tasks, end, serving) = serve(&app, listener).await;
        TestServer {
            app,
            clock,
            caller,
            world,
            database,
            folder,
            master_key,
            tasks: Mutex::new(Some(tasks)),
            end,
            serving,
        }
    }
}

async fn open(database: &Database, settings: Settings, clock: Arc<ManualClock>, master_key: &SecretString) -> Arc<App> {
    let store = Store::open(&database.location).await.unwrap();
    store.migrate().await.unwrap();
    let master_keys = vec![MasterKey::parse(master_key.expose_secret()).unwrap()];
    let (rng, metrics) = (Arc::new(SystemRng::default()), Metrics::on());
    App::open(Components { settings, store, clock, rng, master_keys, metrics }).await.unwrap()
}

async fn serve(app: &Arc<App>, listener: tokio::net::TcpListener) -> (Tasks, oneshot::Sender<()>, JoinHandle<()>) {
    let tasks = Tasks::start(app).await.unwrap();
    let (end, ended) = oneshot::channel();
    let serve = Serve {
        router: doorward_server::router(app.clone()),
        limits: app.settings.listen,
        trusted_proxies: app.settings.trusted_proxies.clone(),
        ..Serve::default()
    };
    let serving = tokio::spawn(doorward_listen::serve(vec![listener], serve, async {
        let _ = ended.await;
    }));
    (tasks, end, serving)
}

/// The answers to many requests that are under way at the same time.
pub(crate) async fn at_once<F>(count: usize, ask: impl Fn(usize) -> F) -> Vec<super::Answer>
where
    F: Future<Output = super::Answer> + Send + 'static,
{
    let tasks: Vec<_> = (0..count).map(|at| tokio::spawn(ask(at))).collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}
