//! OpenID Connect beyond OAuth: a file per endpoint. Its id_tokens are made at the token endpoint.

pub(crate) mod userinfo;

use std::sync::Arc;

use axum::{Router, routing::get};

use crate::app::App;

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new().route("/userinfo", get(userinfo::handle).post(userinfo::handle))
}
