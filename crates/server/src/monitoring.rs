//! `GET /metrics`, for a listener of its own that only the operator's monitoring reaches.

use std::sync::Arc;

use axum::{Router, body::Body, extract::State, routing::get};
use http::{Response, StatusCode};

use crate::{app::App, web::respond};

/// The content type of Prometheus's text format, version 0.0.4.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The routes of the listener for metrics.
pub fn router(app: Arc<App>) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(app)
}

async fn metrics(State(app): State<Arc<App>>) -> Response<Body> {
    match app.metrics_text() {
        Some(text) => respond::with_type(StatusCode::OK, TEXT, text),
        None => respond::empty(StatusCode::NOT_FOUND),
    }
}
