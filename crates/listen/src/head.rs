//! How large the head of a request is.

use http::{HeaderName, HeaderValue, Request, header::COOKIE};

use crate::limits::Limits;

/// The most headers of a request.
pub const MAX_HEADERS: usize = 100;

/// The size of a request's head.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HeadSize {
    /// Its bytes, as HTTP/1.1 writes them (RFC 9112 section 3).
    pub bytes: usize,
    /// How many headers there are. HTTP/2 sends each cookie in one of its own (RFC 9113 section 8.2.3), which count as
    /// one.
    pub headers: usize,
}

impl HeadSize {
    /// Measures a request's head.
    pub fn of<B>(request: &Request<B>) -> Self {
        let (uri, headers) = (request.uri(), request.headers());
        let origin = uri.scheme_str().map_or(0, |scheme| scheme.len() + "://".len());
        let authority = uri.authority().map_or(0, |authority| authority.as_str().len());
        let target = origin + authority + uri.path().len() + uri.query().map_or(0, |query| query.len() + 1);
        let line = request.method().as_str().len() + target + "  HTTP/1.1\r\n".len();
        let header = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + ": \r\n".len();
        Self {
            bytes: line + headers.iter().map(header).sum::<usize>(),
            headers: headers.len() - headers.get_all(COOKIE).iter().count().saturating_sub(1),
        }
    }

    /// Whether the head is no larger than the limits permit.
    pub fn is_within(&self, limits: &Limits) -> bool {
        self.bytes <= limits.header_bytes && self.headers <= MAX_HEADERS
    }
}
