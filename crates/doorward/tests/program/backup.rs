//! Backups, restores and the move to PostgreSQL, as an operator does them: beside a server under load, after the folder
//! is lost, killed on the way.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    serve::{configured, free_port, init, set},
    support::{Running, eventually, http, program},
};

const PASSPHRASE: &str = "a passphrase that is long enough";

/// A configured server with an API, a client and a key.
pub(crate) struct Site {
    pub(crate) folder: TempDir,
    pub(crate) config: PathBuf,
    pub(crate) url: String,
    pub(crate) api: Value,
    pub(crate) client: Value,
    pub(crate) key: Value,
}

impl Site {
    /// A site on SQLite, or on a PostgreSQL database.
    pub(crate) fn new(postgres: Option<&str>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let config = init(folder.path(), &format!("http://localhost:{port}"));
        if let Some(postgres) = postgres {
            set(&config, "data", &format!("postgres = \"{postgres}\""));
            json(&config, &["migrate"]);
        }
        let url = format!("http://127.0.0.1:{port}");
        let server = Running::serve(&config, &url);
        let api = ["api", "create", "--name", "things", "--identifier", "https://things.example"];
        let api = json(&config, &[&api[..], &["--scope", "things:read=Read", "--token-format", "opaque"]].concat());
        let client = ["client", "create", "--name", "Job", "--grant", "client_credentials", "--scope", "things:read"];
        let client = json(&config, &[&client[..], &["--default-scope", "things:read"]].concat());
        let key = json(&config, &KEY);
        assert_eq!(server.terminate(), Some(0));
        Self { folder, config, url, api, client, key }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn basic(&self) -> String {
        let text = |name: &str| self.api[name].as_str().expect("a text");
        format!("Basic {}", STANDARD.encode(format!("{}:{}", text("client_id"), text("client_secret"))))
    }

    /// Whether the server takes a key.
    pub(crate) fn takes(&self, key: &str) -> bool {
        let headers = [("Authorization", &*self.basic()), ("Content-Type", "application/json")];
        let body = format!(r#"{{"key":"{key}"}}"#);
        let answer = http("POST", &format!("{}/v1/keys/verify", self.url), &headers, &body).expect("an answer");
        answer.json()["valid"] == true
    }

    /// Whether the server says that a token is active.
    fn is_active(&self, token: &str) -> bool {
        let headers = [("Authorization", &*self.basic()), ("Content-Type", "application/x-www-form-urlencoded")];
        let answer = http("POST", &format!("{}/introspect", self.url), &headers, &format!("token={token}"));
        answer.expect("an answer").json()["active"] == true
    }

    /// A token, unless the server is away.
    fn token(&self) -> Option<String> {
        let text = |name: &str| self.client[name].as_str().expect("a text");
        let pairs = [("client_id", text("client_id")), ("client_secret", text("client_secret"))];
        let body = pairs.map(|(name, value)| format!("{name}={value}")).join("&");
        let headers = [("Content-Type", "application/x-www-form-urlencoded")];
        let body = format!("grant_type=client_credentials&{body}");
        let answer = http("POST", &format!("{}/token", self.url), &headers, &body)?;
        Some(serde_json::from_str::<Value>(&answer.body).ok()?["access_token"].as_str()?.to_owned())
    }

    fn lose_the_folder(&self) {
        fs::remove_dir_all(self.data()).expect("the folder is removed");
    }
}

pub(crate) const KEY: [&str; 8] = ["key", "create", "--name", "k", "--api", "things", "--scope", "things:read"];

pub(crate) fn json(config: &Path, arguments: &[&str]) -> Value {
    let output = configured(config, &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{arguments:?}: {}", printed(&output));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

pub(crate) fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn key_of(made: &Value) -> String {
    made["secret"].as_str().expect("a key").to_owned()
}

/// A new database on the PostgreSQL of the tests, if there is one.
pub(crate) fn postgres() -> Option<String> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let server = std::env::var("DOORWARD_TEST_POSTGRES").ok()?;
    let name = format!("doorward_backup_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let created = Command::new("psql").args([&server, "-qc", &format!("CREATE DATABASE {name}")]).status();
    assert!(created.expect("psql runs").success());
    let (base, _) = server.rsplit_once('/').expect("a URL with a database");
    Some(format!("{base}/{name}"))
}

/// Lets clients work while `during` does, and gives beside its result the tokens and keys that were answered before it.
fn under_load<T>(site: &Site, during: impl FnOnce() -> T) -> (T, Vec<String>, Vec<String>) {
    let is_over = AtomicBool::new(false);
    let before: Vec<_> = (0..50).map(|_| site.token().expect("a token")).collect();
    let keys: Vec<_> = (0..3).map(|_| key_of(&json(&site.config, &KEY))).collect();
    let outcome = thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    site.token().expect("a token");
                }
            });
        }
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                json(&site.config, &KEY);
            }
        });
        let outcome = during();
        is_over.store(true, Ordering::Relaxed);
        outcome
    });
    (outcome, before, keys)
}

fn backup_survives_the_loss_of_the_folder(from: Option<String>, to: Option<String>) {
    let site = Site::new(from.as_deref());
    let server = Running::serve(&site.config, &site.url);
    let (file, passphrase) = (site.file("backup"), site.file("passphrase"));
    fs::write(&passphrase, format!("{PASSPHRASE}\n")).expect("written");
    let arguments = ["backup", &file, "--include-master-key", "--passphrase-file", &passphrase];
    let (made, tokens, keys) = under_load(&site, || json(&site.config, &arguments));
    assert!(made["tables"]["api_keys"].as_u64().is_some_and(|rows| rows >= 4), "{made}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).expect("a file").permissions());
    assert_eq!(mode & 0o777, 0o600);
    let again = configured(&site.config, &["backup", &file]);
    assert!(again.status.code() == Some(1) && printed(&again).contains("exists"), "{}", printed(&again));
    server.kill();

    site.lose_the_folder();
    if from != to {
        // The destination is another database than the one that was backed up.
        let text = fs::read_to_string(&site.config).expect("the configuration");
        let text: String =
            text.lines().filter(|line| !line.starts_with("postgres =")).map(|l| format!("{l}\n")).collect();
        fs::write(&site.config, text).expect("written");
        if let Some(to) = &to {
            set(&site.config, "data", &format!("postgres = \"{to}\""));
        }
    }
    let verified = program().args(["backup", "verify", &file, "--json", "--passphrase-file", &passphrase]).output();
    let verified = verified.expect("the program runs");
    assert!(verified.status.success(), "{}", printed(&verified));
    let without = configured(&site.config, &["restore", &file]);
    assert_ne!(without.status.code(), Some(0), "without the passphrase");
    let restored = json(&site.config, &["restore", &file, "--passphrase-file", &passphrase]);
    assert_eq!(restored["tables"], made["tables"]);
    let ended = restored["ended"]["access_tokens"].as_u64().expect("a count");
    assert!(ended >= tokens.len() as u64, "{restored}");
    let twice = configured(&site.config, &["restore", &file]);
    assert!(twice.status.code() == Some(1) && printed(&twice).contains("contains data"), "{}", printed(&twice));

    let server = Running::serve(&site.config, &site.url);
    assert!(keys.iter().all(|key| site.takes(key)) && site.takes(&key_of(&site.key)));
    assert!(!tokens.iter().any(|token| site.is_active(token)), "what was issued before is ended");
    let token = site.token().expect("a new token");
    assert!(site.is_active(&token));
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn backup_of_a_loaded_server_survives_loss_of_its_folder() {
    backup_survives_the_loss_of_the_folder(None, None);
}

#[test]
fn backup_of_postgresql_is_restored_into_postgresql() {
    let (Some(from), Some(to)) = (postgres(), postgres()) else { return };
    backup_survives_the_loss_of_the_folder(Some(from), Some(to));
}

#[test]
fn backup_of_postgresql_is_restored_into_sqlite() {
    let Some(from) = postgres() else { return };
    backup_survives_the_loss_of_the_folder(Some(from), None);
}

#[test]
fn backup_that_includes_its_key_is_verified_wherever_it_lies() {
    let (site, other) = (Site::new(None), Site::new(None));
    let (file, passphrase) = (site.file("backup"), site.file("passphrase"));
    fs::write(&passphrase, format!("{PASSPHRASE}\n")).expect("written");
    json(&site.config, &["backup", &file, "--include-master-key", "--passphrase-file", &passphrase]);
    json(&site.config, &["backup", "verify", &file]);
    json(&other.config, &["backup", "verify", &file, "--passphrase-file", &passphrase]);
    let nowhere = program().current_dir(other.folder.path().join("data")).args(["backup", "verify", &file]).output();
    for asks in [configured(&other.config, &["backup", "verify", &file]), nowhere.expect("the program runs")] {
        assert!(asks.status.code() == Some(2) && printed(&asks).contains("--passphrase-file"), "{}", printed(&asks));
    }
}

#[test]
fn text_of_a_backup_file_is_escaped_for_terminals() {
    let site = Site::new(None);
    let file = site.file("forged");
    for forged in ["doorward-backup \u{1b}]0;pwned\u{7}\u{202e}\n{}\n", "doorward-backup 1\n{\"\u{1b}[2J\"}\n"] {
        fs::write(&file, forged).expect("written");
        let refused = configured(&site.config, &["backup", "verify", &file]);
        let printed = printed(&refused);
        assert_eq!(refused.status.code(), Some(1), "{printed}");
        assert!(!printed.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{printed:?}");
    }
}

#[test]
fn backup_without_its_key_says_where_it_can_be_verified() {
    let site = Site::new(None);
    let file = site.file("backup");
    let made = configured(&site.config, &["backup", &file]);
    let hint = String::from_utf8_lossy(&made.stdout).into_owned();
    let hint = hint.split_once("doorward backup verify ").expect("a command").1.trim();
    assert_eq!(hint, format!("{file} --config {}", site.config.display()));
}

/// Starts a command and kills it as soon as `is_at_work`.
fn killed(config: &Path, arguments: &[&str], is_at_work: impl Fn() -> bool) {
    let mut command = program();
    command.args(arguments).arg("--config").arg(config).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the program starts");
    eventually("the command is at work, or done", || {
        is_at_work() || child.try_wait().expect("it is our child").is_some()
    });
    // It may be done.
    let _ = child.kill();
    child.wait().expect("it ends");
}

fn nothing_killed_is_taken_for_whole(to: Option<String>) {
    let site = Site::new(None);
    let server = Running::serve(&site.config, &site.url);
    for _ in 0..400 {
        site.token().expect("a token");
    }
    let parts = || {
        let entries = fs::read_dir(site.folder.path()).expect("a folder");
        entries
            .filter(|entry| {
                entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with(".doorward-backup-"))
            })
            .count()
    };
    let file = site.file("killed");
    killed(&site.config, &["backup", &file], || parts() > 0);
    if Path::new(&file).exists() {
        json(&site.config, &["backup", "verify", &file]);
    }
    let file = site.file("whole");
    json(&site.config, &["backup", &file]);
    assert_eq!(server.terminate(), Some(0));

    let key = fs::read(site.data().join("master.key")).expect("the master key");
    site.lose_the_folder();
    fs::create_dir(site.data()).expect("a folder");
    fs::set_permissions(site.data(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("closed");
    doorward_write(&site.data().join("master.key"), &key);
    if let Some(to) = &to {
        set(&site.config, "data", &format!("postgres = \"{to}\""));
    }
    let log = site.data().join("doorward.db-wal");
    let has_begun = |least: u64| match &to {
        None => fs::metadata(&log).is_ok_and(|log| log.len() > least),
        Some(to) => {
            let asked = "SELECT count(*) FROM schema_migrations WHERE number < 0";
            let output = Command::new("psql").args([to, "-tAc", asked]).output().expect("psql runs");
            output.stdout.starts_with(b"1")
        }
    };
    for least in [0, 50_000, 400_000] {
        killed(&site.config, &["restore", &file], || has_begun(least));
        let started = Running::start(&site.config);
        let is_up = || http("GET", &format!("{}/health", site.url), &[], "").is_some_and(|answer| answer.status == 200);
        let mut code = None;
        let mut started = Some(started);
        eventually("the server answers or is refused", || {
            if is_up() {
                return true;
            }
            code = started.as_mut().and_then(Running::ended);
            code.is_some()
        });
        match code {
            Some(code) => assert_eq!(code, 3, "a half restore is refused"),
            None => {
                // The restore was faster.
                assert!(site.takes(&key_of(&site.key)));
                return;
            }
        }
    }
    json(&site.config, &["restore", &file]);
    let server = Running::serve(&site.config, &site.url);
    assert!(site.takes(&key_of(&site.key)) && site.token().is_some());
    assert_eq!(server.terminate(), Some(0));
}

fn doorward_write(path: &Path, content: &[u8]) {
    fs::write(path, content).expect("written");
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("closed");
}

#[test]
fn killed_backup_or_restore_leaves_nothing_that_looks_whole() {
    nothing_killed_is_taken_for_whole(None);
}

#[test]
fn killed_postgresql_restore_leaves_nothing_that_looks_whole() {
    let Some(to) = postgres() else { return };
    nothing_killed_is_taken_for_whole(Some(to));
}

#[test]
fn move_to_postgresql_takes_everything_along() {
    let Some(to) = postgres() else { return };
    let site = Site::new(None);
    let server = Running::serve(&site.config, &site.url);
    let token = site.token().expect("a token");
    let held = configured(&site.config, &["move"]);
    assert!(held.status.code() == Some(2) && printed(&held).contains("data.postgres"), "{}", printed(&held));
    set(&site.config, "data", &format!("postgres = \"{to}\""));
    let held = configured(&site.config, &["move"]);
    assert!(held.status.code() == Some(3) && printed(&held).contains("running server"), "{}", printed(&held));
    assert_eq!(server.terminate(), Some(0));
    let unmoved = configured(&site.config, &["serve"]);
    assert!(
        unmoved.status.code() == Some(3) && printed(&unmoved).contains("contains no server's data"),
        "{}",
        printed(&unmoved)
    );

    for part in ["doorward.db.moved", "doorward.db.moved-wal"] {
        let kept = site.data().join(part);
        fs::write(&kept, "of an earlier move").expect("written");
        let refused = configured(&site.config, &["move"]);
        assert!(
            refused.status.code() == Some(1) && printed(&refused).contains("earlier move"),
            "{}",
            printed(&refused)
        );
        assert_eq!(fs::read(&kept).expect("it stays"), b"of an earlier move");
        fs::remove_file(kept).expect("removed");
    }

    let moved = json(&site.config, &["move"]);

    assert_eq!(moved["tables"]["api_keys"], 1);
    assert!(site.data().join("doorward.db.moved").exists() && !site.data().join("doorward.db").exists());
    let server = Running::serve(&site.config, &site.url);
    assert!(site.takes(&key_of(&site.key)) && site.is_active(&token), "nothing was ended");
    assert_eq!(server.terminate(), Some(0));
    let again = configured(&site.config, &["move"]);
    assert_eq!(again.status.code(), Some(1), "{}", printed(&again));
}

#[test]
fn unprinted_backup_can_be_repeated_under_its_name() {
    let site = Site::new(None);
    let file = site.file("backup");
    let mut command = program();
    command.args(["backup", &file, "--config"]).arg(&site.config);
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    let failed = command.stdout(full).output().expect("the program runs");
    assert!(failed.status.code() == Some(3) && printed(&failed).contains("removed again"), "{}", printed(&failed));
    assert!(!Path::new(&file).exists());
    json(&site.config, &["backup", &file]);
    json(&site.config, &["backup", "verify", &file]);
}

#[test]
fn server_of_postgresql_that_runs_keeps_a_restore_off() {
    let (Some(from), Some(to)) = (postgres(), postgres()) else { return };
    let site = Site::new(Some(&from));
    let file = site.file("backup");
    json(&site.config, &["backup", &file]);
    let text = fs::read_to_string(&site.config).expect("the configuration");
    fs::write(&site.config, text.replace(&from, &to)).expect("written");
    json(&site.config, &["migrate", "--new"]);
    let server = Running::serve(&site.config, &site.url);
    for arguments in [&["restore", &*file][..], &["restore", "--in-place"]] {
        let refused = configured(&site.config, arguments);
        assert!(
            refused.status.code() == Some(1) && printed(&refused).contains("connections of servers"),
            "{}",
            printed(&refused)
        );
    }
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn restore_beside_a_running_server_is_refused() {
    let site = Site::new(None);
    let file = site.file("backup");
    json(&site.config, &["backup", &file]);
    let server = Running::serve(&site.config, &site.url);
    for arguments in [&["restore", &*file][..], &["restore", "--in-place"]] {
        let refused = configured(&site.config, arguments);
        assert!(
            refused.status.code() == Some(3) && printed(&refused).contains("running server"),
            "{}",
            printed(&refused)
        );
    }
    assert!(site.takes(&key_of(&site.key)));
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn restore_after_init_adopts_key_and_issuer_of_the_backup() {
    let site = Site::new(None);
    let (file, passphrase) = (site.file("backup"), site.file("passphrase"));
    fs::write(&passphrase, PASSPHRASE).expect("written");
    json(&site.config, &["backup", &file, "--include-master-key", "--passphrase-file", &passphrase]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let port = free_port();
    let config = init(folder.path(), &format!("http://localhost:{port}"));
    let arguments = ["restore", &*file, "--passphrase-file", &passphrase];
    let refused = configured(&config, &arguments);
    assert!(refused.status.code() == Some(1) && printed(&refused).contains("--change-issuer"), "{}", printed(&refused));

    json(&config, &[&arguments[..], &["--change-issuer"]].concat());

    let url = format!("http://127.0.0.1:{port}");
    let server = Running::serve(&config, &url);
    let restored = Site { url, config, ..site };
    assert!(restored.takes(&key_of(&restored.key)));
    let document = http("GET", &format!("{}/.well-known/openid-configuration", restored.url), &[], "");
    assert_eq!(document.expect("an answer").json()["issuer"], format!("http://localhost:{port}"));
    assert_eq!(server.terminate(), Some(0));
}
