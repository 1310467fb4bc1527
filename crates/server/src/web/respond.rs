//! Answers: JSON, pages and redirects. An answer that can't be written is a refusal.

use askama::Template;
use axum::body::Body;
use bytes::Bytes;
use doorward_core::{denial::Denial, refusal::Refusal};
use http::{
    HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, PRAGMA},
};
use serde::Serialize;
use serde_json::Value;

use crate::pages::security_headers::{FormsEnd, security_headers};

/// JSON that nobody may keep (RFC 6749 section 5.1).
pub(crate) fn json_no_store(body: &impl Serialize) -> Result<Response<Body>, Refusal> {
    json(body).map(no_store)
}

/// JSON that may be kept for a while, such as metadata.
pub(crate) fn json_cacheable(body: &impl Serialize, max_age: &'static str) -> Result<Response<Body>, Refusal> {
    let mut response = json(body)?;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(max_age));
    Ok(response)
}

/// Why something can't be written as JSON.
pub(crate) fn unwritable(error: serde_json::Error) -> Refusal {
    Refusal::new(Denial::Unavailable).fact("json", error)
}

fn json(body: &impl Serialize) -> Result<Response<Body>, Refusal> {
    // Room for a token, so that it is not moved again and again while it is written.
    let mut bytes = Vec::with_capacity(1_024);
    serde_json::to_writer(&mut bytes, body).map_err(unwritable)?;
    Ok(with_type(StatusCode::OK, "application/json", bytes))
}

/// A JSON value, which can always be written.
pub(crate) fn value(status: StatusCode, body: &Value) -> Response<Body> {
    with_type(status, "application/json", body.to_string())
}

/// Bytes of a content type.
pub(crate) fn with_type(status: StatusCode, content_type: &'static str, bytes: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(bytes.into().into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// 303, never 307: a posted password must not be posted on (RFC 9700 section 4.12).
pub(crate) fn redirect(location: &str) -> Result<Response<Body>, Refusal> {
    let unwritable = |_| Refusal::new(Denial::Unavailable).fact("location", "not a header's value");
    let location = HeaderValue::from_str(location).map_err(unwritable)?;
    let mut response = empty(StatusCode::SEE_OTHER);
    response.headers_mut().insert(LOCATION, location);
    response.headers_mut().extend(security_headers(FormsEnd::Here));
    Ok(response)
}

pub(crate) fn page(status: StatusCode, page: &impl Template, forms: FormsEnd) -> Result<Response<Body>, Refusal> {
    let unwritable = |error| Refusal::new(Denial::Unavailable).fact("page", error);
    let mut response = with_type(status, "text/html; charset=utf-8", page.render().map_err(unwritable)?);
    response.headers_mut().extend(security_headers(forms));
    Ok(response)
}

/// The same answer, which nobody may keep.
pub(crate) fn no_store(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}
