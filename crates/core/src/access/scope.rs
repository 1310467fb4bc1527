//! Scopes (RFC 6749 section 3.3): what a credential may be used for.
//!
//! Names are unique across all APIs, so that the scopes of a request determine the API.

use std::{
    borrow::Borrow,
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use serde::{Deserialize, Serialize, Serializer};

use crate::clock::Timestamp;

/// Requests an ID token (OpenID Connect Core section 3.1.2.1).
pub const OPENID: &str = "openid";
/// Requests a refresh token (OpenID Connect Core section 11).
pub const OFFLINE_ACCESS: &str = "offline_access";
/// Requests the user's name (OpenID Connect Core section 5.4).
pub const PROFILE: &str = "profile";
/// Requests the email address (OpenID Connect Core section 5.4).
pub const EMAIL: &str = "email";

/// The scopes of the authorization server itself, which belong to no API.
pub const OIDC_SCOPES: [&str; 4] = [OPENID, PROFILE, EMAIL, OFFLINE_ACCESS];

/// One scope: 1 to 128 characters of `%x21 / %x23-5B / %x5D-7E`.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scope(Arc<str>);

/// A text that is not a scope, or a list that is too long.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a scope is 1 to 128 printable ASCII characters without space, quote and backslash; at most 64 in a list")]
pub struct InvalidScope;

impl Scope {
    /// Parses a scope by the grammar of RFC 6749 section 3.3.
    pub fn parse(text: &str) -> Result<Self, InvalidScope> {
        let valid =
            (1..=128).contains(&text.len()) && text.bytes().all(|b| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
        valid.then(|| Self(text.into())).ok_or(InvalidScope)
    }

    /// The scope as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this scope belongs to the authorization server and to no API.
    pub fn is_oidc(&self) -> bool {
        OIDC_SCOPES.contains(&self.as_str())
    }
}

impl Borrow<str> for Scope {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<str> for Scope {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Scope {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl TryFrom<String> for Scope {
    type Error = InvalidScope;
    fn try_from(text: String) -> Result<Self, InvalidScope> {
        Self::parse(&text)
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.0.as_ref().into()
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A set of scopes; on the wire a list with single spaces between.
#[derive(Clone, Default, Eq, Hash, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct ScopeSet(BTreeSet<Scope>);

impl ScopeSet {
    /// The maximum number of scopes in one set.
    pub const MAX: usize = 64;

    /// Reads a list of scopes. An empty list is an empty set; a repeated scope counts once.
    pub fn parse(text: &str) -> Result<Self, InvalidScope> {
        let mut scopes = BTreeSet::new();
        for scope in text.split(' ').filter(|part| !part.is_empty()) {
            scopes.insert(Scope::parse(scope)?);
            if scopes.len() > Self::MAX {
                return Err(InvalidScope);
            }
        }
        Ok(Self(scopes))
    }

    /// Adds a scope; adding it again changes nothing.
    pub fn insert(&mut self, scope: Scope) {
        self.0.insert(scope);
    }

    /// Whether no scope is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many scopes there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether a scope of this name is in the set.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// Whether every scope of this set is in the other.
    pub fn is_subset(&self, of: &Self) -> bool {
        self.0.is_subset(&of.0)
    }

    /// The scopes of this set that the other lacks.
    pub fn difference(&self, other: &Self) -> Self {
        Self(self.0.difference(&other.0).cloned().collect())
    }

    /// The scopes in either.
    pub fn union(&self, other: &Self) -> Self {
        Self(self.0.union(&other.0).cloned().collect())
    }

    /// The scopes, in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }

    /// Only the scopes for which `keep` holds.
    pub fn filtered(&self, mut keep: impl FnMut(&Scope) -> bool) -> Self {
        Self(self.0.iter().filter(|scope| keep(scope)).cloned().collect())
    }
}

/// The scopes that were removed from an API, each with the time. What was granted or issued at or before that time does
/// not allow the scope, also when an API has a scope of this name again: it may mean something else.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct EndedScopes(BTreeMap<Scope, Timestamp>);

impl EndedScopes {
    /// The scopes that still count, of those that were given at `since`.
    pub fn living(&self, scopes: &ScopeSet, since: Timestamp) -> ScopeSet {
        scopes.filtered(|scope| self.0.get(scope).is_none_or(|ended_at| since > *ended_at))
    }

    /// When scopes that are given at `now` count as given: after the last time that one of them was removed, also where that
    /// was in the same millisecond, or by a server whose clock is ahead.
    pub fn given_at(&self, scopes: &ScopeSet, now: Timestamp) -> Timestamp {
        let removals = scopes.iter().filter_map(|scope| self.0.get(scope));
        let after = removals.map(|removed_at| Timestamp::from_millis(removed_at.as_millis().saturating_add(1)));
        after.max().map_or(now, |after| after.max(now))
    }

    /// The same, after these scopes were removed at `now` as well.
    pub fn and(&self, removed: impl IntoIterator<Item = Scope>, now: Timestamp) -> Self {
        let mut all = self.0.clone();
        for scope in removed {
            all.entry(scope).and_modify(|at| *at = now.max(*at)).or_insert(now);
        }
        Self(all)
    }
}

impl FromIterator<(Scope, Timestamp)> for EndedScopes {
    fn from_iter<I: IntoIterator<Item = (Scope, Timestamp)>>(ended: I) -> Self {
        Self(ended.into_iter().collect())
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

impl TryFrom<String> for ScopeSet {
    type Error = InvalidScope;
    fn try_from(text: String) -> Result<Self, InvalidScope> {
        Self::parse(&text)
    }
}

impl Serialize for ScopeSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Debug for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, scope) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ended_scope_counts_only_in_what_was_given_later() {
        let at = Timestamp::from_secs;
        let ended: EndedScopes = [(Scope::parse("notes:read").unwrap(), at(100))].into_iter().collect();
        let given = ScopeSet::parse("notes:read notes:write openid").unwrap();
        for since in [0, 99, 100] {
            assert_eq!(ended.living(&given, at(since)), ScopeSet::parse("notes:write openid").unwrap(), "{since}");
        }
        assert_eq!(ended.living(&given, at(101)), given);
        for now in [0, 100, 101] {
            let given_at = ended.given_at(&given, at(now));
            assert_eq!(
                ended.living(&given, given_at),
                given,
                "what is given again counts, also where the clock is behind"
            );
        }
        assert_eq!(ended.given_at(&given, at(101)), at(101));
        assert_eq!(ended.given_at(&ScopeSet::parse("notes:write").unwrap(), at(7)), at(7));
    }

    #[test]
    fn a_list_reads_in_any_order_and_writes_in_one() {
        assert_eq!(ScopeSet::parse("write  read read").unwrap().to_string(), "read write");
        assert!(ScopeSet::parse("").unwrap().is_empty());
    }

    #[test]
    fn characters_outside_the_grammar_are_refused() {
        for bad in ["a\"b", "a\\b", "a\tb", "ä", "a\n"] {
            assert_eq!(ScopeSet::parse(bad), Err(InvalidScope), "{bad:?}");
        }
    }

    #[test]
    fn a_list_is_bounded() {
        let list = |n: usize| (0..n).map(|i| format!("s{i}")).collect::<Vec<_>>().join(" ");
        assert!(ScopeSet::parse(&list(64)).is_ok());
        assert!(ScopeSet::parse(&list(65)).is_err());
    }

    #[test]
    fn scope_has_1_to_128_characters() {
        assert!(Scope::parse("a").is_ok() && Scope::parse(&"a".repeat(128)).is_ok());
        assert_eq!(Scope::parse(""), Err(InvalidScope));
        assert_eq!(Scope::parse(&"a".repeat(129)), Err(InvalidScope));
    }

    #[test]
    fn scope_equals_its_own_text_only_and_reads_back() {
        let scope = Scope::parse("notes:read").unwrap();
        assert!(scope == *"notes:read" && scope == "notes:read");
        assert!(scope != *"notes" && scope != "notes:write");
        assert_eq!(format!("{scope:?} {scope}"), "notes:read notes:read");
        assert_eq!(serde_json::to_string(&scope).unwrap(), "\"notes:read\"");
        assert_eq!(serde_json::from_str::<Scope>("\"notes read\"").ok(), None);
    }

    #[test]
    fn list_is_written_as_text_and_reads_back() {
        let scopes = ScopeSet::parse("b a").unwrap();
        assert_eq!(serde_json::to_string(&scopes).unwrap(), "\"a b\"");
        assert_eq!(serde_json::from_str::<ScopeSet>("\"b a\"").unwrap(), scopes);
        assert_eq!(serde_json::from_str::<ScopeSet>("\"a\\u0022\"").ok(), None);
        assert_eq!(format!("{scopes:?}"), "\"a b\"");
    }

    #[test]
    fn sets_are_counted_and_combined() {
        let set = |text: &str| ScopeSet::parse(text).unwrap();
        let (one, other) = (set("a b c"), set("b c d"));
        assert_eq!((one.len(), ScopeSet::default().len()), (3, 0));
        assert_eq!(one.difference(&other), set("a"));
        assert_eq!(one.union(&other), set("a b c d"));
        assert!(set("b").is_subset(&one) && !other.is_subset(&one));
        assert!(one.contains("a") && !one.contains("d"));
    }

    #[test]
    fn scopes_of_openid_connect_belong_to_no_api() {
        for name in ["openid", "profile", "email", "offline_access"] {
            assert!(Scope::parse(name).unwrap().is_oidc(), "{name}");
        }
        assert!(!Scope::parse("notes:read").unwrap().is_oidc());
    }

    proptest! {
        #[test]
        fn scope_sets_read_back(text in "[a-z:. ]{0,80}") {
            if let Ok(scopes) = ScopeSet::parse(&text) {
                prop_assert_eq!(ScopeSet::parse(&scopes.to_string()), Ok(scopes));
            }
        }
    }
}
