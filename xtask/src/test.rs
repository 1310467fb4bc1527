//! `cargo xtask test`: everything that proves Doorward, in one run and one count.
//!
//! Easy to get wrong: stopping at the first failure. Whatever can still run does, and the summary tells the rest.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::clients;
use crate::counts::Counts;
use crate::failure::Failure;
use crate::leash::{Leashed, Stop, leash};
use crate::manifest::Manifest;
use crate::postgres::Postgres;
use crate::selection::Selection;
use crate::summary::Summary;
use crate::toolchain::{Tool, Toolchain};
use crate::workspace::{self, Built};

pub(crate) const HELP: &str = "\
usage: cargo xtask test [--only PART]... [--without PART]... [-- FILTER...]

Builds the workspace once, starts a PostgreSQL of its own in a temporary folder, runs Cargo's tests and then each
client suite in clients/ against a fresh `doorward demo`. On Debian as root it installs what is missing.

parts:
  unit       Cargo's tests: unit, integration and documentation tests
  clients    every client suite; the name of a suite stands for that one
options:
  --only PART       leave all other parts out
  --without PART    leave this part out, and what only it needs
  -- FILTER         hand the rest to Cargo's test programs; implies --only unit

The last line is `N passed, M failed`.
exit codes: 0 all passed, 1 something failed, 2 wrong usage or something is not installed";

pub(crate) fn run(arguments: &[String]) -> Result<bool, Failure> {
    let suites = Manifest::all(&workspace::root().join("clients"))?;
    let names: Vec<&str> = suites.iter().map(|suite| suite.name.as_str()).collect();
    let selection = Selection::parse(arguments, &names)?;
    let toolchain = Toolchain::ready(&needed(&selection, &suites))?;
    let built = workspace::build()?;

    let mut summary = Summary::default();
    match selection.unit_left_out() {
        Some(why) => summary.left_out("unit", why),
        None => unit(&built, &toolchain, &selection.filter, &mut summary)?,
    }
    for suite in &suites {
        match selection.suite_left_out(&suite.name) {
            Some(why) => summary.left_out(format!("clients/{}", suite.name), why),
            None => clients::run(suite, &built, &toolchain, &mut summary),
        }
    }
    println!("\n{summary}");
    Ok(summary.is_success())
}

/// The tools of the parts that are to run.
fn needed(selection: &Selection, suites: &[Manifest]) -> Vec<Tool> {
    let mut tools = Vec::new();
    if selection.unit_left_out().is_none() {
        tools.push(Tool::PostgreSql);
    }
    for suite in suites.iter().filter(|suite| selection.suite_left_out(&suite.name).is_none()) {
        tools.extend(&suite.needs);
    }
    tools.sort();
    tools.dedup();
    tools
}

/// Runs Cargo's tests, showing what they say while they say it.
fn unit(built: &Built, toolchain: &Toolchain, filter: &[String], summary: &mut Summary) -> Result<(), Failure> {
    let initdb = toolchain.program(Tool::PostgreSql).expect("it is needed for this part, so it was found");
    let postgres = Postgres::start(initdb)?;
    println!("$ cargo test --workspace --no-fail-fast");
    let mut tests = Leashed::start(
        leash(workspace::cargo_program(), Stop::Terminate, None)
            .args(["test", "--workspace", "--no-fail-fast", "--"])
            .args(filter)
            .current_dir(workspace::root())
            .env("DOORWARD_TEST_POSTGRES", postgres.url())
            .env("DOORWARD_TEST_BIN", &built.doorward)
            .stdout(Stdio::piped()),
    )
    .map_err(Failure::io("cargo test could not be started"))?;
    let mut output = BufReader::new(tests.take_stdout().expect("standard output was piped above"));
    let mut counts = Counts::default();
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line).map_err(Failure::io("what cargo test says could not be read"))? > 0 {
        let text = String::from_utf8_lossy(&line);
        print!("{text}");
        if let Some(counted) = Counts::from_cargo(text.trim_end()) {
            counts += counted;
        }
        line.clear();
    }
    let status = tests.wait().map_err(Failure::io("cargo test could not be awaited"))?;
    if status.success() || counts.failed > 0 {
        summary.ran("unit", counts);
    } else {
        summary.broke(
            "unit",
            counts,
            format!("cargo test ended with {status} and no failed test: a test program crashed"),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn suite(name: &str, needs: &[Tool]) -> Manifest {
        Manifest {
            folder: PathBuf::from(name),
            name: name.to_owned(),
            needs: needs.to_vec(),
            setup: Vec::new(),
            run: vec!["true".to_owned()],
        }
    }

    fn needed_for(line: &str) -> Vec<Tool> {
        let suites = [suite("npm", &[Tool::Node, Tool::Chromium]), suite("go", &[Tool::Go, Tool::Chromium])];
        let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        needed(&Selection::parse(&arguments, &["npm", "go"]).unwrap(), &suites)
    }

    #[test]
    fn only_what_the_selected_parts_need_must_be_there() {
        assert_eq!(needed_for(""), [Tool::Chromium, Tool::Go, Tool::Node, Tool::PostgreSql]);
        assert_eq!(needed_for("--without clients"), [Tool::PostgreSql]);
        assert_eq!(needed_for("--only go"), [Tool::Chromium, Tool::Go]);
        assert_eq!(needed_for("-- refresh"), [Tool::PostgreSql]);
    }
}
