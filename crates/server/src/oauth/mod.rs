//! OAuth 2.1: a file per endpoint, and the client authentication that they share.

pub(crate) mod authorize;
pub(crate) mod client_authentication;
pub(crate) mod introspect;
pub(crate) mod jwks;
pub(crate) mod metadata;
pub(crate) mod revoke;
pub(crate) mod token;

use std::sync::Arc;

use axum::{
    Router,
    routing::{get, post},
};

use crate::app::App;

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/.well-known/oauth-authorization-server", get(metadata::oauth))
        .route("/.well-known/openid-configuration", get(metadata::openid))
        .route("/authorize", get(authorize::get).post(authorize::post))
        .route("/introspect", post(introspect::handle))
        .route("/jwks", get(jwks::handle))
        .route("/revoke", post(revoke::handle))
        .route("/token", post(token::handle))
}
