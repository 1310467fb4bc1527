//! `cargo xtask test`: everything that proves Doorward, in one run and one count.
//!
//! Easy to get wrong: stopping at the first failure. Whatever can still run does, and the summary reports the rest.

mod counts;
mod manifest;
mod postgres;
mod suite;
mod summary;
mod unit;

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use self::{manifest::Manifest, suite::Suite, summary::Summary};
use crate::{
    tools::{self, Tool},
    workspace,
};

/// Run every test, including those with PostgreSQL and with real clients
///
/// Builds the workspace once, starts its own PostgreSQL in a temporary folder, runs Cargo's tests and then each client
/// suite in clients/ against a fresh `doorward demo`. As root on Debian it installs what is missing.
///
/// The parts are `unit` for Cargo's unit, integration and documentation tests, `clients` for every client suite, and the
/// name of each suite. The last line is `N passed, M failed`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Run only this part; may be repeated
    #[arg(long, value_name = "PART", value_parser = part)]
    only: Vec<String>,
    /// Leave out this part and what only it needs; may be repeated
    #[arg(long, value_name = "PART", value_parser = part)]
    without: Vec<String>,
    /// Arguments for Cargo's test programs; implies `--only unit`
    #[arg(last = true, value_name = "FILTER")]
    pub(crate) filter: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<bool> {
    let suites = Manifest::all()?;
    let tools = tools::ready(&options.needs(&suites))?;
    let target = workspace::build()?;

    let mut summary = Summary::default();
    match options.leaves_out(&[UNIT]) {
        Some(why) => summary.left_out(UNIT, why),
        None => unit::run(&target, &tools.programs[&Tool::PostgreSql], &options.filter, &mut summary)?,
    }
    for manifest in &suites {
        let part = format!("clients/{}", manifest.name);
        match options.leaves_out(&[CLIENTS, &manifest.name]) {
            Some(why) => summary.left_out(part, why),
            None => {
                let (doorward, state) = (target.join("debug/doorward"), target.join("clients").join(&manifest.name));
                Suite { manifest, doorward, state, tools: &tools }.run(part, &mut summary);
            }
        }
    }
    println!("\n{summary}");
    Ok(summary.is_success())
}

const UNIT: &str = "unit";
const CLIENTS: &str = "clients";

impl Options {
    /// Why a part that goes by these names is left out, if it is.
    fn leaves_out(&self, names: &[&str]) -> Option<String> {
        let named = |parts: &[String]| parts.iter().find(|part| names.contains(&part.as_str())).cloned();
        let implied = [UNIT.to_owned()];
        let only = if self.only.is_empty() && !self.filter.is_empty() { &implied[..] } else { &self.only };
        match named(&self.without) {
            Some(part) => Some(format!("--without {part}")),
            None if only.is_empty() || named(only).is_some() => None,
            None => Some(format!("--only {}", only.join(", "))),
        }
    }

    /// The tools of the parts to run.
    fn needs(&self, suites: &[Manifest]) -> BTreeSet<Tool> {
        let unit = self.leaves_out(&[UNIT]).is_none().then_some(Tool::PostgreSql);
        let suites = suites.iter().filter(|suite| self.leaves_out(&[CLIENTS, &suite.name]).is_none());
        unit.into_iter().chain(suites.flat_map(|suite| suite.needs.iter().copied())).collect()
    }
}

/// A misspelt part is an error, or a run that tested nothing would look good.
fn part(name: &str) -> Result<String> {
    let suites = Manifest::all()?;
    let parts: Vec<&str> = [UNIT, CLIENTS].into_iter().chain(suites.iter().map(|suite| suite.name.as_str())).collect();
    if !parts.contains(&name) {
        bail!("there is no part `{name}`; the parts are {}", parts.join(", "));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn options(line: &str) -> Options {
        Line::parse_from(["test"].into_iter().chain(line.split_whitespace())).options
    }

    #[test]
    fn part_is_left_out_with_the_option_that_says_so() {
        let cases = [
            ("", [None, None, None]),
            ("--without clients", [None, Some("--without clients"), Some("--without clients")]),
            ("--only=go", [Some("--only go"), None, Some("--only go")]),
            ("--only clients --without go", [Some("--only clients"), Some("--without go"), None]),
            ("-- refresh --nocapture", [None, Some("--only unit"), Some("--only unit")]),
        ];
        for (line, why) in cases {
            let left_out =
                [&[UNIT][..], &[CLIENTS, "go"], &[CLIENTS, "python"]].map(|part| options(line).leaves_out(part));
            assert_eq!(left_out.each_ref().map(Option::as_deref), why, "{line}");
        }
        assert_eq!(options("-- refresh --nocapture").filter, ["refresh", "--nocapture"]);
    }

    #[test]
    fn only_the_tools_of_the_selected_parts_are_needed() {
        let suite = |name: &str, needs: [Tool; 2]| Manifest {
            name: name.to_owned(),
            needs: needs.to_vec(),
            ..Manifest::default()
        };
        let suites = [suite("node", [Tool::Node, Tool::Chromium]), suite("go", [Tool::Go, Tool::Chromium])];
        let needs = |line| Vec::from_iter(options(line).needs(&suites));

        assert_eq!(needs(""), [Tool::Chromium, Tool::Go, Tool::Node, Tool::PostgreSql]);
        assert_eq!(needs("--without clients"), [Tool::PostgreSql]);
        assert_eq!(needs("--only go"), [Tool::Chromium, Tool::Go]);
        assert_eq!(needs("-- refresh"), [Tool::PostgreSql]);
    }
}
