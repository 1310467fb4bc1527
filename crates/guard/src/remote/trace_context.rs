//! The trace context of a request, carried on to the issuer unchanged: the guard adds no span of its own (W3C Trace Context,
//! section 3.4 "Mutating the traceparent Field": a program that takes no part forwards it).

use doorward_core::trace::TraceId;
use http::{HeaderMap, HeaderName, HeaderValue};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Bytes of a header that is carried on: `traceparent` has 55 today, `tracestate` may have 512 (section 3.3.1.5).
const MAX_LENGTH: usize = 512;

/// `traceparent` and `tracestate` of a request; empty if it has no valid one.
#[derive(Default)]
pub(super) struct TraceContext(HeaderMap);

impl TraceContext {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut context = HeaderMap::new();
        let parent = only(headers, &TRACEPARENT);
        let is_valid =
            |value: &&HeaderValue| value.to_str().is_ok_and(|text| TraceId::from_traceparent(text).is_some());
        if let Some(parent) = parent.filter(is_valid) {
            context.insert(TRACEPARENT, parent.clone());
            if let Some(state) = only(headers, &TRACESTATE) {
                context.insert(TRACESTATE, state.clone());
            }
        }
        Self(context)
    }

    pub(super) fn headers(&self) -> HeaderMap {
        self.0.clone()
    }
}

/// The value of a header that a request has once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    (values.next().is_none() && value.len() <= MAX_LENGTH).then_some(value)
}
