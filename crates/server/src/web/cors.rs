//! Cross-origin answers (Fetch Standard) on what browsers' programs may call.
//!
//! Programs of any origin may read these answers. Some libraries send credentials with every request (keycloak-js does),
//! and browsers then refuse `*`. So the endpoints that programs send tokens and codes to name the origin and allow
//! credentials. That gives nothing away: they read no cookie.

use axum::body::Body;
use doorward_core::cors;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
        ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
        ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
    },
};

use super::respond;

/// Besides all that is well-known.
const DOCUMENTS: [&str; 1] = ["/jwks"];

/// What takes credentials, and never cookies.
const ENDPOINTS: [&str; 3] = ["/revoke", "/token", "/userinfo"];

/// Which programs of other origins may read an answer.
pub(crate) enum Readers {
    None,
    /// Those of any origin, unless they send credentials.
    WithoutCredentials,
    /// Those of any origin. It is named if the request names one.
    WithCredentials(Option<HeaderValue>),
}

impl Readers {
    /// Who may read the answer to a request.
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        let path = request.uri().path();
        if ENDPOINTS.contains(&path) {
            return Self::WithCredentials(request.headers().get(ORIGIN).cloned());
        }
        match path.starts_with("/.well-known/") || DOCUMENTS.contains(&path) {
            true => Self::WithoutCredentials,
            false => Self::None,
        }
    }

    /// The answer to a preflight (Fetch Standard section 3.3.2), if the request is one that is answered.
    pub(crate) fn preflight<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        let asks = |name| request.headers().contains_key(name);
        let is_preflight = request.method() == Method::OPTIONS && asks(ORIGIN) && asks(ACCESS_CONTROL_REQUEST_METHOD);
        if matches!(self, Self::None) || !is_preflight {
            return None;
        }
        let mut response = respond::empty(StatusCode::NO_CONTENT);
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(cors::ALLOWED_HEADERS));
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("3600"));
        Some(response)
    }

    /// Lets them read an answer.
    pub(crate) fn admit(self, headers: &mut HeaderMap) {
        match self {
            Self::None => return,
            Self::WithoutCredentials => {
                headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            }
            Self::WithCredentials(origin) => {
                headers.append(VARY, HeaderValue::from_static("Origin"));
                let Some(origin) = origin else { return };
                headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
                headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            }
        }
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(cors::EXPOSED_HEADERS));
    }
}
