//! The guard of one API: it verifies, decides, responds and reports.
//!
//! It is built once and cloned freely; clones share everything. Easy to get wrong: it fails closed. If verification
//! cannot be completed, the request is denied. No path through this file admits a request without a verified principal,
//! except the one that [`Guard::optional`] requests by name.

use std::{fmt, sync::Arc};

use doorward_core::{
    api::ResourceIdentifier,
    client_side,
    clock::{Clock, Timestamp},
    credential,
    denial::Denial,
    event::RefusalEvent,
    legacy::{LegacyUse, LegacyWay},
    network::Network,
    policy,
    random::Rng,
    refusal::Refusal,
    scope::ScopeSet,
    secret::{ExposeSecret, SecretString},
    trace::TraceId,
};
use http::{HeaderValue, request::Parts};

use crate::{
    allowed::AllowedBecause,
    audit::AuditSink,
    authorizer::{Action, Authorizer, Decision, Resource},
    builder::{GuardBuilder, Remote, WithVerifier, WithoutCredential},
    layer::{Demand, GuardLayer, Route},
    principal::{Admission, Principal},
    problem::Problem,
    query::QueryRoute,
    requirement::{Requirement, authenticated},
    verifier::{RequestContext, Verifier},
};

/// Protects one API. The [crate's documentation](crate) has a complete example.
#[derive(Clone)]
pub struct Guard(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) issuer: String,
    pub(crate) audience: ResourceIdentifier,
    pub(crate) resource_metadata: Option<String>,
    pub(crate) scopes_supported: ScopeSet,
    pub(crate) verifier: Arc<dyn Verifier>,
    pub(crate) authorizer: Option<Arc<dyn Authorizer>>,
    pub(crate) audit: Arc<dyn AuditSink>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) keys_in_browsers: Option<AllowedBecause>,
}

/// What a request may bring at a route beyond a credential in a header.
struct Presented<'r> {
    /// Whether a live key may come from a browser.
    from_browsers: bool,
    /// The key that was in the query, and what allows it.
    query: Option<(&'r QueryRoute, &'r SecretString)>,
}

impl Guard {
    /// A guard that asks `issuer` (its URL, exactly as in `iss`) about credentials for the API `audience`.
    ///
    /// Nothing is sent before the first request comes, so the issuer may start after the API.
    pub fn builder(issuer: impl Into<String>, audience: ResourceIdentifier) -> GuardBuilder<Remote<WithoutCredential>> {
        GuardBuilder::remote(issuer.into(), audience)
    }

    /// A guard with a custom verifier, for programs that embed the authorization server.
    pub fn with_verifier(
        issuer: impl Into<String>,
        audience: ResourceIdentifier,
        verifier: Arc<dyn Verifier>,
    ) -> GuardBuilder<WithVerifier> {
        GuardBuilder::local(issuer.into(), audience, verifier)
    }

    /// Requires a credential and nothing more.
    pub fn layer(&self) -> GuardLayer {
        self.require(authenticated())
    }

    /// Requires a credential that meets `requirement`.
    pub fn require(&self, requirement: impl Into<Requirement>) -> GuardLayer {
        GuardLayer::new(self.clone(), Demand::Required(requirement.into()))
    }

    /// Lets requests without a credential pass. A bad credential is still refused. Handlers behind it take
    /// `Option<Principal>`.
    pub fn optional(&self) -> GuardLayer {
        GuardLayer::new(self.clone(), Demand::Optional)
    }

    /// Does what the layers do, for programs that have a request and no tower service. Returns the principal, or the
    /// response to send. The audit has the refusal when this returns.
    pub async fn authorize(&self, request: &Parts, requirement: &Requirement) -> Result<Principal, Problem> {
        self.known(request, requirement, &Presented { from_browsers: self.0.keys_in_browsers.is_some(), query: None })
            .await
    }

    /// Waits until the refusals so far are delivered, as far as one attempt can do it. Call it when the program ends.
    pub async fn flush(&self) {
        self.0.audit.flush().await;
    }

    /// The issuer that this guard trusts.
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// The API that this guard protects.
    pub fn audience(&self) -> &ResourceIdentifier {
        &self.0.audience
    }

    /// The scopes in the API's metadata.
    pub fn scopes_supported(&self) -> &ScopeSet {
        &self.0.scopes_supported
    }

    pub(crate) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// The page for callers of a legacy way: what the refusal that follows means, and what to do.
    pub(crate) fn migration_page(&self) -> String {
        Denial::CredentialInQuery.page(&self.0.issuer)
    }

    /// The result for a request, and the legacy way that it came by, if it did. A key in the query is no longer in the
    /// request.
    pub(crate) async fn admit<'l>(
        &self,
        request: &mut Parts,
        route: &'l Route,
    ) -> (Result<Admission, Problem>, Option<&'l QueryRoute>) {
        let way = route.keys_in_query.as_deref();
        let taken = match way.map(|way| way.take(request, self.now())).transpose() {
            Ok(taken) => taken.flatten(),
            Err(refusal) => {
                let context = RequestContext::of(request, self.now());
                return (Err(self.refuse(request, &context, refusal, None)), way);
            }
        };
        let query = way.zip(taken.as_ref());
        let from_browsers = route.keys_in_browsers.or(self.0.keys_in_browsers).is_some();
        let presented = Presented { from_browsers, query };
        let admission = match &route.demand {
            Demand::Required(requirement) => self.known(request, requirement, &presented).await.map(Admission::Known),
            Demand::Optional => {
                let context = RequestContext::of(request, self.now());
                let found = self.admitted(request, &authenticated(), &presented, &context).await;
                found.map(|found| found.map_or(Admission::Anonymous, Admission::Known))
            }
        };
        (admission, way.filter(|_| taken.is_some()))
    }

    /// The principal of a request that must have one.
    async fn known(
        &self,
        request: &Parts,
        requirement: &Requirement,
        presented: &Presented<'_>,
    ) -> Result<Principal, Problem> {
        let context = RequestContext::of(request, self.now());
        let found = self.admitted(request, requirement, presented, &context).await?;
        found.ok_or_else(|| self.refuse(request, &context, Denial::CredentialMissing.into(), None))
    }

    /// The principal of a request, verified and authorized, or `None` if the request has no credential.
    async fn admitted(
        &self,
        request: &Parts,
        requirement: &Requirement,
        presented: &Presented<'_>,
        context: &RequestContext<'_>,
    ) -> Result<Option<Principal>, Problem> {
        let keys_in_browsers = presented.from_browsers;
        let context = &RequestContext { requirement: Some(requirement), keys_in_browsers, ..*context };
        let found = self.verify(request, presented.query.map(|(_, key)| key), context).await;
        let Some(principal) = found.map_err(|refusal| self.refuse(request, context, refusal, None))? else {
            return Ok(None);
        };
        if let Some((route, _)) = presented.query {
            route.count(context.now).map_err(|refusal| self.refuse(request, context, refusal, Some(&principal)))?;
            let network = context.client.map(Network::of);
            let used = LegacyUse::one(LegacyWay::Query, &principal.subject, route.name(), network, context.now);
            self.0.audit.legacy_used(used);
        }
        // Each layer asks: an outer one may allow what this one does not.
        let sent_from = if presented.from_browsers { Ok(()) } else { check_sender(&principal, request) };
        match sent_from.and_then(|()| self.decide(&principal, requirement, context)) {
            Ok(()) => Ok(Some(principal)),
            Err(refusal) => {
                let limits = principal.limits().copied().unwrap_or_default();
                Err(self.refuse(request, context, refusal.limits(limits), Some(&principal)))
            }
        }
    }

    /// Checks the route's requirement first: a scope says what a credential was issued for, and no authorizer may lift
    /// that.
    fn decide(
        &self,
        principal: &Principal,
        requirement: &Requirement,
        context: &RequestContext<'_>,
    ) -> Result<(), Refusal> {
        policy::authorize(principal, requirement.policy())?;
        let Some(authorizer) = &self.0.authorizer else { return Ok(()) };
        let action = Action { requirement, method: context.method };
        let resource = Resource { api: &self.0.audience, path: context.uri.path() };
        match authorizer.decide(principal, &action, &resource, context) {
            Decision::Allow => Ok(()),
            Decision::Refuse(refusal) => Err(refusal),
        }
    }

    /// The principal of a request: the one that this guard found before, or else that of its credential.
    async fn verify(
        &self,
        request: &Parts,
        query_key: Option<&SecretString>,
        context: &RequestContext<'_>,
    ) -> Result<Option<Principal>, Refusal> {
        if let Some(known) = request.extensions.get::<Principal>().filter(|known| known.was_verified_by(self)) {
            return match query_key {
                None => Ok(Some(known.clone())),
                Some(_) => Err(Denial::CredentialMultiple.into()),
            };
        }
        let presented =
            credential::present(values(request, "authorization"), values(request, "x-api-key"), request.uri.query())?;
        let Some(credential) = credential::with_query_key(presented, query_key.map(|key| key.expose_secret()))? else {
            return Ok(None);
        };
        let verified = self.0.verifier.verify(&credential, context).await?;
        Ok(Some(Principal::new(verified, credential.environment(), self)))
    }

    /// Notes the refusal in the audit, and creates the response.
    fn refuse(
        &self,
        request: &Parts,
        context: &RequestContext<'_>,
        refusal: Refusal,
        principal: Option<&Principal>,
    ) -> Problem {
        let given = request.headers.get("traceparent").and_then(|value| value.to_str().ok());
        let now = context.now;
        let trace_id = given.and_then(TraceId::from_traceparent).unwrap_or_else(|| TraceId::new(now, &*self.0.rng));
        let at = self.0.audience.as_str();
        let event = RefusalEvent::new(trace_id, now, &refusal, at, context.method.as_str(), context.uri.path());
        self.0.audit.refused(RefusalEvent {
            address: context.client.map(|address| address.to_string()),
            principal: principal.map(|principal| principal.subject.clone()),
            ..event
        });
        Problem::new(refusal, trace_id, &self.0.issuer, self.0.resource_metadata.as_deref())
    }
}

/// All values of a header.
fn values<'r>(request: &'r Parts, name: &'static str) -> impl Iterator<Item = &'r [u8]> {
    request.headers.get_all(name).iter().map(HeaderValue::as_bytes)
}

/// Refuses a secret API key that a browser or an app sent. The key is valid, so the audit names it: it has to be rotated. A
/// publishable key is meant for browsers, and the verifier has compared its origin.
fn check_sender(principal: &Principal, request: &Parts) -> Result<(), Refusal> {
    let (origin, user_agent) = (values(request, "origin"), values(request, "user-agent"));
    match principal.environment() {
        Some(environment) => client_side::check(principal.credential, environment, origin, user_agent),
        None => Ok(()),
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guard({} for {})", self.0.audience, self.0.issuer)
    }
}
