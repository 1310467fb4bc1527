//! Where a request comes from: what the operator is told of it, and the trace id that the caller is given.

use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
};

use axum::extract::MatchedPath;
use doorward_core::{clock::Timestamp, credential, random::Rng, text::is_presentable, trace::TraceId};
use http::{HeaderMap, Request, header::USER_AGENT, request::Parts};

use crate::actor::Actor;

/// Where a request comes from. Set once, by the layer around all routes, in the extensions of the request.
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
    /// Reads where a request comes from that came at `now` from the client at `address`.
    pub(crate) fn read<B>(request: &Request<B>, address: IpAddr, now: Timestamp, rng: Arc<dyn Rng>) -> Self {
        let trace_id = header(request.headers(), "traceparent").and_then(TraceId::from_traceparent);
        let user_agent = request.headers().get(USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()));
        Self {
            trace_id: trace_id.map(OnceLock::from).unwrap_or_default(),
            rng,
            came_at: now,
            address,
            method: request.method().as_str().chars().take(16).collect(),
            // The route's pattern where there is one: the ids of stored authorization requests stay out of logs.
            path: match request.extensions().get::<MatchedPath>() {
                Some(route) => route.as_str().to_owned(),
                None => credential::loggable_text(request.uri().path()).chars().take(512).collect(),
            },
            user_agent: credential::loggable_text(&user_agent.unwrap_or_default())
                .chars()
                .filter(|c| is_presentable(*c))
                .take(256)
                .collect(),
        }
    }

    /// The origin of a request, which the layer around all routes set.
    pub(crate) fn of(head: &Parts) -> Arc<Self> {
        head.extensions.get::<Arc<Self>>().cloned().expect("the layer around all routes sets the origin")
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

/// The value of a header that stands once and is text.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}
