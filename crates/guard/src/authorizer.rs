//! Who decides what a verified principal may do: the seam for policies.
//!
//! Easy to get wrong: an authorizer replaces the check of the route's requirement and does not add to it. One that
//! only narrows asks [`RequirementAuthorizer`] first.

use doorward_core::{api::ResourceIdentifier, policy, principal::Principal, refusal::Refusal};
use http::Method;

use crate::{requirement::Requirement, verifier::RequestContext};

/// What a request asks to do.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Action<'a> {
    /// What the route demands; for a route behind [`Guard::optional`](crate::Guard::optional), nothing.
    pub requirement: &'a Requirement,
    /// The method.
    pub method: &'a Method,
}

/// What a request asks to do it to.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Resource<'a> {
    /// The API.
    pub api: &'a ResourceIdentifier,
    /// The path as the caller sent it, still percent-encoded. A rule for some routes belongs to their requirement: a
    /// path has more spellings than a comparison expects.
    pub path: &'a str,
}

/// The answer of an [`Authorizer`].
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use = "a refusal that is not read lets the request pass"]
pub enum Decision {
    /// The request may pass.
    Allow,
    /// It may not. The caller sees the denial, the audit also its facts.
    Refuse(Refusal),
}

/// Decides about verified principals. A guard asks once per layer, and never about a request without a principal.
///
/// ```
/// use doorward_core::{denial::Denial, principal::{Principal, PrincipalKind}, refusal::Refusal};
/// use doorward_guard::{Action, Authorizer, Decision, RequestContext, RequirementAuthorizer, Resource};
///
/// /// API keys only read, whatever their scopes.
/// struct KeysOnlyRead;
///
/// impl Authorizer for KeysOnlyRead {
///     fn decide(&self, who: &Principal, action: &Action, resource: &Resource, context: &RequestContext) -> Decision {
///         if who.kind == PrincipalKind::Key && !action.method.is_safe() {
///             let refusal = Refusal::new(Denial::InsufficientPermission).fact("policy", "API keys only read");
///             return Decision::Refuse(refusal);
///         }
///         RequirementAuthorizer.decide(who, action, resource, context)
///     }
/// }
/// ```
pub trait Authorizer: Send + Sync + 'static {
    /// Whether `principal` may do `action` to `resource`. Must not block: each request waits for it.
    fn decide(
        &self,
        principal: &Principal,
        action: &Action<'_>,
        resource: &Resource<'_>,
        context: &RequestContext<'_>,
    ) -> Decision;
}

/// Compares the principal's scopes and roles with what the route demands. The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequirementAuthorizer;

impl Authorizer for RequirementAuthorizer {
    fn decide(&self, principal: &Principal, action: &Action<'_>, _: &Resource<'_>, _: &RequestContext<'_>) -> Decision {
        match policy::authorize(principal, action.requirement.policy()) {
            Ok(()) => Decision::Allow,
            Err(refusal) => Decision::Refuse(refusal),
        }
    }
}
