//! `cargo xtask bench`: how fast Doorward is beside its limits and beside a peer, in one run and one table.
//!
//! One core serves and another loads. Easy to get wrong: absolute figures hold for one hour on one machine. So every
//! row is measured in each round, between the others, a row's figure is the median of its rounds, and only the ratios
//! within a run count.

mod alone;
mod browser;
mod failed_attempts;
mod http;
mod keys;
mod load;
mod pinned;
mod report;
mod revocation;
mod rows;
mod scale;
mod scene;
mod start;

use std::path::{Path, PathBuf};
use std::{fs, process::Command, thread, time::Duration};

use anyhow::{Result, bail, ensure};
use clap::builder::PossibleValuesParser;

use self::report::{Rows, Section};
use self::rows::{ROWS, Row};
use self::scene::Scene;
use crate::tools::{self, Missing, Tool};
use crate::{process::Run, workspace};

/// Measure how fast Doorward is beside its limits and a peer
///
/// Builds Doorward and the floor as they are shipped (profile dist), pins each server to core 0 and wrk to core 1, and
/// measures every row in three rounds. Prints the table and writes it to bench/out/results.md; copy that to
/// bench/RESULTS.md to keep it. Needs Linux, two cores, wrk and Node.js. As root on Debian it installs what is missing.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    /// How long each row is measured in each round
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=120))]
    seconds: u64,
    /// Measure only this row; may be repeated. Ratios need the rows that they compare with
    #[arg(long, value_name = "ROW", value_parser = PossibleValuesParser::new(names()))]
    only: Vec<String>,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Keys(keys::Options),
    Scale(scale::Options),
}

const ROUNDS: usize = 3;

/// What is measured beside the rows.
const COMMITS: &str = "commits";
const SIGNATURES: &str = "signatures";
const GUARD: &str = "guard";

type Measure = fn(&Scene) -> Result<Section>;

/// What needs no rounds.
const ONCE: [(&str, Measure); 3] =
    [("start", start::measure), ("revocation", revocation::measure), ("failed-attempts", failed_attempts::measure)];

pub(crate) fn run(options: &Options) -> Result<bool> {
    match &options.what {
        Some(What::Keys(options)) => return keys::run(options),
        Some(What::Scale(options)) => return scale::run(options),
        None => {}
    }
    let load_before = load_average();
    let rows: Vec<&Row> = ROWS.iter().filter(|row| options.wants(row.name)).collect();
    let with_oidc_provider = rows.iter().any(|row| row.is_of_oidc_provider());
    let node = with_oidc_provider.then_some(Tool::Node);
    tools::ready(&[Tool::Taskset, Tool::Wrk].into_iter().chain(node).collect())?;
    let scene = Scene::prepare(&build(if with_oidc_provider { "all" } else { "without-oidc-provider" })?)?;

    let samples = rows.into_iter().map(|row| (row, Vec::new())).collect();
    let mut rows = Rows { samples, signatures: Vec::new(), commits: Vec::new() };
    let mut guard = Vec::new();
    for round in 1..=ROUNDS {
        let note = |what: &str| println!("round {round} of {ROUNDS}: {what}");
        if options.wants(SIGNATURES) {
            note(SIGNATURES);
            let argv = [&*scene.target("dist/doorward-bench-floor"), "signatures", &options.seconds.to_string()];
            rows.signatures.push(pinned::figures(&argv)?);
        }
        if options.wants(COMMITS) {
            note(COMMITS);
            let folder = tempfile::tempdir_in(scene.folder())?;
            let (program, doorward) = (scene.target("dist/doorward-bench-store"), scene.target("dist/doorward"));
            let folder = folder.path().to_string_lossy();
            rows.commits.push(pinned::figures(&[&program, "--doorward", &doorward, "--folder", &folder, "limits"])?);
        }
        if options.wants(GUARD) {
            note(GUARD);
            guard.push(pinned::figures(&[&scene.target("dist/examples/guard")])?);
        }
        for (row, samples) in &mut rows.samples {
            let sample = row.measure(&scene, Duration::from_secs(options.seconds))?;
            note(&format!("{}: {:.0}/s, {} errors", row.name, sample.rate(), sample.errors));
            samples.push(sample);
        }
    }
    let mut sections =
        vec![rows.section(), alone::signatures(&rows.signatures), alone::commits(&rows.commits), alone::guard(&guard)];
    for (name, measure) in ONCE {
        if options.wants(name) {
            println!("{name}");
            sections.push(measure(&scene)?);
        }
    }

    let setting = setting(scene.folder(), &load_before)?;
    keep("results.md", &report::report(&setting, options.seconds, sections))?;
    Ok(rows.are_valid())
}

/// What the machine was doing before.
fn load_average() -> String {
    fs::read_to_string("/proc/loadavg").unwrap_or_default().split(' ').next().unwrap_or_default().to_owned()
}

/// The command that runs, when, and on which machine.
fn setting(data: &Path, load_before: &str) -> Result<String> {
    let command = format!("cargo xtask {}", std::env::args().skip(1).collect::<Vec<_>>().join(" "));
    let mut machine = Command::new("sh");
    machine.args(["-c", include_str!("bench/machine.sh"), "machine"]).arg(data).args([load_before, &command]);
    machine.current_dir(workspace::root()).read()
}

/// Prints a report, and writes it to bench/out.
fn keep(name: &str, text: &str) -> Result<()> {
    println!("\n{text}");
    let folder = workspace::root().join("bench/out");
    Ok(fs::create_dir_all(&folder).and_then(|()| fs::write(folder.join(name), text))?)
}

/// Builds what `part` of the benchmark measures, see build.sh, and returns the target folder.
fn build(part: &str) -> Result<PathBuf> {
    if !cfg!(target_os = "linux") || thread::available_parallelism().map_or(1, usize::from) < 2 {
        bail!(Missing("The benchmark needs Linux and two cores: one core serves and another loads.".to_owned()));
    }
    let target = workspace::target_folder()?;
    let mut build = Command::new("sh");
    build.args(["-xc", include_str!("bench/build.sh"), "build"]).arg(workspace::cargo().get_program()).arg(&target);
    let status = build.arg(part).current_dir(workspace::root()).status()?;
    ensure!(status.success(), "the build failed");
    Ok(target)
}

/// Every row, and what is measured beside the rows.
fn names() -> Vec<&'static str> {
    let rows = ROWS.iter().map(|row| row.name);
    rows.chain([SIGNATURES, COMMITS, GUARD]).chain(ONCE.map(|(name, _)| name)).collect()
}

impl Options {
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_selects_one_row_and_every_peer_is_a_row() {
        let wanted = |only: &[&str]| {
            let options = Options { seconds: 8, only: only.iter().map(|&name| name.to_owned()).collect(), what: None };
            names().into_iter().filter(|name| options.wants(name)).collect::<Vec<_>>()
        };

        assert_eq!(wanted(&[]), names());
        assert!(names().into_iter().all(|name| wanted(&[name]) == [name]));
        assert!(ROWS.iter().filter_map(|row| row.peer).all(|peer| names().contains(&peer)));
    }
}
