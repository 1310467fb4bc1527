//! Opening what a command works on: a configured server's store, or a data folder.

use std::{
    ffi::OsString,
    fmt, fs,
    io::{self, Write},
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::{MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use doorward_core::{digest::MasterKey, secret::ExposeSecret};
use doorward_guard::{SystemClock, SystemRng};
use doorward_server::{App, Settings, app::Components, metrics::Metrics};
use doorward_store::{DATABASE, FolderLock, Location, Store, check_folder};

use crate::{
    config::{Config, Environment},
    failure::Failure,
    serve,
};

/// The name of the master key's file in a data folder.
pub(crate) const MASTER_KEY: &str = "master.key";
/// The name of the file that says which issuer a data folder belongs to.
pub(crate) const ISSUER: &str = "issuer";

/// The name of the file that holds the path of the configuration with which a server last ran on a data folder.
pub(crate) const CONFIGURATION: &str = "configuration";

/// The name of the file that marks a folder while a demo is created in it.
pub(crate) const UNFINISHED_DEMO: &str = "demo.unfinished";

/// What a command works on.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// A configured server.
    Config(PathBuf),
    /// A data folder, also a demo's.
    Data(PathBuf),
}

/// As it is named on the command line.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(path) => write!(f, "--config {}", path.display()),
            Self::Data(folder) => write!(f, "--data {}", folder.display()),
        }
    }
}

/// What was found at a place, ready to be opened.
pub(crate) struct Found {
    pub(crate) settings: Settings,
    pub(crate) location: Location,
    pub(crate) master_keys: Vec<MasterKey>,
    pub(crate) folder: PathBuf,
}

impl Found {
    /// Keeps every other process off a data folder that holds a database, while a server works on it.
    pub(crate) fn lock(&self) -> Result<Option<FolderLock>, Failure> {
        match &self.location {
            Location::Sqlite(folder) => Ok(Some(FolderLock::acquire(folder)?)),
            Location::Postgres(_) => Ok(None),
        }
    }

    /// The same, while a command works on it.
    pub(crate) fn lock_for(&self, command: &str) -> Result<Option<FolderLock>, Failure> {
        match &self.location {
            Location::Sqlite(folder) => Ok(Some(FolderLock::acquire_for(folder, command)?)),
            Location::Postgres(_) => Ok(None),
        }
    }

    /// What a configuration names.
    pub(crate) fn configured(config: &Config) -> Result<Self, Failure> {
        refuse_unfinished_demo(&config.program.data_dir)?;
        let master_keys = match &config.program.master_key {
            None => read_master_keys(&config.program.master_key_file)?,
            Some(key) => vec![copied(key)?],
        };
        Self::with_master_keys(config, master_keys)
    }

    fn with_master_keys(config: &Config, master_keys: Vec<MasterKey>) -> Result<Self, Failure> {
        let program = &config.program;
        let folder = program.data_dir.clone();
        let location = match &program.postgres {
            Some(url) => Location::Postgres(url.clone()),
            None => Location::Sqlite(folder.clone()),
        };
        let mut settings = config.server.clone();
        settings.password.breached = Arc::new(serve::breached(program)?);
        Ok(Self { settings, location, master_keys, folder })
    }

    /// What a server with SQLite and without a configuration has in its folder.
    pub(crate) fn in_folder(folder: &Path, issuer: &str) -> Result<Self, Failure> {
        Ok(Self {
            settings: Settings::new(issuer),
            location: Location::Sqlite(folder.to_owned()),
            master_keys: read_master_keys(&folder.join(MASTER_KEY))?,
            folder: folder.to_owned(),
        })
    }
}

/// Where a server is restored: its master key may be missing.
pub(crate) struct Target {
    /// What is there, with the master keys that could be read.
    pub(crate) found: Found,
    /// The file of the master keys; none if the environment gives the key.
    pub(crate) master_key_file: Option<PathBuf>,
}

impl Place {
    /// What a restore of a server with this issuer finds at the place. A folder without a word about itself becomes that
    /// server's.
    pub(crate) fn target(&self, issuer: &str) -> Result<Target, Failure> {
        let of_config = |config: &Config| {
            let program = &config.program;
            let (master_key_file, master_keys) = match &program.master_key {
                Some(key) => (None, vec![copied(key)?]),
                None => (Some(program.master_key_file.clone()), read_master_keys_if_any(&program.master_key_file)?),
            };
            let found = Found::with_master_keys(config, master_keys)?;
            Ok(Target { found, master_key_file })
        };
        match self {
            Self::Config(path) => of_config(&load_config(path)?),
            Self::Data(folder) => {
                if let Some(config) = last_configuration(folder)? {
                    return of_config(&config);
                }
                let path = folder.join(MASTER_KEY);
                let issuer = fs::read_to_string(folder.join(ISSUER)).unwrap_or_else(|_| issuer.to_owned());
                let found = Found {
                    settings: Settings::new(issuer.trim()),
                    location: Location::Sqlite(folder.to_owned()),
                    master_keys: read_master_keys_if_any(&path)?,
                    folder: folder.to_owned(),
                };
                Ok(Target { found, master_key_file: Some(path) })
            }
        }
    }

    /// The configuration, which a data folder has if its server has run.
    pub(crate) fn configuration(&self) -> Result<Config, Failure> {
        let folder = match self {
            Self::Config(path) => return load_config(path),
            Self::Data(folder) => folder,
        };
        check_folder(folder)?;
        last_configuration(folder)?.ok_or_else(|| {
            let folder = folder.display();
            Failure::Usage(format!(
                "{folder} does not say where its server listens: name the configuration by --config FILE"
            ))
        })
    }

    /// Reads configuration and keys.
    pub(crate) fn find(&self) -> Result<Found, Failure> {
        match self {
            Self::Config(path) => Found::configured(&load_config(path)?),
            Self::Data(folder) => {
                check_folder(folder)?;
                if let Some(config) = last_configuration(folder)? {
                    return Found::configured(&config);
                }
                let issuer = fs::read_to_string(folder.join(ISSUER)).map_err(|error| {
                    let path = folder.join(ISSUER);
                    Failure::Usage(format!(
                        "{}: {error}. --data is for the folder of a demo, or of a server that has run; name a server's \
                         configuration with --config",
                        path.display()
                    ))
                })?;
                Found::in_folder(folder, issuer.trim())
            }
        }
    }

    /// Opens the store beside a server that may run. A schema that is behind is migrated, unless a server holds the
    /// folder: that one migrates itself at its start.
    pub(crate) async fn open(&self) -> Result<Arc<App>, Failure> {
        let found = self.find()?;
        if let Location::Sqlite(folder) = &found.location {
            check_folder(folder)?;
        }
        if let (Self::Data(_), Location::Sqlite(folder)) = (self, &found.location)
            && !folder.join(DATABASE).exists()
        {
            return Err(Failure::Usage(format!(
                "{} contains no database: for a server with PostgreSQL, give its configuration with --config",
                folder.display()
            )));
        }
        let store = found.open_store().await?;
        match (&found.location, store.check_schema().await) {
            (_, Ok(_)) => {}
            (Location::Sqlite(folder), Err(error)) if FolderLock::is_held(folder)? => return Err(error.into()),
            (Location::Sqlite(_), Err(_)) => {
                store.migrate().await?;
            }
            (Location::Postgres(_), Err(error)) => return Err(error.into()),
        }
        app(found, store).await
    }
}

/// The configuration with which a server last ran on this folder. None if the file is gone, or if the record is of another
/// folder, as it is in a copy.
fn last_configuration(folder: &Path) -> Result<Option<Config>, Failure> {
    let record = folder.join(CONFIGURATION);
    let Some(record) = read_record(&record)? else { return Ok(None) };
    let (path, served) = record.split_at(record.iter().position(|byte| *byte == 0).unwrap_or(record.len()));
    let path = PathBuf::from(OsString::from_vec(path.to_vec()));
    if matches!(path.try_exists(), Ok(false)) {
        return Ok(None);
    }
    let canonical =
        |folder: &Path| fs::canonicalize(folder).map_err(|error| Failure::system(&folder.display().to_string(), error));
    let here = canonical(folder)?;
    check_trusted(&path, folder)?;
    let mut config = load_config(&path)?;
    let served = match served.get(1..) {
        Some(served) => PathBuf::from(OsString::from_vec(served.to_vec())),
        // The record of an older program. The folder of the configuration may be gone, and is another one then.
        None => fs::canonicalize(&config.program.data_dir).unwrap_or_default(),
    };
    if served != here {
        return Ok(None);
    }
    // The server may have had its folder from its environment, which this command does not have.
    let program = &mut config.program;
    if program.master_key_file == program.data_dir.join(MASTER_KEY) {
        program.master_key_file = here.join(MASTER_KEY);
    }
    program.data_dir = here;
    Ok(Some(config))
}

/// Notes with which configuration a server runs on its folder.
pub(crate) fn record_configuration(folder: &Path, path: &Path) -> Result<(), Failure> {
    let failed = |error| Failure::system("finding the configuration", error);
    // A link to the configuration is not resolved: it may point to another file tomorrow.
    let (path, folder_now) = (std::path::absolute(path).map_err(failed)?, fs::canonicalize(folder).map_err(failed)?);
    let record = [path.as_os_str().as_bytes(), folder_now.as_os_str().as_bytes()].join(&0);
    write_secret(&folder.join(CONFIGURATION), record)
}

/// The record, if there is one; two paths are longer than this nowhere.
fn read_record(path: &Path) -> Result<Option<Vec<u8>>, Failure> {
    const LONGEST: u64 = 16 * 1024;
    let failed = |error: &dyn std::fmt::Display| Failure::System(format!("{}: {error}", path.display()));
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(&error)),
        Ok(metadata) if !metadata.is_file() || metadata.len() > LONGEST => {
            return Err(failed(&"not written by a server: remove it, or give the configuration with --config"));
        }
        Ok(_) => {}
    }
    fs::read(path).map(Some).map_err(|error| failed(&error))
}

/// Refuses a configuration that somebody else put at the recorded path: it names a database and what passwords cost.
fn check_trusted(path: &Path, folder: &Path) -> Result<(), Failure> {
    let metadata =
        |path: &Path| fs::metadata(path).map_err(|error| Failure::system(&path.display().to_string(), error));
    let (file, folder) = (metadata(path)?, metadata(folder)?);
    if (file.uid() == 0 || file.uid() == folder.uid()) && file.mode() & 0o002 == 0 {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "{}, with which a server last ran on this folder, can be written by others: give the configuration with --config",
        path.display()
    )))
}

/// Whether the folder holds what a demo made that was killed before it was whole.
pub(crate) fn is_unfinished_demo(folder: &Path) -> bool {
    folder.join(UNFINISHED_DEMO).exists() && !folder.join(ISSUER).exists()
}

/// Refuses a folder whose data the demo's next start removes.
pub(crate) fn refuse_unfinished_demo(folder: &Path) -> Result<(), Failure> {
    if !is_unfinished_demo(folder) {
        return Ok(());
    }
    Err(Failure::NotDone(format!(
        "{0} holds a demo that was killed during its creation: run `doorward demo --data` on it again, or remove {0}",
        folder.display()
    )))
}

/// The server on an opened store.
pub(crate) async fn app(found: Found, store: Store) -> Result<Arc<App>, Failure> {
    measured(found, store, Metrics::default()).await
}

/// The server on an opened store, which measures itself if the metrics are on.
pub(crate) async fn measured(found: Found, store: Store, metrics: Metrics) -> Result<Arc<App>, Failure> {
    let parts = Components {
        settings: found.settings,
        store,
        clock: Arc::new(SystemClock),
        rng: Arc::new(SystemRng::default()),
        master_keys: found.master_keys,
        metrics,
    };
    Ok(App::open(parts).await?)
}

/// Reads and checks a configuration, with the process's environment.
pub(crate) fn load_config(path: &Path) -> Result<Config, Failure> {
    let loaded = Config::load(path, &Environment::of_process());
    loaded.map_err(|mistakes| Failure::Configuration(mistakes.render(use_colour())))
}

/// Whether standard error is for a person who wants colour.
pub(crate) fn use_colour() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none()
}

/// The master keys of a file, one a line, the newest first; lines that begin with `#` are skipped.
pub(crate) fn read_master_keys(path: &Path) -> Result<Vec<MasterKey>, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::System(format!("master key {}: {error}", path.display()));
    let metadata = fs::metadata(path).map_err(|error| failed(&error))?;
    if metadata.mode() & 0o077 != 0 {
        return Err(failed(&"others can read it: chmod 600"));
    }
    let text = fs::read_to_string(path).map_err(|error| failed(&error))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let keys: Result<Vec<_>, _> = lines.map(MasterKey::parse).collect();
    let keys = keys.map_err(|error| failed(&error))?;
    if keys.is_empty() { Err(failed(&"no key in it")) } else { Ok(keys) }
}

/// The master keys of a file, or none if there is no such file.
fn read_master_keys_if_any(path: &Path) -> Result<Vec<MasterKey>, Failure> {
    if matches!(path.try_exists(), Ok(false)) { Ok(Vec::new()) } else { read_master_keys(path) }
}

/// Writes a file that nobody else may read. An existing file is replaced whole; one that says the same already is left as
/// it is.
pub(crate) fn write_secret(path: &Path, content: impl AsRef<[u8]>) -> Result<(), Failure> {
    let content = content.as_ref();
    if fs::read(path).is_ok_and(|present| present == content) {
        return Ok(());
    }
    let new = written_beside(path, content)?;
    fs::rename(&new, path).map_err(|error| Failure::system(&format!("writing {}", path.display()), error))?;
    sync_folder_of(path)
}

/// Writes the content under a name of its own beside `path`: several servers may share a folder and start at once.
fn written_beside(path: &Path, content: &[u8]) -> Result<PathBuf, Failure> {
    let failed = |error| Failure::system(&format!("writing {}", path.display()), error);
    let new = path.with_extension(format!("new.{}", std::process::id()));
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new).map_err(failed)?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(failed)?;
    Ok(new)
}

/// A file that was created or renamed survives a crash only if its folder is synced.
pub(crate) fn sync_folder_of(path: &Path) -> Result<(), Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let synced = fs::File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| Failure::system(&folder.display().to_string(), error))
}

/// Generates a master key into a file, if there is none.
pub(crate) fn ensure_master_key(path: &Path) -> Result<(), Failure> {
    if path.exists() {
        return Ok(());
    }
    let new = written_beside(path, lines(&[MasterKey::generate(&SystemRng::default())]).as_bytes())?;
    // A link replaces no file: if two processes create a key at once, the first one's key is kept.
    let linked = fs::hard_link(&new, path);
    let removed = fs::remove_file(&new);
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(Failure::system(&format!("writing {}", path.display()), error))
        }
        _ => {
            removed.map_err(|error| Failure::system(&new.display().to_string(), error))?;
            sync_folder_of(path)
        }
    }
}

/// Writes master keys into their file, the newest first.
pub(crate) fn write_master_keys(path: &Path, keys: &[MasterKey]) -> Result<(), Failure> {
    write_secret(path, lines(keys))
}

fn lines(keys: &[MasterKey]) -> String {
    keys.iter().map(|key| format!("{}\n", key.reveal().expose_secret())).collect()
}

/// A copy of a master key, which does not implement `Clone`.
pub(crate) fn copied(key: &MasterKey) -> Result<MasterKey, Failure> {
    MasterKey::parse(key.reveal().expose_secret()).map_err(|error| Failure::Usage(error.to_string()))
}
