//! What kind of key an API key is. It is chosen at creation, stored with the key, and never changes.
//!
//! A publishable key is public: it is in pages that everybody can read. It identifies the page's owner and proves nothing.
//! So it has only scopes that its API marks as public, no roles, and works from its own origins only.
//!
//! Easy to get wrong: the text of a key shows its kind to people and to `doorward scan`. What a key may do is decided by the
//! kind that is stored.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    api::{Api, MANAGEMENT, Role},
    api_key::KeyPrefix,
    id::ApiId,
    principal::CredentialKind,
    refusal::Mistake,
    scope::ScopeSet,
};

/// The prefix of publishable keys, of every API.
pub const PUBLISHABLE_PREFIX: &str = "pk";

/// The kind of an API key.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// For pages in browsers: public, with public scopes, bound to origins.
    Publishable,
    /// For servers, which keep it secret.
    #[default]
    Secret,
}

impl KeyKind {
    /// Every kind, the default first.
    pub const ALL: [Self; 2] = [Self::Secret, Self::Publishable];

    /// The kind's name in JSON and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Publishable => "publishable",
            Self::Secret => "secret",
        }
    }

    /// What APIs call it as a credential.
    pub const fn credential(self) -> CredentialKind {
        match self {
            Self::Publishable => CredentialKind::PublishableKey,
            Self::Secret => CredentialKind::ApiKey,
        }
    }

    /// The prefix of such a key, whose API gives its secret keys this one.
    pub fn prefix(self, of_api: &KeyPrefix) -> KeyPrefix {
        match self {
            Self::Publishable => KeyPrefix::publishable(),
            Self::Secret => of_api.clone(),
        }
    }

    /// Whether holders may ask for a successor of the key with the key itself. Everybody holds a public one.
    pub const fn rotates_itself(self) -> bool {
        matches!(self, Self::Secret)
    }

    /// Whether such a key was lost when somebody found it.
    pub const fn can_leak(self) -> bool {
        matches!(self, Self::Secret)
    }

    /// Of the scopes that a key holds, those that count at an API at this moment: its own, and for a publishable key those
    /// that are public.
    pub fn scopes_at(self, api: &Api, held: &ScopeSet) -> ScopeSet {
        held.filtered(|scope| match self {
            Self::Publishable => api.has_scope(scope) && api.metadata.public_scopes.contains(scope),
            Self::Secret => api.has_scope(scope),
        })
    }

    /// Of the roles that a key was given, those that count at an API.
    pub fn roles_at(self, api: &Api, given: &[(ApiId, Role)]) -> BTreeSet<Role> {
        match self {
            Self::Publishable => BTreeSet::new(),
            Self::Secret => api.roles_among(given),
        }
    }

    /// Why there can't be such a key for these APIs, with these scopes, roles and origins.
    pub(crate) fn mistakes<'a>(
        self,
        apis: impl Iterator<Item = &'a Api> + Clone,
        scope: &ScopeSet,
        (has_roles, has_origins): (bool, bool),
    ) -> Vec<Mistake> {
        if self == Self::Secret {
            let mistake = || Mistake::at("allowed_origins", "only publishable keys are bound to origins");
            return has_origins.then(mistake).into_iter().collect();
        }
        let mut mistakes = Vec::new();
        if let Some(index) = apis.clone().position(|api| api.metadata.name == MANAGEMENT) {
            mistakes.push(Mistake::at_element("apis", index, format!("{MANAGEMENT:?} takes no publishable keys")));
        }
        let is_public = |scope: &_| apis.clone().any(|api| api.metadata.public_scopes.contains(scope));
        let secret = scope.filtered(|scope| !is_public(scope));
        if !secret.is_empty() {
            mistakes.push(Mistake::at("scopes", format!("{secret} is not public at its API")));
        }
        if has_roles {
            mistakes.push(Mistake::at("roles", "a publishable key has no roles"));
        }
        if !has_origins {
            mistakes.push(Mistake::at("allowed_origins", "a publishable key is bound to at least one origin"));
        }
        mistakes
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::{prelude::*, sample::subsequence};

    use super::*;
    use crate::{api::ApiMetadata, grant::audience::tests::api, scope::Scope};

    const SCOPES: [&str; 3] = ["notes:read", "notes:write", "notes:admin"];

    fn notes(public: &[&str]) -> Api {
        let plain = Arc::unwrap_or_clone(api("notes", &SCOPES));
        let public_scopes: BTreeSet<_> = public.iter().map(|scope| Scope::parse(scope).unwrap()).collect();
        Api { metadata: ApiMetadata { public_scopes, ..plain.metadata }, ..plain }
    }

    fn places(kind: KeyKind, apis: &[Api], scope: &ScopeSet, has: (bool, bool)) -> Vec<String> {
        kind.mistakes(apis.iter(), scope, has).into_iter().map(|mistake| mistake.pointer).collect()
    }

    #[test]
    fn publishable_key_has_public_scopes_origins_and_no_roles() {
        let (notes, scope) = (notes(&["notes:read"]), |text| ScopeSet::parse(text).unwrap());
        let of = |text, has| places(KeyKind::Publishable, std::slice::from_ref(&notes), &scope(text), has);
        assert_eq!(of("notes:read", (false, true)), [""; 0]);
        assert_eq!(of("", (false, true)), [""; 0]);
        assert_eq!(of("notes:read notes:write", (false, true)), ["/scopes"]);
        assert_eq!(of("notes:write", (true, false)), ["/scopes", "/roles", "/allowed_origins"]);
        let management = Api { metadata: ApiMetadata { name: MANAGEMENT.into(), ..notes.metadata.clone() }, ..notes };
        let of_management = places(KeyKind::Publishable, &[management], &scope("notes:read"), (false, true));
        assert_eq!(of_management, ["/apis/0"]);
    }

    #[test]
    fn secret_key_is_bound_to_no_origin() {
        let scope = ScopeSet::parse("notes:write").unwrap();
        assert_eq!(places(KeyKind::Secret, &[notes(&[])], &scope, (true, false)), [""; 0]);
        assert_eq!(places(KeyKind::Secret, &[notes(&[])], &scope, (true, true)), ["/allowed_origins"]);
    }

    #[test]
    fn role_given_to_a_publishable_key_does_not_count() {
        let (plain, role) = (notes(&[]), Role::parse("admin").unwrap());
        let notes = Api { metadata: ApiMetadata { roles: [role.clone()].into(), ..plain.metadata }, ..plain };
        let given = [(notes.id.clone(), role.clone())];
        assert_eq!(KeyKind::Secret.roles_at(&notes, &given), [role].into());
        assert_eq!(KeyKind::Publishable.roles_at(&notes, &given), BTreeSet::new());
    }

    #[test]
    fn kind_has_its_name_prefix_and_credential() {
        let acme = KeyPrefix::parse("acme").unwrap();
        for (kind, name, prefix) in [(KeyKind::Secret, "secret", "acme"), (KeyKind::Publishable, "publishable", "pk")] {
            assert_eq!(serde_json::to_value(kind).unwrap(), name);
            assert_eq!((kind.as_str(), kind.prefix(&acme).as_str()), (name, prefix));
        }
        assert_eq!(KeyKind::ALL[0], KeyKind::default());
        assert_eq!(KeyKind::Publishable.credential(), CredentialKind::PublishableKey);
        assert!(!KeyKind::Publishable.rotates_itself() && !KeyKind::Publishable.can_leak());
    }

    proptest! {
        /// Whatever a key holds and an API has, a publishable key never has a scope that is not public at the API now.
        #[test]
        fn publishable_key_never_has_more_than_is_public(
            held in subsequence(&["notes:read", "notes:write", "notes:admin", "mails:read"], 0..=4),
            public in subsequence(&SCOPES, 0..=3),
        ) {
            let api = notes(&public);
            let held: ScopeSet = held.into_iter().map(|scope| Scope::parse(scope).unwrap()).collect();
            let (published, secret) = (KeyKind::Publishable.scopes_at(&api, &held), KeyKind::Secret.scopes_at(&api, &held));
            prop_assert!(published.iter().all(|scope| public.contains(&scope.as_str()) && held.contains(scope.as_str())));
            prop_assert!(published.iter().all(|scope| secret.contains(scope.as_str())));
            prop_assert!(secret.iter().all(|scope| api.has_scope(scope)));
            let allowed = places(KeyKind::Publishable, std::slice::from_ref(&api), &held, (false, true)).is_empty();
            prop_assert_eq!(allowed, published == held);
        }
    }
}
