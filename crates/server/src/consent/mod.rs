//! Consent: the user decides what an application may have.

pub(crate) mod decide;
pub(crate) mod page;

use std::sync::Arc;

use axum::{Router, routing::get};

use crate::{app::App, authorization};

pub(crate) fn routes(app: &Arc<App>) -> Router<Arc<App>> {
    authorization::steps(app, Router::new().route("/consent/{id}", get(decide::show).post(decide::submit)))
}
