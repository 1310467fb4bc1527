//! Refusals on their way to the caller.
//!
//! A handler returns one of the error types below. It travels in the response's extensions to the layer around all
//! routes, which notes it for the operator and renders it: as RFC 6749 section 5.2 says, as a page, or as a problem
//! (RFC 9457). Nothing else does either.

use axum::{body::Body, response::IntoResponse};
use doorward_core::{
    challenge,
    denial::Denial,
    refusal::{PRINCIPAL, Refusal},
    trace::ISSUER_TRACE_HEADER,
};
use doorward_guard::problem::Problem;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Uri,
    header::{ACCEPT, AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde_json::json;

use super::respond;
use crate::{
    app::App,
    origin::Origin,
    pages::{
        error::{ErrorPage, WayOn},
        security_headers::FormsEnd,
    },
};

/// A refusal of an OAuth endpoint (RFC 6749 section 5.2).
#[derive(Debug)]
pub(crate) struct OAuthError(Refusal);

/// A refusal that a person sees.
#[derive(Debug)]
pub(crate) struct PageError {
    refusal: Refusal,
    way_on: Option<WayOn>,
}

impl PageError {
    /// The same with a link that leads out of it.
    pub(crate) fn leading(self, href: &str, label: &str) -> Self {
        Self { way_on: Some(WayOn::new(href, label)), ..self }
    }
}

/// A refusal of an endpoint that is neither OAuth's nor a page (RFC 9457).
#[derive(Debug)]
pub(crate) struct ProblemError(Refusal);

/// A refusal of an address that people and programs may ask for: a page for those who accept HTML, else a problem.
#[derive(Debug)]
pub(crate) struct NegotiatedError(Refusal);

/// A refusal that is neither noted nor rendered yet.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    pub(crate) refusal: Refusal,
    surface: Surface,
}

#[derive(Clone, Debug)]
enum Surface {
    Negotiated,
    OAuth,
    Page(Option<WayOn>),
    Problem,
}

impl Refused {
    /// Says to the operator who is refused, and at which address.
    pub(crate) fn name(&mut self, principal: &str, uri: &Uri) {
        let refusal = std::mem::replace(&mut self.refusal, Denial::Unavailable.into());
        let refusal = match refusal.known_fact(PRINCIPAL) {
            Some(_) => refusal,
            None => refusal.fact(PRINCIPAL, principal),
        };
        self.refusal = refusal.fact("target", uri.path());
    }

    /// Adds a link that leads out of it, to a refusal on a page.
    pub(crate) fn lead(&mut self, href: &str, label: &str) {
        if let Surface::Page(way_on) = &mut self.surface {
            *way_on = Some(WayOn::new(href, label));
        }
    }
}

/// A refusal to be noted for the operator behind an answer that is rendered already: a page shown again, an error sent
/// to a client, an answer to an API that refuses its caller by it.
#[derive(Clone)]
struct Noted(Refusal);

/// Notes a refusal behind an answer that is none itself.
pub(crate) fn noting(mut response: Response<Body>, refusal: Refusal) -> Response<Body> {
    response.extensions_mut().insert(Noted(refusal));
    response
}

/// A response to an API that refuses its caller because of it, with the trace id under which `explain` knows the cause.
/// It is also noted here, since the API may not learn the cause.
pub(crate) fn explained(origin: &Origin, response: Response<Body>, refusal: Refusal) -> Response<Body> {
    noting(traced(origin, response), refusal)
}

/// A response with its trace id, though it refuses nothing itself.
pub(crate) fn traced(origin: &Origin, mut response: Response<Body>) -> Response<Body> {
    let trace_id = HeaderValue::from_str(&origin.trace_id().to_string()).expect("hexadecimal digits");
    response.headers_mut().insert(HeaderName::from_static(ISSUER_TRACE_HEADER), trace_id);
    response
}

/// Notes the refusal of a response, and renders it.
pub(crate) fn finish(app: &App, origin: &Origin, asked: Asked, mut response: Response<Body>) -> Response<Body> {
    if let Some(Noted(refusal)) = response.extensions_mut().remove() {
        app.note_refusal(origin, &refusal);
    }
    match response.extensions_mut().remove::<Refused>() {
        None => response,
        Some(Refused { refusal, surface }) => {
            app.note_refusal(origin, &refusal);
            match surface {
                Surface::Negotiated if asked.accepts_html => page(app, origin, &refusal, None),
                Surface::Negotiated | Surface::Problem => problem(app, origin, &refusal),
                Surface::OAuth => oauth_error(origin, asked, &refusal),
                Surface::Page(way_on) => page(app, origin, &refusal, way_on),
            }
        }
    }
}

/// What of a request decides the form of its refusal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    accepts_html: bool,
    has_authorization: bool,
}

impl Asked {
    pub(crate) fn by(headers: &HeaderMap) -> Self {
        Self {
            accepts_html: headers.get_all(ACCEPT).iter().any(|accepts| names_html(accepts.as_bytes())),
            has_authorization: headers.contains_key(AUTHORIZATION),
        }
    }
}

fn names_html(accepts: &[u8]) -> bool {
    let html = b"text/html";
    accepts.windows(html.len()).any(|part| part.eq_ignore_ascii_case(html))
}

fn oauth_error(origin: &Origin, asked: Asked, refusal: &Refusal) -> Response<Body> {
    let denial = refusal.denial;
    let body = json!({
        "error": denial.error(),
        "error_description": challenge::ascii(&refusal.sentence()),
        "code": denial.shown_as(),
        "trace_id": origin.trace_id(),
    });
    let mut response = respond::no_store(respond::value(status(denial), &body));
    // Without the header there is no challenge: browsers would ask people for passwords (RFC 6749 section 5.2).
    if asked.has_authorization && denial.is_invalid_client() {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge::BASIC));
    }
    retry_after(&mut response, refusal);
    response
}

fn page(app: &App, origin: &Origin, refusal: &Refusal, way_on: Option<WayOn>) -> Response<Body> {
    let shown = match refusal.denial {
        Denial::InteractionUnknown => ErrorPage::expired(&app.layout, origin.trace_id(), way_on),
        Denial::NotFound => ErrorPage::not_found(&app.layout, origin.trace_id()),
        _ => ErrorPage { way_on, ..ErrorPage::of_refusal(&app.layout, refusal, origin.trace_id()) },
    };
    let mut response = respond::page(status(refusal.denial), &shown, FormsEnd::Here)
        .unwrap_or_else(|refusal| problem(app, origin, &refusal));
    retry_after(&mut response, refusal);
    response
}

fn problem(app: &App, origin: &Origin, refusal: &Refusal) -> Response<Body> {
    let problem = Problem::new(refusal.clone(), origin.trace_id(), &app.settings.issuer, None);
    let mut response: Response<Body> = problem.into_response();
    if refusal.denial.is_invalid_client() {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge::BASIC));
    }
    response
}

/// The status of a denial.
pub(crate) fn status(denial: Denial) -> StatusCode {
    StatusCode::from_u16(denial.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Says when to try again (RFC 9110 section 10.2.3).
pub(crate) fn retry_after(response: &mut Response<Body>, refusal: &Refusal) {
    if let Some(secs) = refusal.retry_after_secs() {
        response.headers_mut().insert(RETRY_AFTER, secs.into());
    }
}

impl<R: Into<Refusal>> From<R> for OAuthError {
    fn from(refusal: R) -> Self {
        Self(refusal.into())
    }
}

impl<R: Into<Refusal>> From<R> for PageError {
    fn from(refusal: R) -> Self {
        Self { refusal: refusal.into(), way_on: None }
    }
}

impl<R: Into<Refusal>> From<R> for ProblemError {
    fn from(refusal: R) -> Self {
        Self(refusal.into())
    }
}

impl<R: Into<Refusal>> From<R> for NegotiatedError {
    fn from(refusal: R) -> Self {
        Self(refusal.into())
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response<Body> {
        Refused { refusal: self.0, surface: Surface::OAuth }.into_response()
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response<Body> {
        Refused { refusal: self.refusal, surface: Surface::Page(self.way_on) }.into_response()
    }
}

impl IntoResponse for ProblemError {
    fn into_response(self) -> Response<Body> {
        Refused { refusal: self.0, surface: Surface::Problem }.into_response()
    }
}

impl IntoResponse for NegotiatedError {
    fn into_response(self) -> Response<Body> {
        Refused { refusal: self.0, surface: Surface::Negotiated }.into_response()
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response<Body> {
        let mut response = respond::empty(status(self.refusal.denial));
        response.extensions_mut().insert(self);
        response
    }
}
