//! Decides what a verified principal may do: the extension point for policies.
//!
//! Easy to get wrong: it is asked after the route's requirement is met, so it can only refuse more. A scope says what a
//! credential was issued for, and no policy may lift that.

use doorward_core::{api::ResourceIdentifier, principal::Principal, refusal::Refusal};
use http::Method;

use crate::{requirement::Requirement, verifier::RequestContext};

/// The action that a request asks for.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Action<'a> {
    /// The route's requirement. For a route behind [`Guard::optional`](crate::Guard::optional) it is empty.
    pub requirement: &'a Requirement,
    /// The HTTP method of the request.
    pub method: &'a Method,
}

/// The resource that a request asks for.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Resource<'a> {
    /// The identifier of the guarded API.
    pub api: &'a ResourceIdentifier,
    /// The path as the caller sent it, still percent-encoded. A rule for some routes belongs to their requirement: a
    /// path has more spellings than a comparison expects.
    pub path: &'a str,
}

/// The answer of an [`Authorizer`].
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use = "a refusal that is not read lets the request pass"]
pub enum Decision {
    /// The request may continue.
    Allow,
    /// The request is refused. The caller sees the denial, the audit also its facts.
    Refuse(Refusal),
}

/// Decides about principals that meet the requirement of their route. A guard asks once per layer, and never about a
/// request without a principal.
///
/// ```
/// use doorward_guard::{
///     Action, Authorizer, Decision, Denial, PrincipalKind, Refusal, RequestContext, Resource, VerifiedPrincipal,
/// };
///
/// /// API keys only read, whatever their scopes.
/// struct KeysOnlyRead;
///
/// impl Authorizer for KeysOnlyRead {
///     fn decide(&self, who: &VerifiedPrincipal, action: &Action, _: &Resource, _: &RequestContext) -> Decision {
///         if who.kind == PrincipalKind::Key && !action.method.is_safe() {
///             let refusal = Refusal::new(Denial::InsufficientPermission).fact("policy", "API keys only read");
///             return Decision::Refuse(refusal);
///         }
///         Decision::Allow
///     }
/// }
/// ```
pub trait Authorizer: Send + Sync + 'static {
    /// Whether `principal` may do `action` to `resource`. Must not block: each request waits for it. Refuse with
    /// [`Denial::InsufficientPermission`](crate::Denial::InsufficientPermission), or with
    /// [`Denial::VerifierUnavailable`](crate::Denial::VerifierUnavailable) if it can't be decided. The issuer's audit
    /// accepts no other reasons from an API, except those about credentials.
    fn decide(
        &self,
        principal: &Principal,
        action: &Action<'_>,
        resource: &Resource<'_>,
        context: &RequestContext<'_>,
    ) -> Decision;
}
