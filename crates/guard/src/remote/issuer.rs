//! The issuer: its URL, its client, and what is known of its metadata (RFC 8414).
//!
//! Discovery happens with the first request that needs it, and is repeated with growing pauses while it fails. Once
//! known, the endpoints stay known: a refresh that fails changes nothing.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use doorward_core::{clock::Timestamp, redirect_uri::is_loopback_host, refusal::Refusal};
use url::Url;

use super::{
    fetch::{ApiCredential, FetchError, IssuerClient},
    metadata::{Endpoints, InvalidMetadata},
    single_flight::SingleFlight,
    unavailable,
};

/// The URL of an issuer: `https`, or `http` on the loopback; no query, no fragment, no user.
#[derive(Clone, Debug)]
pub(crate) struct IssuerUrl {
    text: String,
    url: Url,
}

impl IssuerUrl {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let is_bare = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        let host = url.host_str()?;
        let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_loopback_host(host));
        (is_bare && url.password().is_none() && is_safe).then(|| Self { text: text.to_owned(), url })
    }

    /// The issuer as in `iss`.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The URL of the metadata: the well-known part goes between host and path (RFC 8414 section 3.1).
    fn metadata(&self) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("/.well-known/oauth-authorization-server{}", self.url.path().trim_end_matches('/')));
        url
    }

    /// A path below the issuer.
    pub(super) fn at(&self, path: &str) -> Option<Url> {
        Url::parse(&format!("{}{path}", self.text.trim_end_matches('/'))).ok()
    }

    pub(super) fn has_origin_of(&self, other: &Url) -> bool {
        self.url.origin() == other.origin()
    }
}

/// One issuer, as an API sees it.
pub(crate) struct Issuer {
    url: IssuerUrl,
    client: IssuerClient,
    endpoints: ArcSwapOption<Endpoints>,
    discovery: SingleFlight,
    failures: AtomicU32,
    last_failure: Mutex<String>,
}

impl Issuer {
    pub(crate) fn new(url: IssuerUrl, credential: Option<ApiCredential>) -> Result<Self, FetchError> {
        let client = IssuerClient::new(&url.url, credential)?;
        Ok(Self {
            url,
            client,
            endpoints: ArcSwapOption::empty(),
            discovery: SingleFlight::default(),
            failures: AtomicU32::new(0),
            last_failure: Mutex::default(),
        })
    }

    pub(crate) fn url(&self) -> &IssuerUrl {
        &self.url
    }

    pub(super) fn client(&self) -> &IssuerClient {
        &self.client
    }

    /// Where the issuer answers; found out first if need be.
    pub(super) async fn endpoints(self: &Arc<Self>, now: Timestamp) -> Result<Arc<Endpoints>, Refusal> {
        if let Some(known) = self.endpoints.load_full() {
            return Ok(known);
        }
        self.discovery.join(now, self.clone().discover()).await;
        self.endpoints
            .load_full()
            .ok_or_else(|| unavailable(self.last_failure.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Finds out again, if the last time was longer ago than `age`, or if it failed.
    pub(super) async fn refresh_if_due(self: &Arc<Self>, age: Duration, now: Timestamp) {
        let is_due = self.discovery.last_started().is_some_and(|started| now.since(started) >= age);
        if is_due || self.endpoints.load().is_none() {
            self.discovery.join(now, self.clone().discover()).await;
        }
    }

    /// Returns the pause before the next attempt.
    async fn discover(self: Arc<Self>) -> Duration {
        match self.fetch_metadata().await {
            Ok(endpoints) => {
                self.failures.store(0, Ordering::Relaxed);
                self.endpoints.store(Some(Arc::new(endpoints)));
                Duration::ZERO
            }
            Err(error) => {
                tracing::warn!(issuer = self.url.as_str(), %error, "the issuer's metadata can't be fetched");
                *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = error.to_string();
                backoff(self.failures.fetch_add(1, Ordering::Relaxed))
            }
        }
    }

    async fn fetch_metadata(&self) -> Result<Endpoints, DiscoveryError> {
        let document = self.client.get_metadata(self.url.metadata()).await?;
        Ok(Endpoints::parse(&document, &self.url)?)
    }
}

/// Why the metadata can't be had.
#[derive(Debug, thiserror::Error)]
enum DiscoveryError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Invalid(#[from] InvalidMetadata),
}

/// Pauses between attempts: a quarter of a second, doubled up to 8 s.
pub(super) fn backoff(earlier_failures: u32) -> Duration {
    Duration::from_millis(250 << earlier_failures.min(5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_only_for_loopback() {
        for good in ["https://issuer.example", "http://localhost:8400", "http://127.0.0.1:1", "http://[::1]:1/a"] {
            assert!(IssuerUrl::parse(good).is_some(), "{good}");
        }
        for bad in [
            "http://issuer.example",
            "http://localhost.evil.example",
            "http://127.0.0.2:1",
            "https://u@issuer.example",
            "https://issuer.example?a",
            "https://issuer.example#a",
            "ftp://localhost",
            "issuer",
        ] {
            assert!(IssuerUrl::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn metadata_path_goes_between_host_and_path() {
        // The examples of RFC 8414 sections 3 and 3.1.
        let metadata = |issuer| IssuerUrl::parse(issuer).unwrap().metadata().to_string();
        assert_eq!(metadata("https://example.com"), "https://example.com/.well-known/oauth-authorization-server");
        assert_eq!(
            metadata("https://example.com/issuer1/"),
            "https://example.com/.well-known/oauth-authorization-server/issuer1"
        );
    }

    #[test]
    fn pauses_grow_to_a_bound() {
        assert_eq!(backoff(0), Duration::from_millis(250));
        assert_eq!(backoff(1), Duration::from_millis(500));
        assert_eq!(backoff(u32::MAX), Duration::from_secs(8));
    }
}
