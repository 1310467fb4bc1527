//! The JWK set (RFC 7517 section 5).

use std::sync::Arc;

use axum::{body::Body, extract::State};
use http::Response;

use crate::{
    app::App,
    web::{refused::ProblemError, respond},
};

pub(crate) async fn handle(State(app): State<Arc<App>>) -> Result<Response<Body>, ProblemError> {
    let in_use = app.snapshots.algorithms_in_use();
    let jwks = app.signing_keys().jwks(&in_use, &app.settings.signing, app.now());
    Ok(respond::json_cacheable(&jwks, "public, max-age=60")?)
}
