//! Signing in with a password, and the page for it.

pub(crate) mod page;
pub(crate) mod sign_in;

use std::sync::Arc;

use axum::{Router, routing::get};

use crate::app::App;

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/sign-in", get(sign_in::show_for_account).post(sign_in::submit_for_account))
        .route("/sign-in/{id}", get(sign_in::show).post(sign_in::submit))
        .route("/sign-in/{id}/other", get(sign_in::show_other).post(sign_in::submit_other))
}
