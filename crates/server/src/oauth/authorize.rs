//! The authorization endpoint (OAuth 2.1 section 4.1.1): reads the request, and decides what comes next.
//!
//! A doubt about client or redirect URI is shown on a page; every other mistake is told to the client. What needs no
//! page is answered in the first response.

use std::sync::Arc;

use axum::{body::Body, extract::State};
use doorward_core::{
    authorization_request::{AuthorizationRequest, Target},
    denial::Denial,
    form::Parameters,
    refusal::Refusal,
};
use http::{HeaderMap, Method, Request, Response};

use crate::{
    app::App,
    authorization::interaction::{self},
    authorization::{
        answer,
        next::{self, Step},
    },
    browser::Browser,
    http::{body, respond},
    origin::Origin,
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
        Err(refusal) => return Ok(respond::redirect(&answer::refuse(app, origin, &target, &refusal))),
    };
    if is_post {
        // A cross-site POST carries no Lax cookie: who is signed in shows in a GET of our own.
        let id = interaction::store(app, origin, request, None).await?;
        return Ok(respond::redirect(&format!("/continue/{id}")));
    }
    let browser = Browser::of(app, headers);
    let location = match next::step(app, headers, &request, app.now()).await? {
        Step::Allow(session) => {
            let scopes = request.scopes.clone();
            answer::allow(app, origin, &request, &session, scopes, Vec::new()).await?
        }
        Step::Refuse(denial) => answer::refuse(app, origin, &target, &denial.into()),
        Step::SignIn => format!("/sign-in/{}", interaction::store(app, origin, request, Some(&browser)).await?),
        Step::Consent => format!("/consent/{}", interaction::store(app, origin, request, Some(&browser)).await?),
    };
    let mut response = respond::redirect(&location);
    browser.remember(app, response.headers_mut());
    Ok(response)
}
