//! Answers: JSON, pages, redirects, and refusals in the two forms that they have on the wire.
//!
//! OAuth endpoints answer as RFC 6749 section 5.2 says; everything else is RFC 9457 problem+json. Both carry the code,
//! the sentence and the trace id; both are noted for the operator here and nowhere else.

use askama::Template;
use axum::body::Body;
use doorward_core::{challenge, denial::Denial, refusal::Refusal, trace::ISSUER_TRACE_HEADER};
use doorward_guard::problem::Problem;
use http::{
    HeaderName, HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde::Serialize;
use serde_json::json;

use super::Origin;
use crate::{
    app::App,
    pages::{
        error::ErrorPage,
        security_headers::{FormsEnd, security_headers},
    },
};

/// JSON that nobody may keep (RFC 6749 section 5.1).
pub(crate) fn json_no_store(status: StatusCode, body: &impl Serialize) -> Response<Body> {
    let mut response = json(status, body);
    no_store(&mut response);
    response
}

/// JSON.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response<Body> {
    let bytes = serde_json::to_vec(body).unwrap_or_default();
    with_type(status, "application/json", bytes)
}

/// JSON that may be kept for a while, such as metadata.
pub(crate) fn json_cacheable(body: &impl Serialize, max_age: &'static str) -> Response<Body> {
    let mut response = json(StatusCode::OK, body);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(max_age));
    response
}

/// Bytes of a content type.
pub(crate) fn with_type(status: StatusCode, content_type: &'static str, bytes: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(bytes.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// No body.
pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// 303, never 307: a posted password must not be posted on (RFC 9700 section 4.12).
pub(crate) fn redirect(location: &str) -> Response<Body> {
    let mut response = empty(StatusCode::SEE_OTHER);
    match HeaderValue::from_str(location) {
        Ok(location) => response.headers_mut().insert(LOCATION, location),
        Err(_) => return empty(StatusCode::INTERNAL_SERVER_ERROR),
    };
    response.headers_mut().extend(security_headers(FormsEnd::Here));
    response
}

/// A page.
pub(crate) fn page(status: StatusCode, page: &impl Template, forms: FormsEnd) -> Response<Body> {
    let mut response = match page.render() {
        Ok(html) => with_type(status, "text/html; charset=utf-8", html),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            empty(StatusCode::INTERNAL_SERVER_ERROR)
        }
    };
    response.headers_mut().extend(security_headers(forms));
    response
}

/// A refusal of an OAuth endpoint (RFC 6749 section 5.2).
pub(crate) fn oauth_error(app: &App, origin: &Origin, refusal: &Refusal, sent_authorization: bool) -> Response<Body> {
    app.note_refusal(origin, refusal);
    let denial = refusal.denial;
    let body = json!({
        "error": denial.error(),
        "error_description": challenge::ascii(&refusal.sentence()),
        "code": denial.shown_as(),
        "trace_id": origin.trace_id(),
    });
    let mut response = json_no_store(status(denial), &body);
    // Without the header there is no challenge: browsers would ask people for passwords (RFC 6749 section 5.2).
    if sent_authorization && denial.is_invalid_client() {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge::BASIC));
    }
    retry_after(&mut response, refusal);
    response
}

/// A refusal as a problem (RFC 9457).
pub(crate) fn problem(app: &App, origin: &Origin, refusal: &Refusal) -> Response<Body> {
    app.note_refusal(origin, refusal);
    let mut response: Response<Body> = Problem::new(refusal.clone(), origin.trace_id(), None).into_response();
    if refusal.denial.is_invalid_client() {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge::BASIC));
    }
    response
}

/// An answer that says no and is no refusal: the refusal that comes of it is the API's. It is noted here as well, since
/// the API may be told less than the cause.
pub(crate) fn no(app: &App, origin: &Origin, refusal: &Refusal, body: &impl Serialize) -> Response<Body> {
    app.note_refusal(origin, refusal);
    let mut response = json_no_store(StatusCode::OK, body);
    let trace_id = HeaderValue::from_str(&origin.trace_id().to_string()).expect("hexadecimal digits");
    response.headers_mut().insert(HeaderName::from_static(ISSUER_TRACE_HEADER), trace_id);
    response
}

/// A refusal on a page.
pub(crate) fn error_page(app: &App, origin: &Origin, refusal: &Refusal) -> Response<Body> {
    refused_on(app, origin, refusal, ErrorPage::of_refusal(&app.layout, refusal, origin.trace_id()))
}

/// A refusal on a page that leads on.
pub(crate) fn error_page_leading(
    app: &App,
    origin: &Origin,
    refusal: &Refusal,
    href: &str,
    label: &str,
) -> Response<Body> {
    let shown = ErrorPage::of_refusal(&app.layout, refusal, origin.trace_id());
    refused_on(app, origin, refusal, shown.leading(href, label))
}

fn refused_on(app: &App, origin: &Origin, refusal: &Refusal, shown: ErrorPage<'_>) -> Response<Body> {
    app.note_refusal(origin, refusal);
    let mut response = page(status(refusal.denial), &shown, FormsEnd::Here);
    retry_after(&mut response, refusal);
    response
}

/// The status of a denial.
pub(crate) fn status(denial: Denial) -> StatusCode {
    StatusCode::from_u16(denial.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

pub(crate) fn no_store(response: &mut Response<Body>) {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(PRAGMA, HeaderValue::from_static("no-cache"));
}

pub(crate) fn retry_after(response: &mut Response<Body>, refusal: &Refusal) {
    if let Some(secs) = refusal.retry_after_secs() {
        response.headers_mut().insert(RETRY_AFTER, secs.into());
    }
}
