//! Programs on the servers' core, and how much memory a server uses.
//!
//! Easy to get wrong: the process that was started is the leash; the server is a grandchild. A shell in between writes
//! down its own process id and then becomes the server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;

use crate::{leash::leash, process::Run, server::Server};

/// The core of the servers. The load has the next one.
pub(super) const SERVER_CORE: &str = "0";
pub(super) const LOAD_CORE: &str = "1";

const PID: &str = "server.pid";

/// Starts a server, whose log and process id are kept in `folder`. It may not listen yet.
pub(super) fn start(argv: &[&str], environment: &[(&str, &str)], folder: &Path) -> Result<Server> {
    let script = r#"echo $$ >"$1"; core=$2; shift 2; exec taskset -c "$core" "$@""#;
    let mut command = leash("/bin/sh", None);
    command.args(["-c", script, "pinned"]).arg(folder.join(PID)).arg(SERVER_CORE).args(argv);
    command.envs(environment.iter().copied());
    Server::start(&argv.join(" "), &mut command, folder)
}

/// The line of JSON that a program which measures by itself prints.
pub(super) fn figures<T: DeserializeOwned>(argv: &[&str]) -> Result<T> {
    let output = Command::new("taskset").args(["-c", SERVER_CORE]).args(argv).read()?;
    serde_json::from_str(&output).with_context(|| format!("{} printed {output}", argv.join(" ")))
}

/// Forgets the peak of memory (`VmHWM`) of the server in `folder`.
pub(super) fn reset_peak(folder: &Path) -> Result<()> {
    fs::write(process(folder)?.join("clear_refs"), "5").context("the peak of memory could not be reset")
}

/// The memory of the server in `folder`, by a line of its status such as `VmHWM:     1234 kB` (proc_pid_status(5)).
pub(super) fn memory_kib(folder: &Path, name: &str) -> Result<u64> {
    let status = fs::read_to_string(process(folder)?.join("status")).context("the server is gone")?;
    let value = status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok());
    value.with_context(|| format!("the server's status has no {name}"))
}

fn process(folder: &Path) -> Result<PathBuf> {
    let id = fs::read_to_string(folder.join(PID)).context("the server has no process id")?;
    Ok(Path::new("/proc").join(id.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_the_servers_and_not_the_shells() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let server = start(&["sh", "-c", "echo '{}'; exec sleep 1000"], &[], folder).unwrap();
        server.listening::<serde_json::Value>().unwrap();

        let command = fs::read_to_string(process(folder).unwrap().join("cmdline")).unwrap();
        assert!(!command.contains("pinned"), "{command}");
        assert!(memory_kib(folder, "VmRSS:").unwrap() <= memory_kib(folder, "VmHWM:").unwrap());
    }
}
