//! Roles: of an API, given to users, clients and keys.

use doorward_core::{api::Role, clock::Timestamp, grant::audience::Apis, holder::Holder, id::ApiId};
use doorward_store::roles::{ChangeRole, ListRoleGrants};
use serde::Serialize;

use super::{ManageError, times};
use crate::{actor::Actor, app::App};

/// Gives `holder` (the id of a user, client or key, or a user's name) a role of an API. Returns whether it is new.
pub async fn grant(app: &App, actor: &Actor, holder: &str, api: &str, role: &str) -> Result<bool, ManageError> {
    change(app, actor, holder, api, role, true).await
}

/// Takes a role back. Returns whether there was one.
pub async fn withdraw(app: &App, actor: &Actor, holder: &str, api: &str, role: &str) -> Result<bool, ManageError> {
    change(app, actor, holder, api, role, false).await
}

/// A role that somebody has, as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct RoleGrantView {
    /// The id of the user, client or key.
    pub holder: String,
    /// The user's name, if the holder is a user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The API, by name.
    pub api: String,
    /// The API, by id.
    pub api_id: ApiId,
    /// The granted role of that API.
    pub role: Role,
    /// When the role was granted.
    #[serde(serialize_with = "times::serialize")]
    pub created_at: Timestamp,
}

/// Who has which role, in the order of holder, API and role, after one of them.
pub async fn list(app: &App, after: Option<&RoleGrantView>, limit: i64) -> Result<Vec<RoleGrantView>, ManageError> {
    let place = |view: &RoleGrantView| Some((view.holder.parse().ok()?, view.api_id.clone(), view.role.clone()));
    let found = app.store.read(ListRoleGrants { after: after.and_then(place), limit }).await?;
    let apis = super::apis::all(app).await?;
    let view = |grant: doorward_store::roles::RoleGrant| RoleGrantView {
        holder: grant.holder.as_str().to_owned(),
        username: grant.username,
        // APIs are never removed, but one can be new since they were read.
        api: apis.by_id(&grant.api).map_or_else(|| "?".to_owned(), |api| api.metadata.name.clone()),
        api_id: grant.api,
        role: grant.role,
        created_at: grant.created_at,
    };
    Ok(found.into_iter().map(view).collect())
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
