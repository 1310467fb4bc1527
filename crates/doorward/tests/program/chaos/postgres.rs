//! A PostgreSQL of the scenario's own, which may be frozen, killed and replaced by its replica.
//!
//! Easy to get wrong: PostgreSQL's processes have a group each, so a signal to the group of the first one reaches no
//! other.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{serve::free_port, support::eventually};

/// How `cargo xtask test` starts its own.
const SCRIPT: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../xtask/src/test/postgres.sh"));
const PASSWORD: &str = "chaos";
pub(crate) const DATABASE: &str = "doorward";

pub(crate) struct Postgres {
    programs: PathBuf,
    pub(crate) port: u16,
    script: Child,
    // The server ends before its folder is removed.
    folder: TempDir,
}

impl Postgres {
    /// A new cluster with an empty database; nothing where PostgreSQL is not installed.
    pub(crate) fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            println!("not tried: initdb of PostgreSQL is not in the PATH");
            return None;
        };
        let postgres = Self::serve(programs, "");
        postgres.psql("postgres", &format!("CREATE DATABASE {DATABASE}"));
        Some(postgres)
    }

    /// A replica, which has what the primary has acknowledged.
    pub(crate) fn replica(&self) -> Self {
        let replica = Self::serve(self.programs.clone(), &self.port.to_string());
        self.psql("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'");
        self.psql("postgres", "SELECT pg_reload_conf()");
        eventually("the replica follows", || {
            self.psql("postgres", "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == "1"
        });
        replica
    }

    /// The URL of the database on these servers.
    pub(crate) fn url(servers: &[&Self]) -> String {
        let hosts: Vec<_> = servers.iter().map(|server| format!("127.0.0.1:{}", server.port)).collect();
        format!("postgres://postgres:{PASSWORD}@{}/{DATABASE}", hosts.join(","))
    }

    /// Stops every process of it, as a storage that does not answer does.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Kills every process of it at once.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.script.wait().expect("the script ends with the server");
    }

    /// Starts it again after a kill.
    pub(crate) fn restart(&mut self) {
        self.script = script(&self.programs, self.folder.path(), self.port, "");
    }

    /// Makes a replica the primary.
    pub(crate) fn promote(&self) {
        assert_eq!(self.psql("postgres", "SELECT pg_promote()"), "t");
    }

    /// Runs a statement as the superuser, and gives its answer.
    pub(crate) fn psql(&self, database: &str, sql: &str) -> String {
        let url = format!("postgres://postgres:{PASSWORD}@127.0.0.1:{}/{database}", self.port);
        let output = Command::new(self.programs.join("psql")).args([&url, "-XtAc", sql]).output().expect("psql runs");
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn serve(programs: PathBuf, primary: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("doorward-chaos-").tempdir().expect("a temporary folder");
        fs::write(folder.path().join("password"), PASSWORD).expect("written");
        let port = free_port();
        let script = script(&programs, folder.path(), port, primary);
        Self { programs, port, script, folder }
    }

    /// Sends a signal to the first process, and then to those that it has started.
    fn signal(&self, signal: Signal) {
        let Ok(file) = fs::read_to_string(self.folder.path().join("data/postmaster.pid")) else { return };
        let Some(postmaster) = file.lines().next().and_then(|line| line.parse().ok()) else { return };
        let send = |pid: i32| {
            if let Some(pid) = Pid::from_raw(pid) {
                // One that has ended since needs no signal.
                let _ = kill_process(pid, signal);
            }
        };
        let children = children(postmaster);
        send(postmaster);
        // Those that were started meanwhile, too. After a kill they have another parent.
        children.into_iter().chain(children_of_now(postmaster, signal)).for_each(send);
    }
}

/// Those that a stopped or running process has now; a killed one has none any more.
fn children_of_now(postmaster: i32, signal: Signal) -> Vec<i32> {
    if signal == Signal::KILL { Vec::new() } else { children(postmaster) }
}

fn children(of: i32) -> Vec<i32> {
    let processes =
        fs::read_dir("/proc").expect("/proc").filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    processes
        .filter(|process: &i32| {
            let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
            // The name in brackets may hold anything; the state and the parent follow it.
            let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok());
            parent == Some(of)
        })
        .collect()
}

/// The folder of PostgreSQL's programs.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let initdb = std::env::split_paths(&path).map(|folder| folder.join("initdb")).find(|file| file.exists())?;
    // Debian's is a link into the folder with the others.
    Some(initdb.canonicalize().ok()?.parent()?.to_owned())
}

fn script(programs: &Path, folder: &Path, port: u16, primary: &str) -> Child {
    let log = File::options().create(true).append(true).open(folder.join("log")).expect("the log");
    let mut script = Command::new("/bin/sh");
    script.args(["-c", SCRIPT, "postgres"]).arg(programs).args([&port.to_string(), primary]);
    script.current_dir(folder).env("PGPASSWORD", PASSWORD).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
    let mut script = script.spawn().expect("the shell starts");
    let mut line = String::new();
    BufReader::new(script.stdout.take().expect("standard output is piped")).read_line(&mut line).expect("a line");
    let log = || fs::read_to_string(folder.join("log")).unwrap_or_default();
    assert_eq!(line.trim(), "{}", "PostgreSQL serves: {}", log());
    script
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        let _ = self.script.wait();
    }
}
