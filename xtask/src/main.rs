//! The developer's commands: `cargo xtask test`, `ci`, `english`, `package` and `bench`.
//!
//! A fresh clone needs only Rust; these commands find or install the rest. Easy to get wrong: this program is built
//! before anything else, so each dependency delays the first test.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a developer's command reports on standard output")]

mod bench;
mod english;
mod leash;
mod package;
mod process;
mod server;
mod test;
mod tools;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use self::process::Run;

#[derive(Debug, Parser)]
#[command(name = "xtask", bin_name = "cargo xtask", about = "The developer's commands", after_help = EXIT_CODES)]
enum Cli {
    #[command(after_help = EXIT_CODES)]
    Bench(bench::Options),
    /// Check formatting and text, run clippy with warnings as errors, then run `cargo xtask test` with the same options
    #[command(after_help = EXIT_CODES)]
    Ci(test::Options),
    #[command(after_help = EXIT_CODES)]
    English(english::Options),
    /// Build what is shipped: the static program, the Debian package and, with a container engine, the image
    #[command(after_help = EXIT_CODES)]
    Package,
    #[command(after_help = EXIT_CODES)]
    Test(test::Options),
}

const EXIT_CODES: &str = "Exit codes: 0 everything passed, 1 something failed, 2 wrong usage or a missing program";

fn main() -> ExitCode {
    let passed = match Cli::parse() {
        Cli::Bench(options) => bench::run(&options),
        Cli::Ci(options) => check().and_then(|passed| Ok(passed && test::run(&options)?)),
        Cli::English(options) => english::run(&options),
        Cli::Package => package::run(),
        Cli::Test(options) => test::run(&options),
    };
    match passed {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(if error.is::<tools::Missing>() { 2 } else { 1 })
        }
    }
}

/// Whether what must hold before the tests run does. The text comes first, since it takes a second.
fn check() -> Result<bool> {
    if !english::run(&english::Options::default())? {
        return Ok(false);
    }
    workspace::cargo().args(["fmt", "--all", "--check"]).run()?;
    workspace::cargo().args(["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]).run()?;
    // Outside the workspace, with a lock file of its own: nothing else notices that the benchmark no longer builds.
    let floor = ["clippy", "--locked", "--all-targets", "--manifest-path", "bench/floor/Cargo.toml", "--target-dir"];
    let target = workspace::target_folder()?;
    workspace::cargo().args(floor).arg(target).args(["--", "--deny", "warnings"]).run()?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_usage_exits_with_2_and_names_what_there_is() {
        for (line, named) in [
            ("xtask", "bench"),
            ("xtask tset", "'test'"),
            ("xtask test refresh", "'refresh'"),
            ("xtask test --without", "'--without <PART>'"),
            ("xtask test --only client", "unit, chaos, package, clients, browser, go"),
            ("xtask english --fix", "'--fix'"),
            ("xtask ci --onyl unit", "'--only'"),
            ("xtask bench --only nothing", "failed-attempts"),
            ("xtask bench --seconds 0", "1..=120"),
            ("xtask bench scale --only mysql", "postgresql"),
            ("xtask bench keys --only mysql", "better-auth"),
            ("xtask bench keys --tries 1", "20"),
        ] {
            let error = Cli::try_parse_from(line.split_whitespace()).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
            assert!(error.to_string().contains(named), "{error}");
        }
    }
}
