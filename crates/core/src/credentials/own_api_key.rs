//! Keys that users make for themselves, on the account page: only for APIs that allow it, with the scopes that those
//! allow, and for a limited time.

use std::time::Duration;

use crate::{
    api::Api,
    new_api_key::DEFAULT_LIFETIME,
    refusal::Mistake,
    scope::{Scope, ScopeSet},
};

const DAY: Duration = Duration::from_secs(86_400);

/// The lifetimes that users choose from.
pub const LIFETIMES: [Duration; 3] = [DAY.saturating_mul(30), DEFAULT_LIFETIME, DAY.saturating_mul(365)];

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
    fn lifetime_is_one_of_those_that_are_offered() {
        let notes = notes(&["notes:read"]);
        assert_eq!(places(&notes, "notes:read", 365), [""; 0]);
        for days in [0, 1, 89, 36_500] {
            assert_eq!(places(&notes, "notes:read", days), ["/lifetime"]);
        }
    }
}
