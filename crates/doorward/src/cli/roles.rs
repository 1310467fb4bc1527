//! `doorward role …`

use clap::{Args, Subcommand};
use doorward_core::api::Role;
use doorward_server::{
    App,
    actor::Actor,
    manage::roles::{self, RoleGrantView, WhichRoles},
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
    List(ListArgs),
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

#[derive(Args, Debug)]
pub(super) struct ListArgs {
    /// Only roles of this holder: a user's name, or the id of a user, client or key
    #[arg(long)]
    holder: Option<String>,
    /// Only roles of this API
    #[arg(long)]
    api: Option<String>,
    /// Only roles of this name
    #[arg(long)]
    role: Option<String>,
}

pub(super) async fn run(verb: Verb, app: &App, actor: &Actor, output: Output) -> Result<(), Failure> {
    match verb {
        Verb::List(args) => return list(args, app, actor, output).await,
        Verb::Grant(RoleArgs { holder, role, api }) => {
            let granted = roles::grant(app, actor, &holder, &api, &role).await?;
            output.print(&granted.view, || match granted.is_new {
                true => format!("{holder} now has the role {role} of {api}."),
                false => format!("{holder} already had the role {role} of {api}."),
            })?;
        }
        Verb::Withdraw(RoleArgs { holder, role, api }) => {
            let changed = roles::withdraw(app, actor, &holder, &api, &role).await?;
            output.print(
                &json!({"holder": holder, "api": api, "role": role, "changed": changed}),
                || match changed {
                    true => format!("{holder} no longer has the role {role} of {api}."),
                    false => format!("{holder} did not have the role {role} of {api}."),
                },
            )?;
        }
    }
    Ok(())
}

async fn list(args: ListArgs, app: &App, actor: &Actor, output: Output) -> Result<(), Failure> {
    let role = args.role.map(|role| Role::parse(&role).map_err(|error| Failure::Usage(format!("--role: {error}"))));
    let which = WhichRoles { holder: args.holder, api: args.api, role: role.transpose()? };
    let grants = every(async |after, limit| roles::list(app, actor, which.clone(), after, limit).await).await?;
    output.print(&grants, || {
        let row = |grant: &RoleGrantView| {
            let holder = grant.username.clone().unwrap_or_else(|| grant.holder.to_string());
            [holder, grant.api.clone(), grant.role.to_string(), time(grant.created_at), grant.holder.to_string()]
        };
        table(["HOLDER", "API", "ROLE", "SINCE", "ID"], grants.iter().map(row))
    })
}
