//! The requirement of a route, written beside the route.
//!
//! Everything named is required, except for [`any_of`]. A role is never enough: it says what a person may do, not what
//! the credential was issued for, so a route names its scope first (RFC 9068 section 2.2.3.1 and Doorward's rule on
//! roles).

use std::{collections::BTreeSet, fmt, sync::Arc};

use doorward_core::{
    api::Role,
    policy,
    principal::Principal,
    scope::{Scope, ScopeSet},
};

/// What a route requires of its callers: see [`scope`], [`any_of`] and [`authenticated`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Requirement(policy::Requirement);

/// Requires any valid credential.
pub fn authenticated() -> Requirement {
    Requirement::default()
}

/// Requires a scope.
///
/// # Panics
/// If `name` is not a valid scope. Routes are built once at startup, so a typing error shows there.
pub fn scope(name: &str) -> Requirement {
    authenticated().and_scope(name)
}

/// Requires one of several requirements. An empty list refuses everyone.
///
/// ```
/// use doorward_guard::{any_of, scope};
///
/// // Either scope is enough, but the second one only for admins.
/// let requirement = any_of([scope("notes:read"), scope("notes:all").and_role("admin")]);
/// ```
///
/// If a caller meets none, the refusal names what is missing for the first alternative that more scopes would help
/// with, since a client can request scopes.
pub fn any_of(alternatives: impl IntoIterator<Item = Requirement>) -> Requirement {
    Requirement(policy::Requirement::any_of(alternatives.into_iter().map(|alternative| alternative.0)))
}

impl Requirement {
    /// Also requires a scope.
    ///
    /// # Panics
    /// If `name` is not a valid scope.
    pub fn and_scope(self, name: &str) -> Self {
        Self(self.0.scope(read("scope", name, Scope::parse)))
    }

    /// Also requires a role.
    ///
    /// # Panics
    /// If `name` is not a valid role.
    pub fn and_role(self, name: &str) -> Self {
        Self(self.0.role(read("role", name, Role::parse)))
    }

    /// Also requires another requirement.
    pub fn and(self, other: impl Into<Self>) -> Self {
        Self(self.0.and(other.into().0))
    }

    /// Also requires that a condition holds for the principal. `name` describes it to the operator. The caller gets 403
    /// `insufficient_permission`.
    ///
    /// ```
    /// use doorward_guard::{PrincipalKind, scope};
    ///
    /// let by_people = scope("notes:write").and_that("no machine", |who| who.kind == PrincipalKind::User);
    /// let stepped_up = scope("notes:write").and_that("acr 2", |who| who.claim("acr").is_some_and(|acr| acr == "2"));
    /// ```
    pub fn and_that(
        self,
        name: impl Into<Arc<str>>,
        holds: impl Fn(&Principal) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self(self.0.condition(name, holds))
    }

    /// The scopes that are always required.
    pub fn scopes(&self) -> &ScopeSet {
        self.0.scopes()
    }

    /// The roles that are always required.
    pub fn roles(&self) -> &BTreeSet<Role> {
        self.0.roles()
    }

    /// The same for [`doorward_core::policy::authorize`].
    pub fn policy(&self) -> &policy::Requirement {
        &self.0
    }
}

impl From<policy::Requirement> for Requirement {
    fn from(requirement: policy::Requirement) -> Self {
        Self(requirement)
    }
}

fn read<T, E: fmt::Display>(what: &str, name: &str, parse: fn(&str) -> Result<T, E>) -> T {
    match parse(name) {
        Ok(value) => value,
        Err(error) => panic!("a route demands the {what} {name:?}, which can't exist: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_and_roles_add_up() {
        let requirement = scope("notes:read").and_scope("notes:write").and_role("admin");
        assert_eq!(requirement.scopes().to_string(), "notes:read notes:write");
        assert!(requirement.roles().contains("admin"));
        assert!(authenticated().scopes().is_empty());
    }

    #[test]
    #[should_panic(expected = "demands the scope \"notes read\"")]
    fn impossible_scope_panics_when_the_route_is_built() {
        scope("notes read");
    }
}
