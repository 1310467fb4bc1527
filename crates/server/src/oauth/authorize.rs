//! The authorization endpoint (OAuth 2.1 section 4.1.1): reads the request, and decides what comes next.
//!
//! A doubt about client or redirect URI is shown on a page; every other mistake is told to the client. What needs no
//! page is answered in the first response.

use std::sync::Arc;

use axum::{body::Body, extract::State};
use doorward_core::{
    authorization_request::{AuthorizationRequest, Target, consent_to},
    checksummed::{self, CODE_PREFIX},
    denial::Denial,
    form::Parameters,
    id::GrantId,
    refusal::Refusal,
    scope::ScopeSet,
    secret::ExposeSecret,
};
use doorward_store::{
    authorization::{Answer, AnswerRequest, NewCode},
    grants::{FindConsent, GrantRecord},
};
use http::{HeaderMap, Method, Request, Response};

use crate::{
    app::{App, Details},
    http::{Origin, body, respond},
    signin::{
        csrf::Browser,
        interaction::{self, Interaction},
        session::{self, Session},
    },
};

pub(crate) async fn handle(State(app): State<Arc<App>>, request: Request<Body>) -> Response<Body> {
    let origin = Origin::of(&request);
    let (head, body) = request.into_parts();
    let is_post = head.method == Method::POST;
    let bytes = match is_post {
        false => Ok(head.uri.query().unwrap_or_default().to_owned().into()),
        true => body::form(&app, &head, body).await,
    };
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(refusal) => return respond::error_page(&app, &origin, &refusal),
    };
    match begin(&app, &origin, &head.headers, &bytes, is_post).await {
        Ok(response) => response,
        Err(refusal) => respond::error_page(&app, &origin, &refusal),
    }
}

/// Reads the request; an `Err` is for a page.
async fn begin(
    app: &App,
    origin: &Origin,
    headers: &HeaderMap,
    query: &[u8],
    is_post: bool,
) -> Result<Response<Body>, Refusal> {
    app.check_sight()?;
    let form = Parameters::parse(query)?;
    let client = match form.all("client_id").next() {
        Some(id) => app.client(id).await?,
        None => None,
    };
    let target = Target::find(&form, client.as_deref())?;
    let client = client.ok_or(Denial::AuthorizeClientUnknown)?;
    let apis = app.snapshots.apis();
    let request = match AuthorizationRequest::parse(&form, &client, target.clone(), &apis) {
        Ok(request) => request,
        Err(refusal) => return Ok(respond::redirect(&refuse(app, origin, &target, &refusal))),
    };
    if is_post {
        // A cross-site POST carries no Lax cookie: who is signed in shows in a GET of our own.
        let id = interaction::store(app, origin, request, None).await?;
        return Ok(respond::redirect(&format!("/continue/{id}")));
    }
    let browser = Browser::of(app, headers);
    let location = match step(app, headers, &request, app.now()).await? {
        Step::Allow(session) => {
            let scopes = request.scopes.clone();
            allow(app, origin, &request, &session, scopes, Vec::new()).await?
        }
        Step::Refuse(denial) => refuse(app, origin, &target, &denial.into()),
        Step::SignIn => format!("/sign-in/{}", interaction::store(app, origin, request, Some(&browser)).await?),
        Step::Consent => format!("/consent/{}", interaction::store(app, origin, request, Some(&browser)).await?),
    };
    let mut response = respond::redirect(&location);
    browser.remember(app, response.headers_mut());
    Ok(response)
}

/// What comes next for a request.
enum Step {
    /// Give out a code.
    Allow(Box<Session>),
    /// Ask the user.
    Consent,
    /// Tell the client no.
    Refuse(Denial),
    /// Let the user sign in.
    SignIn,
}

async fn step(
    app: &App,
    headers: &HeaderMap,
    request: &AuthorizationRequest,
    requested_at: doorward_core::clock::Timestamp,
) -> Result<Step, Refusal> {
    let session = session::current(app, headers).await?;
    let is_good =
        |session: &Session| !request.demands_sign_in(session.record.times.created_at, requested_at, app.now());
    let Some(session) = session.filter(is_good) else {
        return Ok(if request.prompt.none { Step::Refuse(Denial::LoginRequired) } else { Step::SignIn });
    };
    let client_id = request.client_id.clone();
    let remembered = app.read(FindConsent { user_id: session.user.id.clone(), client_id }).await?;
    let client = app.client(request.client_id.as_str()).await?.ok_or(Denial::InteractionUnknown)?;
    Ok(match request.demands_consent(&client, remembered.as_ref()) {
        true if request.prompt.none => Step::Refuse(Denial::ConsentRequired),
        true => Step::Consent,
        false => Step::Allow(Box::new(session)),
    })
}

/// Where a stored request goes next: a page of ours, or back to the client.
pub(crate) async fn next(
    app: &App,
    origin: &Origin,
    headers: &HeaderMap,
    interaction: Interaction,
) -> Result<String, Refusal> {
    let Interaction { id, stored } = interaction;
    let request = &stored.request;
    match step(app, headers, request, stored.requested_at).await? {
        Step::Allow(session) => {
            allow(app, origin, request, &session, request.scopes.clone(), app.candidates(&id)).await
        }
        Step::Consent => Ok(format!("/consent/{id}")),
        Step::Refuse(denial) => deny(app, origin, request, &id, denial.into()).await,
        Step::SignIn => Ok(format!("/sign-in/{id}")),
    }
}

/// Grants `scopes` and gives the URL that carries the code back. `stored` names the stored request, if it was stored.
pub(crate) async fn allow(
    app: &App,
    origin: &Origin,
    request: &AuthorizationRequest,
    session: &Session,
    scopes: ScopeSet,
    stored: Vec<doorward_core::digest::KeyedDigest>,
) -> Result<String, Refusal> {
    app.check_sight()?;
    let client = app.client(request.client_id.as_str()).await?;
    let client = request.check_client(client.as_deref())?;
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
        auth_time: session.record.times.created_at,
        created_at: now,
        last_used_at: None,
        expires_at: now.plus(tokens.refresh.absolute).plus(tokens.code_ttl),
        ended_at: None,
    };
    let details = Details::none().with("client_id", &grant.client_id).with("scope", &grant.scopes);
    let audit = app.event(&origin.actor(session.user.id.as_str()), "grant.given", Some(grant.id.to_string()), details);
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
        true => Ok(request.target.success(code.expose_secret(), &app.settings.issuer)),
        false => Err(Denial::InteractionUnknown.into()),
    }
}

/// Answers a stored request with a no, and gives the URL that tells the client.
pub(crate) async fn deny(
    app: &App,
    origin: &Origin,
    request: &AuthorizationRequest,
    id: &str,
    refusal: Refusal,
) -> Result<String, Refusal> {
    let details = Details::none().with("client_id", &request.client_id);
    let actor = crate::app::Actor { address: Some(origin.address), trace_id: Some(origin.trace_id()), id: None };
    let audit = app.event(&actor, "grant.denied", None, details);
    let operation = AnswerRequest { stored: app.candidates(id), answer: Answer::Deny, now: app.now(), audit };
    if !app.write(operation).await? {
        return Err(Denial::InteractionUnknown.into());
    }
    Ok(refuse(app, origin, &request.target, &refusal))
}

/// Notes a refusal; gives the URL that tells it to the client.
fn refuse(app: &App, origin: &Origin, target: &Target, refusal: &Refusal) -> String {
    app.note_refusal(origin, refusal);
    target.error(refusal, origin.trace_id(), &app.settings.issuer)
}
