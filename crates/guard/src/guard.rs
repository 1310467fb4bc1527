//! The guard of one API: verify, decide, answer, tell.
//!
//! It is built once and cloned freely; clones share everything. Easy to get wrong: it fails closed. Whatever can't be
//! found out is a refusal, and no path through this file admits a request without a verified principal, but for the
//! one that [`Guard::optional`] asks for by name.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use doorward_core::{
    api::ResourceIdentifier,
    clock::Clock,
    credential,
    denial::Denial,
    event::RefusalEvent,
    jwk::Algorithm,
    network::ClientAddress,
    policy,
    random::Rng,
    refusal::Refusal,
    scope::{InvalidScope, ScopeSet},
    secret::SecretString,
    trace::TraceId,
};
use http::{HeaderValue, request::Parts};

use crate::{
    audit::{AuditSink, LogSink},
    layer::{Demand, GuardLayer},
    principal::{Admission, Principal},
    problem::Problem,
    remote::{ApiCredential, DeliverySink, FetchError, Issuer, IssuerUrl, RemoteVerifier, Settings},
    requirement::{Requirement, authenticated},
    system::{SystemClock, SystemRng},
    verifier::{RequestContext, Verifier},
};

/// Protects one API: see the [crate's documentation](crate) for a whole example.
#[derive(Clone)]
pub struct Guard(Arc<Inner>);

struct Inner {
    issuer: String,
    audience: ResourceIdentifier,
    resource_metadata: Option<String>,
    scopes_supported: ScopeSet,
    verifier: Arc<dyn Verifier>,
    audit: Arc<dyn AuditSink>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
}

impl Guard {
    /// A guard that asks `issuer` (its URL, to the letter as in `iss`) about credentials for the API `audience`.
    ///
    /// Nothing is sent before the first request comes; the issuer may start after the API.
    pub fn builder(issuer: impl Into<String>, audience: ResourceIdentifier) -> GuardBuilder {
        GuardBuilder::new(issuer.into(), audience, None)
    }

    /// A guard with a verifier of its own, for whoever embeds the authorization server.
    pub fn with_verifier(
        issuer: impl Into<String>,
        audience: ResourceIdentifier,
        verifier: Arc<dyn Verifier>,
    ) -> GuardBuilder {
        GuardBuilder::new(issuer.into(), audience, Some(verifier))
    }

    /// Demands a credential and nothing more.
    pub fn layer(&self) -> GuardLayer {
        self.require(authenticated())
    }

    /// Demands a credential that meets `requirement`.
    pub fn require(&self, requirement: impl Into<Requirement>) -> GuardLayer {
        GuardLayer::new(self.clone(), Demand::Required(requirement.into()))
    }

    /// Lets requests without a credential pass; a bad credential is refused all the same. Handlers behind it take
    /// `Option<Principal>`.
    pub fn optional(&self) -> GuardLayer {
        GuardLayer::new(self.clone(), Demand::Optional)
    }

    /// What the layers do, for whoever has a request and no tower service: the principal, or the answer to give. The
    /// refusal was told to the audit when this returns.
    pub async fn authorize(&self, request: &Parts, requirement: &Requirement) -> Result<Principal, Problem> {
        self.verify(request)
            .await
            .and_then(|found| found.ok_or_else(|| Denial::CredentialMissing.into()))
            .map_err(|refusal| self.refuse(request, refusal, None))
            .and_then(|principal| self.decide(request, principal, requirement))
    }

    /// Waits until the refusals that were told so far have arrived, as far as one attempt can. For the end of the
    /// program.
    pub async fn flush(&self) {
        self.0.audit.flush().await;
    }

    /// The issuer that is trusted.
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// The API that is protected.
    pub fn audience(&self) -> &ResourceIdentifier {
        &self.0.audience
    }

    /// The scopes that the API's metadata names.
    pub fn scopes_supported(&self) -> &ScopeSet {
        &self.0.scopes_supported
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) async fn admit(&self, request: &Parts, demand: &Demand) -> Result<Admission, Problem> {
        match demand {
            Demand::Required(requirement) => self.authorize(request, requirement).await.map(Admission::Known),
            Demand::Optional => match self.verify(request).await {
                Ok(Some(principal)) => Ok(Admission::Known(principal)),
                Ok(None) => Ok(Admission::Anonymous),
                Err(refusal) => Err(self.refuse(request, refusal, None)),
            },
        }
    }

    /// The principal of a request: the one that this guard found before, or else that of its credential.
    async fn verify(&self, request: &Parts) -> Result<Option<Principal>, Refusal> {
        if let Some(known) = request.extensions.get::<Principal>().filter(|known| known.was_found_by(self)) {
            return Ok(Some(known.clone()));
        }
        let all = |name| request.headers.get_all(name).iter().map(HeaderValue::as_bytes);
        let presented = credential::present(all("authorization"), all("x-api-key"), request.uri.query())?;
        let Some(credential) = presented else { return Ok(None) };
        let who = self.0.verifier.verify(&credential, &self.context(request)).await?;
        Ok(Some(Principal::new(who, self)))
    }

    fn context<'a>(&self, request: &'a Parts) -> RequestContext<'a> {
        RequestContext::of(request, self.0.clock.now())
    }

    fn decide(&self, request: &Parts, principal: Principal, requirement: &Requirement) -> Result<Principal, Problem> {
        match policy::authorize(&principal, requirement.policy()) {
            Ok(()) => Ok(principal),
            Err(refusal) => Err(self.refuse(request, refusal, Some(&principal))),
        }
    }

    /// Tells the audit, and words the answer.
    fn refuse(&self, request: &Parts, refusal: Refusal, principal: Option<&Principal>) -> Problem {
        let given = request.headers.get("traceparent").and_then(|value| value.to_str().ok());
        let context = self.context(request);
        let now = context.now;
        let trace_id = given.and_then(TraceId::from_traceparent).unwrap_or_else(|| TraceId::new(now, &*self.0.rng));
        let at = self.0.audience.as_str();
        let event = RefusalEvent::new(trace_id, now, &refusal, at, context.method.as_str(), context.uri.path());
        self.0.audit.refused(RefusalEvent {
            address: client(request).map(|address| address.to_string()),
            principal: principal.map(|principal| principal.subject.clone()),
            ..event
        });
        Problem::new(refusal, trace_id, self.0.resource_metadata.as_deref())
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guard({} for {})", self.0.audience, self.0.issuer)
    }
}

/// Where a request comes from: as a listener that reads what proxies say found, or else the other end of the connection.
fn client(request: &Parts) -> Option<IpAddr> {
    let found = request.extensions.get().copied();
    #[cfg(feature = "axum")]
    let found = found.or_else(|| {
        let peer = request.extensions.get::<axum::extract::ConnectInfo<std::net::SocketAddr>>()?;
        Some(ClientAddress::from(peer.0))
    });
    found.map(|address: ClientAddress| address.client)
}

/// What can be said about a guard before it is built.
#[must_use = "a builder does nothing until it is built"]
pub struct GuardBuilder {
    issuer: String,
    audience: ResourceIdentifier,
    verifier: Option<Arc<dyn Verifier>>,
    credential: Option<(String, SecretString)>,
    scopes_supported: Result<ScopeSet, InvalidScope>,
    audit: Audit,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    settings: Settings,
}

enum Audit {
    Issuer,
    Sink(Arc<dyn AuditSink>),
}

/// A guard that can't be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuardError {
    /// The API's own credential has characters that Doorward never gives out.
    #[error("the API's client_id and secret are made of letters, digits, - and _")]
    Credential,
    /// Refusals can't be delivered without the API's credential, or by a verifier of one's own.
    #[error("to deliver refusals to the issuer, the guard needs the API's credential and the issuer's own verifier")]
    Delivery,
    /// The HTTP client can't be set up, for example because the machine has no certificates.
    #[error("the HTTP client can't be set up: {0}")]
    HttpClient(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The issuer is no URL that can be one.
    #[error("the issuer must be an https URL without query and fragment; http is for localhost alone")]
    Issuer,
    /// A scope to be named in the metadata can't exist.
    #[error("scopes_supported: {0}")]
    Scope(#[from] InvalidScope),
}

impl GuardBuilder {
    fn new(issuer: String, audience: ResourceIdentifier, verifier: Option<Arc<dyn Verifier>>) -> Self {
        Self {
            issuer,
            audience,
            verifier,
            credential: None,
            scopes_supported: Ok(ScopeSet::default()),
            audit: Audit::Sink(Arc::new(LogSink)),
            clock: Arc::new(SystemClock),
            rng: Arc::new(SystemRng::default()),
            settings: Settings::default(),
        }
    }

    /// The API's own credential at the issuer, as `doorward api create` printed it. Needed for API keys and opaque
    /// tokens; without it only JWTs can be verified, and the others are answered 503.
    pub fn credential(mut self, client_id: impl Into<String>, secret: impl Into<SecretString>) -> Self {
        self.credential = Some((client_id.into(), secret.into()));
        self
    }

    /// The scopes that the API's metadata names (RFC 9728 section 2), separated by spaces.
    pub fn scopes_supported(mut self, scopes: &str) -> Self {
        self.scopes_supported = ScopeSet::parse(scopes);
        self
    }

    /// Delivers refusals to the issuer, so that `doorward explain` knows them. Call [`Guard::flush`] at the end.
    pub fn deliver_refusals(mut self) -> Self {
        self.audit = Audit::Issuer;
        self
    }

    /// Tells refusals to a sink of one's own; to the log unless said otherwise.
    pub fn audit(mut self, sink: impl AuditSink) -> Self {
        self.audit = Audit::Sink(Arc::new(sink));
        self
    }

    /// Another clock than the machine's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Another random source than the machine's.
    pub fn rng(mut self, rng: Arc<dyn Rng>) -> Self {
        self.rng = rng;
        self
    }

    /// The algorithms that JWTs may be signed with; all that Doorward knows unless said otherwise.
    pub fn algorithms(mut self, allowed: impl IntoIterator<Item = Algorithm>) -> Self {
        self.settings.algorithms = allowed.into_iter().collect();
        self
    }

    /// How far the machines' clocks may differ; 30 s unless said otherwise, a minute at most.
    pub fn skew(mut self, skew: Duration) -> Self {
        self.settings.skew = skew;
        self
    }

    /// The least time between two fetches of the issuer's keys; 10 s unless said otherwise.
    pub fn key_set_interval(mut self, interval: Duration) -> Self {
        self.settings.key_set_interval = interval;
        self
    }

    /// The guard.
    pub fn build(self) -> Result<Guard, GuardError> {
        let url = IssuerUrl::parse(&self.issuer).ok_or(GuardError::Issuer)?;
        let credential =
            self.credential.map(|(id, secret)| ApiCredential::new(id, secret).ok_or(GuardError::Credential));
        let credential = credential.transpose()?;
        let has_credential = credential.is_some();
        let (verifier, issuer): (Arc<dyn Verifier>, _) = match self.verifier {
            Some(verifier) => (verifier, None),
            None => {
                let issuer =
                    Issuer::new(url, credential).map_err(FetchError::into_source).map_err(GuardError::HttpClient)?;
                let issuer = Arc::new(issuer);
                let clock = self.clock.clone();
                let verifier = RemoteVerifier::new(issuer.clone(), self.audience.clone(), self.settings, clock);
                (Arc::new(verifier), Some(issuer))
            }
        };
        let audit = match (self.audit, issuer) {
            (Audit::Sink(sink), _) => sink,
            (Audit::Issuer, Some(issuer)) if has_credential => Arc::new(DeliverySink::new(issuer, self.clock.clone())),
            (Audit::Issuer, _) => return Err(GuardError::Delivery),
        };
        Ok(Guard(Arc::new(Inner {
            resource_metadata: self.audience.metadata_url(),
            issuer: self.issuer,
            audience: self.audience,
            scopes_supported: self.scopes_supported?,
            verifier,
            audit,
            clock: self.clock,
            rng: self.rng,
        })))
    }
}
