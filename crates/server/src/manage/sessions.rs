//! Sessions of users: who is signed in where.

use doorward_core::{
    clock::Timestamp,
    id::{SessionId, UserId},
    id_token,
    refusal::Refusal,
    rights::Belongs,
    session::SignInMethod,
};
use doorward_store::sessions::{
    EndAllSessions, EndSession, EndSessions, FindSessionById, ListRecentSessions, ListSessions, SessionFilter,
    SessionRecord, WhichSessions,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    ManageError,
    page::{Page, page},
    times, users,
};
use crate::{actor::Actor, app::App};

/// A live session as it is shown.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub struct SessionView {
    /// Its id, which is not secret.
    pub id: SessionId,
    /// The user who signed in.
    pub user_id: UserId,
    /// When the user last signed in (OpenID Connect Core section 2).
    #[serde(serialize_with = "times::serialize")]
    pub auth_time: Timestamp,
    /// How the user signed in (RFC 8176).
    pub amr: Vec<SignInMethod>,
    /// The address at the sign-in.
    pub address: String,
    /// The `User-Agent` at the sign-in.
    pub user_agent: String,
    /// When it began.
    #[serde(serialize_with = "times::serialize")]
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    #[serde(serialize_with = "times::serialize")]
    pub last_seen_at: Timestamp,
}

impl From<SessionRecord> for SessionView {
    fn from(session: SessionRecord) -> Self {
        let methods: Vec<_> = session.authentications.iter().map(|authentication| authentication.method).collect();
        Self {
            auth_time: session.auth_time(),
            amr: id_token::amr(&methods),
            id: session.id,
            user_id: session.user_id,
            address: session.address,
            user_agent: session.user_agent,
            created_at: session.times.created_at,
            last_seen_at: session.times.last_seen_at,
        }
    }
}

/// A page of the live sessions, in the order in which they began.
pub async fn list(
    app: &App,
    actor: &Actor,
    filter: SessionFilter,
    after: Option<SessionId>,
    limit: usize,
) -> Result<Page<SessionView, SessionId>, ManageError> {
    let read = |after, limit| {
        let list = ListSessions { filter: filter.clone(), after, limit };
        async move { Ok(app.store.read(list).await?) }
    };
    let show = |session: SessionRecord| is_shown(app, actor, &session).then(|| session.into());
    page(after, limit, read, |session: &SessionRecord| session.id.clone(), show).await
}

/// The live session with this id.
pub async fn show(app: &App, actor: &Actor, id: &str) -> Result<SessionView, ManageError> {
    let unknown = || ManageError::NotFound { kind: "session", name: id.to_owned() };
    let found = app.store.read(FindSessionById { id: SessionId::parse(id).map_err(|_| unknown())? }).await?;
    found.filter(|session| is_shown(app, actor, session)).map(SessionView::from).ok_or_else(unknown)
}

/// Whether a session lives, and somebody's rights reach its user.
fn is_shown(app: &App, actor: &Actor, session: &SessionRecord) -> bool {
    let belongs = Belongs { apis: Vec::new(), owner: Some(session.user_id.as_str()) };
    session.times.is_live(&app.settings.session, app.now()) && actor.rights.reach(&belongs)
}

/// Ends the session with this id, of any user.
pub async fn end(app: &App, actor: &Actor, id: &str) -> Result<(), ManageError> {
    let session = show(app, actor, id).await?;
    users::find_to_change(app, actor, session.user_id.as_str()).await?;
    match app.commit(EndSession { id: session.id, now: app.now(), audit: app.audit(actor) }).await? {
        true => Ok(()),
        false => Err(ManageError::NotFound { kind: "session", name: id.to_owned() }),
    }
}

/// Ends all sessions of the user of this id or name, and forgets the browsers that signed in before. Returns how many
/// were ended.
pub async fn end_all(app: &App, actor: &Actor, user: &str) -> Result<u64, ManageError> {
    let user_id = users::find_to_change(app, actor, user).await?.id;
    let ended = app.commit(EndAllSessions { user_id, now: app.now(), audit: app.audit(actor) }).await?;
    ended.ok_or_else(|| ManageError::NotFound { kind: "user", name: user.to_owned() })
}

/// The live sessions of a user, the last used first.
pub(crate) async fn recent(app: &App, user_id: &UserId) -> Result<Vec<SessionRecord>, ManageError> {
    let limit = app.settings.limits.sessions_per_user;
    let mut sessions = app.store.read(ListRecentSessions { user_id: user_id.clone(), after: None, limit }).await?;
    let now = app.now();
    sessions.retain(|session| session.times.is_live(&app.settings.session, now));
    Ok(sessions)
}

/// Ends sessions of the user of a session. Sessions of others are not touched. Returns how many were ended.
pub(crate) async fn end_own(
    app: &App,
    actor: &Actor,
    SessionRecord { user_id, id, .. }: &SessionRecord,
    which: WhichSessions,
) -> Result<u64, ManageError> {
    let (user_id, within, audit) = (user_id.clone(), id.clone(), app.audit(actor));
    let ended = app.commit(EndSessions { user_id, within, which, now: app.now(), audit }).await?;
    Ok(ended.map_err(Refusal::from)?)
}
