//! Signing in with a password, and the page for it.

mod handlers;
mod page;
pub(crate) mod password;

use std::sync::Arc;

use axum::{Router, routing::get};

use crate::{app::App, authorization};

pub(crate) fn routes(app: &Arc<App>) -> Router<Arc<App>> {
    let steps = Router::new()
        .route("/sign-in/{id}", get(handlers::show).post(handlers::submit))
        .route("/sign-in/{id}/other", get(handlers::show_other).post(handlers::submit_other));
    Router::new()
        .route("/sign-in", get(handlers::show_for_account).post(handlers::submit_for_account))
        .merge(authorization::steps(app, steps))
}
