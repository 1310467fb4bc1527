//! A server on its leash: it reports in one line of JSON that it listens, writes a log, and exits with 0 on SIGTERM.
//!
//! Easy to get wrong: the server may write more after that line, and a full pipe would stop it. So the rest is read
//! and dropped.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use serde::de::DeserializeOwned;

use crate::leash::Leashed;

/// A running server. Dropping it ends it.
pub(crate) struct Server {
    process: Leashed,
    first_line: Receiver<String>,
    name: String,
    log: PathBuf,
}

impl Server {
    /// Starts a command from [`crate::leash::leash`] with its log in `folder`. The server may not listen yet.
    pub(crate) fn start(name: &str, command: &mut Command, folder: &Path) -> Result<Self> {
        let log = folder.join("server.log");
        let file = File::create(&log).with_context(|| format!("{} could not be created", log.display()))?;
        let mut process = Leashed::start(command.stdout(Stdio::piped()).stderr(file))
            .with_context(|| format!("{name} could not be started"))?;
        let output = process.take_stdout().expect("standard output is piped above");
        let (sender, first_line) = mpsc::channel();
        thread::spawn(move || {
            let mut lines = BufReader::new(output).lines().map_while(Result::ok);
            // The receiver may be gone already.
            let _ = lines.next().map(|line| sender.send(line));
            lines.for_each(drop);
        });
        Ok(Self { process, first_line, name: name.to_owned(), log })
    }

    /// The line of JSON with which the server reports that it listens, read once.
    pub(crate) fn listening<T: DeserializeOwned>(&self) -> Result<T> {
        let line = self.first_line.recv_timeout(READY_LIMIT).map_err(|_| self.failure("it did not start"))?;
        serde_json::from_str(&line).map_err(|error| self.failure(&format!("its first line is wrong, {error}: {line}")))
    }

    /// Ends the server with SIGTERM. It is an error if the server had ended before or does not exit with 0.
    pub(crate) fn stop(mut self) -> Result<()> {
        if let Some(status) = self.process.wait(Duration::ZERO)? {
            return Err(self.failure(&format!("it ended by itself with {status}")));
        }
        let status = self.process.end()?;
        if status.success() { Ok(()) } else { Err(self.failure(&format!("after SIGTERM it ended with {status}"))) }
    }

    fn failure(&self, what: &str) -> anyhow::Error {
        let log = fs::read(&self.log).unwrap_or_default();
        anyhow!("{}: {what}\n{}", self.name, String::from_utf8_lossy(&log))
    }
}

const READY_LIMIT: Duration = Duration::from_secs(120);

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};

    use super::*;
    use crate::leash::leash;

    #[test]
    fn server_fails_with_its_words_at_its_start_or_its_end() {
        for (script, failure) in [
            ("echo the port is taken >&2", "the port is taken"),
            ("echo listening", "listening"),
            ("trap 'exit 4' TERM; echo {}; while :; do sleep 0.1; done", "after SIGTERM"),
            ("echo {}", "by itself"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let mut command = leash("/bin/sh", None);
            let mut server = Server::start("a server", command.args(["-c", script]), folder.path()).unwrap();

            let listening = server.listening::<Map<String, Value>>();
            server.process.wait(Duration::from_secs(u64::from(failure == "by itself"))).unwrap();
            let error = listening.and_then(|_| server.stop()).expect_err(script);

            assert!(error.to_string().contains(failure), "{error}");
        }
    }
}
