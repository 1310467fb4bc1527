//! What API keys cost with few and with many of them, beside a peer. The program in bench/store fills the databases and
//! measures what needs no HTTP; here it gets its databases, and the servers get their load.

mod better_auth;
mod database;
mod http;
mod lines;
mod scan;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Result;
use clap::builder::PossibleValuesParser;

use self::{
    database::{Database, Engine},
    lines::Lines,
};
use crate::test::postgres::Postgres;
use crate::tools::{self, Tool};

/// Measure what API keys cost with few and with many of them
///
/// Builds Doorward as it is shipped (profile dist), fills databases with keys, and measures verification, lists, creation,
/// revocation and `doorward scan`, and npm's better-auth beside them. One core serves and another loads. Prints the table and
/// writes it to bench/out/keys.md; copy that to bench/RESULTS.md to keep it. Starts its own PostgreSQL.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Measure only this; may be repeated
    #[arg(long, value_name = "PART", value_parser = PossibleValuesParser::new(PARTS))]
    only: Vec<String>,
    /// How many keys SQLite, PostgreSQL and better-auth have
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..))]
    keys: u64,
    /// How many keys the largest database has, on SQLite
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1_000..))]
    most: u64,
    /// How long each load over HTTP is measured in each round
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=120))]
    seconds: u64,
    /// How many keys are revoked
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(20..))]
    tries: u64,
    /// How many MiB `doorward scan` searches
    #[arg(long, default_value_t = 1_024, value_parser = clap::value_parser!(u64).range(16..))]
    scanned: u64,
}

const SQLITE: &str = "sqlite";
const POSTGRESQL: &str = "postgresql";
const MOST: &str = "most";
const BETTER_AUTH: &str = "better-auth";
const SCAN: &str = "scan";
const PARTS: [&str; 5] = [SQLITE, POSTGRESQL, MOST, BETTER_AUTH, SCAN];

/// How many keys the almost empty databases have.
const FEW: u64 = 1_000;

pub(super) fn run(options: &Options) -> Result<bool> {
    let load_before = super::load_average();
    let needed = [(POSTGRESQL, Tool::PostgreSql), (BETTER_AUTH, Tool::Node)];
    let needed = needed.into_iter().filter(|(part, _)| options.wants(part)).map(|(_, tool)| tool);
    let tools = tools::ready(&[Tool::Taskset, Tool::Wrk].into_iter().chain(needed).collect())?;
    let target = super::build(if options.wants(BETTER_AUTH) { BETTER_AUTH } else { "floor" })?;
    // Of the target folder, because a temporary folder need not be on a disk.
    fs::create_dir_all(target.join("bench"))?;
    let folder = tempfile::Builder::new().prefix("keys-").tempdir_in(target.join("bench"))?;
    let setting = super::setting(folder.path(), &load_before)?;
    let programs = Programs { target: &target, folder: folder.path(), time: Duration::from_secs(options.seconds) };

    let mut lines = Lines::default();
    let initdb = tools.programs.get(&Tool::PostgreSql).map(PathBuf::as_path);
    let measured = measure(options, &programs, initdb, &mut lines);
    // What was measured before a failure took long, and holds.
    super::keep("keys.md", &lines.report(&setting, options.seconds))?;
    measured.map(|()| true)
}

fn measure(options: &Options, programs: &Programs<'_>, initdb: Option<&Path>, lines: &mut Lines) -> Result<()> {
    let few = Database::fill(programs, "few", &Engine::Sqlite, FEW)?;
    if options.wants(SQLITE) {
        let many = Database::fill(programs, SQLITE, &Engine::Sqlite, options.keys)?;
        many.verify(programs, &few, UNKNOWN.min(options.keys), lines)?;
        many.memory(programs, lines)?;
        many.manage(programs, true, lines)?;
        many.revoke(programs, options.tries, lines)?;
    }
    if let Some(initdb) = initdb {
        let clusters = [Postgres::start(initdb)?, Postgres::start(initdb)?];
        let [few, many] = clusters.each_ref().map(|cluster| Engine::Postgres(cluster.url.clone()));
        let few = Database::fill(programs, "few-postgresql", &few, FEW)?;
        let many = Database::fill(programs, POSTGRESQL, &many, options.keys)?;
        many.verify(programs, &few, (UNKNOWN / 10).min(options.keys), lines)?;
        many.manage(programs, true, lines)?;
    }
    if options.wants(MOST) {
        let most = Database::fill(programs, MOST, &Engine::Sqlite, options.most)?;
        most.verify(programs, &few, (UNKNOWN / 10).min(options.most), lines)?;
        // Reading all pages would take as long as everything else.
        most.manage(programs, false, lines)?;
    }
    if options.wants(BETTER_AUTH) {
        better_auth::measure(programs, options.keys, lines)?;
    }
    if options.wants(SCAN) {
        scan::measure(programs, few.sample(), options.scanned, lines)?;
    }
    Ok(())
}

impl Options {
    fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == part)
    }
}

/// How many keys that nobody issued are tried.
const UNKNOWN: u64 = 1_000_000;

/// What is measured with what, where, and how long.
struct Programs<'a> {
    target: &'a Path,
    /// For databases.
    folder: &'a Path,
    /// How long a load takes.
    time: Duration,
}

impl Programs<'_> {
    /// The path of a file in Cargo's target folder.
    fn target(&self, file: &str) -> String {
        self.target.join(file).to_string_lossy().into_owned()
    }
}
