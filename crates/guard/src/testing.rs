//! An issuer for the tests of an API: it issues credentials and creates the guard that accepts them, in the process and
//! without a network. The same code as in production refuses requests.
//!
//! ```
//! # #[cfg(feature = "axum")]
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! use axum::{Router, routing::get};
//! use doorward_guard::{Guard, Principal, scope, testing::{TestIssuer, status}};
//!
//! // The API under test.
//! fn app(guard: &Guard) -> Router {
//!     let notes = get(async |who: Principal| who.subject.clone());
//!     Router::new().route("/notes", notes).layer(guard.require(scope("notes:read")))
//! }
//!
//! let issuer = TestIssuer::new("http://localhost:8401");
//! let app = app(&issuer.guard());
//!
//! assert_eq!(status(&app, "GET", "/notes", None).await, 401);
//! assert_eq!(status(&app, "GET", "/notes", Some(&issuer.token("notes:write"))).await, 403);
//! assert_eq!(status(&app, "GET", "/notes", Some(&issuer.token("notes:read"))).await, 200);
//! assert_eq!(status(&app, "GET", "/notes", Some(&issuer.api_key("notes:read"))).await, 200);
//! # });
//! ```

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    audit::{AuditSink, LogSink},
    builder::{GuardBuilder, WithVerifier},
    guard::Guard,
    verifier::{BoxFuture, RequestContext, Verified, Verifier},
};
use doorward_core::{
    access_token::{self, Claims, Expectation},
    allowed_origins::{self, AllowedOrigins},
    api::{ResourceIdentifier, Role},
    api_key::{ApiKey, Environment, KeyPrefix},
    checksummed::{self, ACCESS_TOKEN_PREFIX},
    clock::{Clock, ManualClock, Timestamp},
    credential::Credential,
    denial::Denial,
    digest::Digest,
    id::TokenId,
    jwk::{Algorithm, KeySet, SigningKey},
    jws,
    principal::{self, CredentialKind, PrincipalKind},
    random::{Rng, SeededRng},
    refusal::Refusal,
    scope::ScopeSet,
    secret::ExposeSecret,
};
use http::{HeaderValue, header::ORIGIN};
use serde_json::{Map, Value};

/// The `iss` of every test issuer.
pub const ISSUER: &str = "http://localhost:8400";

/// The lifetime of the credentials of a test issuer.
pub const LIFETIME: Duration = Duration::from_secs(300);

const START: Timestamp = Timestamp::from_secs(1_700_000_000);

/// Issues credentials for one API. Its time changes only with [`TestIssuer::advance`].
#[derive(Clone)]
pub struct TestIssuer(Arc<Inner>);

struct Inner {
    audience: ResourceIdentifier,
    clock: Arc<ManualClock>,
    rng: Arc<SeededRng>,
    key: SigningKey,
    keys: KeySet,
    known: Mutex<Known>,
}

impl TestIssuer {
    /// An issuer for the API `audience`.
    ///
    /// # Panics
    /// If `audience` can't identify an API.
    pub fn new(audience: &str) -> Self {
        let audience = ResourceIdentifier::parse(audience).expect("the audience of a test is a resource identifier");
        let rng = Arc::new(SeededRng::new(1));
        let key =
            SigningKey::generate("test".into(), Algorithm::EdDSA, &*rng).expect("an Ed25519 key can be generated");
        let keys = KeySet::new(vec![key.verifying_key()]);
        let clock = Arc::new(ManualClock::at(START));
        Self(Arc::new(Inner { audience, clock, rng, key, keys, known: Mutex::default() }))
    }

    /// A guard that accepts this issuer's credentials. Refusals go to the log.
    pub fn guard(&self) -> Guard {
        self.guard_with_audit(LogSink)
    }

    /// The same, with a sink for inspection.
    pub fn guard_with_audit(&self, sink: impl AuditSink) -> Guard {
        self.builder().audit(sink).build().expect("the issuer of tests is a good one")
    }

    /// The same, with more options: an authorizer, for example.
    pub fn builder(&self) -> GuardBuilder<WithVerifier> {
        Guard::with_verifier(ISSUER, self.0.audience.clone(), Arc::new(self.clone()))
            .clock(self.0.clock.clone())
            .rng(self.0.rng.clone())
    }

    /// An access token (JWT) of a user, with these scopes separated by spaces.
    pub fn token(&self, scopes: &str) -> String {
        self.mint(scopes).jwt()
    }

    /// An API key with these scopes.
    pub fn api_key(&self, scopes: &str) -> String {
        self.mint(scopes).api_key()
    }

    /// Begins a credential with custom properties.
    ///
    /// # Panics
    /// If `scopes` is not a valid list of scopes.
    pub fn mint(&self, scopes: &str) -> Mint<'_> {
        let scopes = ScopeSet::parse(scopes).expect("the scopes of a test are a list of scopes");
        Mint {
            issuer: self,
            subject: "usr_test".into(),
            client_id: "cli_test".into(),
            scopes,
            roles: BTreeSet::new(),
            claims: Map::new(),
            environment: Environment::Test,
        }
    }

    /// Revokes the API key or opaque token. JWTs stay valid until they expire, as everywhere.
    pub fn revoke(&self, credential: &str) {
        let denial = match Credential::classify(credential) {
            Ok(Credential::ApiKey(_)) => Denial::KeyRevoked,
            _ => Denial::TokenUnknown,
        };
        self.known().insert(Digest::sha256(credential.as_bytes()), Err(denial));
    }

    /// Moves the issuer's and its guards' time ahead.
    pub fn advance(&self, by: Duration) {
        self.0.clock.advance(by);
    }

    fn look_up(&self, credential: &str, unknown: Denial, expired: Denial, request: &RequestContext<'_>) -> Verdict {
        let known = self.known().get(&Digest::sha256(credential.as_bytes())).cloned().unwrap_or(Err(unknown))?;
        let Issued { principal, origins } = known;
        if principal.expires_at.is_some_and(|end| end <= request.now) {
            return Err(expired.into());
        }
        if let Some(origins) = origins {
            let sent = request.headers.get_all(ORIGIN).iter().map(HeaderValue::as_bytes);
            origins.check(allowed_origins::sent(sent))?;
        }
        Ok(principal)
    }

    fn verify_jwt(&self, token: &str, now: Timestamp) -> Verdict {
        let expect = Expectation {
            issuer: ISSUER,
            audience: self.0.audience.as_str(),
            algorithms: &Algorithm::ALL,
            skew: Duration::ZERO,
        };
        let token = access_token::verify(token, &self.0.keys, &expect, now)?;
        Ok(Arc::new(token.into_principal(self.0.audience.clone())))
    }

    fn rng(&self) -> &dyn Rng {
        &*self.0.rng
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was issued, and what of it was revoked.
type Known = HashMap<Digest, Result<Issued, Denial>>;
type Verdict = Result<Arc<principal::Principal>, Refusal>;

#[derive(Clone)]
struct Issued {
    principal: Arc<principal::Principal>,
    /// Of a publishable key: the origins of the pages that it may be used from.
    origins: Option<AllowedOrigins>,
}

impl Verifier for TestIssuer {
    fn verify<'a>(
        &'a self,
        credential: &'a Credential<'a>,
        request: &'a RequestContext<'a>,
    ) -> BoxFuture<'a, Result<Verified, Refusal>> {
        let now = request.now;
        let verdict = match credential {
            Credential::Jwt(token) => self.verify_jwt(token.expose_secret(), now),
            Credential::Opaque(token) => {
                self.look_up(token.expose_secret(), Denial::TokenUnknown, Denial::TokenUnknown, request)
            }
            Credential::ApiKey(key) => match ApiKey::parse(key.expose_secret()) {
                Some(key) => self.look_up(key.reveal(), Denial::KeyUnknown, Denial::KeyExpired, request),
                None => Err(Denial::KeyMistyped.into()),
            },
        };
        Box::pin(std::future::ready(verdict.map(Verified::from)))
    }
}

/// A credential under construction.
#[must_use = "nothing is minted until the form of the credential is said"]
pub struct Mint<'a> {
    issuer: &'a TestIssuer,
    subject: String,
    client_id: String,
    scopes: ScopeSet,
    roles: BTreeSet<Role>,
    claims: Map<String, Value>,
    environment: Environment,
}

impl Mint<'_> {
    /// With a role at the API.
    ///
    /// # Panics
    /// If `name` is not a valid role.
    pub fn role(mut self, name: &str) -> Self {
        self.roles.insert(Role::parse(name).expect("the role of a test is a role"));
        self
    }

    /// For this subject instead of `usr_test`.
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = subject.into();
        self
    }

    /// With another claim, as the issuer's token would have it.
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }

    /// As an API key for real use, which is refused in browsers. Keys of tests are test keys otherwise.
    pub fn live(mut self) -> Self {
        self.environment = Environment::Live;
        self
    }

    /// For the client itself, as by client_credentials.
    pub fn client(mut self) -> Self {
        self.subject = self.client_id.clone();
        self
    }

    /// Creates an access token as a JWT.
    pub fn jwt(self) -> String {
        let issuer = &self.issuer.0;
        let now = issuer.clock.now();
        let claims = Claims {
            issuer: ISSUER.into(),
            subject: self.subject,
            audience: vec![issuer.audience.as_str().into()],
            expires_at: now.plus(LIFETIME),
            issued_at: now,
            id: TokenId::new(now, &*issuer.rng),
            client_id: self.client_id,
            scopes: self.scopes,
            roles: self.roles,
            grant_id: None,
            auth_time: None,
        };
        let mut payload = serde_json::to_value(&claims).expect("claims are texts, numbers and lists");
        let own = payload.as_object_mut().expect("claims are an object");
        own.extend(self.claims);
        jws::sign(&issuer.key, access_token::TYPE, payload.to_string().as_bytes())
            .expect("an Ed25519 key signs everything")
    }

    /// Creates an opaque access token.
    pub fn opaque(self) -> String {
        let token = checksummed::generate(ACCESS_TOKEN_PREFIX, self.issuer.rng()).expose_secret().to_owned();
        let kind = if self.subject == self.client_id { PrincipalKind::Client } else { PrincipalKind::User };
        self.remember(token, kind, CredentialKind::AccessTokenOpaque, None)
    }

    /// Creates an API key.
    pub fn api_key(self) -> String {
        let key = ApiKey::generate(&KeyPrefix::default(), self.environment, self.issuer.rng()).reveal().to_owned();
        self.remember(key, PrincipalKind::Key, CredentialKind::ApiKey, None)
    }

    /// Creates a publishable API key for the pages of an origin, such as `https://app.example.com`. It has no roles.
    ///
    /// # Panics
    /// If `origin` is not as browsers send it.
    pub fn publishable_key(mut self, origin: &str) -> String {
        let origins = AllowedOrigins::read(&[origin.to_owned()]).expect("the origin of a test is an origin");
        self.roles.clear();
        let prefix = KeyPrefix::publishable();
        let key = ApiKey::generate(&prefix, self.environment, self.issuer.rng()).reveal().to_owned();
        self.remember(key, PrincipalKind::Key, CredentialKind::PublishableKey, Some(origins))
    }

    fn remember(
        self,
        text: String,
        kind: PrincipalKind,
        credential: CredentialKind,
        origins: Option<AllowedOrigins>,
    ) -> String {
        let principal = principal::Principal {
            kind,
            client_id: (kind != PrincipalKind::Key).then_some(self.client_id),
            owner: (kind == PrincipalKind::Key).then(|| self.subject.clone()),
            subject: self.subject,
            name: None,
            credential,
            credential_id: None,
            grant_id: None,
            audience: self.issuer.0.audience.clone(),
            scopes: self.scopes,
            roles: self.roles,
            expires_at: Some(self.issuer.0.clock.now().plus(LIFETIME)),
            claims: self.claims,
        };
        self.issuer
            .known()
            .insert(Digest::sha256(text.as_bytes()), Ok(Issued { principal: Arc::new(principal), origins }));
        text
    }
}

/// The status of an axum application's response to a request with this credential as a bearer token and without a body.
///
/// # Panics
/// If method, path or credential can't be sent.
#[cfg(feature = "axum")]
pub async fn status(app: &axum::Router, method: &str, path: &str, credential: Option<&str>) -> u16 {
    use tower_service::Service;

    let mut request = http::Request::builder().method(method).uri(path);
    if let Some(credential) = credential {
        request = request.header("authorization", format!("Bearer {credential}"));
    }
    let request = request.body(axum::body::Body::empty()).expect("a test sends what can be sent");
    // A router is always ready (it waits within the call) and can't fail.
    let Ok(response) = app.clone().call(request).await;
    response.status().as_u16()
}
