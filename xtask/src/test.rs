//! `cargo xtask test`: everything that proves Doorward, in one run and one count.
//!
//! Easy to get wrong: stopping at the first failure. Whatever can still run does, and the summary reports the rest.

mod counts;
mod manifest;
mod package;
pub(crate) mod postgres;
mod suite;
mod summary;
mod unit;

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use self::{manifest::Manifest, suite::Suite, summary::Summary};
use crate::tools::{self, Tool};
use crate::{process::Run, workspace};

/// Run every test, including those with PostgreSQL and with real clients
///
/// Builds the workspace once, starts its own PostgreSQL in a temporary folder, runs Cargo's tests and then each client
/// suite in clients/ against a fresh `doorward demo`. As root on Debian it installs what is missing.
///
/// The parts are `unit` for Cargo's unit, integration and documentation tests, `package` for what is shipped (it needs root
/// on Debian), `clients` for every client suite, the name of each suite, and `chaos` for outages under load, which takes
/// long. The last line is `N passed, M failed`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Run only this part; may be repeated
    #[arg(long, value_name = "PART", value_parser = part)]
    only: Vec<String>,
    /// Leave out this part and what only it needs; may be repeated
    #[arg(long, value_name = "PART", value_parser = part)]
    without: Vec<String>,
    /// Run the chaos suite, too: it breaks disks, clocks, databases and nodes of the real program under load, for 7 to 14 minutes
    #[arg(long)]
    long: bool,
    /// Arguments for Cargo's test programs; implies `--only unit`
    #[arg(last = true, value_name = "FILTER")]
    pub(crate) filter: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<bool> {
    let suites = Manifest::all()?;
    let tools = tools::ready(&options.needs(&suites))?;
    workspace::cargo()
        .args(["build", "--workspace", "--bins", "--tests", "--examples"])
        .args(workspace::FEATURES)
        .run()?;
    let target = workspace::target_folder()?;

    let mut summary = Summary::default();
    match options.leaves_out(&[UNIT]) {
        Some(why) => summary.left_out(UNIT.to_owned(), why),
        None => unit::run(&target, &tools.programs[&Tool::PostgreSql], &options.filter, &mut summary)?,
    }
    match options.leaves_out_chaos() {
        Some(why) => summary.left_out(CHAOS.to_owned(), why),
        None => unit::run_chaos(&target, &tools.path, &mut summary)?,
    }
    match options.leaves_out_package(package::impossible()) {
        Some(why) => summary.left_out(PACKAGE.to_owned(), why),
        None => package::run(&mut summary)?,
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

const CHAOS: &str = "chaos";
const PACKAGE: &str = "package";
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

    /// Why the chaos suite is left out, which runs only if it is asked for.
    fn leaves_out_chaos(&self) -> Option<String> {
        let is_asked_for = self.long || self.only.iter().any(|part| part == CHAOS);
        self.leaves_out(&[CHAOS]).or_else(|| (!is_asked_for).then(|| "only with --long".to_owned()))
    }

    /// Why the packages are not tried; `impossible` says why this machine can't.
    fn leaves_out_package(&self, impossible: Option<&str>) -> Option<String> {
        self.leaves_out(&[PACKAGE]).or_else(|| impossible.map(str::to_owned))
    }

    /// The tools of the parts to run.
    fn needs(&self, suites: &[Manifest]) -> BTreeSet<Tool> {
        let needs_postgres = self.leaves_out(&[UNIT]).is_none() || self.leaves_out_chaos().is_none();
        let unit = needs_postgres.then_some(Tool::PostgreSql);
        let suites = suites.iter().filter(|suite| self.leaves_out(&[CLIENTS, &suite.name]).is_none());
        unit.into_iter().chain(suites.flat_map(|suite| suite.needs.iter().copied())).collect()
    }
}

/// A misspelt part is an error, or a run that tested nothing would look good.
fn part(name: &str) -> Result<String> {
    let suites = Manifest::all()?;
    let parts: Vec<&str> =
        [UNIT, CHAOS, PACKAGE, CLIENTS].into_iter().chain(suites.iter().map(|suite| suite.name.as_str())).collect();
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

    #[test]
    fn options_select_the_parts_and_the_tools_that_these_need() {
        let suite = |name: &str, needs| Manifest { name: name.to_owned(), needs, ..Manifest::default() };
        let suites = [suite("go", vec![Tool::Go, Tool::Chromium]), suite("node", vec![Tool::Node, Tool::Chromium])];
        let without = Some("--without clients");
        let (only_go, only_unit, only_package) = (Some("--only go"), Some("--only unit"), Some("--only package"));
        for (line, why, needs) in [
            ("", [None; 3], &[Tool::Chromium, Tool::Go, Tool::Node, Tool::PostgreSql][..]),
            ("--without clients --without package", [None, without, without], &[Tool::PostgreSql]),
            ("--only package", [only_package; 3], &[]),
            ("--only=go", [only_go, None, only_go], &[Tool::Chromium, Tool::Go]),
            ("--only go --without clients", [only_go, without, without], &[]),
            ("--only chaos --without clients", [Some("--only chaos"), without, without], &[Tool::PostgreSql]),
            ("-- refresh --nocapture", [None, only_unit, only_unit], &[Tool::PostgreSql]),
        ] {
            let Line { options } = Line::parse_from(["test"].into_iter().chain(line.split_whitespace()));
            let left_out = [&[UNIT][..], &[CLIENTS, "go"], &[CLIENTS, "node"]].map(|part| options.leaves_out(part));
            assert_eq!(left_out.each_ref().map(Option::as_deref), why, "{line}");
            assert_eq!(Vec::from_iter(options.needs(&suites)), needs, "{line}");
            let is_tried = matches!(line, "" | "--without clients" | "--only package");
            assert_eq!(options.leaves_out_package(None).is_none(), is_tried, "{line}");
            assert!(options.leaves_out_package(Some("needs root on Debian")).is_some());
            assert_eq!(options.filter.join(" "), line.strip_prefix("-- ").unwrap_or_default());
            assert_eq!(options.leaves_out_chaos().is_none(), line.contains("chaos"), "{line}");
        }
    }
}
