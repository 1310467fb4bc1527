//! What an operator copies by hand: whole after a clean end, and refused where a part is missing.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::{
    backup::{KEY, Site, json, postgres, printed},
    serve::{configured, free_port, init},
    support::{Running, http},
};

/// A place with the site's configuration and copies of some of its files.
struct Copy {
    _folder: TempDir,
    config: PathBuf,
    data: PathBuf,
}

impl Copy {
    fn of(site: &Site, names: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (config, data) = (folder.path().join("doorward.toml"), folder.path().join("data"));
        fs::copy(&site.config, &config).expect("copied");
        fs::create_dir(&data).expect("a folder");
        fs::set_permissions(&data, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("closed");
        for name in names {
            fs::copy(site.data().join(name), data.join(name)).expect("copied");
        }
        Self { _folder: folder, config, data }
    }

    /// Every command refuses the copy, with a message that has these words, and writes nothing.
    fn is_refused(&self, words: &str) {
        let before = content(&self.data);
        for arguments in [&["serve"][..], &["key", "list"], &["migrate"]] {
            let refused = configured(&self.config, arguments);
            assert_eq!(refused.status.code(), Some(3), "{arguments:?}: {}", printed(&refused));
            assert!(printed(&refused).contains(words), "{arguments:?}: {}", printed(&refused));
        }
        let mut after = content(&self.data);
        // Says who had the folder, and holds nothing.
        after.retain(|(name, _)| name != "doorward.lock");
        assert_eq!(before, after, "{words}");
    }
}

fn content(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entry = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.expect("an entry");
        (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).expect("a file"))
    };
    let mut all: Vec<_> = fs::read_dir(folder).expect("a folder").map(entry).collect();
    all.sort();
    all
}

fn jwks(site: &Site) -> serde_json::Value {
    http("GET", &format!("{}/jwks", site.url), &[], "").expect("an answer").json()
}

#[test]
fn database_and_master_key_after_a_clean_end_are_a_whole_backup() {
    let site = Site::new(None);
    let server = Running::serve(&site.config, &site.url);
    let key = json(&site.config, &["key", "create", "--name", "k", "--api", "things", "--scope", "things:read"]);
    let published = jwks(&site);
    assert_eq!(server.terminate(), Some(0));
    assert!(!site.data().join("doorward.db-wal").exists(), "the log is in the database");

    let copy = Copy::of(&site, &["doorward.db", "master.key"]);
    let config = copy.config.clone();
    let restored = Site { config, ..site };
    let in_place = json(&restored.config, &["restore", "--in-place"]);
    assert!(in_place["ended"].is_object(), "{in_place}");
    let server = Running::serve(&restored.config, &restored.url);
    assert!(restored.takes(key["secret"].as_str().expect("a key")));
    assert_eq!(jwks(&restored), published);
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn copy_that_is_half_is_refused_before_anything_is_written() {
    let site = Site::new(None);
    Copy::of(&site, &["master.key"]).is_refused("contains no server's data");
    let empty = Copy::of(&site, &["master.key"]);
    fs::write(empty.data.join("doorward.db"), "").expect("written");
    empty.is_refused("contains no server's data");

    let other = tempfile::tempdir().expect("a temporary folder");
    init(other.path(), "http://localhost:8400");
    let stranger = Copy::of(&site, &["doorward.db", "master.key"]);
    fs::copy(other.path().join("data/master.key"), stranger.data.join("master.key")).expect("copied");
    stranger.is_refused("was used with the master key");

    let renamed = Copy::of(&site, &["doorward.db", "master.key"]);
    let text = fs::read_to_string(&renamed.config).expect("the configuration");
    let port = site.url.rsplit(':').next().expect("a port");
    fs::write(&renamed.config, text.replace(&format!("localhost:{port}"), "localhost:1")).expect("written");
    renamed.is_refused("--change-issuer");
    let changed = json(&renamed.config, &["migrate", "--change-issuer"]);
    assert_eq!(changed["issuer_changed"], true);
    let changed = json(&renamed.config, &["migrate", "--change-issuer"]);
    assert_eq!(changed["issuer_changed"], false);
    json(&renamed.config, &["key", "list"]);

    let _server = Running::serve(&site.config, &site.url);
    json(&site.config, &["key", "create", "--name", "k", "--api", "things", "--scope", "things:read"]);
    Copy::of(&site, &["doorward.db", "master.key"]).is_refused("is not beside it");
    let log_alone = Copy::of(&site, &["doorward.db-wal", "master.key"]);
    log_alone.is_refused("is missing or empty");
}

#[test]
fn copy_with_its_log_needs_accepting_and_another_log_fails() {
    let site = Site::new(None);
    let server = Running::serve(&site.config, &site.url);
    json(&site.config, &KEY);
    let names = ["doorward.db", "doorward.db-wal", "master.key"];
    server.kill();
    for content in [vec![0; 9_000], (0..9_000_u32).map(|at| (at * 7 % 251) as u8).collect()] {
        let copy = Copy::of(&site, &names);
        fs::write(copy.data.join("doorward.db-wal"), content).expect("written");
        copy.is_refused("is not its log");
    }
    let copy = Copy::of(&site, &names);
    copy.is_refused("--in-place");
    json(&copy.config, &["restore", "--in-place"]);
    let keys = json(&copy.config, &["key", "list"]);
    assert_eq!(keys.as_array().map(Vec::len), Some(2), "{keys}");
    // Where the server was killed, nothing is asked.
    let server = Running::serve(&site.config, &site.url);
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn demo_whose_database_is_lost_is_not_begun_again() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("demo");
    assert_eq!(Running::demo(&data).terminate(), Some(0));
    fs::remove_file(data.join("doorward.db")).expect("removed");
    let refused = crate::support::run(&["demo", "--port", "0", "--api-port", "0"], &data);
    assert!(
        refused.status.code() == Some(3) && printed(&refused).contains("contains no server's data"),
        "{}",
        printed(&refused)
    );
}

#[test]
fn empty_postgresql_database_is_begun_for_a_new_server_only() {
    let (Some(first), Some(second)) = (postgres(), postgres()) else { return };
    let site = Site::new(Some(&first));
    let text = fs::read_to_string(&site.config).expect("the configuration");
    fs::write(&site.config, text.replace(&first, &second)).expect("written");
    for command in ["serve", "migrate"] {
        let refused = configured(&site.config, &[command]);
        assert!(
            refused.status.code() == Some(3) && printed(&refused).contains("migrate --new"),
            "{}",
            printed(&refused)
        );
    }
    json(&site.config, &["migrate", "--new"]);
    let server = Running::serve(&site.config, &site.url);
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn issuer_may_be_changed_between_init_and_the_first_start() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let port = free_port();
    let config = init(folder.path(), &format!("http://localhost:{port}"));
    let text = fs::read_to_string(&config).expect("the configuration");
    let issuer = format!("http://127.0.0.1:{port}");
    fs::write(&config, text.replace(&format!("http://localhost:{port}"), &issuer)).expect("written");
    let server = Running::serve(&config, &issuer);
    let management = json(&config, &["api", "show", "doorward"]);
    assert_eq!(management["identifier"], format!("{issuer}/v1"));
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn copy_refused_for_the_clock_still_needs_accepting() {
    let site = Site::new(None);
    let server = Running::serve(&site.config, &site.url);
    let database = rusqlite::Connection::open(site.data().join("doorward.db")).expect("the database");
    database.execute_batch("REPLACE INTO trusted_clock (id, at) VALUES (1, 32503680000000)").expect("the year 3000");
    drop(database);
    server.kill();
    let copy = Copy::of(&site, &["doorward.db", "doorward.db-wal", "master.key"]);
    let refused = |arguments: &[&str], why: &str| {
        let refused = configured(&copy.config, arguments);
        let printed = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && printed.contains(why), "{printed}");
    };
    refused(&["key", "list"], "--in-place");
    refused(&["restore", "--in-place"], "--trust-clock");
    refused(&["key", "list"], "--in-place");
    refused(&["serve"], "--in-place");
    json(&copy.config, &["restore", "--in-place", "--trust-clock"]);
    json(&copy.config, &["key", "list"]);
}
