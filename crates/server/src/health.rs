//! Whether the process works, and whether it can serve: what orchestrators and load balancers ask.
//!
//! Live means that the process answers; only a restart helps when it does not. Ready means that requests may come: the
//! database takes writes, the log of changes is followed, no background task keeps ending, and no shutdown has begun.

use std::sync::Arc;

use axum::{Router, body::Body, extract::State, routing::get};
use http::{
    HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, RETRY_AFTER},
};
use serde_json::{Map, Value, json};

use crate::{app::App, web::respond};

/// `/health/live`, `/health/ready`, and `/health`, which is the latter.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new().route("/health/live", get(live)).route("/health/ready", get(ready)).route("/health", get(ready))
}

async fn live() -> Response<Body> {
    answer(StatusCode::OK, json!({"status": "live"}))
}

async fn ready(State(app): State<Arc<App>>) -> Response<Body> {
    let checks = app.checks().await;
    let is_ready = checks.iter().all(|(_, outcome)| outcome.is_ok());
    let checks: Map<String, Value> = checks
        .into_iter()
        .map(|(name, outcome)| (name.to_owned(), outcome.err().unwrap_or_else(|| "ok".to_owned()).into()))
        .collect();
    match is_ready {
        true => answer(StatusCode::OK, json!({"status": "ready", "checks": checks})),
        false => {
            let body = json!({"status": "not_ready", "checks": checks});
            let mut response = answer(StatusCode::SERVICE_UNAVAILABLE, body);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("2"));
            response
        }
    }
}

fn answer(status: StatusCode, body: Value) -> Response<Body> {
    let mut response = respond::value(status, &body);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
