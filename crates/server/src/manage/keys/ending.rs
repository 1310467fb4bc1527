//! The end of a key, for good or until it is enabled again.

use doorward_store::keys::{DisableKey, KeyRevocation, RevokeKey};

use super::find_to_change;
use crate::{actor::Actor, app::App, manage::ManageError};

/// Revokes a key, by its id or by the key itself.
pub async fn revoke(app: &App, actor: &Actor, id: &str) -> Result<KeyRevocation, ManageError> {
    let key = find_to_change(app, actor, id).await?.key;
    Ok(app.commit(RevokeKey { id: key.id, now: app.now(), audit: app.audit(actor) }).await?)
}

/// Disables a key, by its id or by the key itself. Returns whether it was not disabled before; a revoked key stays as it is.
pub async fn disable(app: &App, actor: &Actor, id: &str) -> Result<bool, ManageError> {
    change(app, actor, id, true).await
}

/// Enables a disabled key. Returns whether it was disabled; a revoked key stays as it is.
pub async fn enable(app: &App, actor: &Actor, id: &str) -> Result<bool, ManageError> {
    change(app, actor, id, false).await
}

async fn change(app: &App, actor: &Actor, id: &str, is_disabled: bool) -> Result<bool, ManageError> {
    let key = find_to_change(app, actor, id).await?.key;
    Ok(app.commit(DisableKey { id: key.id, is_disabled, now: app.now(), audit: app.audit(actor) }).await?)
}
