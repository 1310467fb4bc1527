//! Where a request comes from: the operator's view of it, and the trace id for the caller.

use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
};

use axum::extract::MatchedPath;
use doorward_core::{clock::Timestamp, credential, random::Rng, rights::Rights, trace::TraceId};
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header::USER_AGENT, request::Parts};

use crate::{actor::Actor, spans::SpanTrace};

/// Where a request comes from. Set once, by the layer around all routes, in the extensions of the request.
pub(crate) struct Origin {
    /// Drawn when it is asked for, unless the caller gave one: most answers name none.
    trace_id: OnceLock<TraceId>,
    rng: Arc<dyn Rng>,
    came_at: Timestamp,
    pub(crate) address: IpAddr,
    method: Method,
    place: Place,
    user_agent: Option<HeaderValue>,
}

/// What a request is for.
enum Place {
    /// A route, by its pattern: the ids of stored authorization requests stay out of logs.
    Route(MatchedPath),
    /// A path that no route has.
    Elsewhere(Uri),
}

impl Origin {
    /// Reads where a request comes from that came at `now` from the client at `address`.
    pub(crate) fn read<B>(request: &Request<B>, address: IpAddr, now: Timestamp, rng: Arc<dyn Rng>) -> Self {
        let trace_id = match request.extensions().get() {
            Some(SpanTrace(trace_id)) => TraceId::parse(trace_id).ok(),
            None => header(request.headers(), "traceparent").and_then(TraceId::from_traceparent),
        };
        Self {
            trace_id: trace_id.map(OnceLock::from).unwrap_or_default(),
            rng,
            came_at: now,
            address,
            method: request.method().clone(),
            place: match request.extensions().get::<MatchedPath>() {
                Some(route) => Place::Route(route.clone()),
                None => Place::Elsewhere(request.uri().clone()),
            },
            user_agent: request.headers().get(USER_AGENT).cloned(),
        }
    }

    /// The method as it was sent: see `RefusalEvent::loggable_method`.
    pub(crate) fn method(&self) -> &str {
        self.method.as_str()
    }

    /// The pattern of the route, if the request has one.
    pub(crate) fn route(&self) -> Option<&str> {
        match &self.place {
            Place::Route(route) => Some(route.as_str()),
            Place::Elsewhere(_) => None,
        }
    }

    /// The method, if it is one that HTTP defines (RFC 9110 section 9): callers may invent others.
    pub(crate) fn known_method(&self) -> &'static str {
        const KNOWN: [&str; 8] = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT", "TRACE"];
        KNOWN.into_iter().find(|known| *known == self.method.as_str()).unwrap_or("other")
    }

    /// The pattern of the route, or else the path as it was sent: see `RefusalEvent::loggable_path`.
    pub(crate) fn path(&self) -> &str {
        match &self.place {
            Place::Route(route) => route.as_str(),
            Place::Elsewhere(uri) => uri.path(),
        }
    }

    /// The browser, as it says itself and as it may be noted; bounded.
    pub(crate) fn user_agent(&self) -> String {
        let stated = self.user_agent.as_ref().map(|value| String::from_utf8_lossy(value.as_bytes()));
        credential::loggable_line(&stated.unwrap_or_default(), 256)
    }

    /// The origin of a request, which the layer around all routes set.
    pub(crate) fn of(head: &Parts) -> Arc<Self> {
        head.extensions.get::<Arc<Self>>().cloned().expect("the layer around all routes sets the origin")
    }

    /// What the caller can name to the operator.
    pub(crate) fn trace_id(&self) -> TraceId {
        *self.trace_id.get_or_init(|| TraceId::new(self.came_at, &*self.rng))
    }

    /// Somebody who acts from here, on what is their own.
    pub(crate) fn actor(&self, id: impl Into<String>) -> Actor {
        self.actor_with(id, Rights::Own)
    }

    /// Somebody who acts from here, with rights.
    pub(crate) fn actor_with(&self, id: impl Into<String>, rights: Rights) -> Actor {
        Actor { id: Some(id.into()), address: Some(self.address), trace_id: Some(self.trace_id()), rights }
    }
}

/// The value of a header that appears once and is text.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}
