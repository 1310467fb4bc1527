//! The issuer's keys (RFC 7517 section 5): fetched once, refreshed in the background, and once per interval for a
//! `kid` that nobody knows, however many tokens carry one.
//!
//! Each different document is a new generation. What was verified under an older one must be verified again, since
//! a key that is gone, or that changed under its name, ends what it signed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use arc_swap::{ArcSwapOption, Guard};
use bytes::Bytes;
use doorward_core::{clock::Timestamp, jwk::KeySet, refusal::Refusal};

use super::{
    fetch::FetchError,
    issuer::{Issuer, backoff},
    single_flight::SingleFlight,
    unavailable,
};

/// Longest key set that is read, in bytes.
const MAX_KEY_SET: usize = 256 * 1024;

/// The keys at some moment.
pub(super) struct Snapshot {
    pub(super) keys: KeySet,
    pub(super) generation: u64,
    document: Bytes,
}

/// The issuer's keys, kept up to date.
pub(super) struct IssuerKeys {
    issuer: Arc<Issuer>,
    interval: Duration,
    snapshot: ArcSwapOption<Snapshot>,
    fetches: SingleFlight,
    failures: AtomicU32,
    last_failed: AtomicBool,
}

impl IssuerKeys {
    pub(super) fn new(issuer: Arc<Issuer>, interval: Duration) -> Self {
        Self {
            issuer,
            interval,
            snapshot: ArcSwapOption::empty(),
            fetches: SingleFlight::default(),
            failures: AtomicU32::new(0),
            last_failed: AtomicBool::new(false),
        }
    }

    /// The keys, if they were ever fetched.
    pub(super) fn loaded(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.load_full()
    }

    /// The keys; fetched first if need be.
    pub(super) async fn current(self: &Arc<Self>, now: Timestamp) -> Result<Arc<Snapshot>, Refusal> {
        if let Some(loaded) = self.loaded() {
            return Ok(loaded);
        }
        self.issuer.endpoints(now).await?;
        self.fetches.join(now, self.clone().fetch(now)).await;
        self.loaded().ok_or_else(|| unavailable("the issuer's keys can't be had: see the log"))
    }

    /// Keys that are newer than `known`, for a token that names a key which `known` lacks. `None`: there are none.
    pub(super) async fn newer_than(
        self: &Arc<Self>,
        known: &Snapshot,
        now: Timestamp,
    ) -> Result<Option<Arc<Snapshot>>, Refusal> {
        let newer = || self.loaded().filter(|loaded| loaded.generation != known.generation);
        if let Some(newer) = newer() {
            return Ok(Some(newer));
        }
        self.fetches.join(now, self.clone().fetch(now)).await;
        match newer() {
            // The key may well exist: a refusal would be a guess.
            None if self.last_failed.load(Ordering::Relaxed) => {
                Err(unavailable("the token names a key that is not known, and the issuer's keys can't be had"))
            }
            newer => Ok(newer),
        }
    }

    /// Fetches what is older than `age`, and what could not be had so far.
    pub(super) async fn refresh_if_due(self: &Arc<Self>, age: Duration, now: Timestamp) {
        self.issuer.refresh_if_due(age, now).await;
        if self.fetches.last_started().is_some_and(|started| now.since(started) >= age) {
            self.fetches.join(now, self.clone().fetch(now)).await;
        }
    }

    /// Returns the pause before the next attempt.
    async fn fetch(self: Arc<Self>, now: Timestamp) -> Duration {
        let refusal = match self.fetch_key_set(now).await {
            Ok(()) => {
                self.failures.store(0, Ordering::Relaxed);
                self.last_failed.store(false, Ordering::Relaxed);
                return self.interval;
            }
            Err(error) => error,
        };
        tracing::warn!(issuer = self.issuer.url().as_str(), error = %refusal, "the issuer's keys can't be fetched");
        self.last_failed.store(true, Ordering::Relaxed);
        let failures = self.failures.fetch_add(1, Ordering::Relaxed);
        // Without keys nobody can be served, so the next attempt comes sooner.
        let is_empty = Guard::into_inner(self.snapshot.load()).is_none();
        if is_empty { backoff(failures) } else { self.interval }
    }

    async fn fetch_key_set(&self, now: Timestamp) -> Result<(), KeySetError> {
        let endpoints = self.issuer.endpoints(now).await.map_err(|_| KeySetError::NoMetadata)?;
        let document = self.issuer.client().get(endpoints.jwks.clone(), MAX_KEY_SET).await?;
        let loaded = self.loaded();
        if loaded.as_ref().is_some_and(|loaded| loaded.document == document) {
            return Ok(());
        }
        let keys = KeySet::parse(&document).map_err(|_| KeySetError::Invalid)?;
        let generation = loaded.map_or(0, |loaded| loaded.generation + 1);
        self.snapshot.store(Some(Arc::new(Snapshot { keys, generation, document })));
        Ok(())
    }
}

/// Why the key set can't be had.
#[derive(Debug, thiserror::Error)]
enum KeySetError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("the response is not a key set")]
    Invalid,
    #[error("the issuer's metadata is unavailable")]
    NoMetadata,
}
