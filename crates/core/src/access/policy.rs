//! The decision: may this principal do that?
//!
//! Scopes say what a credential may be used for, roles what its holder may do; a role never widens a scope, so a
//! route that asks for a role asks for its scope as well.

use std::{collections::BTreeSet, fmt, sync::Arc};

use crate::{
    api::Role,
    denial::Denial,
    principal::Principal,
    refusal::{MISSING_ROLE, MISSING_SCOPE, Refusal},
    scope::{Scope, ScopeSet},
};

/// What a route requires of its callers in addition to authentication.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Requirement {
    scopes: ScopeSet,
    roles: BTreeSet<Role>,
    /// Of each list, one is enough.
    alternatives: Vec<Vec<Self>>,
    conditions: Vec<Condition>,
}

/// A condition on the principal, written by an API.
#[derive(Clone)]
struct Condition {
    name: Arc<str>,
    holds: Arc<dyn Fn(&Principal) -> bool + Send + Sync>,
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.name, f)
    }
}

impl Eq for Condition {}

/// Two conditions are equal only if they are the same one: functions can't be compared.
impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.holds, &other.holds)
    }
}

impl From<ScopeSet> for Requirement {
    /// Every scope of the set; any principal for an empty one.
    fn from(scopes: ScopeSet) -> Self {
        Self { scopes, ..Self::default() }
    }
}

impl Requirement {
    /// Requires any valid credential.
    pub fn authenticated() -> Self {
        Self::default()
    }

    /// Met if one of these is met. An empty list is never met.
    pub fn any_of(alternatives: impl IntoIterator<Item = Self>) -> Self {
        Self { alternatives: vec![alternatives.into_iter().collect()], ..Self::default() }
    }

    /// Also requires a scope.
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scopes.insert(scope);
        self
    }

    /// Also requires a role.
    pub fn role(mut self, role: Role) -> Self {
        self.roles.insert(role);
        self
    }

    /// Also requires another requirement.
    pub fn and(mut self, other: Self) -> Self {
        self.scopes = self.scopes.union(&other.scopes);
        self.roles.extend(other.roles);
        self.alternatives.extend(other.alternatives);
        self.conditions.extend(other.conditions);
        self
    }

    /// Also requires that a condition holds. Its name is for the operator.
    pub fn condition(
        mut self,
        name: impl Into<Arc<str>>,
        holds: impl Fn(&Principal) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.conditions.push(Condition { name: name.into(), holds: Arc::new(holds) });
        self
    }

    /// The scopes that are always required.
    pub fn scopes(&self) -> &ScopeSet {
        &self.scopes
    }

    /// The roles that are always required.
    pub fn roles(&self) -> &BTreeSet<Role> {
        &self.roles
    }
}

/// Decides whether `principal` meets `requirement`. The first reason wins: scopes before roles, since asking for a scope
/// may help the caller and asking for a role can't, and both before conditions. Of alternatives that all fail, the first
/// one that a scope would help is named, or else the first.
pub fn authorize(principal: &Principal, requirement: &Requirement) -> Result<(), Refusal> {
    let refused = |denial| Refusal::new(denial).fact("principal", &principal.subject);
    let missing = requirement.scopes.difference(&principal.scopes);
    if !missing.is_empty() {
        return Err(refused(Denial::InsufficientScope)
            .required_scopes(requirement.scopes.clone())
            .fact(MISSING_SCOPE, missing)
            .fact("granted_scope", &principal.scopes));
    }
    if let Some(role) = requirement.roles.difference(&principal.roles).next() {
        return Err(refused(Denial::InsufficientPermission)
            .required_roles(requirement.roles.clone())
            .fact(MISSING_ROLE, role));
    }
    for alternatives in &requirement.alternatives {
        any_of(principal, alternatives)?;
    }
    match requirement.conditions.iter().find(|condition| !(condition.holds)(principal)) {
        Some(condition) => Err(refused(Denial::InsufficientPermission).fact("condition", &condition.name)),
        None => Ok(()),
    }
}

fn any_of(principal: &Principal, alternatives: &[Requirement]) -> Result<(), Refusal> {
    let mut refusals = Vec::new();
    for alternative in alternatives {
        match authorize(principal, alternative) {
            Ok(()) => return Ok(()),
            Err(refusal) => refusals.push(refusal),
        }
    }
    let helpful = refusals.iter().position(|refusal| refusal.denial == Denial::InsufficientScope).unwrap_or(0);
    let named = refusals.into_iter().nth(helpful);
    let named = named.unwrap_or_else(|| Denial::InsufficientPermission.into());
    Err(named.fact("alternatives", alternatives.len()))
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
            claims: Default::default(),
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
    fn missing_scope_or_role_is_named() {
        let role_alone = authorize(&principal("notes:read", &["admin"]), &delete_note()).unwrap_err();
        assert!(role_alone.sentence().ends_with(" required scope: notes:write."), "{}", role_alone.sentence());
        let scope_alone = authorize(&principal("notes:write", &[]), &delete_note()).unwrap_err();
        assert!(scope_alone.sentence().ends_with(": the role admin is missing."), "{}", scope_alone.sentence());
        assert!(scope_alone.required_roles.contains("admin") && scope_alone.required_scopes.is_none());
    }

    fn scope(name: &str) -> Requirement {
        Requirement::authenticated().scope(Scope::parse(name).unwrap())
    }

    #[test]
    fn one_of_the_alternatives_is_enough() {
        let either =
            Requirement::any_of([scope("notes:write").role(Role::parse("admin").unwrap()), scope("notes:all")]);
        assert!(authorize(&principal("notes:all", &[]), &either).is_ok());
        assert!(authorize(&principal("notes:write", &["admin"]), &either).is_ok());
        let neither = authorize(&principal("notes:write", &[]), &either).unwrap_err();
        assert_eq!(neither.required_scopes.unwrap().to_string(), "notes:all", "asking for it would help");
        let no_way = authorize(&principal("", &[]), &Requirement::any_of([])).unwrap_err();
        assert_eq!(no_way.denial, Denial::InsufficientPermission);
    }

    #[test]
    fn requirements_that_are_joined_are_all_demanded() {
        let joined = scope("notes:read").and(Requirement::any_of([scope("a"), scope("b")]));
        assert!(authorize(&principal("notes:read b", &[]), &joined).is_ok());
        for lacking in ["notes:read", "b"] {
            assert_eq!(authorize(&principal(lacking, &[]), &joined).unwrap_err().denial, Denial::InsufficientScope);
        }
    }

    #[test]
    fn condition_that_does_not_hold_is_named_to_the_operator_only() {
        let by_user = scope("notes:read").condition("no keys", |who| who.kind == PrincipalKind::User);
        assert!(authorize(&principal("notes:read", &[]), &by_user).is_ok());
        let key = Principal { kind: PrincipalKind::Key, ..principal("notes:read", &[]) };
        let refusal = authorize(&key, &by_user).unwrap_err();
        assert_eq!(refusal.denial, Denial::InsufficientPermission);
        assert!(refusal.facts.contains(&("condition", "no keys".to_owned())));
        assert_eq!(refusal.sentence(), Denial::InsufficientPermission.sentence());
    }

    #[test]
    fn any_principal_meets_a_requirement_that_asks_nothing() {
        assert!(authorize(&principal("", &[]), &Requirement::authenticated()).is_ok());
    }

    #[test]
    fn requirement_says_what_it_demands_in_any_case() {
        let joined = delete_note().and(scope("notes:all"));
        assert_eq!(joined.scopes().to_string(), "notes:all notes:write");
        assert_eq!(joined.roles().iter().map(Role::as_str).collect::<Vec<_>>(), ["admin"]);
    }

    #[test]
    fn requirements_are_equal_if_their_conditions_are_the_same_ones() {
        let by_user = || Requirement::authenticated().condition("by a user", |who| who.kind == PrincipalKind::User);
        let one = by_user();
        assert_eq!(one.clone(), one);
        assert_ne!(one, by_user());
        assert!(format!("{one:?}").contains("by a user"));
    }
}
