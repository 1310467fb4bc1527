//! A fresh `doorward demo` for one client suite.
//!
//! Easy to get wrong: the demo keeps running after its line of JSON, and a demo that dies or does not end well is a
//! failure of the suite that used it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::failure::Failure;
use crate::leash::{Leashed, Stop, leash};

/// A running demo on ports of its own. Dropping it ends it and removes its folder.
#[derive(Debug)]
pub(crate) struct Demo {
    // Fields are dropped in this order: the demo ends before its folder goes.
    process: Leashed,
    folder: TempDir,
}

impl Demo {
    /// Starts it, and returns when it has said where it is.
    pub(crate) fn start(doorward: &Path) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new()
            .prefix("doorward-demo-")
            .tempdir()
            .map_err(Failure::io("a temporary folder for the demo could not be made"))?;
        let log = fs::File::create(folder.path().join(LOG)).map_err(Failure::io("the demo's log could not be made"))?;
        let mut process = Leashed::start(
            leash(doorward, Stop::Terminate, Some(folder.path()))
                .args(["demo", "--json", "--port", "0", "--api-port", "0"])
                .env("TMPDIR", folder.path())
                .stdout(Stdio::piped())
                .stderr(log),
        )
        .map_err(Failure::io(format!("{} could not be started", doorward.display())))?;
        let output = process.take_stdout().expect("standard output was piped above");
        let demo = Self { process, folder };
        let line = first_line(output).ok_or_else(|| demo.failure("it said nothing"))?;
        if !serde_json::from_str::<serde_json::Value>(&line).is_ok_and(|value| value.is_object()) {
            return Err(demo.failure(&format!("its first line is no JSON object: {line}")));
        }
        demo.keep(&line)?;
        Ok(demo)
    }

    /// For `DOORWARD_DEMO_JSON`: the file with the demo's line. It holds the demo's secrets, so only we may read it.
    pub(crate) fn json(&self) -> PathBuf {
        self.folder.path().join(JSON)
    }

    /// A folder that goes with the demo, for whatever its user leaves behind.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends it with SIGTERM.
    ///
    /// # Errors
    /// [`Failure::Command`] if it had ended before or does not exit with 0.
    pub(crate) fn stop(mut self) -> Result<(), Failure> {
        if let Some(status) = self.process.ended().map_err(Failure::io("the demo could not be awaited"))? {
            return Err(self.failure(&format!("it ended by itself ({status})")));
        }
        let status = self.process.end().map_err(Failure::io("the demo could not be ended"))?;
        if status.success() { Ok(()) } else { Err(self.failure(&format!("after SIGTERM it ended with {status}"))) }
    }

    fn keep(&self, line: &str) -> Result<(), Failure> {
        let path = self.json();
        fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, format!("{line}\n").as_bytes()))
            .map_err(Failure::io(format!("{} could not be written", path.display())))
    }

    fn failure(&self, what: &str) -> Failure {
        let log = fs::read(self.folder.path().join(LOG)).unwrap_or_default();
        Failure::Command {
            line: "doorward demo --json".to_owned(),
            detail: format!("{what}\n{}", String::from_utf8_lossy(&log)),
        }
    }
}

const READY_LIMIT: Duration = Duration::from_secs(60);
const JSON: &str = "demo.json";
const LOG: &str = "demo.log";

/// The first line, if it comes in time. The rest is read and dropped, as a full pipe would stop the demo.
fn first_line(output: ChildStdout) -> Option<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            // After the first line nobody listens.
            let _ = sender.send(line);
        }
    });
    receiver.recv_timeout(READY_LIMIT).ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A program that stands in for `doorward`.
    fn stand_in(script: &str) -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("doorward");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        (folder, path)
    }

    const SERVE: &str = "while :; do sleep 0.1; done";

    #[test]
    fn the_line_of_json_is_handed_on_and_the_demo_ends_with_0() {
        let (_folder, doorward) =
            stand_in(&format!("trap 'exit 0' TERM; echo \"{{\\\"args\\\":\\\"$*\\\"}}\"; {SERVE}"));

        let demo = Demo::start(&doorward).unwrap();
        let json = fs::read_to_string(demo.json()).unwrap();
        let mode = fs::metadata(demo.json()).unwrap().permissions().mode();
        let folder = demo.folder().to_owned();
        demo.stop().unwrap();

        assert_eq!(json, "{\"args\":\"demo --json --port 0 --api-port 0\"}\n");
        assert_eq!(mode & 0o777, 0o600);
        assert!(!folder.exists());
    }

    #[test]
    fn a_demo_that_does_not_start_is_a_failure_with_its_own_words() {
        let (_folder, doorward) = stand_in("echo 'the port is taken' >&2; exit 1");

        let failure = Demo::start(&doorward).expect_err("it did not start").to_string();

        assert!(failure.contains("the port is taken"), "{failure}");
    }

    #[test]
    fn a_first_line_that_is_no_json_object_is_a_failure() {
        let (_folder, doorward) = stand_in(&format!("echo listening; {SERVE}"));

        let failure = Demo::start(&doorward).expect_err("no JSON").to_string();

        assert!(failure.contains("listening"), "{failure}");
    }

    #[test]
    fn a_demo_that_ends_badly_or_too_early_is_a_failure() {
        let (_folder, bad) = stand_in(&format!("trap 'exit 4' TERM; echo {{}}; {SERVE}"));
        let failure = Demo::start(&bad).unwrap().stop().expect_err("status 4").to_string();
        assert!(failure.contains("after SIGTERM"), "{failure}");

        let (_folder, early) = stand_in("echo {}");
        let mut demo = Demo::start(&early).unwrap();
        demo.process.wait_at_most(Duration::from_secs(60)).unwrap().expect("it ends by itself");
        let failure = demo.stop().expect_err("it was gone").to_string();
        assert!(failure.contains("by itself"), "{failure}");
    }
}
