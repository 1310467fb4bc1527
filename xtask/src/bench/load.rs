//! Load by `wrk`, and what came of it.
//!
//! The scripts stand in bench/load. Easy to get wrong: a server is fast at refusing, so one answer that is no success
//! makes the row worthless. wrk counts those of 400 and above; that the request is answered with 2xx at all is seen
//! before, with one of the same.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::http::Request;
use super::pinned::LOAD_CORE;
use crate::failure::Failure;
use crate::workspace;

/// What a row sends.
#[derive(Debug)]
pub(super) enum Load {
    /// The same request again and again.
    Request(Request),
    /// Refresh tokens to begin with, which are replaced by what they are answered with. Each half serves once.
    Refresh { port: u16, authorization: String, warm_up: Vec<String>, measured: Vec<String> },
}

/// What was measured in one round of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    /// Requests a second.
    pub(super) rate: f64,
    /// Half of the answers came within so many microseconds.
    pub(super) p50: u64,
    /// 99 of 100 did.
    pub(super) p99: u64,
    /// Answers of 400 and above, and answers that did not come.
    pub(super) errors: u64,
    /// The most memory of the server meanwhile, in KiB.
    pub(super) peak_kib: u64,
}

impl Load {
    /// How many refresh tokens each half of a [`Load::Refresh`] needs: one for each connection, and a few to spare.
    pub(super) const CHAINS: usize = 80;

    /// Loads the server before it is measured for `time`. `folder` is for files.
    pub(super) fn warm_up(&self, time: Duration, folder: &Path) -> Result<(), Failure> {
        let time = time.min(WARM_UP);
        match self {
            Self::Request(request) => {
                request.succeed()?;
                self.wrk(&[], time, folder)?;
            }
            Self::Refresh { warm_up, .. } => {
                self.wrk(warm_up, time, folder)?;
            }
        }
        Ok(())
    }

    /// Loads the server for `time`. The memory is for the caller to fill in.
    pub(super) fn measure(&self, time: Duration, folder: &Path) -> Result<Sample, Failure> {
        let tokens: &[String] = match self {
            Self::Request(_) => &[],
            Self::Refresh { measured, .. } => measured,
        };
        let output = self.wrk(tokens, time, folder)?;
        Sample::parse(&output).ok_or_else(|| Failure::Command { line: "wrk".to_owned(), detail: output })
    }

    fn wrk(&self, tokens: &[String], time: Duration, folder: &Path) -> Result<String, Failure> {
        let mut environment = BTreeMap::new();
        let (script, connections, port, path) = match self {
            Self::Request(request) => {
                let headers: Vec<_> = request.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
                environment.insert("METHOD", request.method.to_owned());
                environment.insert("HEADERS", headers.join("\n"));
                if !request.body.is_empty() {
                    environment.insert("BODY", request.body.clone());
                }
                ("request.lua", 32, request.port, request.path.as_str())
            }
            Self::Refresh { port, authorization, .. } => {
                let file = folder.join("refresh-tokens");
                std::fs::write(&file, tokens.join("\n"))
                    .map_err(Failure::io("the refresh tokens could not be kept"))?;
                environment.insert("AUTHORIZATION", authorization.clone());
                environment.insert("TOKENS", file.to_string_lossy().into_owned());
                ("refresh.lua", 64, *port, "/token")
            }
        };
        let output = Command::new("taskset")
            .args(["-c", LOAD_CORE, "wrk", "-t1", &format!("-c{connections}"), &format!("-d{}s", time.as_secs())])
            .args(["-s", script, &format!("http://127.0.0.1:{port}{path}")])
            .envs(environment)
            .current_dir(workspace::root().join("bench/load"))
            .output()
            .map_err(Failure::io("wrk could not be started"))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(said);
        }
        let detail = said + &String::from_utf8_lossy(&output.stderr);
        Err(Failure::Command { line: format!("wrk -s {script}"), detail })
    }
}

/// What a just-in-time compiler needs before it is at its best.
const WARM_UP: Duration = Duration::from_secs(3);

impl Sample {
    /// Reads the line of bench/load/report.lua out of what wrk prints.
    fn parse(output: &str) -> Option<Self> {
        let line = output.lines().rev().find(|line| line.starts_with('{'))?;
        let figures: Value = serde_json::from_str(line).ok()?;
        let figure = |name: &str| figures[name].as_u64();
        let seconds = figure("duration")? as f64 / 1e6;
        Some(Self {
            rate: figure("requests")? as f64 / seconds,
            p50: figure("p50")?,
            p99: figure("p99")?,
            errors: figure("errors")?,
            peak_kib: 0,
        })
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rate, p50, p99, errors, peak_kib } = self;
        write!(f, "{rate:.0}/s, p50 {p50} µs, p99 {p99} µs, {} MB, {errors} errors", peak_kib / 1024)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_line_is_found_after_what_wrk_says_itself() {
        let output = "Running 1s test\n  1 threads\nRequests/sec: 9\n\
                      {\"requests\":30000,\"duration\":1500000,\"p50\":310,\"p99\":900,\"errors\":2}\n";

        let sample = Sample::parse(output).unwrap();

        assert_eq!(sample, Sample { rate: 20_000.0, p50: 310, p99: 900, errors: 2, peak_kib: 0 });
        assert_eq!(Sample::parse("unable to connect"), None);
    }
}
