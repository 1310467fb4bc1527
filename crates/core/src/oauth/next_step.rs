//! What an authorization request needs next: a page, or the answer to the client.
//!
//! Every way to sign in is a step of it. A step is asked for again until the request is satisfied, so no page decides
//! what follows it.

use crate::{
    authorization_request::AuthorizationRequest, client::Client, clock::Timestamp, denial::Denial, id::UserId,
    scope::ScopeSet,
};

/// What a request needs next. `S` is the caller's session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NextStep<S> {
    /// Answer the client: with a code for this session, or with an error.
    Answer(Result<S, Denial>),
    /// Ask the user of this session for consent.
    Consent(S),
    /// Let the user sign in.
    SignIn,
}

/// A user who is signed in, as far as the next step depends on it.
#[derive(Clone, Debug)]
pub struct SignedIn<S> {
    /// The session, which is handed back.
    pub session: S,
    /// Who it is.
    pub user_id: UserId,
    /// When the user last signed in.
    pub auth_time: Timestamp,
    /// What the user allowed this client before, if anything.
    pub consented: Option<ScopeSet>,
}

/// Decides what `request`, made at `requested_at`, needs next (OpenID Connect Core section 3.1.2.3).
pub fn next_step<S>(
    request: &AuthorizationRequest,
    requested_at: Timestamp,
    client: &Client,
    signed_in: Option<SignedIn<S>>,
    now: Timestamp,
) -> NextStep<S> {
    let demands_sign_in =
        |user: &SignedIn<S>| request.demands_sign_in(&user.user_id, user.auth_time, requested_at, now);
    match signed_in.filter(|user| !demands_sign_in(user)) {
        None if request.prompt.none => NextStep::Answer(Err(Denial::LoginRequired)),
        None => NextStep::SignIn,
        // Somebody else than the client expects signed in for this request. Asking once more would be a circle.
        Some(user) if request.expects_another(&user.user_id) => NextStep::Answer(Err(Denial::LoginRequired)),
        Some(user) if !request.demands_consent(client, user.consented.as_ref()) => NextStep::Answer(Ok(user.session)),
        Some(_) if request.prompt.none => NextStep::Answer(Err(Denial::ConsentRequired)),
        Some(user) => NextStep::Consent(user.session),
    }
}
