//! Standard output and standard error that can't be written: a full disk (`/dev/full`), a reader who went away, one who
//! does not read.

use std::{
    fs::{self, File, OpenOptions},
    io::Read,
    path::Path,
    process::{Command, Output, Stdio},
};

use crate::support::{PROGRAM, Running, eventually, form, http, json, program, without_configuration};

fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").expect("/dev/full")
}

/// A pipe whose reader is gone.
fn abandoned() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

fn unread(arguments: &[&str], data: &Path, output: impl Into<Stdio>) -> Output {
    let mut command = program();
    command.args(arguments).arg("--data").arg(data);
    command.stdout(output).stderr(Stdio::piped()).spawn().expect("it starts").wait_with_output().expect("it ends")
}

#[test]
fn unprinted_secrets_are_not_stored() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("demo");
    let demo = Running::demo(&data);
    let (id, secret) = (demo.get("client_id"), demo.get("client_secret"));
    let count = |noun: &str| json(&[noun, "list"], &data).as_array().expect("a list").len();
    let before = [count("key"), count("client"), count("api")];
    for arguments in [
        &["key", "create", "--name", "k", "--api", "notes", "--scope", "notes:read"][..],
        &["client", "create", "--name", "c", "--grant", "client_credentials", "--scope", "notes:read"],
        &["api", "create", "--name", "new", "--identifier", "https://new.example"],
        &["client", "rotate-secret", id],
    ] {
        for is_json in [false, true] {
            let arguments = [arguments, if is_json { &["--json"] } else { &[] }].concat();
            for output in [Stdio::from(full()), abandoned()] {
                let failed = unread(&arguments, &data, output);
                let printed = String::from_utf8_lossy(&failed.stderr);
                assert_eq!(failed.status.code(), Some(3), "{arguments:?}: {printed}");
                assert!(printed.contains("standard output") && printed.contains("Nothing was changed"), "{printed}");
            }
        }
    }
    // Closed altogether; the runtime then puts another thing in its place, which takes everything.
    for arguments in [
        &["key", "create", "--name", "k", "--api", "notes", "--scope", "notes:read"][..],
        &["client", "rotate-secret", id],
    ] {
        let mut shell = without_configuration(Command::new("sh"));
        shell.args(["-c", r#"exec "$0" "$@" >&-"#, PROGRAM]).args(arguments).arg("--data").arg(&data);
        let failed = shell.stderr(Stdio::piped()).output().expect("the shell runs");
        let printed = String::from_utf8_lossy(&failed.stderr);
        assert!(
            failed.status.code() == Some(3) && printed.contains("standard output is closed"),
            "{arguments:?}: {printed}"
        );
    }
    assert_eq!([count("key"), count("client"), count("api")], before);
    let pairs = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
    assert_eq!(form(&format!("{}/token", demo.get("issuer")), &pairs).status, 200, "the old secret is still good");
}

#[test]
fn unwritable_output_fails_but_a_closed_pipe_does_not() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("demo");
    let _demo = Running::demo(&data);
    for arguments in [
        &["key", "list"][..],
        &["client", "list", "--json"],
        &["audit", "tail"],
        &["jwks", "show"],
        &["user", "show", "alice"],
        &["commands"],
        &["completions", "bash"],
    ] {
        let failed = unread(arguments, &data, full());
        assert_eq!(failed.status.code(), Some(3), "{arguments:?}");
        assert_eq!(unread(arguments, &data, abandoned()).status.code(), Some(0), "{arguments:?}");
    }
    let followed = unread(&["audit", "tail", "--follow"], &data, abandoned());
    assert_eq!(followed.status.code(), Some(0), "it ends when nobody reads it");
}

#[test]
fn log_that_can_not_be_written_costs_no_request_and_no_task() {
    let (unread_log, stopped) = std::io::pipe().expect("a pipe");
    for log in [Stdio::from(full()), abandoned(), stopped.into()] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (config, url) = crate::serve::made(folder.path());
        let server = Running::start_with_log(&config, log);
        eventually("the server answers", || {
            http("GET", &format!("{url}/health/ready"), &[], "").is_some_and(|answer| answer.status == 200)
        });
        // More lines than a pipe holds.
        for _ in 0..800 {
            let refused = http("GET", &format!("{url}/userinfo"), &[("Authorization", "Bearer nobody")], "");
            assert_eq!(refused.expect("an answer").status, 401);
        }
        let ready = http("GET", &format!("{url}/health/ready"), &[], "").expect("an answer");
        assert_eq!(ready.json()["checks"]["tasks"], "ok", "{}", ready.body);
        assert_eq!(server.terminate(), Some(0));
    }
    let mut begun = [0; 1];
    (&unread_log).read_exact(&mut begun).expect("it was written to until it was full");
}

#[test]
fn data_folder_that_is_moved_away_is_503_until_it_is_back() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (config, url) = crate::serve::made(folder.path());
    let log = folder.path().join("log");
    let server = Running::start_with_log(&config, File::create(&log).expect("a file"));
    let ready = || http("GET", &format!("{url}/health/ready"), &[], "").map_or(0, |answer| answer.status);
    eventually("the server is ready", || ready() == 200);
    let (data, away) = (folder.path().join("data"), folder.path().join("away"));

    fs::rename(&data, &away).expect("it is ours");
    eventually("it is not ready", || ready() == 503);
    let printed = fs::read_to_string(&log).expect("the log");
    assert!(printed.contains("doorward.db was removed"), "{printed}");
    fs::rename(&away, &data).expect("it is ours");
    eventually("it is ready again", || ready() == 200);

    // Another folder in its place is not written to.
    fs::rename(&data, &away).expect("it is ours");
    let other = tempfile::tempdir().expect("a temporary folder");
    crate::serve::made(other.path());
    fs::rename(other.path().join("data"), &data).expect("it is ours");
    let before = fs::read(data.join("doorward.db")).expect("the database");
    eventually("it is not ready", || ready() == 503);
    assert!(fs::read_to_string(&log).expect("the log").contains("doorward.db was replaced"));
    assert_eq!(fs::read(data.join("doorward.db")).expect("the database"), before);
    drop(server);
}

#[test]
fn lock_that_is_removed_is_503() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (config, url) = crate::serve::made(folder.path());
    let _server = Running::serve(&config, &url);
    fs::remove_file(folder.path().join("data/doorward.lock")).expect("it is ours");
    let ready = || http("GET", &format!("{url}/health/ready"), &[], "").map_or(0, |answer| answer.status);
    eventually("it is not ready", || ready() == 503);
}
