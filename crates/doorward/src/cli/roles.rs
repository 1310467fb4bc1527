//! `doorward role …`

use clap::{Args, Subcommand};
use doorward_server::{
    App,
    actor::Actor,
    manage::roles::{self, RoleGrantView},
};
use serde_json::json;

use super::every;
use crate::{
    failure::Failure,
    output::{Output, table, time},
};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Grant a role
    Grant(RoleArgs),
    /// Withdraw a role
    Withdraw(RoleArgs),
    /// List who has which role
    List,
}

#[derive(Args, Debug)]
pub(super) struct RoleArgs {
    /// A user's name, or the id of a user, client or key
    holder: String,
    /// The role
    role: String,
    /// API that defines the role
    #[arg(long)]
    api: String,
}

pub(super) async fn run(verb: Verb, app: &App, actor: &Actor, output: Output) -> Result<(), Failure> {
    let (args, changed, word) = match verb {
        Verb::List => return list(app, output).await,
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

async fn list(app: &App, output: Output) -> Result<(), Failure> {
    let grants = every(async |last, limit| roles::list(app, last, limit).await).await?;
    output.print(&grants, || {
        let row = |grant: &RoleGrantView| {
            let holder = grant.username.clone().unwrap_or_else(|| grant.holder.clone());
            [holder, grant.api.clone(), grant.role.to_string(), time(grant.created_at), grant.holder.clone()]
        };
        table(["HOLDER", "API", "ROLE", "SINCE", "ID"], grants.iter().map(row))
    })
}
