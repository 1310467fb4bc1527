//! `cargo xtask bench`: how fast Doorward is beside its limits and beside a peer, in one run and one table.
//!
//! One core serves and another loads. Easy to get wrong: absolute figures hold for one hour on one machine. So every
//! row is measured in each round, between the others, a row's figure is the median of its rounds, and only the ratios
//! within a run count.

mod alone;
mod browser;
mod failed_attempts;
mod http;
mod load;
mod pinned;
mod report;
mod revocation;
mod rows;
mod scene;
mod start;

use std::{fs, path::PathBuf, process::Command, thread, time::Duration};

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
pub(crate) struct Options {
    /// How long each row is measured in each round
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=120))]
    seconds: u64,
    /// Measure only this row; may be repeated. Ratios need the rows that they compare with
    #[arg(long, value_name = "ROW", value_parser = PossibleValuesParser::new(names()))]
    only: Vec<String>,
}

const ROUNDS: usize = 3;

/// What is measured beside the rows.
const SIGNATURES: &str = "signatures";
const GUARD: &str = "guard";

type Measure = fn(&Scene) -> Result<Section>;

/// What needs no rounds.
const ONCE: [(&str, Measure); 3] =
    [("start", start::measure), ("revocation", revocation::measure), ("failed-attempts", failed_attempts::measure)];

pub(crate) fn run(options: &Options) -> Result<bool> {
    let load_average = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load_before = load_average.split(' ').next().unwrap_or_default();
    let rows: Vec<&Row> = ROWS.iter().filter(|row| options.wants(row.name)).collect();
    let scene = Scene::prepare(&build(rows.iter().any(|row| row.is_of_oidc_provider()))?)?;

    let mut rows = Rows { samples: rows.into_iter().map(|row| (row, Vec::new())).collect(), signatures: Vec::new() };
    let mut guard = Vec::new();
    for round in 1..=ROUNDS {
        let note = |what: &str| println!("round {round} of {ROUNDS}: {what}");
        if options.wants(SIGNATURES) {
            note(SIGNATURES);
            let argv = [&*scene.target("dist/doorward-bench-floor"), "signatures", &options.seconds.to_string()];
            rows.signatures.push(pinned::figures(&argv)?);
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
    let mut sections = vec![rows.section(), alone::signatures(&rows.signatures), alone::guard(&guard)];
    for (name, measure) in ONCE {
        if options.wants(name) {
            println!("{name}");
            sections.push(measure(&scene)?);
        }
    }

    let command = format!("cargo xtask {}", std::env::args().skip(1).collect::<Vec<_>>().join(" "));
    let mut machine = Command::new("sh");
    machine.args(["-c", include_str!("bench/machine.sh"), "machine"]).arg(scene.folder()).args([load_before, &command]);
    let setting = machine.current_dir(workspace::root()).read()?;
    let text = report::report(&setting, options.seconds, sections);
    println!("\n{text}");
    let folder = workspace::root().join("bench/out");
    fs::create_dir_all(&folder).and_then(|()| fs::write(folder.join("results.md"), text))?;
    Ok(rows.are_valid())
}

/// Builds what is measured, and returns the target folder.
fn build(with_oidc_provider: bool) -> Result<PathBuf> {
    if !cfg!(target_os = "linux") || thread::available_parallelism().map_or(1, usize::from) < 2 {
        bail!(Missing("The benchmark needs Linux and two cores: one core serves and another loads.".to_owned()));
    }
    let node = with_oidc_provider.then_some(Tool::Node);
    tools::ready(&[Tool::Taskset, Tool::Wrk].into_iter().chain(node).collect())?;
    let target = workspace::target_folder()?;
    let mut build = Command::new("sh");
    build.args(["-xc", include_str!("bench/build.sh"), "build"]).arg(workspace::cargo().get_program()).arg(&target);
    let status = build.args(with_oidc_provider.then_some("with")).current_dir(workspace::root()).status()?;
    ensure!(status.success(), "the build failed");
    Ok(target)
}

/// Every row, and what is measured beside the rows.
fn names() -> Vec<&'static str> {
    let rows = ROWS.iter().map(|row| row.name);
    rows.chain([SIGNATURES, GUARD]).chain(ONCE.map(|(name, _)| name)).collect()
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
            let options = Options { seconds: 8, only: only.iter().map(|&name| name.to_owned()).collect() };
            names().into_iter().filter(|name| options.wants(name)).collect::<Vec<_>>()
        };

        assert_eq!(wanted(&[]), names());
        assert!(names().into_iter().all(|name| wanted(&[name]) == [name]));
        assert!(ROWS.iter().filter_map(|row| row.peer).all(|peer| names().contains(&peer)));
    }
}
