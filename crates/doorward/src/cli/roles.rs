//! `doorward role …`

use clap::{Args, Subcommand};
use doorward_server::{App, actor::Actor, manage::roles};
use serde_json::json;

use crate::{failure::Failure, output::Output};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Give a role
    Grant(RoleArgs),
    /// Take a role back
    Withdraw(RoleArgs),
}

#[derive(Args, Debug)]
pub(super) struct RoleArgs {
    /// Who: a user's name, or the id of a user, client or key
    holder: String,
    /// The role
    role: String,
    /// The API whose role it is
    #[arg(long)]
    api: String,
}

pub(super) async fn run(verb: Verb, app: &App, actor: &Actor, output: Output) -> Result<(), Failure> {
    let (args, changed, word) = match verb {
        Verb::Grant(args) => {
            let changed = roles::grant(app, actor, &args.holder, &args.api, &args.role).await?;
            (args, changed, if changed { "now has" } else { "already had" })
        }
        Verb::Withdraw(args) => {
            let changed = roles::withdraw(app, actor, &args.holder, &args.api, &args.role).await?;
            (args, changed, if changed { "no longer has" } else { "did not have" })
        }
    };
    let RoleArgs { holder, role, api } = args;
    output.print(&json!({"holder": holder, "api": api, "role": role, "changed": changed}), || {
        format!("{holder} {word} the role {role} of {api}.")
    })?;
    Ok(())
}
