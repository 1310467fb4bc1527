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
    /// The user who is signed in.
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
        // Someone other than the expected user signed in for this request. Asking again would loop.
        Some(user) if request.expects_another(&user.user_id) => NextStep::Answer(Err(Denial::LoginRequired)),
        Some(user) if !request.demands_consent(client, user.consented.as_ref()) => NextStep::Answer(Ok(user.session)),
        Some(_) if request.prompt.none => NextStep::Answer(Err(Denial::ConsentRequired)),
        Some(user) => NextStep::Consent(user.session),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        authorization_request::{Prompt, tests},
        authorization_response::Target,
        random::SeededRng,
    };

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn user(seed: u64) -> UserId {
        UserId::new(at(1), &SeededRng::new(seed))
    }

    fn request() -> AuthorizationRequest {
        let redirect_uri = "https://app.example/cb".to_owned();
        AuthorizationRequest {
            client_id: tests::client().id,
            target: Target { redirect_uri, is_unassured: false, state: None, response_mode: Default::default() },
            scopes: ScopeSet::parse("openid").unwrap(),
            resources: Vec::new(),
            code_challenge: None,
            nonce: None,
            prompt: Prompt::default(),
            max_age: None,
            login_hint: None,
            expected_user: None,
        }
    }

    /// The next step of a request of second 100, for a user who signed in at `auth_time` and allowed `consented`.
    fn step(request: &AuthorizationRequest, auth_time: Option<i64>, consented: &str) -> NextStep<()> {
        let consented = (!consented.is_empty()).then(|| ScopeSet::parse(consented).unwrap());
        let signed_in =
            auth_time.map(|secs| SignedIn { session: (), user_id: user(1), auth_time: at(secs), consented });
        next_step(request, at(100), &tests::client(), signed_in, at(101))
    }

    #[test]
    fn request_is_answered_after_sign_in_and_consent() {
        assert_eq!(step(&request(), None, ""), NextStep::SignIn);
        assert_eq!(step(&request(), Some(1), ""), NextStep::Consent(()));
        assert_eq!(step(&request(), Some(1), "openid"), NextStep::Answer(Ok(())));
        let again = AuthorizationRequest { prompt: Prompt { login: true, ..Prompt::default() }, ..request() };
        assert_eq!(step(&again, Some(99), "openid"), NextStep::SignIn);
        assert_eq!(step(&again, Some(100), "openid"), NextStep::Answer(Ok(())));
    }

    #[test]
    fn silent_request_gets_an_error_where_a_page_is_needed() {
        let silent = AuthorizationRequest { prompt: Prompt { none: true, ..Prompt::default() }, ..request() };
        assert_eq!(step(&silent, None, ""), NextStep::Answer(Err(Denial::LoginRequired)));
        assert_eq!(step(&silent, Some(1), ""), NextStep::Answer(Err(Denial::ConsentRequired)));
        assert_eq!(step(&silent, Some(1), "openid"), NextStep::Answer(Ok(())));
    }

    #[test]
    fn another_user_than_the_client_expects_is_asked_once() {
        let expecting = AuthorizationRequest { expected_user: Some(user(2)), ..request() };
        assert_eq!(step(&expecting, Some(99), "openid"), NextStep::SignIn);
        assert_eq!(step(&expecting, Some(100), "openid"), NextStep::Answer(Err(Denial::LoginRequired)));
    }
}
