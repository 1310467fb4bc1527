//! Spans of requests and of what they wait for, for a program that collects traces.
//!
//! Easy to get wrong: a span holds a bounded word in each field and nothing that a caller wrote. Where nobody asks for
//! [`TARGET`], a span is one check of a flag.

use std::any::type_name;

use axum::body::Body;
use doorward_core::denial::Denial;
use http::Response;
use tracing::{Span, field::Empty, info_span};

/// The target of all spans. Its name begins with none of our crates', so that the log's level never includes it.
pub const TARGET: &str = "spans";

/// The span of one request, for the layer around the [`router`](crate::router()) that knows the caller's trace context.
/// The router fills in the rest (OpenTelemetry semantic conventions, "HTTP server").
pub fn request() -> Span {
    info_span!(
        target: TARGET,
        "request",
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = Empty,
        http.route = Empty,
        http.response.status_code = Empty,
        error.type = Empty,
    )
}

/// The trace id of a request's span, in the extensions of the request: 32 hexadecimal digits.
#[derive(Clone, Debug)]
pub struct SpanTrace(pub String);

/// What a finished request's span is called, in the extensions of its response: a span that has begun can't be renamed here.
#[derive(Clone, Debug)]
pub struct SpanName(pub String);

/// Notes in its span how a request was answered. `method` is one of HTTP's, `route` a pattern.
pub(crate) fn answered(method: &'static str, route: Option<&str>, response: &mut Response<Body>) {
    let span = Span::current();
    if span.is_disabled() {
        return;
    }
    let status = response.status();
    span.record("http.request.method", method);
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    let name = match route {
        Some(route) => {
            span.record("http.route", route);
            format!("{method} {route}")
        }
        None => method.to_owned(),
    };
    response.extensions_mut().insert(SpanName(name));
}

/// Notes why a request was refused in its span.
pub(crate) fn refused(denial: Denial) {
    Span::current().record("error.type", denial.code());
}

/// The span of an operation of the store: `read` or `commit`.
pub(crate) fn store<O>(kind: &'static str) -> Span {
    // Its fields are computed only where somebody collects spans.
    info_span!(target: TARGET, "store", otel.kind = "client", otel.name = kind, db.operation.name = name_of::<O>())
}

/// The span of waiting for a password hash and computing it.
pub(crate) fn password_hash() -> Span {
    info_span!(target: TARGET, "password hash")
}

/// The name of an operation's type, without its path.
fn name_of<O>() -> &'static str {
    type_name::<O>().rsplit("::").next().unwrap_or_default()
}
