//! What a route demands, written beside the route.
//!
//! Everything named is needed, but for [`any_of`]. A role never stands alone: it says what a person may do, not what the credential was
//! given for, so a route names its scope first (RFC 9068 section 2.2.3.1 and Doorward's rule on roles).

use std::{collections::BTreeSet, fmt, sync::Arc};

use doorward_core::{
    api::Role,
    policy,
    principal::Principal,
    scope::{Scope, ScopeSet},
};

/// What a route demands of its callers: see [`scope`], [`any_of`] and [`authenticated`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Requirement(policy::Requirement);

/// Any principal will do.
pub fn authenticated() -> Requirement {
    Requirement::default()
}

/// Demands a scope.
///
/// # Panics
/// If `name` is no scope. Routes are written once and built at start-up, so that is where a typing error shows.
pub fn scope(name: &str) -> Requirement {
    authenticated().and_scope(name)
}

/// Demands one of several requirements. Without any, nobody meets it.
///
/// ```
/// use doorward_guard::{any_of, scope};
///
/// // Either scope will do, and the second one for admins only.
/// let requirement = any_of([scope("notes:read"), scope("notes:all").and_role("admin")]);
/// ```
///
/// To a caller who meets none, the refusal names what is missing for the first alternative that more scopes would help
/// with: a client can ask for scopes.
pub fn any_of(alternatives: impl IntoIterator<Item = Requirement>) -> Requirement {
    Requirement(policy::Requirement::any_of(alternatives.into_iter().map(|alternative| alternative.0)))
}

impl Requirement {
    /// Demands a scope as well.
    ///
    /// # Panics
    /// If `name` is no scope.
    pub fn and_scope(self, name: &str) -> Self {
        Self(self.0.scope(read("scope", name, Scope::parse)))
    }

    /// Demands a role as well.
    ///
    /// # Panics
    /// If `name` is no role.
    pub fn and_role(self, name: &str) -> Self {
        Self(self.0.role(read("role", name, Role::parse)))
    }

    /// Demands another requirement as well.
    pub fn and(self, other: impl Into<Self>) -> Self {
        Self(self.0.and(other.into().0))
    }

    /// Demands that something holds of the principal. `name` says what, to the operator; the caller gets 403
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

    /// The scopes demanded in any case.
    pub fn scopes(&self) -> &ScopeSet {
        self.0.scopes()
    }

    /// The roles demanded in any case.
    pub fn roles(&self) -> &BTreeSet<Role> {
        self.0.roles()
    }

    pub(crate) fn policy(&self) -> &policy::Requirement {
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
    fn a_scope_that_cannot_exist_stops_the_program_when_the_route_is_built() {
        scope("notes read");
    }
}
