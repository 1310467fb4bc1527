//! `doorward serve`: the server for real use.

use std::{collections::HashSet, fs, path::Path, sync::Arc, time::Duration};

use doorward_core::{grant::refresh::RefreshLimits, session::SessionLimits, signing::RotationSchedule};
use doorward_listen::{
    Serve,
    tls::{Files, Reloading},
};
use doorward_server::{
    Accent, App, Settings, manage, settings,
    tasks::{self, Tasks},
};
use doorward_store::{FolderLock, Location, Store, prepare_folder};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    config::{
        Config, UnusableFile,
        settings::{MasterKeySource, Password},
    },
    data::{self, ISSUER, Place},
    failure::Failure,
    logging,
};

/// How often certificate files are looked at.
const TLS_CHECK: Duration = Duration::from_secs(10);

/// Runs the server until it is told to end.
pub(crate) fn run(path: &Path) -> Result<(), Failure> {
    let config = data::load_config(path)?;
    logging::begin(&config.log);
    let runtime = runtime(config.worker.threads as usize)?;
    runtime.block_on(serve(path, config))
}

/// The async runtime, with so many threads.
pub(crate) fn runtime(threads: usize) -> Result<tokio::runtime::Runtime, Failure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if threads > 0 {
        builder.worker_threads(threads);
    }
    builder.enable_all().build().map_err(|error| Failure::system("the runtime", error))
}

async fn serve(path: &Path, config: Config) -> Result<(), Failure> {
    let found = Place::Config(path.to_owned()).find()?;
    prepare_folder(&found.folder)?;
    let _lock = match &found.location {
        Location::Sqlite(folder) => Some(FolderLock::acquire(folder)?),
        Location::Postgres(_) => None,
    };
    fs::write(found.folder.join(ISSUER), config.issuer.as_str())
        .map_err(|error| Failure::system("writing the issuer into the data folder", error))?;
    let store = Store::open(&found.location).await?;
    store.migrate().await?;
    let app = data::app(found, store).await?;
    let tls = tls(&config)?;
    let mut listeners = Vec::new();
    for address in &config.listen.address {
        let listener = doorward_listen::bind(*address).await;
        listeners.push(listener.map_err(|error| Failure::system(&format!("listen.address {address}"), error))?);
    }
    ready(&app).await?;
    let tasks = Tasks::start(&app).await?;
    let watching = tls.clone().map(|tls| tokio::spawn(watch(tls)));
    let (limits, trusted_proxies) = (app.settings.listen, app.settings.trusted_proxies.clone());
    let end = end()?;
    for address in &config.listen.address {
        tracing::info!(issuer = %app.settings.issuer, %address, "ready");
    }
    let serve = Serve { router: doorward_server::router(app), limits, trusted_proxies, tls };
    doorward_listen::serve(listeners, serve, end).await;
    if let Some(watching) = watching {
        watching.abort();
    }
    tasks.stop().await;
    Ok(())
}

/// Makes what every server has: the management API and the first signing keys.
pub(crate) async fn ready(app: &App) -> Result<(), Failure> {
    tasks::run_due(app).await?;
    manage::apis::ensure_management(app).await?;
    Ok(())
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
        tracing::info!("ending: running requests are finished");
    })
}

/// The certificate and key that are configured, if any are.
pub(crate) fn tls(config: &Config) -> Result<Option<Arc<Reloading>>, Failure> {
    let Some(tls) = &config.listen.tls else { return Ok(None) };
    let files = Files { certificate: tls.certificate.clone(), key: tls.key.clone() };
    let reloading = Reloading::new(files).map_err(|error| Failure::system("listen.tls", error))?;
    Ok(Some(Arc::new(reloading)))
}

async fn watch(tls: Arc<Reloading>) {
    loop {
        tokio::time::sleep(TLS_CHECK).await;
        match tls.refresh() {
            Ok(true) => tracing::info!("the certificate was read again"),
            Ok(false) => {}
            Err(error) => tracing::error!(%error, "the new certificate can't be used; the former one stays"),
        }
    }
}

/// Whether an accent can be used; the configuration asks.
pub(crate) fn check_accent(accent: &str) -> Result<(), String> {
    Accent::parse(accent).map(drop).map_err(|error| error.to_string())
}

/// Which of the files that a configuration names can't be used; `config check` asks.
pub(crate) fn check_files(config: &Config) -> Vec<UnusableFile> {
    let mut unusable = Vec::new();
    let mut check = |keys: &[&'static str], checked: Result<(), Failure>| {
        unusable
            .extend(checked.err().map(|failure| UnusableFile { keys: keys.to_vec(), message: failure.to_string() }));
    };
    if let Some(pair) = &config.listen.tls {
        let files = [("listen.tls.certificate", &pair.certificate), ("listen.tls.key", &pair.key)];
        let opened = files.map(|(key, path)| match fs::File::open(path) {
            Ok(_) => Ok(()),
            Err(error) => Err(Failure::system(&format!("{key} {}", path.display()), error)),
        });
        if opened.iter().all(Result::is_ok) {
            check(&files.map(|(key, _)| key), tls(config).map(drop));
        }
        for ((key, path), opened) in files.into_iter().zip(opened) {
            // One of the pair that is not given is a mistake of its own.
            if !path.as_os_str().is_empty() {
                check(&[key], opened);
            }
        }
    }
    if let MasterKeySource::File(path) = &config.keys.master_key {
        // Where it is not named it lies in the data folder.
        check(&["keys.master_key_file", "data.dir"], data::read_master_keys(path).map(drop));
    }
    check(&["password.breached_list_file"], breached(&config.password).map(drop));
    unusable
}

/// The breached passwords that are listed in a file, in small letters.
fn breached(password: &Password) -> Result<HashSet<String>, Failure> {
    let Some(path) = &password.breached_list_file else { return Ok(HashSet::new()) };
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::system(&format!("password.breached_list_file {}", path.display()), error))?;
    Ok(text.lines().map(str::to_lowercase).collect())
}

/// The server's settings out of the configuration.
pub(crate) fn settings(config: &Config) -> Result<Settings, Failure> {
    let defaults = Settings::new(config.issuer.as_str());
    let breached = breached(&config.password)?;
    let accent = config.pages.accent.as_deref().map(Accent::parse).transpose();
    Ok(Settings {
        tokens: settings::Tokens {
            access_token_ttl: config.tokens.access_token_ttl,
            code_ttl: config.tokens.code_ttl,
            id_token_ttl: config.tokens.id_token_ttl,
            refresh: RefreshLimits {
                idle: config.tokens.refresh_idle,
                absolute: config.tokens.refresh_absolute,
                grace_same_address: config.tokens.refresh_grace_same_address,
                grace_other_address: config.tokens.refresh_grace_other_address,
            },
            ..defaults.tokens
        },
        signing: RotationSchedule {
            rotate_every: config.signing.rotate_every,
            publish_before_use: config.signing.publish_before_use,
            retire_after: config.signing.retire_after,
        },
        session: SessionLimits { idle: config.session.idle, absolute: config.session.absolute },
        password: settings::Password {
            min_length: config.password.min_length as usize,
            memory_kib: config.password.hash_memory_kib,
            iterations: config.password.hash_iterations,
            parallelism: config.password.hash_parallelism,
            max_concurrent_hashes: config.password.max_concurrent_hashes as usize,
            hash_queue: config.password.hash_queue as usize,
            breached: Arc::new(breached),
        },
        throttle: settings::Throttle {
            free_failures_per_name: config.throttle.free_failures_per_name,
            free_failures_per_address: config.throttle.free_failures_per_address,
            max_wait: config.throttle.max_wait,
            client_failures_per_minute: config.throttle.client_failures_per_minute,
        },
        limits: settings::Limits {
            body_bytes: config.limits.body_bytes,
            open_requests_per_network: i64::from(config.limits.open_requests_per_network),
            cache_entries: config.limits.cache_entries as usize,
            audit_queue: config.limits.audit_queue as usize,
            sessions_per_user: i64::from(config.limits.sessions_per_user),
        },
        listen: doorward_listen::Limits {
            header_bytes: config.limits.header_bytes,
            header_timeout: config.limits.header_timeout,
            body_timeout: config.limits.body_timeout,
            connections: config.limits.connections as usize,
            connections_per_address: config.limits.connections_per_address as usize,
        },
        audit: settings::Audit { retention: config.audit.retention, fold_after: config.audit.fold_after },
        name: config.pages.name.clone(),
        accent: accent.map_err(|error| Failure::Usage(error.to_string()))?.unwrap_or_default(),
        trusted_proxies: match config.listen.behind_proxy {
            true => config.listen.trusted_proxies.clone(),
            false => Vec::new(),
        },
        ..defaults
    })
}
