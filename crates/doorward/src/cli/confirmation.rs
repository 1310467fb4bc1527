//! Changes that end what is in use: refused with a list, unless they are confirmed.

use clap::Args;
use doorward_server::manage::uses;
use doorward_store::uses::Uses;
use serde_json::json;

use crate::{failure::Failure, output::Output};

#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Confirmation {
    /// Go on although it ends what is in use
    #[arg(long, conflicts_with = "dry_run")]
    pub(super) confirm: bool,
    /// Print what it would end, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
}

/// Prints what a change of something would end.
pub(super) fn print(kind: &str, name: &str, ends: &Uses, output: Output) -> Result<(), Failure> {
    output.print(&json!({kind: name, "dry_run": true, "ends": ends}), || {
        format!("For {name} this ends {}. Nothing was changed.", uses::in_words(ends))
    })
}
