//! Load by `wrk`, and its result. The scripts are in bench/load.
//!
//! Easy to get wrong: a server is fast at refusing, so one answer that is not a success invalidates the row. wrk counts
//! statuses of 400 and above; that the request is answered with 2xx at all is checked before.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result};
use serde::{Deserialize, de::IgnoredAny};
use ureq::http::HeaderValue;

use super::http::{self, Request};
use super::pinned::LOAD_CORE;
use super::scene::Scene;
use crate::{process::Run, workspace};

pub(super) struct Load {
    script: &'static str,
    connections: &'static str,
    url: String,
    environment: BTreeMap<&'static str, String>,
    /// Files of refresh tokens for the two phases. Each serves once.
    tokens: Option<[PathBuf; 2]>,
}

/// What was measured in one round of a row: the line that bench/load/report.lua adds to the output of wrk.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sample {
    pub(super) requests: f64,
    /// Microseconds, as the percentiles.
    pub(super) duration: f64,
    pub(super) p50: f64,
    pub(super) p99: f64,
    /// Answers of 400 and above, and answers that did not come.
    pub(super) errors: u64,
    /// The server's peak of memory meanwhile.
    #[serde(skip)]
    pub(super) peak_kib: u64,
}

impl Load {
    /// The same request again and again, if it is answered with a success.
    pub(super) fn of_request(request: &Request) -> Result<Self> {
        http::succeed::<IgnoredAny>(request)?;
        let header = |(name, value)| Ok(format!("{name}: {}\n", HeaderValue::to_str(value)?));
        let headers = request.headers().iter().map(header).collect::<Result<_>>()?;
        let mut environment = BTreeMap::from([("METHOD", request.method().to_string()), ("HEADERS", headers)]);
        if !request.body().is_empty() {
            environment.insert("BODY", request.body().clone());
        }
        Ok(Self { script: "request.lua", connections: "32", url: request.uri().to_string(), environment, tokens: None })
    }

    /// A question about each key of a file, in turn. `request` asks about one of them.
    pub(super) fn of_keys(request: &Request, keys: &Path) -> Result<Self> {
        let mut load = Self::of_request(request)?;
        load.environment.insert("KEYS", keys.to_string_lossy().into_owned());
        Ok(Self { script: "keys.lua", ..load })
    }

    /// Rotations of refresh tokens of the demo's client, which are replaced by those in the answers.
    pub(super) fn of_refresh(scene: &Scene, token: &mut dyn FnMut() -> Result<String>) -> Result<Self> {
        let files = ["warm-up", "measured"].map(|phase| scene.folder().join(format!("refresh-tokens-{phase}")));
        for file in &files {
            let tokens = (0..CHAINS).map(|_| token()).collect::<Result<Vec<_>>>()?;
            fs::write(file, tokens.join("\n")).context("the refresh tokens could not be written")?;
        }
        let url = format!("http://localhost:{}/token", scene.port);
        let environment = BTreeMap::from([("AUTHORIZATION", scene.demo.client.credentials())]);
        Ok(Self { script: "refresh.lua", connections: "64", url, environment, tokens: Some(files) })
    }

    /// Loads the server before it is measured for `time`.
    pub(super) fn warm_up(&self, time: Duration) -> Result<()> {
        self.wrk(0, time.min(WARM_UP)).map(drop)
    }

    /// Loads the server for `time`. The caller fills in the memory.
    pub(super) fn measure(&self, time: Duration) -> Result<Sample> {
        let output = self.wrk(1, time)?;
        let line = output.lines().rev().find(|line| line.starts_with('{')).unwrap_or_default();
        serde_json::from_str(line).with_context(|| format!("wrk printed {output}"))
    }

    fn wrk(&self, phase: usize, time: Duration) -> Result<String> {
        Command::new("taskset")
            .args(["-c", LOAD_CORE, "wrk", "-t1", "-c", self.connections, "-d", &format!("{}s", time.as_secs())])
            .args(["-s", self.script, &self.url.replacen("localhost", "127.0.0.1", 1)])
            .envs(&self.environment)
            .env("PHASE", phase.to_string())
            .envs(self.tokens.as_ref().map(|files| ("TOKENS", &files[phase])))
            .current_dir(workspace::root().join("bench/load"))
            .read()
    }
}

/// How many refresh tokens each phase needs: one for each connection, and a few to spare.
const CHAINS: usize = 80;

/// A just-in-time compiler needs this long until it is at its best.
const WARM_UP: Duration = Duration::from_secs(3);

impl Sample {
    pub(super) fn rate(&self) -> f64 {
        self.requests / self.duration * 1e6
    }
}
