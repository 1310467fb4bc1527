//! Sessions of users: who is signed in where.

use doorward_core::id::UserId;
use doorward_store::sessions::{EndSessions, ListSessions, SessionRecord, WhichSessions};

use super::ManageError;
use crate::{actor::Actor, app::App};

/// The live sessions of a user, the last used first.
pub async fn list(app: &App, user_id: &UserId) -> Result<Vec<SessionRecord>, ManageError> {
    let limit = app.settings.limits.sessions_per_user;
    let mut sessions = app.store.read(ListSessions { user_id: user_id.clone(), after: None, limit }).await?;
    let now = app.now();
    sessions.retain(|session| session.times.is_live(&app.settings.session, now));
    Ok(sessions)
}

/// Ends sessions of a user. Sessions of others are not touched. Returns how many were ended.
pub async fn end(app: &App, actor: &Actor, user_id: &UserId, which: WhichSessions) -> Result<u64, ManageError> {
    let audit = app.audit(actor);
    Ok(app.commit(EndSessions { user_id: user_id.clone(), which, now: app.now(), audit }).await?)
}
