//! Roles: of an API, given to users, clients and keys.

use doorward_core::{
    api::Role,
    id::{ApiId, ClientId, KeyId},
};
use doorward_store::{
    keys::FindKey,
    roles::{ChangeRole, RolesOf},
};

use super::ManageError;
use crate::{
    actor::{Actor, Details},
    app::App,
};

/// Gives `holder` (the id of a user, client or key, or a user's name) a role of an API. Gives whether it is new.
pub async fn grant(app: &App, actor: &Actor, holder: &str, api: &str, role: &str) -> Result<bool, ManageError> {
    change(app, actor, holder, api, role, true).await
}

/// Takes a role back. Gives whether there was one.
pub async fn withdraw(app: &App, actor: &Actor, holder: &str, api: &str, role: &str) -> Result<bool, ManageError> {
    change(app, actor, holder, api, role, false).await
}

/// The roles of a holder, by its id.
pub async fn of(app: &App, holder: &str) -> Result<Vec<(ApiId, Role)>, ManageError> {
    Ok(app.store.read(RolesOf { holder: holder.to_owned() }).await?)
}

async fn change(
    app: &App,
    actor: &Actor,
    holder: &str,
    api: &str,
    role: &str,
    is_granted: bool,
) -> Result<bool, ManageError> {
    let holder = holder_id(app, holder).await?;
    let api = super::apis::find(app, api).await?;
    let role = Role::parse(role).map_err(|error| ManageError::invalid("role", error))?;
    if is_granted && !api.roles.contains(&role) {
        return Err(ManageError::NotFound { kind: "role", name: format!("{role} at {}", api.name) });
    }
    let action = if is_granted { "role.granted" } else { "role.withdrawn" };
    let details = Details::none().with("api", &api.name).with("role", &role);
    let audit = app.event(actor, action, Some(holder.clone()), details);
    let operation = ChangeRole { holder: holder.clone(), api: api.id, role, is_granted, now: app.now(), audit };
    let changed = app.store.write(operation).await?;
    app.caches.forget_client(&holder);
    app.caches.forget_keys(|key| key.id.as_str() == holder);
    Ok(changed)
}

async fn holder_id(app: &App, holder: &str) -> Result<String, ManageError> {
    if ClientId::parse(holder).is_ok() {
        return Ok(super::clients::show(app, holder).await?.id.to_string());
    }
    if let Ok(id) = KeyId::parse(holder) {
        let key = app.store.read(FindKey { id }).await?;
        return match key {
            Some(key) => Ok(key.id.to_string()),
            None => Err(ManageError::NotFound { kind: "key", name: holder.to_owned() }),
        };
    }
    Ok(super::users::show(app, holder).await?.id.to_string())
}
