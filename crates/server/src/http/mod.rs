//! HTTP as every endpoint meets it: where a request comes from, bodies within their bounds, answers, and the listener.

use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
};

use axum::extract::MatchedPath;
use doorward_core::{clock::Timestamp, credential, random::Rng, trace::TraceId};
use http::{
    HeaderMap, HeaderName, HeaderValue, Request,
    header::{COOKIE, USER_AGENT},
};

use crate::app::{Actor, App};

pub(crate) mod body;
pub(crate) mod cookies;
pub(crate) mod cors;
pub mod listener;
pub(crate) mod proxy;
pub(crate) mod respond;
mod timed_body;
pub mod tls;
mod write_last;

/// Where a request comes from. Set once, by the outermost layer.
pub(crate) struct Origin {
    /// Drawn when it is asked for, unless the caller gave one: most answers name none.
    trace_id: OnceLock<TraceId>,
    rng: Arc<dyn Rng>,
    came_at: Timestamp,
    /// The caller's address.
    pub(crate) address: IpAddr,
    /// The method.
    pub(crate) method: String,
    /// The path, without the query.
    pub(crate) path: String,
    /// The browser, as it says itself; bounded.
    pub(crate) user_agent: String,
}

impl Origin {
    /// Reads where a request comes from: `peer` is the other end of the connection.
    pub(crate) fn read<B>(app: &App, request: &Request<B>, peer: IpAddr) -> Self {
        let trace_id = header(request.headers(), "traceparent").and_then(TraceId::from_traceparent);
        let user_agent = header(request.headers(), USER_AGENT.as_str()).unwrap_or_default();
        Self {
            trace_id: trace_id.map(OnceLock::from).unwrap_or_default(),
            rng: app.rng.clone(),
            came_at: app.now(),
            address: proxy::client_address(request.headers(), peer, &app.settings.trusted_proxies),
            method: request.method().as_str().chars().take(16).collect(),
            // The route's pattern where there is one: the ids of stored authorization requests stay out of logs.
            path: match request.extensions().get::<MatchedPath>() {
                Some(route) => route.as_str().to_owned(),
                None => credential::loggable_text(request.uri().path()).chars().take(512).collect(),
            },
            user_agent: user_agent.chars().filter(|c| !c.is_control()).take(256).collect(),
        }
    }

    /// The origin that the outermost layer set.
    pub(crate) fn of<B>(request: &Request<B>) -> Arc<Self> {
        request.extensions().get::<Arc<Self>>().cloned().expect("the router's outermost layer sets the origin")
    }

    /// What the caller can name to the operator.
    pub(crate) fn trace_id(&self) -> TraceId {
        *self.trace_id.get_or_init(|| TraceId::new(self.came_at, &*self.rng))
    }

    /// Somebody who acts from here.
    pub(crate) fn actor(&self, id: impl Into<String>) -> Actor {
        Actor { id: Some(id.into()), address: Some(self.address), trace_id: Some(self.trace_id()) }
    }
}

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

/// The value of a header that stands once and is text.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}
