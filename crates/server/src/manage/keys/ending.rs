//! The end of a key, for good or until it is enabled again.

use doorward_store::keys::{DisableKey, IfKeyUnchanged, KeyRevocation, RevokeKey};

use super::{KeyView, find_to_change};
use crate::{
    actor::Actor,
    app::App,
    manage::{ManageError, apis, attempts::until_done},
};

/// A change of whether a key can be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyChange {
    /// It can't be used until it is enabled.
    Disable,
    /// A disabled key can be used again.
    Enable,
    /// It can never be used again.
    Revoke,
}

/// Revokes a key, by its id or by the key itself.
pub async fn revoke(app: &App, actor: &Actor, id: &str) -> Result<KeyRevocation, ManageError> {
    let key = find_to_change(app, actor, id).await?.key;
    Ok(app.commit(RevokeKey { id: key.id, now: app.now(), audit: app.audit(actor) }).await?)
}

/// Disables a key, by its id or by the key itself. Returns whether it was not disabled before; a revoked key stays as it is.
pub async fn disable(app: &App, actor: &Actor, id: &str) -> Result<bool, ManageError> {
    let key = find_to_change(app, actor, id).await?.key;
    Ok(app.commit(DisableKey { id: key.id, is_disabled: true, now: app.now(), audit: app.audit(actor) }).await?)
}

/// Enables a disabled key. Returns whether it was disabled; a revoked key stays as it is.
pub async fn enable(app: &App, actor: &Actor, id: &str) -> Result<bool, ManageError> {
    let key = find_to_change(app, actor, id).await?.key;
    Ok(app.commit(DisableKey { id: key.id, is_disabled: false, now: app.now(), audit: app.audit(actor) }).await?)
}

/// Makes one of these changes to a key as `check` accepts it, and returns the key after it. The key is the same until the
/// change happens: `check` is called again if somebody else was faster.
pub async fn change(
    app: &App,
    actor: &Actor,
    id: &str,
    change: KeyChange,
    check: impl Fn(&KeyView) -> Result<(), ManageError>,
) -> Result<KeyView, ManageError> {
    until_done("this key", || async {
        let (found, apis) = (find_to_change(app, actor, id).await?, apis::all(app).await?);
        let (key_id, from, now, audit) = (found.key.id.clone(), found.key.seen(), app.now(), app.audit(actor));
        check(&KeyView::of(found, &apis, now))?;
        let id = key_id.clone();
        let is_unchanged = match change {
            KeyChange::Revoke => {
                let change = RevokeKey { id: id.clone(), now, audit };
                app.commit(IfKeyUnchanged { id, from, change }).await?.is_some()
            }
            KeyChange::Disable | KeyChange::Enable => {
                let change = DisableKey { id: id.clone(), is_disabled: change == KeyChange::Disable, now, audit };
                app.commit(IfKeyUnchanged { id, from, change }).await?.is_some()
            }
        };
        Ok(is_unchanged.then_some(key_id))
    })
    .await?;
    super::show(app, actor, id).await
}
