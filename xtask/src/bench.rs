//! `cargo xtask bench`: how fast Doorward is beside what bounds it and beside a peer, in one run and one table.
//!
//! One core serves and another loads. Easy to get wrong: absolute figures hold for one hour on one machine. So every
//! row is measured in each round, between the others, a row's figure is the median of its rounds, and what counts are
//! the ratios within a run.

mod browser;
mod failed_attempts;
mod http;
mod load;
mod machine;
mod pinned;
mod programs;
mod report;
mod revocation;
mod rows;
mod scene;
mod start;
mod tools;

use std::time::Duration;

use serde_json::Value;

use self::failed_attempts::FailedAttempts;
use self::machine::Machine;
use self::programs::Programs;
use self::report::{Measured, Report};
use self::revocation::Revocation;
use self::rows::{ROWS, Row};
use self::scene::Scene;
use self::start::Start;
use crate::failure::Failure;
use crate::workspace;

pub(crate) const HELP: &str = "\
usage: cargo xtask bench [--seconds N] [--only ROW]...

Builds Doorward and the floor as they are shipped (profile dist), pins each server to core 0 and wrk to core 1, and
measures every row in three rounds. Prints the table and leaves it in bench/out/results.md; copy that to
bench/RESULTS.md to keep it. Needs Linux, two cores, wrk and Node.js; on Debian as root it installs what is missing.

options:
  --seconds N    how long each row is measured in each round, 1 to 120; 8 unless said otherwise
  --only ROW     measure this row alone; may be repeated. Ratios need the rows that they compare with. Beside the rows
                 there are signatures, guard, start, revocation and failed-attempts.

exit codes: 0 every row is valid, 1 something failed, 2 wrong usage or something is not installed";

const ROUNDS: usize = 3;

/// What is measured beside the rows.
const SIGNATURES: &str = "signatures";
const GUARD: &str = "guard";
const START: &str = "start";
const REVOCATION: &str = "revocation";
const FAILED_ATTEMPTS: &str = "failed-attempts";

pub(crate) fn run(arguments: &[String]) -> Result<bool, Failure> {
    let options = Options::parse(arguments)?;
    let load_before = machine::load_average();
    let rows: Vec<&Row> = ROWS.iter().filter(|row| options.wants(row.name)).collect();
    let tools = tools::ready(rows.iter().any(|row| row.is_of_oidc_provider()))?;
    let programs = Programs::build(&tools)?;
    let scene = Scene::prepare(&programs)?;

    let mut measured = Measured::new(&rows);
    for round in 1..=ROUNDS {
        if options.wants(SIGNATURES) {
            println!("round {round} of {ROUNDS}: {SIGNATURES}");
            let seconds = options.time.as_secs().to_string();
            measured.signatures.push(figures(&[&programs.floor.to_string_lossy(), "signatures", &seconds])?);
        }
        if options.wants(GUARD) {
            println!("round {round} of {ROUNDS}: {GUARD}");
            measured.guard.push(figures(&[&programs.guard.to_string_lossy()])?);
        }
        for (row, samples) in &mut measured.rows {
            let sample = row.measure(&programs, &scene, options.time)?;
            println!("round {round} of {ROUNDS}: {}: {sample}", row.name);
            samples.push(sample);
        }
    }
    if options.wants(START) {
        println!("{START}");
        measured.start = Some(Start::measure(&scene)?);
    }
    if options.wants(REVOCATION) {
        println!("{REVOCATION}");
        measured.revocation = Some(Revocation::measure(&scene)?);
    }
    if options.wants(FAILED_ATTEMPTS) {
        println!("{FAILED_ATTEMPTS}");
        measured.failed_attempts = Some(FailedAttempts::measure(&scene)?);
    }

    let report = Report {
        command: format!("cargo xtask bench {}", arguments.join(" ")).trim_end().to_owned(),
        seconds: options.time.as_secs(),
        rounds: ROUNDS,
        machine: Machine::of(scene.folder(), &tools, load_before),
        measured,
    };
    let text = report.to_string();
    println!("\n{text}");
    keep(&text)?;
    Ok(report.is_valid())
}

/// What one of the programs that measure by themselves prints, pinned to the server's core.
fn figures(argv: &[&str]) -> Result<Value, Failure> {
    let output = pinned::output(argv)?;
    serde_json::from_str(&output)
        .map_err(|error| Failure::Command { line: argv.join(" "), detail: format!("{error}: {output}") })
}

fn keep(text: &str) -> Result<(), Failure> {
    let folder = workspace::root().join("bench/out");
    let path = folder.join("results.md");
    std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(&path, text))
        .map_err(Failure::io(format!("{} could not be written", path.display())))
}

#[derive(Debug, Eq, PartialEq)]
struct Options {
    time: Duration,
    /// Everything if empty.
    only: Vec<String>,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self, Failure> {
        let usage = |text: String| Failure::Usage(format!("{text}\n\n{HELP}"));
        let mut options = Self { time: Duration::from_secs(8), only: Vec::new() };
        let mut arguments = arguments.iter();
        while let Some(option) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| usage(format!("{option} needs a value")));
            match option.as_str() {
                "--only" => options.only.push(Self::known(value()?).map_err(usage)?),
                "--seconds" => {
                    let seconds = value()?.parse().ok().filter(|seconds| (1..=120).contains(seconds));
                    let seconds = seconds.ok_or_else(|| usage("--seconds takes a number from 1 to 120".to_owned()))?;
                    options.time = Duration::from_secs(seconds);
                }
                unknown => return Err(usage(format!("there is no option `{unknown}`"))),
            }
        }
        Ok(options)
    }

    fn known(name: &str) -> Result<String, String> {
        let mut names: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
        names.extend([SIGNATURES, GUARD, START, REVOCATION, FAILED_ATTEMPTS]);
        match names.contains(&name) {
            true => Ok(name.to_owned()),
            false => Err(format!("there is no row `{name}`; there are {}", names.join(", "))),
        }
    }

    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, Failure> {
        Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn without_options_everything_is_measured() {
        let options = parse("").unwrap();

        assert!(ROWS.iter().all(|row| options.wants(row.name)));
        assert!(options.wants(GUARD));
    }

    #[test]
    fn only_what_was_named_is_measured() {
        let options = parse("--seconds 2 --only floor --only guard --only revocation").unwrap();

        assert_eq!(options.time, Duration::from_secs(2));
        assert!(options.wants("floor") && options.wants(GUARD) && options.wants(REVOCATION));
        assert!(!options.wants("refresh") && !options.wants(FAILED_ATTEMPTS));
    }

    #[test]
    fn an_unknown_row_or_a_senseless_time_is_wrong_usage() {
        for line in ["--only nothing", "--only", "--seconds 0", "--seconds 1000", "--seconds x", "floor"] {
            assert_eq!(parse(line).expect_err(line).exit_code(), 2);
        }
    }

    #[test]
    fn no_two_rows_share_a_name_and_every_peer_is_a_row() {
        for (at, row) in ROWS.iter().enumerate() {
            assert!(ROWS[..at].iter().all(|other| other.name != row.name), "{}", row.name);
            assert!(row.peer.is_none_or(|peer| ROWS.iter().any(|row| row.name == peer)), "{}", row.name);
        }
    }
}
