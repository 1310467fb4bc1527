//! `doorward key …`

use std::time::Duration;

use clap::{Args, Subcommand};
use doorward_core::{api_key::Environment, id::KeyId, scope::ScopeSet};
use doorward_server::{
    App,
    actor::Actor,
    manage::keys::{self, CreatedKey, Expiry, KeyView, NewKey},
};
use doorward_store::keys::KeyRevocation;
use serde_json::json;

use super::durations;
use crate::{
    failure::Failure,
    output::{Output, fields, table, time, time_or, warn},
};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Create a key and print it once
    Create(CreateArgs),
    /// List keys in order of creation
    List(ListArgs),
    /// Show a key
    Show(Id),
    /// Revoke a key; it stops working everywhere in under a second
    Revoke(Id),
}

#[derive(Args, Debug)]
pub(super) struct Id {
    /// The key's id, or the key itself
    key: String,
}

#[derive(Args, Debug)]
pub(super) struct ListArgs {
    /// List only keys created after this one
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    /// Maximum number of keys
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u32,
}

#[derive(Args, Debug)]
pub(super) struct CreateArgs {
    /// Name for people
    #[arg(long)]
    name: String,
    /// API that it works for; repeatable, the first one gives the prefix
    #[arg(long = "api", value_name = "API", required = true)]
    apis: Vec<String>,
    /// Scopes, separated by spaces or by repeating the flag; a key without scopes can do very little
    #[arg(long = "scope", value_name = "SCOPES")]
    scopes: Vec<String>,
    /// Role as API:ROLE, or ROLE if the key is for one API; repeatable
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// Owner: a user's name or id, or a client's id
    #[arg(long, value_name = "OWNER")]
    owner: Option<String>,
    /// For a key of the API "doorward": an API that it may manage; repeatable [default: all]
    #[arg(long = "limit-to", value_name = "API")]
    limited_to: Vec<String>,
    /// Mark the key as a test key
    #[arg(long)]
    test: bool,
    /// Lifetime [default: 90d]
    #[arg(long, value_name = "TIME", value_parser = durations::parse)]
    expires_in: Option<Duration>,
    /// Never expire; lists show a warning
    #[arg(long, conflicts_with = "expires_in")]
    never_expires: bool,
}

pub(super) async fn run(verb: Verb, app: &App, actor: &Actor, output: Output) -> Result<(), Failure> {
    match verb {
        Verb::Create(args) => create(args, app, actor, output).await?,
        Verb::List(args) => {
            let after =
                args.after.map(|id| KeyId::parse(&id).map_err(|error| Failure::Usage(format!("--after: {error}"))));
            let found = keys::list(app, after.transpose()?, i64::from(args.limit)).await?;
            output.print(&found, || {
                let row = |key: &KeyView| {
                    [
                        format!("{}…", key.hint),
                        key.name.clone(),
                        key.apis.join(" "),
                        key.scope.to_string(),
                        key.state.to_owned(),
                        time_or(key.expires_at, "NEVER EXPIRES"),
                        time_or(key.last_used_at, "never used"),
                        key.id.to_string(),
                    ]
                };
                table(["KEY", "NAME", "API", "SCOPE", "STATE", "EXPIRES", "LAST USED", "ID"], found.iter().map(row))
            })?;
        }
        Verb::Show(Id { key }) => {
            let key = keys::show(app, &key).await?;
            output.print(&key, || {
                fields(&[
                    ("key", format!("{}…", key.hint)),
                    ("id", key.id.to_string()),
                    ("name", key.name.clone()),
                    ("state", key.state.to_owned()),
                    ("api", key.apis.join(" ")),
                    ("scope", key.scope.to_string()),
                    ("limited to", key.limited_to.join(" ")),
                    ("roles", key.roles.join(" ")),
                    ("owner", key.owner.as_ref().map(ToString::to_string).unwrap_or_default()),
                    ("created", time(key.created_at)),
                    ("expires", time_or(key.expires_at, "NEVER EXPIRES")),
                    ("revoked", time_or(key.revoked_at, "")),
                    ("last used", time_or(key.last_used_at, "never")),
                ])
            })?;
        }
        Verb::Revoke(Id { key }) => {
            let shown = keys::show(app, &key).await?;
            let revocation = keys::revoke(app, actor, shown.id.as_str()).await?;
            let was_before = revocation == KeyRevocation::Before;
            output.print(&json!({"id": shown.id, "revoked": true, "before": was_before}), || match was_before {
                true => format!("{} was already revoked.", shown.id),
                false => format!("{} ({}…) is revoked.", shown.id, shown.hint),
            })?;
        }
    }
    Ok(())
}

async fn create(args: CreateArgs, app: &App, actor: &Actor, output: Output) -> Result<(), Failure> {
    let scopes = ScopeSet::parse(&args.scopes.join(" "));
    let new = NewKey {
        name: args.name,
        apis: args.apis,
        scopes: scopes.map_err(|error| Failure::Usage(format!("--scope: {error}")))?,
        roles: args.roles,
        owner: args.owner,
        limited_to: args.limited_to,
        environment: if args.test { Environment::Test } else { Environment::Live },
        expiry: match args.expires_in {
            Some(lifetime) => Expiry::After(lifetime),
            None if args.never_expires => Expiry::Never,
            None => Expiry::Default,
        },
    };
    let created = keys::create_shown(app, actor, new, |created| show(created, output)).await?;
    if created.view.scope.is_empty() {
        warn(&format!(
            "this key has no scope: APIs refuse it wherever a route demands one. Make another one with --scope, and revoke \
             this one: doorward key revoke {}",
            created.view.id
        ));
    }
    Ok(())
}

fn show(created: &CreatedKey, output: Output) -> Result<(), Failure> {
    let mut value = json!(created.view);
    value["key"] = created.key.reveal().into();
    output.print_once(&value, || {
        fields(&[
            ("key", created.key.reveal().to_owned()),
            ("id", created.view.id.to_string()),
            ("expires", time_or(created.view.expires_at, "NEVER EXPIRES")),
        ]) + "The key is shown only once."
    })
}
