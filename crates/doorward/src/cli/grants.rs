//! `doorward grant …`

use clap::{Args, Subcommand};
use doorward_core::id::{ClientId, UserId};
use doorward_server::{
    App,
    actor::Actor,
    manage::grants::{self, GrantView},
};
use doorward_store::grants::GrantFilter;
use serde_json::json;

use super::every;
use crate::{
    failure::Failure,
    output::{Output, table, time, time_or},
};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List live grants
    List(ListArgs),
    /// Revoke a grant, and all tokens that came from it
    Revoke(Id),
}

#[derive(Args, Debug)]
pub(super) struct Id {
    /// The grant's id
    grant: String,
}

#[derive(Args, Debug)]
pub(super) struct ListArgs {
    /// Only grants of this user, by id
    #[arg(long = "user", value_name = "ID", value_parser = UserId::parse)]
    user_id: Option<UserId>,
    /// Only grants of this client
    #[arg(long = "client", value_name = "ID", value_parser = ClientId::parse)]
    client_id: Option<ClientId>,
}

pub(super) async fn run(verb: Verb, app: &App, actor: &Actor, output: Output) -> Result<(), Failure> {
    match verb {
        Verb::List(ListArgs { user_id, client_id }) => {
            let filter = GrantFilter { user_id, client_id };
            let page = async |after, limit| grants::list(app, actor, filter.clone(), after, limit).await;
            let grants = every(page).await?;
            output.print(&grants, || {
                let row = |grant: &GrantView| {
                    let (user, client) = (grant.user_id.to_string(), grant.client_id.to_string());
                    let used = time_or(grant.last_used_at, "never");
                    [grant.id.to_string(), user, client, grant.scopes.to_string(), time(grant.created_at), used]
                };
                table(["ID", "USER_ID", "CLIENT_ID", "SCOPES", "CREATED", "LAST USED"], grants.iter().map(row))
            })
        }
        Verb::Revoke(Id { grant }) => {
            grants::revoke(app, actor, &grant).await?;
            output.print(&json!({"id": grant, "revoked": true}), || format!("{grant} is revoked."))
        }
    }
}
