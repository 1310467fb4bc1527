//! Roles: of an API, given to users, clients and keys.

use doorward_core::{api::Role, grant::audience::Apis, holder::Holder, id::ApiId};
use doorward_store::roles::ChangeRole;

use super::ManageError;
use crate::{actor::Actor, app::App};

/// Gives `holder` (the id of a user, client or key, or a user's name) a role of an API. Gives whether it is new.
pub async fn grant(app: &App, actor: &Actor, holder: &str, api: &str, role: &str) -> Result<bool, ManageError> {
    change(app, actor, holder, api, role, true).await
}

/// Takes a role back. Gives whether there was one.
pub async fn withdraw(app: &App, actor: &Actor, holder: &str, api: &str, role: &str) -> Result<bool, ManageError> {
    change(app, actor, holder, api, role, false).await
}

async fn change(
    app: &App,
    actor: &Actor,
    holder: &str,
    api: &str,
    role: &str,
    is_granted: bool,
) -> Result<bool, ManageError> {
    let holder = find_holder(app, holder).await?;
    let api = super::apis::find(app, api).await?;
    let role = Role::parse(role).map_err(|error| ManageError::invalid("role", error))?;
    if is_granted && !api.metadata.roles.contains(&role) {
        return Err(ManageError::NotFound { kind: "role", name: format!("{role} at {}", api.metadata.name) });
    }
    let audit = app.audit(actor).with("api", &api.metadata.name);
    Ok(app.commit(ChangeRole { holder, api: api.id.clone(), role, is_granted, now: app.now(), audit }).await?)
}

/// Roles as they are shown and named: `API:ROLE`.
pub(super) fn shown(roles: &[(ApiId, Role)], apis: &Apis) -> Vec<String> {
    // APIs are never removed, but one can be new since they were read.
    let api = |id| apis.by_id(id).map_or("?", |api| api.metadata.name.as_str());
    roles.iter().map(|(id, role)| format!("{}:{role}", api(id))).collect()
}

/// The holder that an id names, or a user's name, if there is one.
async fn find_holder(app: &App, holder: &str) -> Result<Holder, ManageError> {
    match holder.parse() {
        Ok(Holder::Client(id)) => Ok(Holder::Client(super::clients::find(app, id.as_str()).await?.id)),
        Ok(Holder::Key(id)) => Ok(Holder::Key(super::keys::find(app, id.as_str()).await?.id)),
        Ok(Holder::User(_)) | Err(_) => Ok(Holder::User(super::users::find(app, holder).await?.id)),
    }
}
