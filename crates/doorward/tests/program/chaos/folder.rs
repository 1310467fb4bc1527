//! A data folder that disappears under a running server.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

use super::{
    ledger,
    load::{Load, TOKEN},
    site::Site,
};
use crate::support::{Running, eventually};

/// The server looks once a second whether its files are still there.
const NOTICED: Duration = Duration::from_millis(1_500);

#[test]
#[ignore = "chaos: cargo xtask test --long"]
fn folder_that_is_moved_away_is_answered_503_and_loses_nothing() {
    let site = Site::on_sqlite();
    let node = site.start(0);
    let load = Load::start("The data folder is moved away and back", &site.target);
    let away = site.data().with_file_name("away");

    load.phase("away");
    fs::rename(site.data(), &away).expect("it is ours");
    load.until_refused(20, || ());
    load.phase("back");
    fs::rename(&away, site.data()).expect("it is ours");
    load.until_fulfilled(20);
    load.finish();
    assert_eq!(node.terminate(), Some(0));
}

#[test]
#[ignore = "chaos: cargo xtask test --long"]
fn deleted_folder_answers_503_and_is_restored_from_backup() {
    let site = Site::on_sqlite();
    let node = site.start(0);
    let target = &site.target;
    let (file, key_file) = (site.data().with_file_name("backup"), site.data().join("master.key"));
    let load = Load::start("The data folder is deleted, and comes back from a backup", target);
    load.phase("backed up");
    let backed_up = load.shared().ledger.keys();
    let backup = target.command(&["backup", &file.display().to_string()]);
    assert!(backup.status.success(), "{}", String::from_utf8_lossy(&backup.stderr));
    let (master_key, keys) = (fs::read(&key_file).expect("the key"), backed_up);
    load.until_fulfilled(10);

    load.phase("deleted");
    let begun = Instant::now();
    fs::remove_dir_all(site.data()).expect("it is ours");
    load.until_refused(20, || ());
    load.phase("noticed");
    eventually("the server has looked", || begun.elapsed() > NOTICED);
    let before = load.shared().tally.count(TOKEN, "200");
    load.until_refused(40, || ());
    let after = load.shared().tally.count(TOKEN, "200");
    assert_eq!(before, after, "nothing is acknowledged any more");
    load.end();
    node.kill();

    let refused = Running::start(&site.config).exit_code();
    assert_eq!(refused, Some(3), "a server does not start empty");
    fs::create_dir_all(site.data()).expect("a folder");
    fs::set_permissions(site.data(), fs::Permissions::from_mode(0o700)).expect("closed");
    fs::write(&key_file, master_key).expect("written");
    fs::set_permissions(&key_file, fs::Permissions::from_mode(0o600)).expect("closed");
    let restored = target.command(&["restore", &file.display().to_string()]);
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    let node = site.start(0);
    for key in &keys {
        assert_eq!(ledger::verdict(target, key), "valid", "a key of the backup");
    }
    let load = Load::start("The same server from its backup", target);
    load.finish();
    assert_eq!(node.terminate(), Some(0));
}
