//! Builds a guard from an issuer, an API and, for anything but JWTs, the API's credential.
//!
//! The builder's type says who verifies, so that an option without its prerequisite does not compile.

use std::{sync::Arc, time::Duration};

use doorward_core::{
    api::ResourceIdentifier,
    clock::Clock,
    jwk::Algorithm,
    random::Rng,
    scope::{InvalidScope, ScopeSet},
    secret::SecretString,
};

use crate::{
    allowed::AllowedBecause,
    audit::{AuditSink, LogSink},
    authorizer::Authorizer,
    guard::{Guard, Inner},
    remote::{ApiCredential, DeliverySink, FetchError, Issuer, IssuerUrl, RemoteVerifier, Settings},
    system::{SystemClock, SystemRng},
    verifier::Verifier,
};

/// The options of a guard. `V` is who verifies credentials: [`Remote`] or [`WithVerifier`].
#[must_use = "a builder does nothing until it is built"]
pub struct GuardBuilder<V> {
    common: Common,
    verification: V,
}

/// The guard verifies with the issuer's keys and responses. `C` is the API's own credential at the issuer:
/// [`WithoutCredential`] or [`WithCredential`].
pub struct Remote<C> {
    settings: Settings,
    credential: C,
}

/// The API has no credential at the issuer, so the guard verifies JWTs only.
pub struct WithoutCredential;

/// The API has a credential at the issuer.
pub struct WithCredential {
    client_id: String,
    secret: SecretString,
    delivers_refusals: bool,
}

/// The guard uses a custom verifier: see [`Guard::with_verifier`].
pub struct WithVerifier(Arc<dyn Verifier>);

/// The options that every guard has.
struct Common {
    issuer: String,
    audience: ResourceIdentifier,
    scopes_supported: Result<ScopeSet, InvalidScope>,
    authorizer: Option<Arc<dyn Authorizer>>,
    audit: Option<Arc<dyn AuditSink>>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    keys_in_browsers: Option<&'static str>,
}

/// Why a guard can't be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GuardError {
    /// The API's own credential has characters that Doorward never uses.
    #[error("the API's client_id and secret may contain only letters, digits, - and _")]
    Credential,
    /// The HTTP client can't be set up, for example because the machine has no certificates.
    #[error("the HTTP client can't be set up: {0}")]
    HttpClient(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The issuer is not a valid issuer URL.
    #[error("the issuer must be an https URL without query and fragment; http is only for localhost")]
    Issuer,
    /// A browser's keys are to be accepted, without a reason.
    #[error("allow_keys_in_browsers needs a reason, for those who read the code")]
    ReasonMissing,
    /// A scope for the metadata is not valid.
    #[error("scopes_supported: {0}")]
    Scope(#[from] InvalidScope),
}

impl<V> GuardBuilder<V> {
    /// Names scopes in the API's metadata (RFC 9728 section 2), separated by spaces.
    pub fn scopes_supported(mut self, scopes: &str) -> Self {
        self.common.scopes_supported = ScopeSet::parse(scopes);
        self
    }

    /// Asks `authorizer` about every principal that meets its route's requirement.
    pub fn authorizer(mut self, authorizer: impl Authorizer) -> Self {
        self.common.authorizer = Some(Arc::new(authorizer));
        self
    }

    /// Sends refusals to a custom sink. By default they go to the log.
    pub fn audit(mut self, sink: impl AuditSink) -> Self {
        self.common.audit = Some(Arc::new(sink));
        self
    }

    /// Accepts live API keys from browsers and apps, on all routes. By default they are refused with `key_in_browser`:
    /// everybody who has the page or the app can read the key. `reason` is for those who read the code, and appears in
    /// the log at startup.
    ///
    /// A request counts as a browser's or an app's by its `Origin` and `User-Agent` ([`client_side`]). Callers choose
    /// these headers, so the check stops mistakes and no attacker. Test keys, publishable keys and access tokens are not
    /// affected.
    ///
    /// ```
    /// # use doorward_guard::{Guard, ResourceIdentifier};
    /// # let api = ResourceIdentifier::parse("https://api.example").unwrap();
    /// Guard::builder("https://auth.example", api)
    ///     .allow_keys_in_browsers("An extension in our own staff's browsers; each has a key of their own");
    /// ```
    ///
    /// [`client_side`]: doorward_core::client_side
    pub fn allow_keys_in_browsers(mut self, reason: &'static str) -> Self {
        self.common.keys_in_browsers = Some(reason);
        self
    }

    /// Uses another clock than the machine's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.common.clock = clock;
        self
    }

    /// Uses another random source than the machine's.
    pub fn rng(mut self, rng: Arc<dyn Rng>) -> Self {
        self.common.rng = rng;
        self
    }
}

impl<C> GuardBuilder<Remote<C>> {
    /// The algorithms that may sign JWTs. By default all that Doorward supports.
    pub fn algorithms(mut self, allowed: impl IntoIterator<Item = Algorithm>) -> Self {
        self.verification.settings.algorithms = allowed.into_iter().collect();
        self
    }

    /// How far the machines' clocks may differ. By default 30 s, at most a minute.
    pub fn skew(mut self, skew: Duration) -> Self {
        self.verification.settings.skew = skew;
        self
    }

    /// The minimum time between two fetches of the issuer's keys. By default 10 s.
    pub fn key_set_interval(mut self, interval: Duration) -> Self {
        self.verification.settings.key_set_interval = interval;
        self
    }
}

impl GuardBuilder<Remote<WithoutCredential>> {
    pub(crate) fn remote(issuer: String, audience: ResourceIdentifier) -> Self {
        let verification = Remote { settings: Settings::default(), credential: WithoutCredential };
        Self { common: Common::new(issuer, audience), verification }
    }

    /// The API's own credential at the issuer, as printed by `doorward api create`. Required for API keys and opaque
    /// tokens. Without it, only JWTs can be verified, and other credentials get 503.
    pub fn credential(
        self,
        client_id: impl Into<String>,
        secret: impl Into<SecretString>,
    ) -> GuardBuilder<Remote<WithCredential>> {
        let credential =
            WithCredential { client_id: client_id.into(), secret: secret.into(), delivers_refusals: false };
        let verification = Remote { settings: self.verification.settings, credential };
        GuardBuilder { common: self.common, verification }
    }

    /// Builds the guard. Sends nothing yet.
    pub fn build(self) -> Result<Guard, GuardError> {
        let issuer = self.common.remote_issuer(None)?;
        self.common.build_remote(issuer, self.verification.settings)
    }
}

impl GuardBuilder<Remote<WithCredential>> {
    /// Delivers refusals to the issuer, so that `doorward explain` shows them. Call [`Guard::flush`] when the program
    /// ends.
    ///
    /// The issuer accepts them only from a known API, so the credential comes first:
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
        (self.verification.credential.delivers_refusals, self.common.audit) = (true, None);
        self
    }

    /// Builds the guard. Sends nothing yet.
    pub fn build(self) -> Result<Guard, GuardError> {
        let (mut common, Remote { settings, credential }) = (self.common, self.verification);
        let known = ApiCredential::new(credential.client_id, credential.secret).ok_or(GuardError::Credential)?;
        let issuer = common.remote_issuer(Some(known))?;
        // A sink that was named after `deliver_refusals` takes its place.
        if credential.delivers_refusals && common.audit.is_none() {
            common.audit = Some(Arc::new(DeliverySink::new(issuer.clone(), common.clock.clone())));
        }
        common.build_remote(issuer, settings)
    }
}

impl GuardBuilder<WithVerifier> {
    pub(crate) fn local(issuer: String, audience: ResourceIdentifier, verifier: Arc<dyn Verifier>) -> Self {
        Self { common: Common::new(issuer, audience), verification: WithVerifier(verifier) }
    }

    /// Builds the guard with its verifier.
    pub fn build(self) -> Result<Guard, GuardError> {
        self.common.issuer_url()?;
        self.common.build(self.verification.0)
    }
}

impl Common {
    fn new(issuer: String, audience: ResourceIdentifier) -> Self {
        Self {
            issuer,
            audience,
            scopes_supported: Ok(ScopeSet::default()),
            authorizer: None,
            audit: None,
            clock: Arc::new(SystemClock),
            rng: Arc::new(SystemRng::default()),
            keys_in_browsers: None,
        }
    }

    fn issuer_url(&self) -> Result<IssuerUrl, GuardError> {
        IssuerUrl::parse(&self.issuer).ok_or(GuardError::Issuer)
    }

    fn remote_issuer(&self, credential: Option<ApiCredential>) -> Result<Arc<Issuer>, GuardError> {
        let issuer = Issuer::new(self.issuer_url()?, credential).map_err(FetchError::into_source);
        issuer.map(Arc::new).map_err(GuardError::HttpClient)
    }

    fn build_remote(self, issuer: Arc<Issuer>, settings: Settings) -> Result<Guard, GuardError> {
        let verifier = RemoteVerifier::new(issuer, self.audience.clone(), settings, self.clock.clone());
        self.build(Arc::new(verifier))
    }

    fn build(self, verifier: Arc<dyn Verifier>) -> Result<Guard, GuardError> {
        let keys_in_browsers =
            self.keys_in_browsers.map(|reason| AllowedBecause::new(reason).ok_or(GuardError::ReasonMissing));
        let keys_in_browsers = keys_in_browsers.transpose()?;
        if let Some(reason) = keys_in_browsers {
            tracing::info!(api = %self.audience, %reason, "API keys are accepted from browsers and apps");
        }
        Ok(Guard::new(Inner {
            resource_metadata: self.audience.metadata_url(),
            issuer: self.issuer,
            audience: self.audience,
            scopes_supported: self.scopes_supported?,
            verifier,
            authorizer: self.authorizer,
            audit: self.audit.unwrap_or_else(|| Arc::new(LogSink)),
            clock: self.clock,
            rng: self.rng,
            keys_in_browsers,
        }))
    }
}
