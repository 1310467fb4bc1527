//! `GET /metrics`, for a listener of its own that only the operator's monitoring reaches.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    routing::get,
};
use doorward_core::network::ClientAddress;
use http::{
    HeaderValue, Response, StatusCode, Uri,
    header::{HOST, X_CONTENT_TYPE_OPTIONS},
};
use tokio::time::timeout;

use crate::{app::App, web::respond};

/// The content type of Prometheus's text format, version 0.0.4.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

const BY_NAME: &str = "From this machine, ask for an IP address or `localhost`: a page in a browser here could use any other \
    name to read the metrics.\n";

/// How long a check may take. A database that does not answer must not keep the metrics from saying so.
const PATIENCE: Duration = Duration::from_secs(1);

/// The routes of the listener for metrics.
pub fn router(app: Arc<App>) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(app)
}

async fn metrics(State(app): State<Arc<App>>, request: Request) -> Response<Body> {
    let (status, text) = match is_of_a_page(&request) {
        true => (StatusCode::MISDIRECTED_REQUEST, BY_NAME.to_owned()),
        false => {
            let checks = timeout(PATIENCE, app.checks()).await.ok();
            (StatusCode::OK, app.metrics_text(checks))
        }
    };
    let mut response = respond::no_store(respond::with_type(status, TEXT, text));
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Whether a caller on this machine asks for a name that can be anybody's: a page in the operator's browser reads a
/// loopback port under a name that its own DNS server resolves to 127.0.0.1 (DNS rebinding).
fn is_of_a_page(request: &Request) -> bool {
    let is_local =
        request.extensions().get::<ClientAddress>().is_some_and(|from| from.peer.ip().to_canonical().is_loopback());
    let stated = request.headers().get(HOST).and_then(|host| host.to_str().ok()?.parse::<Uri>().ok());
    let host = stated.as_ref().unwrap_or(request.uri()).host().unwrap_or_default();
    let is_address = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    is_local && !is_address && !host.eq_ignore_ascii_case("localhost")
}
