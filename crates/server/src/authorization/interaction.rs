//! A stored authorization request while a person signs in and consents.
//!
//! It is found by the unguessable id in the page's address and bound to one browser. No step reads a parameter of the
//! protocol from the browser again.

use std::sync::Arc;

use doorward_core::{
    authorization_request::AuthorizationRequest, checksummed, client::Client, denial::Denial, digest::Digest,
    id::UserId, network::Network, refusal::Refusal, secret::ExposeSecret,
};
use doorward_store::authorization::{BindRequest, FindRequest, StoreRequest, Stored, StoredRequest};
use http::HeaderMap;

use crate::{
    app::App,
    browser::{Browser, Session},
    origin::Origin,
};

/// A stored request, and the id that it was found by.
#[derive(Debug)]
pub(crate) struct Interaction {
    pub(crate) id: String,
    pub(crate) stored: StoredRequest,
}

impl Interaction {
    /// Its client, if it may still have an answer.
    pub(crate) async fn client(&self, app: &App) -> Result<Arc<Client>, Refusal> {
        let request = &self.stored.request;
        let client = app.client(request.client_id.as_str()).await?;
        request.check_client(client.as_deref(), &app.snapshots.apis())?;
        client.ok_or_else(|| Denial::AuthorizeClientUnknown.into())
    }

    /// Whether this session is one that the request accepts, so that nobody has to sign in for it. None is where no scope is
    /// left: the next step reports that to the client.
    pub(crate) fn accepts(&self, app: &App, session: &Session) -> bool {
        let (request, user) = (&self.stored.request, &session.user.id);
        let (auth_time, requested_at) = (session.record.auth_time(), self.stored.requested_at);
        !request.scopes.is_empty()
            && !request.expects_another(user)
            && !request.demands_sign_in(user, auth_time, requested_at, app.now())
    }
}

/// Stores a request for a browser, or for whichever browser comes with its id first. `user` is who
/// is signed in and could answer it. Gives the id.
pub(crate) async fn store(
    app: &App,
    origin: &Origin,
    request: AuthorizationRequest,
    browser: Option<&Browser>,
    user: Option<UserId>,
) -> Result<String, Refusal> {
    let id = checksummed::random_text(32, &*app.rng).expose_secret().to_owned();
    let now = app.now();
    let stored = StoredRequest {
        request,
        browser: browser.map_or(UNBOUND, |browser| browser.digest(app)),
        requested_at: now,
        expires_at: now.plus(app.settings.tokens.authorization_ttl),
        answered_at: None,
    };
    let (network, most) = (Network::of(origin.address), app.settings.limits.open_requests_per_network);
    match app.write(StoreRequest { digest: app.peppers.digest(&id), stored, network, most, user }).await? {
        Stored::Yes => Ok(id),
        Stored::Full(until) => {
            let refusal = Refusal::new(Denial::AuthorizeThrottled).fact("limit", most);
            Err(refusal.retry_after(until.since(now)))
        }
    }
}

/// A request that was posted by another site, which came without our cookies, is bound at the first look.
const UNBOUND: Digest = Digest::from_bytes([0; 32]);

/// The request of this id, still to be answered, if it belongs to this browser.
pub(crate) async fn find(app: &App, headers: &HeaderMap, id: &str) -> Result<Interaction, Refusal> {
    let (stored, is_ours) = load(app, headers, id).await?;
    let is_open = stored.answered_at.is_none() && app.now() < stored.expires_at;
    match is_ours && is_open {
        true => Ok(Interaction { id: id.to_owned(), stored }),
        false => Err(Denial::InteractionUnknown.into()),
    }
}

/// The same, where the request may have no browser yet: it is bound to the first one that comes.
pub(super) async fn find_or_bind(
    app: &App,
    headers: &HeaderMap,
    id: &str,
    browser: &Browser,
) -> Result<Interaction, Refusal> {
    let is_unbound = matches!(load(app, headers, id).await, Ok((stored, _)) if stored.browser == UNBOUND);
    if !is_unbound {
        return find(app, headers, id).await;
    }
    let operation = BindRequest { candidates: app.candidates(id), unbound: UNBOUND, browser: browser.digest(app) };
    match app.write(operation).await? {
        true => Ok(Interaction { id: id.to_owned(), stored: load(app, headers, id).await?.0 }),
        false => Err(Denial::InteractionUnknown.into()),
    }
}

/// The request of this id, and whether it belongs to this browser. Scopes that were removed from their API since it came
/// are left out: none may be left.
pub(super) async fn load(app: &App, headers: &HeaderMap, id: &str) -> Result<(StoredRequest, bool), Refusal> {
    let is_id = id.len() == 32 && id.bytes().all(|b| b.is_ascii_alphanumeric());
    let found = match is_id {
        true => app.read(FindRequest { candidates: app.candidates(id) }).await?,
        false => None,
    };
    let mut stored = found.ok_or(Denial::InteractionUnknown)?;
    let living = app.snapshots.apis().living_of_grant(&stored.request.scopes, stored.requested_at);
    stored.request.scopes = living.unwrap_or_default();
    let is_ours = Browser::known(app, headers).is_some_and(|browser| browser.is(app, &stored.browser));
    Ok((stored, is_ours))
}
