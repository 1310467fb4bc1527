//! OpenID Connect beyond OAuth: one file per endpoint. The token endpoint issues its ID tokens.

pub(crate) mod userinfo;

use std::sync::Arc;

use axum::{Router, routing::get};

use crate::app::App;

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new().route("/userinfo", get(userinfo::handle).post(userinfo::handle))
}
