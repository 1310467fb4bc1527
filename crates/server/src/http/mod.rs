//! HTTP as every endpoint meets it: bodies within their bounds, answers, and the listener.

use http::{HeaderMap, HeaderName, HeaderValue, Request, header::COOKIE};

pub(crate) mod body;
pub(crate) mod cors;
pub mod listener;
pub(crate) mod proxy;
pub(crate) mod refused;
pub(crate) mod respond;
mod timed_body;
pub mod tls;
mod write_last;

/// The most headers of a request.
pub(crate) const MAX_HEADERS: usize = 100;

/// The bytes of a request's head, as HTTP/1.1 writes it (RFC 9112 section 3).
pub(crate) fn head_bytes<B>(request: &Request<B>) -> usize {
    let uri = request.uri();
    let origin = uri.scheme_str().map_or(0, |scheme| scheme.len() + "://".len());
    let authority = uri.authority().map_or(0, |authority| authority.as_str().len());
    let target = origin + authority + uri.path().len() + uri.query().map_or(0, |query| query.len() + 1);
    let line = request.method().as_str().len() + target + "  HTTP/1.1\r\n".len();
    let header = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + ": \r\n".len();
    line + request.headers().iter().map(header).sum::<usize>()
}

/// How many headers there are. HTTP/2 sends each cookie in one of its own (RFC 9113 section 8.2.3), which count as one.
pub(crate) fn header_count(headers: &HeaderMap) -> usize {
    headers.len() - headers.get_all(COOKIE).iter().count().saturating_sub(1)
}
