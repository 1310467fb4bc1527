//! Sessions of users: who is signed in where.

use doorward_core::{id::UserId, refusal::Refusal};
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

/// Ends sessions of the user of a session. Sessions of others are not touched. Returns how many were ended.
pub async fn end(
    app: &App,
    actor: &Actor,
    SessionRecord { user_id, id, .. }: &SessionRecord,
    which: WhichSessions,
) -> Result<u64, ManageError> {
    let (user_id, within, audit) = (user_id.clone(), id.clone(), app.audit(actor));
    let ended = app.commit(EndSessions { user_id, within, which, now: app.now(), audit }).await?;
    Ok(ended.map_err(Refusal::from)?)
}
