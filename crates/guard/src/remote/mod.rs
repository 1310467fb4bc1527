//! The verifier of an API: it verifies JWTs with the issuer's published keys, and asks the issuer about everything
//! else.
//!
//! What is remembered, and how long: a verified JWT until it ends or the key set changes; a verdict about an API key or an
//! opaque token, positive or negative, for 500 ms from when the question was asked. A verdict that holds for one use only is
//! not remembered.

mod api_key;
mod delivery;
mod fetch;
mod introspection;
mod issuer;
mod key_set;
mod metadata;
mod seen_tokens;
mod single_flight;
mod trace_context;
mod turns;
mod verdict_cache;
mod waiting_refusals;

use std::{
    future::ready,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use doorward_core::{
    access_token::{self, Expectation},
    allowed_origins,
    api::ResourceIdentifier,
    api_key::ApiKey,
    clock::{Clock, Timestamp},
    credential::Credential,
    denial::{Class, Denial},
    digest::Digest,
    jwk::Algorithm,
    principal::Principal,
    refusal::Refusal,
    secret::SecretString,
};

use http::{HeaderValue, header::ORIGIN};

pub(crate) use self::{
    delivery::DeliverySink,
    fetch::{ApiCredential, FetchError},
    issuer::{Issuer, IssuerUrl},
};
use self::{
    key_set::{IssuerKeys, Snapshot},
    seen_tokens::SeenTokens,
    trace_context::TraceContext,
    verdict_cache::VerdictCache,
};
use crate::verifier::{BoxFuture, RequestContext, Verified, Verifier};

/// How long a verdict that came over the network counts. A positive one must not outlive its key by more. A negative one is
/// kept no longer, since a key that another server of the issuer created a moment ago must work within a second.
const VERDICT_LIFETIME: Duration = Duration::from_millis(500);
/// The most uses of one verdict in a question: the issuer refuses more.
const MOST_USES: u64 = 1_000_000;
/// How often the keys and the metadata are fetched again in the background.
const REFRESH_EVERY: Duration = Duration::from_secs(5 * 60);
/// How often the background looks whether something is due.
const TICK: Duration = Duration::from_secs(1);

/// What an API may choose about verification.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) algorithms: Vec<Algorithm>,
    pub(crate) skew: Duration,
    pub(crate) key_set_interval: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            algorithms: Algorithm::ALL.to_vec(),
            skew: Duration::from_secs(30),
            key_set_interval: Duration::from_secs(10),
        }
    }
}

/// Verifies credentials by what one issuer publishes and answers.
pub(crate) struct RemoteVerifier {
    issuer: Arc<Issuer>,
    audience: ResourceIdentifier,
    settings: Settings,
    keys: Arc<IssuerKeys>,
    seen: SeenTokens,
    verdicts: VerdictCache,
    clock: Arc<dyn Clock>,
    has_ticker: AtomicBool,
}

impl RemoteVerifier {
    pub(crate) fn new(
        issuer: Arc<Issuer>,
        audience: ResourceIdentifier,
        settings: Settings,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let keys = Arc::new(IssuerKeys::new(issuer.clone(), settings.key_set_interval));
        Self {
            issuer,
            audience,
            settings,
            keys,
            seen: SeenTokens::default(),
            verdicts: VerdictCache::new(VERDICT_LIFETIME),
            clock,
            has_ticker: AtomicBool::new(false),
        }
    }

    /// What is known of a JWT that was verified before.
    fn seen_jwt(&self, digest: &Digest, now: Timestamp) -> Option<Result<Arc<Principal>, Refusal>> {
        let seen = self.seen.find(digest, self.keys.loaded()?.generation)?;
        Some(seen.principal(self.settings.skew, now))
    }

    async fn new_jwt(&self, token: &str, digest: Digest, now: Timestamp) -> Result<Arc<Principal>, Refusal> {
        let keys = self.keys.current(now).await?;
        let (keys, token) = match self.verify(token, &keys, now) {
            Err(refusal) if refusal.denial == Denial::TokenKeyUnknown => {
                let Some(newer) = self.keys.newer_than(&keys, now).await? else { return Err(refusal) };
                let token = self.verify(token, &newer, now)?;
                (newer, token)
            }
            verified => (keys, verified?),
        };
        Ok(self.seen.keep(digest, token, self.audience.clone(), keys.generation))
    }

    fn verify(&self, token: &str, keys: &Snapshot, now: Timestamp) -> Result<access_token::AccessToken, Refusal> {
        let expect = Expectation {
            issuer: self.issuer.url().as_str(),
            audience: self.audience.as_str(),
            algorithms: &self.settings.algorithms,
            skew: self.settings.skew,
        };
        access_token::verify(token, &keys.keys, &expect, now)
    }

    async fn api_key(&self, key: &str, context: &RequestContext<'_>) -> Result<Verified, Refusal> {
        let now = context.now;
        let key = ApiKey::parse(key).ok_or(Denial::KeyMistyped)?;
        let digest = Digest::sha256(key.reveal().as_bytes());
        let (issuer, audience) = (self.issuer.clone(), self.audience.clone());
        let trace = TraceContext::of(context.headers);
        let client = context.client;
        let origin = allowed_origins::sent(context.headers.get_all(ORIGIN).iter().map(HeaderValue::as_bytes));
        let origin = origin.map(str::to_owned);
        let scopes = context.requirement.map(|requirement| requirement.scopes().clone()).unwrap_or_default();
        let verdicts = self.verdicts.clone();
        let ask = async move {
            let uses = verdicts.take_uses(&digest).min(MOST_USES);
            let asked = api_key::Asked { key, client, origin, scopes, uses };
            let found = api_key::look_up(&issuer, &audience, &asked, &trace, now).await;
            if found.as_ref().is_err_and(|refusal| refusal.denial.class() == Class::Outage) {
                verdicts.count_uses(&digest, uses);
            }
            found
        };
        self.verdicts.find_or(digest, client, now, ask).await
    }

    async fn opaque(&self, token: &str, context: &RequestContext<'_>) -> Result<Verified, Refusal> {
        let now = context.now;
        let digest = Digest::sha256(token.as_bytes());
        let (issuer, audience, token) = (self.issuer.clone(), self.audience.clone(), SecretString::from(token));
        let (skew, trace) = (self.settings.skew, TraceContext::of(context.headers));
        let ask = async move { introspection::introspect(&issuer, &audience, &token, &trace, skew, now).await };
        self.verdicts.find_or(digest, context.client, now, ask).await
    }

    /// Starts the background with the first request, since a guard may be built before there is a runtime. It ends
    /// with the guard.
    fn start_ticker(&self) {
        if self.has_ticker.load(Ordering::Relaxed) || self.has_ticker.swap(true, Ordering::Relaxed) {
            return;
        }
        let (keys, clock) = (Arc::downgrade(&self.keys), self.clock.clone());
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(TICK).await;
                let Some(keys) = keys.upgrade() else { return };
                keys.refresh_if_due(REFRESH_EVERY, clock.now()).await;
            }
        });
    }
}

impl Verifier for RemoteVerifier {
    fn verify<'a>(
        &'a self,
        credential: &'a Credential<'a>,
        request: &'a RequestContext<'a>,
    ) -> BoxFuture<'a, Result<Verified, Refusal>> {
        let now = request.now;
        self.start_ticker();
        match credential {
            Credential::ApiKey(key) => Box::pin(self.api_key(key.expose_secret(), request)),
            Credential::Jwt(token) => {
                let token = token.expose_secret();
                let digest = Digest::sha256(token.as_bytes());
                // Most requests bring a token that is known, and need no room for what verifying another one would wait for.
                match self.seen_jwt(&digest, now) {
                    Some(seen) => Box::pin(ready(seen.map(Verified::from))),
                    None => Box::pin(async move { self.new_jwt(token, digest, now).await.map(Verified::from) }),
                }
            }
            Credential::Opaque(token) => Box::pin(self.opaque(token.expose_secret(), request)),
        }
    }
}

/// A refusal for want of an answer, with what the operator should know.
fn unavailable(reason: impl std::fmt::Display) -> Refusal {
    Refusal::new(Denial::VerifierUnavailable).fact("reason", reason).retry_after(Duration::from_secs(1))
}
