//! A server on a core of its own, and what it takes of memory.
//!
//! Easy to get wrong: the process that was started is the leash; the server is a grandchild. A shell in between writes
//! down its own process id and then becomes the server.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::failure::Failure;
use crate::leash::{Leashed, Stop, leash};

/// The core of the servers. The load has the next one.
pub(super) const SERVER_CORE: &str = "0";
pub(super) const LOAD_CORE: &str = "1";

/// A running server. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Pinned {
    process: Leashed,
    output: BufReader<ChildStdout>,
    name: String,
    folder: PathBuf,
}

impl Pinned {
    /// Starts a server, whose log and process id are kept in `folder`. It may not listen yet.
    pub(super) fn start(argv: &[&str], environment: &[(&str, &str)], folder: &Path) -> Result<Self, Failure> {
        let name = argv.join(" ");
        let log = folder.join(LOG);
        let log = File::create(&log).map_err(Failure::io(format!("{} could not be made", log.display())))?;
        let mut process = Leashed::start(
            leash("/bin/sh", Stop::Terminate, None)
                .args(["-c", r#"echo $$ >"$1"; core=$2; shift 2; exec taskset -c "$core" "$@""#, "pinned"])
                .arg(folder.join(PID))
                .arg(SERVER_CORE)
                .args(argv)
                .envs(environment.iter().copied())
                .stdout(Stdio::piped())
                .stderr(log),
        )
        .map_err(Failure::io(format!("{name} could not be started")))?;
        let output = BufReader::new(process.take_stdout().expect("standard output was piped above"));
        Ok(Self { process, output, name, folder: folder.to_owned() })
    }

    /// The line of JSON with which it says that it listens.
    pub(super) fn said(&mut self) -> Result<Value, Failure> {
        let mut line = String::new();
        self.output.read_line(&mut line).map_err(Failure::io(format!("what {} says could not be read", self.name)))?;
        serde_json::from_str(&line).map_err(|_| self.failure("it did not start"))
    }

    /// Forgets how much memory it had at most, so that [`Pinned::peak_kib`] counts from here.
    pub(super) fn reset_peak(&self) -> Result<(), Failure> {
        fs::write(self.proc("clear_refs")?, "5").map_err(Failure::io("the peak of memory could not be reset"))
    }

    /// The most memory that it had, in KiB (VmHWM, proc_pid_status(5)).
    pub(super) fn peak_kib(&self) -> Result<u64, Failure> {
        self.status("VmHWM")
    }

    /// The memory that it has, in KiB (VmRSS).
    pub(super) fn resident_kib(&self) -> Result<u64, Failure> {
        self.status("VmRSS")
    }

    /// Ends it with SIGTERM.
    ///
    /// # Errors
    /// [`Failure::Command`] if it does not exit with 0.
    pub(super) fn stop(mut self) -> Result<(), Failure> {
        let status = self.process.end().map_err(Failure::io(format!("{} could not be ended", self.name)))?;
        if status.success() { Ok(()) } else { Err(self.failure(&format!("it ended with {status}"))) }
    }

    fn status(&self, name: &str) -> Result<u64, Failure> {
        let status = fs::read_to_string(self.proc("status")?).map_err(|_| self.failure("it is gone"))?;
        field(&status, name).ok_or_else(|| self.failure(&format!("its status has no {name}")))
    }

    fn proc(&self, file: &str) -> Result<PathBuf, Failure> {
        let id = fs::read_to_string(self.folder.join(PID)).map_err(|_| self.failure("it has no process id"))?;
        Ok(Path::new("/proc").join(id.trim()).join(file))
    }

    fn failure(&self, what: &str) -> Failure {
        let log = fs::read(self.folder.join(LOG)).unwrap_or_default();
        Failure::Command { line: self.name.clone(), detail: format!("{what}\n{}", String::from_utf8_lossy(&log)) }
    }
}

/// Runs a program on the servers' core to its end, and gives what it printed.
pub(super) fn output(argv: &[&str]) -> Result<String, Failure> {
    let line = argv.join(" ");
    let output = Command::new("taskset")
        .args(["-c", SERVER_CORE])
        .args(argv)
        .output()
        .map_err(Failure::io(format!("{line} could not be started")))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(Failure::Command { line, detail: String::from_utf8_lossy(&output.stderr).into_owned() }),
    }
}

const LOG: &str = "server.log";
const PID: &str = "server.pid";

/// The value of a line such as `VmHWM:     1234 kB`.
fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_the_status_is_found_by_its_whole_name() {
        let status = "Name:\tx\nVmHWMX:\t1 kB\nVmHWM:\t   5120 kB\n";

        assert_eq!(field(status, "VmHWM"), Some(5120));
        assert_eq!(field(status, "VmRSS"), None);
    }

    #[test]
    fn the_memory_that_is_told_is_the_servers_and_not_the_shells() {
        let folder = tempfile::tempdir().unwrap();
        let script = "echo '{}'; exec sleep 1000";
        let mut server = Pinned::start(&["sh", "-c", script], &[], folder.path()).unwrap();

        server.said().unwrap();

        let command = fs::read_to_string(server.proc("cmdline").unwrap()).unwrap();
        assert!(!command.contains("pinned"), "{command}");
        assert!(server.resident_kib().unwrap() <= server.peak_kib().unwrap());
    }

    #[test]
    fn a_server_that_does_not_start_is_a_failure_with_its_own_words() {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Pinned::start(&["sh", "-c", "echo 'no port' >&2; exit 1"], &[], folder.path()).unwrap();

        let failure = server.said().expect_err("it said nothing").to_string();

        assert!(failure.contains("no port"), "{failure}");
    }
}
