//! Changes that end what is in use: refused with a list, unless they are confirmed.

use clap::Args;
use doorward_server::manage::{Departure, Disabling, uses};
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

/// What becomes of the keys of a user or client that is disabled.
#[derive(Args, Clone, Debug)]
#[group(multiple = false)]
pub(super) struct Keys {
    /// Revoke all its keys for good, in the same transaction
    #[arg(long)]
    revoke_keys: bool,
    /// Give all its keys to another owner, with whom they go on to work: a client's id, a user's id, user:NAME, or your own id of a
    /// customer
    #[arg(long, value_name = "OWNER")]
    hand_over_to: Option<String>,
}

impl Keys {
    pub(super) fn departure(self) -> Departure {
        match self {
            Self { hand_over_to: Some(owner), .. } => Departure::HandOverTo(owner),
            Self { revoke_keys: true, .. } => Departure::RevokeKeys,
            Self { .. } => Departure::KeepKeys,
        }
    }
}

/// Prints what disabling something would end, and all that it holds.
pub(super) fn print_disabling(kind: &str, name: &str, would: &Disabling, output: Output) -> Result<(), Failure> {
    let Disabling { ends, holds } = would;
    output.print(&json!({kind: name, "dry_run": true, "ends": ends, "holds": holds}), || {
        let [ends, holds] = [ends, holds].map(uses::in_words);
        format!("{name} holds {holds}. This ends {ends}. Nothing was changed.")
    })
}
