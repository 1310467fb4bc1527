//! The guard of one API: verify, decide, answer, tell.
//!
//! It is built once and cloned freely; clones share everything. Easy to get wrong: it fails closed. Whatever can't be
//! found out is a refusal, and no path through this file admits a request without a verified principal, but for the
//! one that [`Guard::optional`] asks for by name.

use std::{fmt, marker::PhantomData, net::IpAddr, sync::Arc, time::Duration};

use doorward_core::{
    api::ResourceIdentifier,
    clock::Clock,
    credential,
    denial::Denial,
    event::RefusalEvent,
    jwk::Algorithm,
    network::ClientAddress,
    random::Rng,
    refusal::Refusal,
    scope::{InvalidScope, ScopeSet},
    secret::SecretString,
    trace::TraceId,
};
use http::{HeaderValue, request::Parts};

use crate::{
    audit::{AuditSink, LogSink},
    authorizer::{Action, Authorizer, Decision, RequirementAuthorizer, Resource},
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
    authorizer: Arc<dyn Authorizer>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
}

impl Guard {
    /// A guard that asks `issuer` (its URL, to the letter as in `iss`) about credentials for the API `audience`.
    ///
    /// Nothing is sent before the first request comes; the issuer may start after the API.
    pub fn builder(issuer: impl Into<String>, audience: ResourceIdentifier) -> GuardBuilder<WithoutCredential> {
        GuardBuilder::new(issuer.into(), audience, None)
    }

    /// A guard with a verifier of its own, for whoever embeds the authorization server.
    pub fn with_verifier(
        issuer: impl Into<String>,
        audience: ResourceIdentifier,
        verifier: Arc<dyn Verifier>,
    ) -> GuardBuilder<WithVerifier> {
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
        let found = self.admitted(request, requirement).await?;
        found.ok_or_else(|| self.refuse(request, Denial::CredentialMissing.into(), None))
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
            Demand::Optional => {
                let found = self.admitted(request, &authenticated()).await?;
                Ok(found.map_or(Admission::Anonymous, Admission::Known))
            }
        }
    }

    /// The principal of a request, verified and authorized; none if the request has no credential.
    async fn admitted(&self, request: &Parts, requirement: &Requirement) -> Result<Option<Principal>, Problem> {
        let context = RequestContext::of(request, self.0.clock.now());
        let found = self.verify(request, &context).await.map_err(|refusal| self.refuse(request, refusal, None))?;
        let Some(principal) = found else { return Ok(None) };
        let action = Action { requirement, method: context.method };
        let resource = Resource { api: &self.0.audience, path: context.uri.path() };
        match self.0.authorizer.decide(&principal, &action, &resource, &context) {
            Decision::Allow => Ok(Some(principal)),
            Decision::Refuse(refusal) => Err(self.refuse(request, refusal, Some(&principal))),
        }
    }

    /// The principal of a request: the one that this guard found before, or else that of its credential.
    async fn verify(&self, request: &Parts, context: &RequestContext<'_>) -> Result<Option<Principal>, Refusal> {
        if let Some(known) = request.extensions.get::<Principal>().filter(|known| known.was_found_by(self)) {
            return Ok(Some(known.clone()));
        }
        let all = |name| request.headers.get_all(name).iter().map(HeaderValue::as_bytes);
        let presented = credential::present(all("authorization"), all("x-api-key"), request.uri.query())?;
        let Some(credential) = presented else { return Ok(None) };
        let who = self.0.verifier.verify(&credential, context).await?;
        Ok(Some(Principal::new(who, self)))
    }

    /// Tells the audit, and words the answer.
    fn refuse(&self, request: &Parts, refusal: Refusal, principal: Option<&Principal>) -> Problem {
        let given = request.headers.get("traceparent").and_then(|value| value.to_str().ok());
        let now = self.0.clock.now();
        let context = RequestContext::of(request, now);
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

/// What can be said about a guard before it is built. `S` is who verifies credentials: [`WithoutCredential`],
/// [`WithCredential`] or [`WithVerifier`].
#[must_use = "a builder does nothing until it is built"]
pub struct GuardBuilder<S> {
    given: Given,
    state: PhantomData<fn() -> S>,
}

/// The guard asks the issuer and has no credential there, so it verifies JWTs only.
pub enum WithoutCredential {}

/// The guard asks the issuer with the API's own credential.
pub enum WithCredential {}

/// The guard asks a verifier of its own: see [`Guard::with_verifier`].
pub enum WithVerifier {}

struct Given {
    issuer: String,
    audience: ResourceIdentifier,
    verifier: Option<Arc<dyn Verifier>>,
    credential: Option<(String, SecretString)>,
    scopes_supported: Result<ScopeSet, InvalidScope>,
    audit: Option<Arc<dyn AuditSink>>,
    delivers_refusals: bool,
    authorizer: Arc<dyn Authorizer>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    settings: Settings,
}

/// A guard that can't be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuardError {
    /// The API's own credential has characters that Doorward never gives out.
    #[error("the API's client_id and secret are made of letters, digits, - and _")]
    Credential,
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

impl GuardBuilder<WithoutCredential> {
    /// The API's own credential at the issuer, as `doorward api create` printed it. Needed for API keys and opaque
    /// tokens; without it only JWTs can be verified, and the others are answered 503.
    pub fn credential(
        mut self,
        client_id: impl Into<String>,
        secret: impl Into<SecretString>,
    ) -> GuardBuilder<WithCredential> {
        self.given.credential = Some((client_id.into(), secret.into()));
        GuardBuilder { given: self.given, state: PhantomData }
    }
}

impl GuardBuilder<WithCredential> {
    /// Delivers refusals to the issuer, so that `doorward explain` knows them. Call [`Guard::flush`] at the end.
    ///
    /// The issuer accepts them from an API that it knows, so the credential comes first:
    ///
    /// ```
    /// # use doorward_guard::{Guard, ResourceIdentifier};
    /// # let api = ResourceIdentifier::parse("https://api.example").unwrap();
    /// Guard::builder("https://auth.example", api).credential("cli_1", "secret").deliver_refusals();
    /// ```
    ///
    /// ```compile_fail,E0599
    /// # use doorward_guard::{Guard, ResourceIdentifier};
    /// # let api = ResourceIdentifier::parse("https://api.example").unwrap();
    /// Guard::builder("https://auth.example", api).deliver_refusals();
    /// ```
    pub fn deliver_refusals(mut self) -> Self {
        (self.given.delivers_refusals, self.given.audit) = (true, None);
        self
    }
}

impl<S> GuardBuilder<S> {
    fn new(issuer: String, audience: ResourceIdentifier, verifier: Option<Arc<dyn Verifier>>) -> Self {
        let given = Given {
            issuer,
            audience,
            verifier,
            credential: None,
            scopes_supported: Ok(ScopeSet::default()),
            audit: None,
            delivers_refusals: false,
            authorizer: Arc::new(RequirementAuthorizer),
            clock: Arc::new(SystemClock),
            rng: Arc::new(SystemRng::default()),
            settings: Settings::default(),
        };
        Self { given, state: PhantomData }
    }

    /// The scopes that the API's metadata names (RFC 9728 section 2), separated by spaces.
    pub fn scopes_supported(mut self, scopes: &str) -> Self {
        self.given.scopes_supported = ScopeSet::parse(scopes);
        self
    }

    /// Tells refusals to a sink of one's own; to the log unless said otherwise.
    pub fn audit(mut self, sink: impl AuditSink) -> Self {
        self.given.audit = Some(Arc::new(sink));
        self
    }

    /// Decides what principals may do; [`RequirementAuthorizer`] unless said otherwise.
    pub fn authorizer(mut self, authorizer: impl Authorizer) -> Self {
        self.given.authorizer = Arc::new(authorizer);
        self
    }

    /// Another clock than the machine's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.given.clock = clock;
        self
    }

    /// Another random source than the machine's.
    pub fn rng(mut self, rng: Arc<dyn Rng>) -> Self {
        self.given.rng = rng;
        self
    }

    /// The algorithms that JWTs may be signed with; all that Doorward knows unless said otherwise.
    pub fn algorithms(mut self, allowed: impl IntoIterator<Item = Algorithm>) -> Self {
        self.given.settings.algorithms = allowed.into_iter().collect();
        self
    }

    /// How far the machines' clocks may differ; 30 s unless said otherwise, a minute at most.
    pub fn skew(mut self, skew: Duration) -> Self {
        self.given.settings.skew = skew;
        self
    }

    /// The least time between two fetches of the issuer's keys; 10 s unless said otherwise.
    pub fn key_set_interval(mut self, interval: Duration) -> Self {
        self.given.settings.key_set_interval = interval;
        self
    }

    /// The guard.
    pub fn build(self) -> Result<Guard, GuardError> {
        let given = self.given;
        let url = IssuerUrl::parse(&given.issuer).ok_or(GuardError::Issuer)?;
        let credential =
            given.credential.map(|(id, secret)| ApiCredential::new(id, secret).ok_or(GuardError::Credential));
        let credential = credential.transpose()?;
        let (verifier, delivery): (Arc<dyn Verifier>, Option<Arc<dyn AuditSink>>) = match given.verifier {
            Some(verifier) => (verifier, None),
            None => {
                let issuer = Issuer::new(url, credential).map_err(FetchError::into_source);
                let issuer = Arc::new(issuer.map_err(GuardError::HttpClient)?);
                let clock = || given.clock.clone();
                let verifier = RemoteVerifier::new(issuer.clone(), given.audience.clone(), given.settings, clock());
                let delivery = given.delivers_refusals.then(|| Arc::new(DeliverySink::new(issuer, clock())) as _);
                (Arc::new(verifier), delivery)
            }
        };
        Ok(Guard(Arc::new(Inner {
            resource_metadata: given.audience.metadata_url(),
            issuer: given.issuer,
            audience: given.audience,
            scopes_supported: given.scopes_supported?,
            verifier,
            audit: given.audit.or(delivery).unwrap_or_else(|| Arc::new(LogSink)),
            authorizer: given.authorizer,
            clock: given.clock,
            rng: given.rng,
        })))
    }
}
