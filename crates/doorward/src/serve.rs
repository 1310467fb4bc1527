//! `doorward serve`: the server for real use.

use std::{collections::HashSet, fs, net::IpAddr, path::Path, sync::Arc};

use doorward_guard::SystemClock;
use doorward_listen::{Limits, Serve, Shutdown, tls::Reloading};
use doorward_server::{
    App, Logo,
    actor::Actor,
    manage,
    metrics::Metrics,
    monitoring,
    tasks::{self, Tasks, supervise},
};
use doorward_store::{KNOWN_SCHEMA, Store, prepare_folder};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls_pki_types::ServerName;
use sd_notify::NotifyState;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use url::{Host, Url};

use crate::{
    belonging,
    certificate::{self, CertificateNews},
    config::{Config, UnusableFile, settings::Program},
    data::{self, Found, ISSUER},
    failure::Failure,
    listening::{self, Passed},
    logging::{self, Logging},
    reload::Running,
    traces::traced,
};

/// Runs the server until it is asked to stop.
pub(crate) fn run(path: &Path) -> Result<(), Failure> {
    let config = data::load_config(path)?;
    let passed = Passed::take()?;
    let logging = Arc::new(logging::begin(&config.program));
    allow_open_files();
    let runtime = runtime(config.program.threads)?;
    let served = runtime.block_on(serve(path, config, passed, logging.clone()));
    // What waits in the log and among the traces is written last.
    drop(runtime);
    drop(logging);
    served
}

/// Raises the limit of open files as far as the system lets this process: each connection takes one, and many systems
/// start programs with room for 1,024.
fn allow_open_files() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
}

/// The async runtime, with so many threads.
pub(crate) fn runtime(threads: usize) -> Result<tokio::runtime::Runtime, Failure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if threads > 0 {
        builder.worker_threads(threads);
    }
    builder.enable_all().build().map_err(|error| Failure::system("the runtime", error))
}

async fn serve(path: &Path, config: Config, passed: Passed, logging: Arc<Logging>) -> Result<(), Failure> {
    let mut found = Found::configured(&config)?;
    found.settings.logo = logo(&config.program)?;
    prepare_folder(&found.folder)?;
    let lock = found.lock()?;
    let store = found.open_store().await?;
    data::write_secret(&found.folder.join(ISSUER), &*config.server.issuer)?;
    data::record_configuration(&found.folder, path)?;
    if let Some(lock) = &lock {
        store.depend_on(lock);
    }
    check_durability(&store, &config.program).await?;
    let schema = store.migrate().await?.to;
    if schema > KNOWN_SCHEMA {
        tracing::warn!(
            schema,
            known = KNOWN_SCHEMA,
            "a newer version has migrated the database: this one continues to use it"
        );
    }
    if found.is_unused() {
        found.change_issuer(&store, &Actor::default()).await?;
    }
    store.serve().await?;
    let folder = found.folder.clone();
    let metrics = if config.program.metrics_addresses.is_empty() { Metrics::default() } else { Metrics::on() };
    let app = data::measured(found, store.clone(), metrics).await?;
    let tls = tls(&config)?;
    if let Some(tls) = &tls {
        CertificateNews::of(tls).tell();
    }
    let (addresses, listeners): (Vec<_>, Vec<_>) = passed.or_bind(&config.program).await?.into_iter().unzip();
    let metrics_listeners = listening::bind("metrics.address", &config.program.metrics_addresses).await?;
    let metrics_listeners = metrics_listeners.into_iter().map(|(_, listener)| listener).collect();
    for warning in config.warnings(&addresses) {
        tracing::warn!("{warning}");
    }
    ready(&app).await?;
    belonging::end_new(&folder)?;
    let tasks = Tasks::start(&app).await?;
    let health = app.task_health();
    let mut watching = vec![supervise(health.clone(), "watchdog", feed_watchdog)];
    if let Some(tls) = tls.clone() {
        let metrics = app.metrics.clone();
        watching.push(supervise(health, "certificate", move || certificate::watch(tls.clone(), metrics.clone())));
    }
    let hangup = signal(SignalKind::hangup()).map_err(|error| Failure::system("listening to signals", error))?;
    let (limits, trusted_proxies) = (app.settings.listen, app.settings.trusted_proxies.clone());
    let (forwarded_header, proxy_protocol) = (config.program.forwarded_header, config.program.proxy_protocol);
    let shutdown = Shutdown { delay: config.program.shutdown_delay, ..Shutdown::default() };
    let end = ending(app.clone())?;
    let running = Running { path: path.to_owned(), config, tls: tls.clone(), logging };
    watching.push(tokio::spawn(running.reload_at(hangup)));
    for address in &addresses {
        tracing::info!(issuer = %app.settings.issuer, %address, "ready");
    }
    watching.push(tokio::spawn(serve_metrics(app.clone(), metrics_listeners)));
    let router = traced(doorward_server::router(app));
    let serve = Serve { router, limits, trusted_proxies, forwarded_header, proxy_protocol, tls, shutdown };
    tell_systemd(NotifyState::Ready);
    doorward_listen::serve(listeners, serve, end).await;
    for task in watching {
        task.abort();
    }
    tasks.stop().await;
    // Requests that were cut off may still hold on to the server.
    store.close().await;
    Ok(())
}

/// Answers requests for metrics until the task is aborted. Metrics stay available during shutdown.
pub(crate) async fn serve_metrics(app: Arc<App>, listeners: Vec<TcpListener>) {
    for address in listeners.iter().filter_map(|listener| listener.local_addr().ok()) {
        tracing::info!(%address, "metrics at /metrics");
    }
    if !listeners.is_empty() {
        // A monitoring system needs one or two. They take open files that the callers of the server need.
        let limits = Limits { connections: 32, connections_per_address: 32, ..app.settings.listen };
        let serve = Serve { router: monitoring::router(app), limits, ..Serve::default() };
        doorward_listen::serve(listeners, serve, std::future::pending()).await;
    }
}

/// Refuses a database that may lose what it has acknowledged, unless the operator accepts that.
async fn check_durability(store: &Store, program: &Program) -> Result<(), Failure> {
    let Some(weakness) = store.unsafe_durability().await? else { return Ok(()) };
    if program.accept_data_loss {
        tracing::warn!("{weakness}; data.accept_data_loss is set");
        return Ok(());
    }
    Err(Failure::System(format!("{weakness}. Turn it on, or accept that with data.accept_data_loss = true")))
}

/// Makes what every server has: the management API and the first signing keys.
pub(crate) async fn ready(app: &App) -> Result<(), Failure> {
    tasks::run_due(app).await?;
    manage::apis::ensure_management(app).await?;
    Ok(())
}

/// Resolves when the server must stop. The server keeps answering for a while and reports that it is not ready, so that
/// a load balancer sends the next requests elsewhere.
fn ending(app: Arc<App>) -> Result<impl Future<Output = ()>, Failure> {
    let end = end()?;
    Ok(async move {
        end.await;
        tell_systemd(NotifyState::Stopping);
        app.begin_to_end();
    })
}

/// Does nothing where no systemd waits for it (sd_notify(3)).
fn tell_systemd(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "systemd could not be notified");
    }
}

/// Reports to systemd's watchdog, if there is one, that this process works. The runtime that answers requests does it,
/// so that a runtime that hangs is noticed.
async fn feed_watchdog() {
    let Some(patience) = sd_notify::watchdog_enabled() else { return };
    loop {
        tell_systemd(NotifyState::Watchdog);
        tokio::time::sleep(patience / 3).await;
    }
}

/// Ends at Ctrl-C or SIGTERM. From this call on, and not only once it is awaited, a signal is an end in good order: it
/// is called before anybody learns that the server is ready.
pub(crate) fn end() -> Result<impl Future<Output = ()>, Failure> {
    let listen = |kind| signal(kind).map_err(|error| Failure::system("listening to signals", error));
    let (mut interrupted, mut terminated) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
        tracing::info!("stopping: finishing running requests");
    })
}

/// The certificate and key that are configured, if any are.
pub(crate) fn tls(config: &Config) -> Result<Option<Arc<Reloading>>, Failure> {
    let Some(files) = config.program.tls.clone() else { return Ok(None) };
    let reloading = Reloading::new(files, certified_host(config), Arc::new(SystemClock));
    Ok(Some(Arc::new(reloading.map_err(|error| Failure::system("listen.tls", error))?)))
}

/// The host that the certificate is for: the issuer's, unless a proxy is the one who connects.
fn certified_host(config: &Config) -> Option<ServerName<'static>> {
    let url = Url::parse(&config.server.issuer).ok().filter(|_| !config.program.behind_proxy)?;
    match url.host()? {
        Host::Domain(name) => ServerName::try_from(name.to_owned()).ok(),
        Host::Ipv4(ip) => Some(IpAddr::V4(ip).into()),
        Host::Ipv6(ip) => Some(IpAddr::V6(ip).into()),
    }
}

/// Which of the files that a configuration names can't be used; `config check` asks.
pub(crate) fn check_files(config: &Config) -> Vec<UnusableFile> {
    let program = &config.program;
    let mut unusable = Vec::new();
    let mut check = |keys: &[&'static str], checked: Result<(), Failure>| {
        unusable
            .extend(checked.err().map(|failure| UnusableFile { keys: keys.to_vec(), message: failure.to_string() }));
    };
    if let Some(pair) = &program.tls {
        let files = [("listen.tls.certificate", &pair.certificate), ("listen.tls.key", &pair.key)];
        let opened = files.map(|(key, path)| match fs::File::open(path) {
            Ok(_) => Ok(()),
            Err(error) => Err(Failure::system(&format!("{key} {}", path.display()), error)),
        });
        if opened.iter().all(Result::is_ok) {
            let keys = files.map(|(key, _)| key);
            match tls(config) {
                Ok(tls) => {
                    for fault in tls.map(|tls| tls.faults()).unwrap_or_default() {
                        check(&keys, Err(Failure::System(format!("listen.tls.certificate: {fault}"))));
                    }
                }
                Err(unusable) => check(&keys, Err(unusable)),
            }
        }
        for ((key, path), opened) in files.into_iter().zip(opened) {
            // One of the pair that is not given is a mistake of its own.
            if !path.as_os_str().is_empty() {
                check(&[key], opened);
            }
        }
    }
    if program.master_key.is_none() {
        // Where it is not named it lies in the data folder.
        check(&["keys.master_key_file", "data.dir"], data::read_master_keys(&program.master_key_file).map(drop));
    }
    check(&["password.breached_list_file"], breached(program).map(drop));
    check(&["pages.logo_file"], logo(program).map(drop));
    unusable
}

/// The logo of the pages, if there is one.
pub(crate) fn logo(program: &Program) -> Result<Option<Logo>, Failure> {
    let Some(path) = &program.logo_file else { return Ok(None) };
    let what = format!("pages.logo_file {}", path.display());
    let content = fs::read(path).map_err(|error| Failure::system(&what, error))?;
    Logo::new(content).map(Some).map_err(|invalid| Failure::Configuration(format!("{what}: {invalid}")))
}

/// The breached passwords that are listed in a file, in small letters.
pub(crate) fn breached(program: &Program) -> Result<HashSet<String>, Failure> {
    let Some(path) = &program.breached_list_file else { return Ok(HashSet::new()) };
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::system(&format!("password.breached_list_file {}", path.display()), error))?;
    Ok(text.lines().map(str::to_lowercase).collect())
}
