//! `cargo xtask ci`: what must hold before a change lands, and what `.ci/run` runs.

use crate::failure::Failure;
use crate::{test, workspace};

pub(crate) const HELP: &str = "\
usage: cargo xtask ci [OPTIONS OF TEST]

Formatting, clippy with warnings as errors, then `cargo xtask test` with the same options.";

pub(crate) fn run(arguments: &[String]) -> Result<bool, Failure> {
    workspace::cargo(&["fmt", "--all", "--check"])?;
    workspace::cargo(&["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"])?;
    test::run(arguments)
}
