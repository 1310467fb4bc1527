//! Keys that users make for themselves, on the account page: only for APIs that allow it, with the scopes that those
//! allow, and for a limited time.

use std::time::Duration;

use crate::{
    api::Api,
    api_key::KeyMetadata,
    key_kind::KeyKind,
    new_api_key::DEFAULT_LIFETIME,
    refusal::Mistake,
    scope::{Scope, ScopeSet},
};

const DAY: Duration = Duration::from_secs(86_400);

/// The lifetimes that users choose from.
pub const LIFETIMES: [Duration; 3] = [DAY.saturating_mul(30), DEFAULT_LIFETIME, DAY.saturating_mul(365)];

/// For how long an old key works beside its successor at most, as users choose it: not at all, a day or a week.
const OVERLAPS: [Duration; 3] = [Duration::ZERO, DAY, DAY.saturating_mul(7)];

/// The overlaps that users choose from when they rotate a key, the shortest first: also the one that its APIs set.
pub fn overlaps(of_apis: Duration) -> Vec<Duration> {
    let mut offered = OVERLAPS.to_vec();
    offered.push(of_apis);
    offered.sort_unstable();
    offered.dedup();
    offered
}

/// Whether a user may create such a key for this API, so that rotating one gives the user nothing new. A key that an operator
/// created for the user may have more than that: roles, more APIs, or no end.
pub fn could_be_created(key: &KeyMetadata, has_roles: bool, lifetime: Option<Duration>, api: &Api) -> bool {
    let offered = &api.metadata.user_key_scopes;
    let is_limited_management_key = !key.limited_to.is_empty() || !key.limited_to_owners.is_empty();
    key.apis == [api.id.clone()]
        && !offered.is_empty()
        && key.scope.iter().all(|scope| offered.contains(scope))
        && !has_roles
        && !is_limited_management_key
        && key.kind == KeyKind::Secret
        && lifetime.is_some_and(|lifetime| LIFETIMES.iter().any(|most| lifetime <= *most))
}

/// The request of a user for a key.
#[derive(Clone, Copy, Debug)]
pub struct OwnApiKey<'a> {
    /// The API that it is for.
    pub api: &'a Api,
    /// What it may be used for.
    pub scope: &'a ScopeSet,
    /// How long it lives.
    pub lifetime: Duration,
}

impl OwnApiKey<'_> {
    /// Refuses a key that a user may not make.
    pub fn check(&self) -> Result<(), Vec<Mistake>> {
        let offered = &self.api.metadata.user_key_scopes;
        let mut mistakes = Vec::new();
        if offered.is_empty() {
            mistakes.push(Mistake::at("api", "users make no keys for this API"));
        } else if self.scope.is_empty() {
            mistakes.push(Mistake::at("scope", "choose at least one"));
        }
        let beyond = self.scope.filtered(|scope| !offered.contains(scope));
        if !offered.is_empty() && !beyond.is_empty() {
            mistakes.push(Mistake::at("scope", format!("users may not give {beyond} to a key")));
        }
        if !LIFETIMES.contains(&self.lifetime) {
            mistakes.push(Mistake::at("lifetime", "choose one of those that are offered"));
        }
        Mistake::none(mistakes)
    }
}

/// The scopes of an API that a user may give to a key, in the order of the API's own list.
pub fn offered(api: &Api) -> impl Iterator<Item = (&Scope, &str)> {
    let is_offered = |scope: &Scope| api.metadata.user_key_scopes.contains(scope);
    let described = api.metadata.scopes.iter().filter(move |described| is_offered(&described.scope));
    described.map(|described| (&described.scope, described.description.as_str()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{api::ApiMetadata, grant::audience::tests::api};

    fn notes(user_key_scopes: &[&str]) -> Api {
        let plain = Arc::unwrap_or_clone(api("notes", &["notes:read", "notes:write", "notes:admin"]));
        let user_key_scopes = user_key_scopes.iter().map(|scope| Scope::parse(scope).unwrap()).collect();
        Api { metadata: ApiMetadata { user_key_scopes, ..plain.metadata }, ..plain }
    }

    fn places(api: &Api, scope: &str, days: u32) -> Vec<String> {
        let scope = ScopeSet::parse(scope).unwrap();
        let checked = OwnApiKey { api, scope: &scope, lifetime: DAY * days }.check();
        checked.err().unwrap_or_default().into_iter().map(|mistake| mistake.pointer).collect()
    }

    #[test]
    fn key_has_only_scopes_that_users_may_give() {
        let notes = notes(&["notes:read", "notes:write"]);
        assert_eq!(places(&notes, "notes:read", 90), [""; 0]);
        assert_eq!(places(&notes, "notes:read notes:write", 30), [""; 0]);
        assert_eq!(places(&notes, "notes:read notes:admin", 90), ["/scope"]);
        assert_eq!(places(&notes, "", 90), ["/scope"]);
        let shown: Vec<_> = offered(&notes).map(|(scope, _)| scope.as_str()).collect();
        assert_eq!(shown, ["notes:read", "notes:write"]);
    }

    #[test]
    fn api_that_allows_no_scope_gets_no_keys_of_users() {
        let notes = notes(&[]);
        assert_eq!(places(&notes, "notes:read", 90), ["/api"]);
        assert_eq!(places(&notes, "", 90), ["/api"]);
        assert_eq!(offered(&notes).count(), 0);
    }

    #[test]
    fn overlap_of_the_api_is_among_those_that_are_offered() {
        assert_eq!(overlaps(DAY * 7), [Duration::ZERO, DAY, DAY * 7]);
        assert_eq!(overlaps(DAY * 2), [Duration::ZERO, DAY, DAY * 2, DAY * 7]);
    }

    #[test]
    fn user_could_create_only_a_plain_key_of_an_open_api() {
        let notes = notes(&["notes:read"]);
        let plain = KeyMetadata {
            name: "ci".to_owned(),
            apis: vec![notes.id.clone()],
            scope: ScopeSet::parse("notes:read").unwrap(),
            ..KeyMetadata::default()
        };
        let could = |key: &KeyMetadata, days| could_be_created(key, false, Some(DAY * days), &notes);
        assert!(could(&plain, 1) && could(&plain, 365));
        assert!(!could(&plain, 366));
        assert!(!could_be_created(&plain, false, None, &notes), "it never ends");
        assert!(!could_be_created(&plain, true, Some(DAY), &notes), "it has roles");
        assert!(!could(&KeyMetadata { kind: KeyKind::Publishable, ..plain.clone() }, 1), "users make secret keys only");
        assert!(!could_be_created(&plain, false, Some(DAY), &self::notes(&[])), "the API is closed to users");
        let wider = KeyMetadata { scope: ScopeSet::parse("notes:read notes:admin").unwrap(), ..plain.clone() };
        let several = KeyMetadata { apis: vec![notes.id.clone(), notes.id.clone()], ..plain.clone() };
        let limited = KeyMetadata { limited_to: vec![notes.id.clone()], ..plain.clone() };
        for key in [wider, several, limited] {
            assert!(!could(&key, 1), "{key:?}");
        }
    }

    #[test]
    fn lifetime_is_one_of_those_that_are_offered() {
        let notes = notes(&["notes:read"]);
        assert_eq!(places(&notes, "notes:read", 365), [""; 0]);
        for days in [0, 1, 89, 36_500] {
            assert_eq!(places(&notes, "notes:read", days), ["/lifetime"]);
        }
    }
}
