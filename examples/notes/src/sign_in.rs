//! The way to the issuer: the app's first page, and the authorization request (RFC 6749 section 4.1.1) that its link
//! begins.
//!
//! The request begins when the link is followed, not when the page is shown: `state`, `nonce` and `code_verifier` are
//! fresh each time, and a page that lies open for an hour still works.

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use doorward_core::pkce;

use crate::{
    app::{self, STYLE, STYLE_PATH},
    callback::{self, Sessions},
    issuer::SignInError,
    page,
    pending::Pending,
    sample_app::SampleApp,
};

/// Where signing in begins.
pub(crate) const PATH: &str = "/sign-in";

/// What the app asks for; the person may untick some of it.
const SCOPE: &str = "openid profile offline_access notes:read";

/// The routes of the app.
pub(crate) fn routes(app: SampleApp) -> Router {
    Router::new()
        .route("/", get(async || page::answer(app::State::Start)))
        .route(PATH, get(begin))
        .route(callback::PATH, get(callback::answer))
        .route(callback::CALL_PATH, get(callback::call))
        .route(STYLE_PATH, get(async || ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)))
        .with_state((app, Sessions::default()))
}

async fn begin(State((app, _)): State<(SampleApp, Sessions)>) -> Result<Response, SignInError> {
    let metadata = app.metadata().await?;
    let pending = Pending::new(&app.rng);
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("response_type", "code")
        .append_pair("client_id", &app.client_id)
        .append_pair("redirect_uri", app.redirect_uri.as_str())
        .append_pair("scope", SCOPE)
        .append_pair("state", &pending.state)
        .append_pair("nonce", &pending.nonce)
        .append_pair("code_challenge", &pending.code_challenge())
        .append_pair("code_challenge_method", pkce::METHOD)
        .finish();
    let location = format!("{}?{query}", metadata.authorization_endpoint);
    let cookie = pending.remember(app.is_https());
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, location)], [(header::SET_COOKIE, cookie)]).into_response())
}
