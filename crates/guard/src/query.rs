//! A route that accepts API keys in its query. The key is taken out of the request before anything else sees it.
//!
//! Easy to get wrong: axum keeps the URI a second time, as the caller sent it. Both are replaced.

use std::sync::{Mutex, PoisonError};

use doorward_core::{
    clock::Timestamp,
    query_key::{Pace, QueryKeys},
    refusal::Refusal,
    secret::SecretString,
};
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header, request::Parts, uri::PathAndQuery};

use crate::verifier::client;

/// The conditions of a route, and how fast its requests come. All clones of its layer share it.
#[derive(Debug)]
pub(crate) struct QueryRoute {
    keys: QueryKeys,
    pace: Mutex<Pace>,
}

impl QueryRoute {
    pub(crate) fn new(keys: QueryKeys) -> Self {
        Self { keys, pace: Mutex::default() }
    }

    /// What the report calls the route.
    pub(crate) fn name(&self) -> &str {
        self.keys.route()
    }

    /// Takes the key out of the request; `None` if it has none in its query. Refused is what the conditions do not allow.
    pub(crate) fn take(&self, request: &mut Parts, now: Timestamp) -> Result<Option<SecretString>, Refusal> {
        let Some(taken) = request.uri.query().map(|query| self.keys.take(query)).transpose()?.flatten() else {
            return Ok(None);
        };
        self.keys.check(client(request), now)?;
        self.keys.check_rate(&self.pace.lock().unwrap_or_else(PoisonError::into_inner), now)?;
        request.uri = self.without_key(&request.uri);
        #[cfg(feature = "axum")]
        if let Some(axum::extract::OriginalUri(original)) = request.extensions.get().cloned() {
            request.extensions.insert(axum::extract::OriginalUri(self.without_key(&original)));
        }
        Ok(Some(taken.key))
    }

    /// Counts a request whose key is valid.
    pub(crate) fn count(&self, now: Timestamp) -> Result<(), Refusal> {
        self.keys.count(&mut self.pace.lock().unwrap_or_else(PoisonError::into_inner), now)
    }

    /// Adds what an answer says of this way: that it is deprecated, and when it ends.
    pub(crate) fn describe(&self, page: &str, answer: &mut HeaderMap) {
        for (name, value) in self.keys.headers(page) {
            let (name, Ok(value)) = (HeaderName::from_static(name), HeaderValue::try_from(value)) else { continue };
            match name {
                // The handler's own links stay, and so does what keeps the answer out of every cache.
                header::LINK => drop(answer.append(name, value)),
                header::CACHE_CONTROL if is_stricter(answer) => {}
                name => drop(answer.insert(name, value)),
            }
        }
    }

    fn without_key(&self, uri: &Uri) -> Uri {
        let rest = uri.query().and_then(|query| self.keys.take(query).ok().flatten()?.rest);
        let target = match rest {
            Some(rest) => format!("{}?{rest}", uri.path()),
            None => uri.path().to_owned(),
        };
        let mut parts = uri.clone().into_parts();
        // Parts of a valid URI are one. If they were not, the key would still be gone.
        parts.path_and_query = PathAndQuery::try_from(target).ok();
        Uri::from_parts(parts).unwrap_or_default()
    }
}

fn is_stricter(answer: &HeaderMap) -> bool {
    let values = answer.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|directive| directive.trim().eq_ignore_ascii_case("no-store"))
}
