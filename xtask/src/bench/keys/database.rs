//! One database with keys, and what is measured on it.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, de::DeserializeOwned};
use tempfile::TempDir;

use super::{
    Programs, http,
    lines::{
        Lines,
        Target::{self, AtLeast, AtMost, Below},
        Unit,
    },
};
use crate::{
    bench::{
        http::{get, send},
        pinned::{self, LOAD_CORE, SERVER_CORE},
        report::thousands,
    },
    process::Run,
    server::Server,
};

pub(super) enum Engine {
    Sqlite,
    /// The URL of an empty database.
    Postgres(String),
}

/// A filled database. Its files are removed when this is dropped.
pub(super) struct Database {
    folder: TempDir,
    filled: Filled,
}

/// What the program in bench/store prints of a database.
#[derive(Deserialize)]
struct Filled {
    keys: u64,
    postgres: Option<String>,
    port: u16,
    authorization: String,
    seconds: f64,
}

#[derive(Deserialize)]
struct Quantiles {
    p50_ns: f64,
    p99_ns: f64,
}

impl Database {
    pub(super) fn fill(programs: &Programs<'_>, name: &str, engine: &Engine, keys: u64) -> Result<Self> {
        println!("filling {name}: {} keys", thousands(count(keys)));
        let folder = tempfile::Builder::new().prefix(&format!("{name}-")).tempdir_in(programs.folder)?;
        let mut command = program(programs, folder.path());
        command.args(["fill", "--keys", &keys.to_string()]);
        if let Engine::Postgres(url) = engine {
            command.args(["--postgres", url]);
        }
        let filled: Filled = read(&mut command)?;
        println!("filled in {:.0} s", filled.seconds);
        Ok(Self { folder, filled })
    }

    pub(super) fn port(&self) -> u16 {
        self.filled.port
    }

    pub(super) fn authorization(&self) -> &str {
        &self.filled.authorization
    }

    /// Keys at random, one a line.
    pub(super) fn sample(&self) -> PathBuf {
        self.folder.path().join("keys.txt")
    }

    pub(super) fn one_key(&self) -> Result<String> {
        BufReader::new(File::open(self.sample())?).lines().next().context("there is a key")?.map_err(Into::into)
    }

    /// Starts a server, and returns when it is ready.
    pub(super) fn start(&self, programs: &Programs<'_>) -> Result<Server> {
        let config = self.folder.path().join("doorward.toml");
        let argv = [&*programs.target("dist/doorward"), "serve", "--config", &config.to_string_lossy()];
        let postgres = self.filled.postgres.as_deref().map(|url| ("DOORWARD_DATA__POSTGRES", url));
        let environment: Vec<_> = [("DOORWARD_LOG__LEVEL", "error")].into_iter().chain(postgres).collect();
        let server = pinned::start(&argv, &environment, self.folder.path())?;
        let (ready, start) = (get(self.port(), "/health/ready").body(String::new())?, Instant::now());
        while !send(&ready).is_ok_and(|answer| answer.status().is_success()) {
            if start.elapsed() > READY_LIMIT {
                server.stop()?;
                bail!("the server was not ready within {READY_LIMIT:?}");
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(server)
    }

    /// Verification in process and over HTTP, beside the almost empty database.
    pub(super) fn verify(&self, programs: &Programs<'_>, few: &Self, unknown: u64, lines: &mut Lines) -> Result<()> {
        #[derive(Deserialize)]
        struct Figures {
            clock_ns: f64,
            cached: Quantiles,
            stored: Quantiles,
            unknown: Quantiles,
            negative: Quantiles,
            resident_kib: [u64; 3],
        }
        let label = self.label();
        let figures: Figures = self.on(SERVER_CORE, programs, &["in-process", "--unknown", &unknown.to_string()])?;
        let (is_sqlite, us, times) = (self.filled.postgres.is_none(), Unit::Microseconds, Unit::Times);
        let Figures { clock_ns, cached, stored, unknown: stranger, negative, resident_kib } = figures;
        lines.add(format!("{label}: a look at the clock"), clock_ns / 1e3, us, Target::None);
        for (what, found, limit) in
            [("cached", &cached, Below(1.0)), ("from the database", &stored, only_if(is_sqlite, Below(20.0)))]
        {
            let what = format!("{label}: verify in process, {what}");
            lines.add(format!("{what}, p50"), found.p50_ns / 1e3, us, limit);
            let tail = only_if(!matches!(limit, Target::None), AtMost(5.0));
            lines.add(format!("{what}, p99 ÷ p50"), found.p99_ns / found.p50_ns, times, tail);
        }
        lines.add(format!("{label}: unknown key in process, p50"), stranger.p50_ns / 1e3, us, Target::None);
        let (ratio, what) = (stranger.p50_ns / negative.p50_ns, "unknown key ÷ cached negative, p50");
        lines.add(format!("{label}: {what}"), ratio, times, AtMost(AS_MUCH));
        let [before, half, after] = resident_kib.map(|kib| count(kib) / 1_024.0);
        let tried = thousands(count(unknown));
        let mib = Unit::Mebibytes;
        let what = format!("{label}: memory added by {tried} unknown keys");
        lines.add(&what, after - before, mib, Target::None);
        lines.add(format!("{what}, by their second half"), after - half, mib, AtMost(NO_GROWTH_MIB));

        let rates = http::measure(programs, few, self)?;
        lines.add(format!("{label}: verify over HTTP, hot"), rates.hot, Unit::PerSecond, Target::None);
        lines.add(format!("{label}: verify over HTTP, at random"), rates.at_random, Unit::PerSecond, Target::None);
        lines.add(
            format!("{label}: verify over HTTP, share of the floor, hot"),
            rates.of_floor,
            Unit::Share,
            AtLeast(0.6),
        );
        lines.add(
            format!("{label}: verify over HTTP, time ÷ that with 1,000 keys, hot"),
            rates.hot_growth,
            times,
            AtMost(1.3),
        );
        lines.add(
            format!("{label}: verify over HTTP, time ÷ that with 1,000 keys, at random"),
            rates.at_random_growth,
            times,
            AtMost(1.3),
        );
        Ok(())
    }

    /// What a key in the cache costs.
    pub(super) fn memory(&self, programs: &Programs<'_>, lines: &mut Lines) -> Result<()> {
        #[derive(Deserialize)]
        struct Figures {
            resident_kib: u64,
        }
        let keys = CACHED.min(self.filled.keys);
        let resident = |room: u64| -> Result<f64> {
            let arguments = ["memory", "--keys", &keys.to_string(), "--room", &room.to_string()];
            Ok(count(self.on::<Figures>(SERVER_CORE, programs, &arguments)?.resident_kib))
        };
        // With room for twice as many, none is pushed out.
        let each = (resident(2 * keys)? - resident(1)?) * 1_024.0 / count(keys);
        let what = format!("{}: memory for each of {} cached keys", self.label(), thousands(count(keys)));
        lines.add(what, each, Unit::Bytes, AtMost(300.0));
        Ok(())
    }

    /// Lists, and new keys.
    pub(super) fn manage(&self, programs: &Programs<'_>, is_whole: bool, lines: &mut Lines) -> Result<()> {
        #[derive(Deserialize)]
        struct Figures {
            default: Pages,
            largest: Pages,
            of_owner: Pages,
            revoked: Pages,
            expired: Pages,
            create_s: f64,
        }
        #[derive(Deserialize)]
        struct Pages {
            count: u64,
            entries: u64,
            #[serde(flatten)]
            times: Quantiles,
            last_ns: f64,
            is_whole: bool,
        }
        let server = self.start(programs)?;
        // Enough for the whole list, or else for a look.
        let pages = if is_whole { self.filled.keys / 200 + 2 } else { 500 };
        let figures: Figures = self.on(LOAD_CORE, programs, &["management", "--pages", &pages.to_string()])?;
        server.stop()?;
        let (label, ms) = (self.label(), Unit::Milliseconds);
        for (what, found) in [
            ("first pages of 50", &figures.default),
            ("pages of 200", &figures.largest),
            ("pages of one owner", &figures.of_owner),
            ("pages of revoked keys", &figures.revoked),
            ("pages of expired keys", &figures.expired),
        ] {
            let Pages { count: pages, entries, times, .. } = found;
            let what = format!(
                "{label}: list, {what} ({} with {} keys)",
                thousands(count(*pages)),
                thousands(count(*entries))
            );
            lines.add(format!("{what}, p50"), times.p50_ns / 1e6, ms, Target::None);
            lines.add(format!("{what}, p99"), times.p99_ns / 1e6, ms, Below(5.0));
        }
        if figures.largest.is_whole {
            lines.add(format!("{label}: list, the last page"), figures.largest.last_ns / 1e6, ms, Below(5.0));
        }
        let what = format!("{label}: create 10,000 keys, a request for each, 64 connections");
        lines.add(what, figures.create_s, Unit::Seconds, Below(2.0));
        Ok(())
    }

    /// How soon another process refuses a key.
    pub(super) fn revoke(&self, programs: &Programs<'_>, tries: u64, lines: &mut Lines) -> Result<()> {
        #[derive(Deserialize)]
        struct Figures {
            tries: u64,
            #[serde(flatten)]
            times: Quantiles,
            most_ns: f64,
            load_per_s: f64,
        }
        let server = self.start(programs)?;
        let figures: Figures = self.on(LOAD_CORE, programs, &["revocation", "--tries", &tries.to_string()])?;
        server.stop()?;
        let (tries, ms) = (thousands(count(figures.tries)), Unit::Milliseconds);
        let what = format!("{}: revocation until another process refuses, {tries} keys", self.label());
        lines.add(format!("{what}, p50"), figures.times.p50_ns / 1e6, ms, Target::None);
        lines.add(format!("{what}, p99"), figures.times.p99_ns / 1e6, ms, Below(1_000.0));
        lines.add(format!("{what}, most"), figures.most_ns / 1e6, ms, Target::None);
        let load = format!("{}: verifications beside the revocations", self.label());
        lines.add(load, figures.load_per_s, Unit::PerSecond, Target::None);
        Ok(())
    }

    fn label(&self) -> String {
        let engine = if self.filled.postgres.is_some() { "PostgreSQL" } else { "SQLite" };
        format!("{engine}, {} keys", thousands(count(self.filled.keys)))
    }

    /// The figures of one part of the program in bench/store.
    fn on<T: DeserializeOwned>(&self, core: &str, programs: &Programs<'_>, arguments: &[&str]) -> Result<T> {
        let program = program(programs, self.folder.path());
        let mut pinned = Command::new("taskset");
        pinned.args(["-c", core]).arg(program.get_program()).args(program.get_args()).args(arguments);
        read(pinned.stderr(Stdio::inherit()))
    }
}

fn program(programs: &Programs<'_>, folder: &Path) -> Command {
    let mut command = Command::new(programs.target("dist/doorward-bench-store"));
    command.arg("--doorward").arg(programs.target("dist/doorward")).arg("--folder").arg(folder).arg("keys");
    command
}

fn read<T: DeserializeOwned>(command: &mut Command) -> Result<T> {
    let output = command.read()?;
    serde_json::from_str(&output).with_context(|| format!("the program in bench/store printed {output}"))
}

fn only_if(holds: bool, target: Target) -> Target {
    if holds { target } else { Target::None }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn count(number: u64) -> f64 {
    number as f64
}

/// Twice as many keys as a server's cache has room for by default.
const CACHED: u64 = 200_000;
/// "No more than": one run differs from the next by a tenth.
const AS_MUCH: f64 = 1.1;
/// What an allocator may hold on to.
const NO_GROWTH_MIB: f64 = 8.0;
const READY_LIMIT: Duration = Duration::from_secs(60);
