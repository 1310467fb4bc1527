//! Whether cost stays flat as rows grow. The program in bench/store fills the databases and measures; here it gets its
//! databases.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::process::Run;
use crate::test::postgres::Postgres;
use crate::tools::{self, Tool};

/// Measure whether cost stays flat as rows grow
///
/// Builds Doorward as it is shipped (profile dist), fills a database of each engine with rows, and measures start, key
/// verification, refresh, `client disable`, `user disable` and sweeping beside an almost empty database. Prints the
/// tables and writes them to bench/out/scale.md; copy that to bench/RESULTS.md to keep it. Starts its own PostgreSQL.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Measure only this engine
    #[arg(long, value_parser = [SQLITE, POSTGRESQL])]
    only: Option<String>,
    /// How many keys the full database has
    #[arg(long, default_value_t = 1_000_000)]
    keys: u64,
    /// How many live grants the full database has; at least 1,000
    #[arg(long, default_value_t = 300_000)]
    grants: u64,
    /// How many refresh families have ended and wait to be removed
    #[arg(long, default_value_t = 60_000)]
    ended: u64,
}

const SQLITE: &str = "sqlite";
const POSTGRESQL: &str = "postgresql";

pub(super) fn run(options: &Options) -> Result<bool> {
    let load_before = super::load_average();
    let engines = [SQLITE, POSTGRESQL].into_iter().filter(|name| options.only.as_ref().is_none_or(|only| only == name));
    let engines: Vec<_> = engines.collect();
    let postgresql = engines.contains(&POSTGRESQL).then_some(Tool::PostgreSql);
    let tools = tools::ready(&[Tool::Taskset].into_iter().chain(postgresql).collect())?;
    let target = super::build("scale")?;
    // Of the target folder, because a temporary folder need not be on a disk.
    fs::create_dir_all(target.join("bench"))?;
    let folder = tempfile::Builder::new().prefix("scale-").tempdir_in(target.join("bench"))?;
    let setting = super::setting(folder.path(), &load_before)?;
    let mut text = format!(include_str!("scale.md"), setting = setting);
    for engine in engines {
        println!("{engine}");
        let mut program = Command::new(target.join("dist/doorward-bench-store"));
        program.arg("--doorward").arg(target.join("dist/doorward")).arg("--folder").arg(folder.path().join(engine));
        let Options { keys, grants, ended, .. } = options;
        program.args(["scale", "--keys", &keys.to_string(), "--grants", &grants.to_string()]);
        program.args(["--ended", &ended.to_string()]).stderr(Stdio::inherit());
        let clusters = match tools.programs.get(&Tool::PostgreSql).filter(|_| engine == POSTGRESQL) {
            Some(initdb) => vec![Postgres::start(initdb)?, Postgres::start(initdb)?],
            None => Vec::new(),
        };
        if !clusters.is_empty() {
            program.arg("--postgres").args(clusters.iter().map(|cluster| &cluster.url));
        }
        text += &format!("\n{}", program.read()?);
    }
    super::keep("scale.md", &text)?;
    Ok(true)
}
