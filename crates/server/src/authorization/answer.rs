//! The answer to the client: a code for what the user allowed, or an error, at the redirect URI.
//!
//! By `form_post` the browser gets it as a page whose form submits itself. That page has no `form-action`, which browsers
//! apply to the client's own redirects as well; its only form goes to the redirect URI.

use axum::body::Body;
use doorward_core::{
    authorization_request::{AuthorizationRequest, consent_to},
    authorization_response::{AuthorizationResponse, Target},
    checksummed::{self, CODE_PREFIX},
    denial::Denial,
    digest::KeyedDigest,
    id::GrantId,
    refusal::Refusal,
    scope::ScopeSet,
    secret::ExposeSecret,
};
use doorward_store::{
    authorization::{Answer, AnswerRequest, NewCode},
    grants::GrantRecord,
};
use http::{Response, StatusCode};

use super::form_post::FormPostPage;
use crate::{
    actor::Actor,
    app::App,
    browser::Session,
    origin::Origin,
    pages::security_headers::FormsEnd,
    web::{refused::noting, respond},
};

/// Grants `scopes` and sends the code to the client. `stored` names the stored request, if it was stored.
pub(crate) async fn allow(
    app: &App,
    origin: &Origin,
    request: &AuthorizationRequest,
    session: &Session,
    scopes: ScopeSet,
    stored: Vec<KeyedDigest>,
) -> Result<Response<Body>, Refusal> {
    app.ensure_fresh()?;
    let client = app.client(request.client_id.as_str()).await?;
    let client = request.check_client(client.as_deref(), &app.snapshots.apis())?;
    let remember = (!request.target.is_unassured).then(|| consent_to(client, &scopes, &request.scopes));
    let now = app.now();
    let tokens = &app.settings.tokens;
    let code = checksummed::generate(CODE_PREFIX, &*app.rng);
    let grant = GrantRecord {
        id: GrantId::new(now, &*app.rng),
        user_id: session.user.id.clone(),
        client_id: request.client_id.clone(),
        session_id: session.record.id.clone(),
        scopes,
        requested_scopes: request.scopes.clone(),
        resources: request.resources.clone(),
        nonce: request.nonce.clone(),
        auth_time: session.record.auth_time(),
        sign_in_methods: session.record.authentications.iter().map(|authentication| authentication.method).collect(),
        created_at: now,
        last_used_at: None,
        expires_at: now.plus(tokens.code_ttl),
        ended_at: None,
    };
    let audit = app.audit(&origin.actor(session.user.id.as_str()));
    let answer = Answer::Allow {
        grant: Box::new(grant),
        code: Box::new(NewCode {
            digest: app.peppers.digest(code.expose_secret()),
            redirect_uri: request.target.redirect_uri.clone(),
            code_challenge: request.code_challenge.clone(),
            expires_at: now.plus(tokens.code_ttl),
        }),
        remember,
    };
    match app.write(AnswerRequest { stored, answer, now, audit }).await? {
        true => send(app, &request.target, request.target.success(code.expose_secret(), &app.settings.issuer)),
        false => Err(Denial::InteractionUnknown.into()),
    }
}

/// Answers a stored request with an error.
pub(crate) async fn deny(
    app: &App,
    origin: &Origin,
    request: &AuthorizationRequest,
    id: &str,
    refusal: Refusal,
) -> Result<Response<Body>, Refusal> {
    let actor = Actor { address: Some(origin.address), trace_id: Some(origin.trace_id()), ..Actor::default() };
    let (stored, answer) = (app.candidates(id), Answer::Deny { client_id: request.client_id.clone() });
    let operation = AnswerRequest { stored, answer, now: app.now(), audit: app.audit(&actor) };
    match app.write(operation).await? {
        true => refuse(app, origin, &request.target, refusal),
        false => Err(Denial::InteractionUnknown.into()),
    }
}

/// Sends an error to the client (OAuth 2.1 section 4.1.2.1).
pub(crate) fn refuse(app: &App, origin: &Origin, target: &Target, refusal: Refusal) -> Result<Response<Body>, Refusal> {
    let response = target.error(&refusal, origin.trace_id(), &app.settings.issuer);
    Ok(noting(send(app, target, response)?, refusal))
}

fn send(app: &App, target: &Target, response: AuthorizationResponse) -> Result<Response<Body>, Refusal> {
    match response {
        AuthorizationResponse::Redirect(location) => respond::redirect(&location),
        AuthorizationResponse::FormPost { action, fields } => {
            let page = FormPostPage { layout: &app.layout, returns_to: target.display_host(), action, fields };
            respond::page(StatusCode::OK, &page, FormsEnd::AtClientByPost)
        }
    }
}
