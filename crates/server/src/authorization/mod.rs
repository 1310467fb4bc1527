//! An authorization request on its way: stored once, what comes next, and the answer to the client.
//!
//! The pages for sign-in and consent are steps of it. They know this folder, and neither each other nor `oauth/`.

use std::sync::Arc;

use axum::{Router, middleware, routing::get};

use crate::app::App;

pub(crate) mod answer;
mod form_post;
mod handlers;
pub(crate) mod interaction;
pub(crate) mod next;
pub(crate) mod step;

pub(crate) fn routes(app: &Arc<App>) -> Router<Arc<App>> {
    let routes = Router::new()
        .route("/continue/{id}", get(handlers::proceed))
        .route("/start-over/{id}", get(handlers::start_over));
    steps(app, routes)
}

/// Routes whose `{id}` is that of a stored request.
pub(crate) fn steps(app: &Arc<App>, routes: Router<Arc<App>>) -> Router<Arc<App>> {
    routes.route_layer(middleware::from_fn_with_state(app.clone(), step::offer_start_over))
}
