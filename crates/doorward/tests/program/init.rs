//! `doorward init`: where it creates a server, and what remains of one that failed.

use std::fs;

use crate::{serve::configured, support::program};

#[test]
fn init_creates_the_files_where_its_options_say() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (config, data) = (folder.path().join("etc/doorward.toml"), folder.path().join("var/lib"));
    fs::create_dir_all(&data).expect("a folder");
    let make = |more: &[&str]| {
        let mut command = program();
        command.args(["init", "--json", "--config"]).arg(&config).arg("--data").arg(&data).args(more);
        command.output().expect("the program runs")
    };
    let made = make(&[]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let printed: serde_json::Value = serde_json::from_slice(&made.stdout).expect("JSON");
    assert_eq!((&printed["created"], printed["data"].as_str()), (&true.into(), data.to_str()));
    assert!(data.join("master.key").exists() && data.join("doorward.db").exists());
    assert!(configured(&config, &["config", "check"]).status.success());

    let text = fs::read(&config).expect("the configuration");
    assert_eq!(make(&[]).status.code(), Some(1));
    let kept = make(&["--if-missing"]);
    assert_eq!(kept.status.code(), Some(0));
    let printed: serde_json::Value = serde_json::from_slice(&kept.stdout).expect("JSON");
    assert_eq!(printed["created"], false);
    assert_eq!(fs::read(&config).expect("the configuration"), text);
}

#[test]
fn init_that_failed_can_be_run_again_and_is_no_success_before() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("doorward.toml");
    let init = |variables: &[(&str, &str)]| {
        let mut command = program();
        command.args(["init", "--if-missing", "--config"]).arg(&config).envs(variables.iter().copied());
        command.output().expect("the program runs").status.code()
    };
    let away = [("DOORWARD_DATA__POSTGRES", "postgres://nobody@127.0.0.1:1/nothing")];
    for _ in 0..2 {
        assert_eq!(init(&away), Some(3), "the database is away");
        assert!(!config.exists(), "a configuration says that a server was created");
    }
    // As if it had been killed after the mark and before the key, and then before the configuration.
    let data = folder.path().join("data");
    assert!(data.join("server.new").exists());
    fs::remove_file(data.join("master.key")).expect("removed");
    assert_eq!(init(&[]), Some(0));
    fs::remove_file(&config).expect("removed");
    assert_eq!(init(&[]), Some(0), "the same server, with the same key");
    assert!(configured(&config, &["api", "list"]).status.success());
    let names: Vec<_> =
        fs::read_dir(folder.path()).expect("a folder").map(|entry| entry.expect("an entry").file_name()).collect();
    assert_eq!(names.len(), 2, "nothing else is left: {names:?}");
}

#[test]
fn init_takes_the_master_key_of_the_environment() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("doorward.toml");
    let with_key = |arguments: &[&str]| {
        let mut command = program();
        command.args(arguments).arg("--config").arg(&config).env("DOORWARD_KEYS__MASTER_KEY", "A".repeat(43));
        command.output().expect("the program runs")
    };
    let made = with_key(&["init"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert!(!folder.path().join("data/master.key").exists(), "a second key");
    assert!(with_key(&["api", "list"]).status.success());
}

#[test]
fn init_takes_the_data_folder_of_the_environment() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (config, data) = (folder.path().join("doorward.toml"), folder.path().join("elsewhere"));
    let mut command = program();
    command.args(["init", "--config"]).arg(&config).env("DOORWARD_DATA__DIR", &data);
    let made = command.output().expect("the program runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert!(data.join("master.key").exists() && data.join("doorward.db").exists());
}
