//! Everything that the guard's public signatures name, named as an API's own program does: with `doorward-guard` as its only
//! crate of Doorward. That this compiles is the test.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, routing::get};
use doorward_guard::{
    Action, Algorithm, AuditSink, Authorizer, BoxFuture, ClientAddress, Clock, Credential, CredentialKind,
    CredentialText, Decision, Denial, Guard, GuardBuilder, GuardError, InvalidResource, InvalidRole, InvalidScope,
    Principal, PrincipalKind, Problem, Refusal, RefusalEvent, RequestContext, Requirement, Resource,
    ResourceIdentifier, Rng, Role, Scope, ScopeSet, SecretString, SystemClock, SystemRng, Timestamp, TraceId, Verified,
    VerifiedPrincipal, Verifier, any_of, authenticated,
    builder::{Remote, WithCredential, WithVerifier, WithoutCredential},
    bytes::Bytes,
    http::{HeaderMap, Method, Request, Response, Uri, request::Parts},
    scope,
    serde_json::{Map, Value},
};

/// What a handler is given, by its types.
pub struct Caller {
    pub kind: PrincipalKind,
    pub credential: CredentialKind,
    pub scopes: ScopeSet,
    pub first_scope: Option<Scope>,
    pub roles: Vec<Role>,
    pub ends: Option<Timestamp>,
    pub api: ResourceIdentifier,
    pub claims: Map<String, Value>,
}

impl From<Principal> for Caller {
    fn from(who: Principal) -> Self {
        Self {
            kind: who.kind,
            credential: who.credential,
            scopes: who.scopes.clone(),
            first_scope: who.scopes.iter().next().cloned(),
            roles: who.roles.iter().cloned().collect(),
            ends: who.expires_at,
            api: who.audience.clone(),
            claims: who.claims.clone(),
        }
    }
}

/// What a handler asks the principal.
pub fn may_delete(who: &Principal) -> bool {
    let is_admin =
        who.has_role("admin") || who.roles.contains("admin") || who.roles.iter().any(|role| *role == "admin");
    let writes = who.has_scope("notes:write") && who.scopes.iter().any(|scope| *scope == "notes:write");
    is_admin && writes && who.claim("acr") != Some(&Value::from("1"))
}

/// What routes demand.
pub fn requirements() -> Vec<Requirement> {
    vec![
        authenticated(),
        scope("notes:read").and_scope("notes:write").and_role("admin"),
        any_of([scope("notes:read"), scope("notes:all")]).and(scope("notes:list")),
        scope("notes:write").and_that("no machine", |who: &VerifiedPrincipal| who.kind == PrincipalKind::User),
    ]
}

/// A policy of the API's own.
pub struct KeysOnlyRead;

impl Authorizer for KeysOnlyRead {
    fn decide(
        &self,
        who: &VerifiedPrincipal,
        action: &Action<'_>,
        resource: &Resource<'_>,
        context: &RequestContext<'_>,
    ) -> Decision {
        let (_, _): (&Uri, &HeaderMap) = (context.uri, context.headers);
        let (_, _): (Option<IpAddr>, Timestamp) = (context.client, context.now);
        let (_, _): (&ScopeSet, &str) = (action.requirement.scopes(), resource.path);
        match who.kind {
            PrincipalKind::Key if action.method != Method::GET => {
                Decision::Refuse(Refusal::new(Denial::InsufficientPermission).fact("policy", "keys only read"))
            }
            _ => Decision::Allow,
        }
    }
}

/// Keeps refusals.
#[derive(Default)]
pub struct Kept(pub Mutex<Vec<(TraceId, RefusalEvent)>>);

impl AuditSink for Kept {
    fn refused(&self, event: RefusalEvent) {
        if let Ok(mut kept) = self.0.lock() {
            kept.push((event.trace_id, event));
        }
    }
}

/// A verifier that knows nobody.
pub struct Nobody;

impl Verifier for Nobody {
    fn verify<'a>(
        &'a self,
        credential: &'a Credential,
        _: &'a RequestContext<'a>,
    ) -> BoxFuture<'a, Result<Verified, Refusal>> {
        let shown: &CredentialText<'_> = match credential {
            Credential::ApiKey(shown) | Credential::Jwt(shown) | Credential::Opaque(shown) => shown,
        };
        let shown = shown.expose_secret().len();
        let refusal = Refusal::new(Denial::TokenUnknown).fact("length", shown).retry_after(Duration::from_secs(1));
        Box::pin(async { Err(refusal) })
    }
}

/// Each stage of a builder can be a return type.
pub fn without_credential(issuer: &str) -> Result<GuardBuilder<Remote<WithoutCredential>>, InvalidResource> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let rng: Arc<dyn Rng> = Arc::new(SystemRng::default());
    let api = ResourceIdentifier::parse("http://localhost:8401")?;
    Ok(Guard::builder(issuer, api).clock(clock).rng(rng).algorithms([Algorithm::ES256, Algorithm::EdDSA]))
}

/// The same.
pub fn with_credential(issuer: &str) -> Result<GuardBuilder<Remote<WithCredential>>, InvalidResource> {
    let secret = SecretString::from("dw_cs_made-up");
    Ok(without_credential(issuer)?.credential("cli_1", secret).deliver_refusals())
}

/// The same.
pub fn with_verifier(issuer: &str) -> Result<GuardBuilder<WithVerifier>, InvalidResource> {
    let api = ResourceIdentifier::parse("http://localhost:8401")?;
    Ok(Guard::with_verifier(issuer, api, Arc::new(Nobody)).authorizer(KeysOnlyRead).audit(Kept::default()))
}

/// What can be wrong with a guard that is built from a configuration.
pub fn built(scopes: &str) -> Result<Guard, GuardError> {
    let (_, _): (Result<Role, InvalidRole>, Result<Scope, InvalidScope>) = (Role::parse("admin"), Scope::parse("a"));
    let builder = with_verifier("http://localhost:8400").map_err(|_| GuardError::Issuer)?;
    builder.scopes_supported(scopes).build()
}

/// What a program without a tower service does.
pub async fn authorized(guard: &Guard, request: Request<()>) -> Result<Principal, Response<Bytes>> {
    let (parts, ()): (Parts, ()) = request.into_parts();
    let admitted: Result<Principal, Problem> = guard.authorize(&parts, &scope("notes:read")).await;
    admitted.map_err(Problem::into_response)
}

/// Routes with every layer, and where callers come from.
pub fn routes(guard: &Guard, from: ClientAddress) -> Router {
    let open = get(async |who: Option<Principal>| format!("{}", who.is_some())).layer(guard.optional());
    let mine = get(async |who: Principal| Caller::from(who).api.to_string()).layer(guard.layer());
    Router::new().route("/open", open).route("/mine", mine).layer(axum::Extension(from))
}
