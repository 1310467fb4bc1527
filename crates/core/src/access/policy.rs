//! The decision: may this principal do that?
//!
//! Scopes say what a credential may be used for, roles what its holder may do; a role never widens a scope, so a
//! route that asks for a role asks for its scope as well.

use std::collections::BTreeSet;

use crate::{
    api::Role,
    denial::Denial,
    principal::Principal,
    refusal::Refusal,
    scope::{Scope, ScopeSet},
};

/// What a route demands of its callers beyond being known.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Requirement {
    scopes: ScopeSet,
    roles: BTreeSet<Role>,
}

impl Requirement {
    /// Any principal will do.
    pub fn authenticated() -> Self {
        Self::default()
    }

    /// Demands a scope as well.
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scopes.insert(scope);
        self
    }

    /// Demands a role as well.
    pub fn role(mut self, role: Role) -> Self {
        self.roles.insert(role);
        self
    }

    /// The scopes demanded.
    pub fn scopes(&self) -> &ScopeSet {
        &self.scopes
    }

    /// The roles demanded.
    pub fn roles(&self) -> &BTreeSet<Role> {
        &self.roles
    }
}

/// Decides whether `principal` meets `requirement`. All scopes and all roles are needed; the first reason wins, scopes
/// before roles, since asking for a scope may help the caller and asking for a role can't.
pub fn authorize(principal: &Principal, requirement: &Requirement) -> Result<(), Refusal> {
    let missing = requirement.scopes.difference(&principal.scopes);
    if !missing.is_empty() {
        return Err(Refusal::new(Denial::InsufficientScope)
            .required_scopes(requirement.scopes.clone())
            .fact("missing_scope", missing)
            .fact("granted_scope", &principal.scopes)
            .fact("principal", &principal.subject));
    }
    match requirement.roles.iter().find(|role| !principal.roles.contains(role)) {
        Some(role) => Err(Refusal::new(Denial::InsufficientPermission)
            .fact("missing_role", role)
            .fact("principal", &principal.subject)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::ResourceIdentifier,
        principal::{CredentialKind, PrincipalKind},
    };

    fn principal(scopes: &str, roles: &[&str]) -> Principal {
        Principal {
            kind: PrincipalKind::User,
            subject: "usr_1".into(),
            client_id: None,
            owner: None,
            name: None,
            credential: CredentialKind::AccessTokenJwt,
            credential_id: None,
            grant_id: None,
            audience: ResourceIdentifier::parse("https://api.example").unwrap(),
            scopes: ScopeSet::parse(scopes).unwrap(),
            roles: roles.iter().map(|role| Role::parse(role).unwrap()).collect(),
            expires_at: None,
        }
    }

    fn delete_note() -> Requirement {
        Requirement::authenticated().scope(Scope::parse("notes:write").unwrap()).role(Role::parse("admin").unwrap())
    }

    #[test]
    fn scope_and_role_are_both_needed() {
        assert!(authorize(&principal("notes:write", &["admin"]), &delete_note()).is_ok());
        let role_alone = authorize(&principal("notes:read", &["admin"]), &delete_note()).unwrap_err();
        assert_eq!(role_alone.denial, Denial::InsufficientScope);
        assert_eq!(role_alone.required_scopes.unwrap().to_string(), "notes:write");
        let scope_alone = authorize(&principal("notes:write", &[]), &delete_note()).unwrap_err();
        assert_eq!(scope_alone.denial, Denial::InsufficientPermission);
    }

    #[test]
    fn any_principal_meets_a_requirement_that_asks_nothing() {
        assert!(authorize(&principal("", &[]), &Requirement::authenticated()).is_ok());
    }
}
