//! An authorization request on its way: stored once, what comes next, and the answer to the client.
//!
//! The pages for sign-in and consent are steps of it. They know this folder, and neither each other nor `oauth/`.

pub(crate) mod answer;
pub(crate) mod handlers;
pub(crate) mod interaction;
pub(crate) mod next;

use std::sync::Arc;

use axum::{Router, routing::get};

use crate::app::App;

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new().route("/continue/{id}", get(handlers::proceed)).route("/start-over/{id}", get(handlers::start_over))
}
