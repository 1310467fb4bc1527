//! Cargo's tests: by `cargo nextest` where it is installed, by `cargo test` otherwise.
//!
//! Easy to get wrong: nextest runs no documentation tests and takes other arguments than a test program. So `cargo test`
//! runs the former, and everything if there is a filter.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Result;

use super::{CHAOS, UNIT, counts::Counts, postgres::Postgres, summary::Summary};
use crate::leash::{Leashed, leash};
use crate::tools::{self, Tool};
use crate::{process::Run, workspace};

/// Runs the tests, shows their output as it comes, and adds the row.
pub(super) fn run(target: &Path, initdb: &Path, filter: &[String], summary: &mut Summary) -> Result<()> {
    let postgres = Postgres::start(initdb)?;
    let mut tests = Tests { target, postgres: &postgres.url, path: None, counts: Counts::default() };
    let has_nextest = filter.is_empty() && workspace::cargo().args(["nextest", "--version"]).read().is_ok();
    let succeeded = if has_nextest {
        tests.nextest()? & tests.cargo_test(&["--doc"])?
    } else {
        tests.cargo_test(&["--"].into_iter().chain(filter.iter().map(String::as_str)).collect::<Vec<_>>())?
    };
    summary.ran(UNIT.to_owned(), tests.counts, tests.crash(succeeded));
    Ok(())
}

/// Runs the outages under load one by one, which start a PostgreSQL each, and adds the row. `path` is a PATH that has it.
pub(super) fn run_chaos(target: &Path, path: &str, summary: &mut Summary) -> Result<()> {
    // The suite says what it does not try without it.
    if let Err(missing) = tools::ready(&[Tool::Faketime].into()) {
        println!("{missing}");
    }
    let mut tests = Tests { target, postgres: "", path: Some(path), counts: Counts::default() };
    let options = ["--ignored", "--nocapture", "--test-threads=1"];
    let succeeded = tests.cargo_test(&[&["--test", "program", "--", "chaos::"], &options[..]].concat())?;
    summary.ran(CHAOS.to_owned(), tests.counts, tests.crash(succeeded));
    Ok(())
}

struct Tests<'a> {
    target: &'a Path,
    postgres: &'a str,
    path: Option<&'a str>,
    counts: Counts,
}

impl Tests<'_> {
    /// Returns whether the run succeeded and left a report. That of an earlier run does not count.
    fn nextest(&mut self) -> Result<bool> {
        let report = self.target.join("nextest/default/junit.xml");
        let _ = fs::remove_file(&report);
        let config = format!("xtask:{}", workspace::root().join("xtask/nextest.toml").display());
        let arguments = ["nextest", "run", "--workspace", "--no-fail-fast", "--tool-config-file", &config];
        let succeeded = self.cargo(&[&arguments[..], &workspace::FEATURES].concat())?;
        let reported = fs::read_to_string(&report).ok().as_deref().and_then(Counts::from_junit);
        self.counts += reported.unwrap_or_default();
        Ok(succeeded && reported.is_some())
    }

    fn cargo_test(&mut self, arguments: &[&str]) -> Result<bool> {
        self.cargo(&[&["test", "--workspace", "--no-fail-fast"], &workspace::FEATURES[..], arguments].concat())
    }

    /// The failure beyond the counts, if there is one.
    fn crash(&self, succeeded: bool) -> Option<String> {
        let crashed = "Cargo failed without a failed test: a test program crashed".to_owned();
        Some(crashed).filter(|_| !succeeded && self.counts.failed == 0)
    }

    /// Returns whether Cargo succeeded, and counts the results that `cargo test` prints.
    fn cargo(&mut self, arguments: &[&str]) -> Result<bool> {
        println!("$ cargo {}", arguments.join(" "));
        let mut tests = Leashed::start(
            leash(workspace::cargo().get_program(), None)
                .args(arguments)
                .current_dir(workspace::root())
                .env("DOORWARD_TEST_POSTGRES", self.postgres)
                .env("DOORWARD_TEST_BIN", self.target.join("debug/doorward"))
                .envs(self.path.map(|path| ("PATH", path)))
                .stdout(Stdio::piped()),
        )?;
        let output = BufReader::new(tests.take_stdout().expect("standard output is piped above"));
        for line in output.split(b'\n') {
            let line = line?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            self.counts += Counts::from_cargo(line.trim_end()).unwrap_or_default();
        }
        Ok(tests.wait(Duration::MAX)?.is_some_and(|status| status.success()))
    }
}
