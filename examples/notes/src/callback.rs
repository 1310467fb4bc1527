//! The way back from the issuer (RFC 6749 section 4.1.2): check that the answer is for this browser and from our
//! issuer, redeem the code, and redirect to the page that calls the API. A reload of that page sends no code.
//!
//! Easy to get wrong: the answer is ignored until `state` is known, and `iss` is compared before the code is sent
//! anywhere (RFC 9207 section 2.4).

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    extract::{Query, State},
    http::{HeaderMap, header},
    response::{AppendHeaders, IntoResponse, Redirect, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use doorward_core::{checksummed::random_text, json, secret::ExposeSecret};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    app::{self, ApiCall, SignedIn},
    issuer::{SignInError, Tokens},
    page,
    pending::{Pending, cookie, set_cookie},
    sample_app::SampleApp,
};

/// Where the issuer sends the browser back to.
pub(crate) const PATH: &str = "/callback";
/// The page that calls the API.
pub(crate) const CALL_PATH: &str = "/call";

/// How long the app remembers who signed in, in seconds.
const SESSION_LIFETIME: u32 = 3600;
/// The most people whom the app remembers.
const MAX_SESSIONS: usize = 100;

/// The issuer's answer.
#[derive(Deserialize)]
pub(crate) struct Answer {
    state: Option<String>,
    iss: Option<String>,
    code: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

/// The tokens of the people who signed in, the last ones. They stay on this side: a browser holds the session's name.
#[derive(Clone, Default)]
pub(crate) struct Sessions(Arc<Mutex<VecDeque<(String, Tokens)>>>);

impl Sessions {
    fn keep(&self, name: String, tokens: Tokens) {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.truncate(MAX_SESSIONS - 1);
        sessions.push_front((name, tokens));
    }

    fn find(&self, app: &SampleApp, headers: &HeaderMap) -> Option<Tokens> {
        let name = cookie(headers, &app.session_cookie())?;
        let sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.iter().find(|(own, _)| own == name).map(|(_, tokens)| tokens.clone())
    }
}

pub(crate) async fn answer(
    State((app, sessions)): State<(SampleApp, Sessions)>,
    headers: HeaderMap,
    Query(answer): Query<Answer>,
) -> Result<Response, SignInError> {
    let pending = answer.state.as_deref().and_then(|state| Pending::find(&headers, state));
    let pending = pending.ok_or_else(|| {
        SignInError::new("state_unknown", "This answer belongs to no request of this browser, or came too late.")
    })?;
    let forget = pending.forget(app.is_https());
    let response = match signed_in(&app, answer, &pending).await {
        Ok(tokens) => {
            let name = random_text(43, &*app.rng).expose_secret().to_owned();
            let session = set_cookie(&app.session_cookie(), &name, SESSION_LIFETIME, app.is_https());
            sessions.keep(name, tokens);
            (AppendHeaders([(header::SET_COOKIE, session)]), Redirect::to(CALL_PATH)).into_response()
        }
        Err(error) => error.into_response(),
    };
    Ok((AppendHeaders([(header::SET_COOKIE, forget)]), response).into_response())
}

pub(crate) async fn call(State((app, sessions)): State<(SampleApp, Sessions)>, headers: HeaderMap) -> Response {
    match sessions.find(&app, &headers) {
        Some(tokens) => show(&app, tokens).await,
        None => Redirect::to("/").into_response(),
    }
}

async fn signed_in(app: &SampleApp, answer: Answer, pending: &Pending) -> Result<Tokens, SignInError> {
    if answer.iss.as_deref() != Some(&*app.issuer) {
        return Err(SignInError::new("issuer_mismatch", "The answer is not from the issuer that was asked."));
    }
    if let Some(error) = answer.error {
        return Err(SignInError { error, description: answer.error_description });
    }
    let code = answer.code.ok_or_else(|| SignInError::new("code_missing", "The answer has no code."))?;
    let tokens = app.redeem(&code, pending).await?;
    if let Some(id_token) = &tokens.id_token {
        check_id_token(app, id_token, pending)?;
    }
    Ok(tokens)
}

/// It came from the token endpoint itself, which replaces its signature (OpenID Connect Core section 3.1.3.7,
/// number 6); that it is for us and for this request must be checked.
fn check_id_token(app: &SampleApp, id_token: &str, pending: &Pending) -> Result<(), SignInError> {
    let claims = claims(id_token).unwrap_or_default();
    let is_for_us = match &claims["aud"] {
        Value::Array(audience) => audience.iter().any(|one| *one == *app.client_id),
        one => *one == *app.client_id,
    };
    match is_for_us && claims["iss"] == *app.issuer && claims["nonce"] == *pending.nonce {
        true => Ok(()),
        false => Err(SignInError::new("id_token_invalid", "The ID token is not for this app or not for this request.")),
    }
}

async fn show(app: &SampleApp, tokens: Tokens) -> Response {
    let call = call_api(app, &tokens.access_token).await;
    let id_token = tokens.id_token.as_deref().and_then(claims);
    let access_token = claims(&tokens.access_token);
    let text =
        |claims: &Option<Value>, name| claims.as_ref().and_then(|claims| claims[name].as_str().map(str::to_owned));
    let sub = text(&id_token, "sub").or_else(|| text(&access_token, "sub"));
    let name = match &sub {
        Some(sub) => app.name_of(sub, &tokens.access_token).await.or(Some(sub.clone())),
        None => None,
    };
    page::answer(app::State::SignedIn(Box::new(SignedIn {
        name: name.unwrap_or_else(|| "somebody".into()),
        id_token,
        access_token,
        has_refresh_token: tokens.refresh_token.is_some(),
        call,
        call_again: CALL_PATH.into(),
    })))
}

/// Calls the API as any client would: over HTTP, with the token and nothing else.
async fn call_api(app: &SampleApp, access_token: &str) -> ApiCall {
    let response = app.http.get(app.api("/notes")).bearer_auth(access_token).send().await;
    let request = "GET /notes".to_owned();
    match response {
        Ok(response) => {
            let status = response.status().as_u16();
            ApiCall { request, status, body: response.json().await.unwrap_or_default() }
        }
        Err(error) => {
            tracing::warn!(%error, "the notes API can't be reached");
            ApiCall { request, status: 502, body: "The API can't be reached.".into() }
        }
    }
}

/// The claims of a JWT, unverified: to be looked at. `None` if it is none.
fn claims(token: &str) -> Option<Value> {
    let payload = token.split('.').nth(1)?;
    json::parse_object(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok().map(Value::Object)
}
