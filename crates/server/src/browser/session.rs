//! The session of a browser: found by its cookie, rotated at sign-in.

use doorward_core::{
    checksummed,
    id::SessionId,
    refusal::Refusal,
    secret::{ExposeSecret, SecretString},
    session::{Authentication, SessionTimes, SignInMethod},
};
use doorward_store::{
    sessions::{BeginSession, FindSession, SessionRecord, TouchSession},
    users::UserRecord,
};
use http::HeaderMap;

use crate::{app::App, browser::Cookie, origin::Origin};

/// A live session with its user.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) record: SessionRecord,
    pub(crate) user: UserRecord,
}

/// The live session of a request, if there is one.
pub(crate) async fn current(app: &App, headers: &HeaderMap) -> Result<Option<Session>, Refusal> {
    let Some(cookie) = Cookie::Session.read(app, headers) else { return Ok(None) };
    let found = app.read(FindSession { candidates: app.candidates(cookie) }).await?;
    let Some((record, user)) = found else { return Ok(None) };
    let (limits, now) = (&app.settings.session, app.now());
    if user.disabled_at.is_some() || !record.times.is_live(limits, now) {
        return Ok(None);
    }
    if record.times.is_worth_touching(limits, now) {
        app.write(TouchSession { id: record.id.clone(), now }).await?;
    }
    Ok(Some(Session { record, user }))
}

/// Begins a session for a user who has just been authenticated, and ends the browser's previous one.
pub(crate) async fn begin(
    app: &App,
    origin: &Origin,
    user: &UserRecord,
    method: SignInMethod,
    replaces: Option<SessionId>,
) -> Result<SecretString, Refusal> {
    let now = app.now();
    let secret = checksummed::random_text(43, &*app.rng);
    let id = SessionId::new(now, &*app.rng);
    let audit = app.audit(&origin.actor(user.id.as_str()));
    let session = SessionRecord {
        id,
        user_id: user.id.clone(),
        times: SessionTimes { created_at: now, last_seen_at: now, ended_at: None },
        authentications: vec![Authentication { method, at: now }],
        address: origin.address.to_string(),
        user_agent: origin.user_agent(),
    };
    let digest = app.peppers.digest(secret.expose_secret());
    let most = app.settings.limits.sessions_per_user;
    let password_hash = user.password_hash.clone();
    let begun = app.write(BeginSession { session, digest, password_hash, replaces, most, audit }).await?;
    begun.map(|()| secret).map_err(|denial| Refusal::new(denial).about(&user.id))
}
