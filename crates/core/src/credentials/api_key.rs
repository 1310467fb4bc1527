//! API keys: `{prefix}_{live|test}_` and a checksummed random part (see [`crate::checksummed`]).
//!
//! The prefix is the API's (`sk` unless it chose another). A text that fails the checksum is refused without a look-up.

use std::{fmt, net::IpAddr};

use serde::{Deserialize, Serialize};

use crate::{
    allowed_addresses::AllowedAddresses,
    allowed_origins::AllowedOrigins,
    checksummed::{self, checksum_holds, is_body},
    clock::Timestamp,
    denial::Denial,
    holder::Owner,
    id::{ApiId, KeyId},
    json::{Map, Value},
    key_kind::{KeyKind, PUBLISHABLE_PREFIX},
    key_limits::KeyLimits,
    random::Rng,
    refusal::Refusal,
    rights::Limits,
    scope::ScopeSet,
    secret::{ExposeSecret, SecretString},
};

/// The default prefix of keys.
pub const DEFAULT_PREFIX: &str = "sk";

/// Whether a key is meant for real use or for tests. Both are verified alike.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// Real use.
    #[default]
    Live,
    /// Tests.
    Test,
}

impl Environment {
    /// The word inside the key.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Test => "test",
        }
    }
}

/// The first part of the keys of an API: 1 to 12 lower-case letters and digits, a letter first.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyPrefix(String);

/// A text that can't be the prefix of keys.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a key prefix is 1 to 12 lower-case letters and digits, a letter first, and not `dw`")]
pub struct InvalidKeyPrefix;

impl KeyPrefix {
    /// Parses a prefix. `dw` is reserved for Doorward.
    pub fn parse(text: &str) -> Result<Self, InvalidKeyPrefix> {
        let valid = (1..=12).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
            && text != "dw";
        valid.then(|| Self(text.to_owned())).ok_or(InvalidKeyPrefix)
    }

    /// The prefix of publishable keys.
    pub fn publishable() -> Self {
        Self(PUBLISHABLE_PREFIX.to_owned())
    }

    /// The prefix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for KeyPrefix {
    fn default() -> Self {
        Self(DEFAULT_PREFIX.to_owned())
    }
}

impl TryFrom<String> for KeyPrefix {
    type Error = InvalidKeyPrefix;
    fn try_from(text: String) -> Result<Self, InvalidKeyPrefix> {
        Self::parse(&text)
    }
}

impl From<KeyPrefix> for String {
    fn from(prefix: KeyPrefix) -> Self {
        prefix.0
    }
}

/// A well-formed API key. That says nothing about whether it exists.
#[derive(Clone)]
pub struct ApiKey(SecretString);

impl ApiKey {
    /// Creates a new key.
    pub fn generate(prefix: &KeyPrefix, environment: Environment, rng: &dyn Rng) -> Self {
        Self(checksummed::generate(&format!("{}_{}_", prefix.0, environment.as_str()), rng))
    }

    /// Parses a key; `None` if its form or checksum is wrong.
    pub fn parse(text: &str) -> Option<Self> {
        (looks_like_key(text) && checksum_holds(text)).then(|| Self(text.into()))
    }

    /// The key itself, which is shown once, when it is created.
    pub fn reveal(&self) -> &str {
        self.0.expose_secret()
    }

    /// The part of the key that may be shown later: everything except the last 34 characters.
    pub fn hint(&self) -> String {
        let text = self.reveal();
        text[..text.len() - 34].to_owned()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({}…)", self.hint())
    }
}

/// Whether a text has the outer form of a key, its checksum aside. Distinguishes a mistyped key from other text.
pub fn looks_like_key(text: &str) -> bool {
    let mut parts = text.splitn(3, '_');
    let (Some(prefix), Some(environment), Some(body)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    KeyPrefix::parse(prefix).is_ok() && matches!(environment, "live" | "test") && is_body(body)
}

/// Whether a text begins like a key, and is only shorter or longer: a key that was not copied whole.
pub fn looks_cut(text: &str) -> bool {
    let mut parts = text.splitn(3, '_');
    let (Some(prefix), Some(environment), Some(body)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let is_word = !body.is_empty() && body.bytes().all(|byte| byte.is_ascii_alphanumeric());
    KeyPrefix::parse(prefix).is_ok() && matches!(environment, "live" | "test") && is_word
}

/// What a text with the form of a key says of its use.
pub fn environment(text: &str) -> Option<Environment> {
    let [live, test] = [Environment::Live, Environment::Test];
    let named = text.split('_').nth(1)?;
    [live, test].into_iter().find(|environment| environment.as_str() == named)
}

/// What is registered of an API key, and stored as this one type. A member that is not known is skipped, since a newer
/// program may have stored it. None has a default: where `limited_to` is missing, nobody can say that there is no
/// limit.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct KeyMetadata {
    /// Its name, for people.
    pub name: String,
    /// The APIs that it names; the first gives its prefix.
    pub apis: Vec<ApiId>,
    /// Of a key for the management API: the APIs that it may manage; all if empty.
    pub limited_to: Vec<ApiId>,
    /// Of a key for the management API: the owners whose things it may manage; all if empty. Older programs could not
    /// limit a key so.
    #[serde(default)]
    pub limited_to_owners: Vec<Owner>,
    /// What kind of key it is. Older programs knew secret ones only.
    #[serde(default)]
    pub kind: KeyKind,
    /// What it may be used for.
    pub scope: ScopeSet,
    /// For real use or for tests.
    pub environment: Environment,
    /// What its service keeps with it; Doorward only shows it. Older programs had none.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
    /// From where it may be used. Older programs let it in from everywhere.
    #[serde(default, skip_serializing_if = "AllowedAddresses::is_empty")]
    pub allowed_addresses: AllowedAddresses,
    /// The origins of the pages that a publishable key may be used from; others have none.
    #[serde(default, skip_serializing_if = "AllowedOrigins::is_empty")]
    pub allowed_origins: AllowedOrigins,
    /// How often it may be used. Older programs did not count.
    #[serde(default, skip_serializing_if = "KeyLimits::is_empty")]
    pub use_limits: KeyLimits,
    /// Of a successor: the first key of its rotations. What limits its uses is counted for all of them together, so that a
    /// rotation fills nothing up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counted_as: Option<KeyId>,
}

impl KeyMetadata {
    /// What it is limited to at the management API.
    pub fn limits(&self) -> Limits {
        Limits { apis: self.limited_to.clone(), owners: self.limited_to_owners.clone() }
    }

    /// Whether what is said about one use of the key holds for the next one too, from wherever it comes.
    pub fn is_reusable(&self) -> bool {
        self.kind == KeyKind::Secret && self.allowed_addresses.is_empty() && self.use_limits.is_empty()
    }

    /// Refuses a publishable key from a page of another origin, or without an origin. `origin` is what
    /// [`sent`](crate::allowed_origins::sent) found. A secret key may come from anywhere.
    pub fn check_origin(&self, origin: Option<&str>) -> Result<(), Refusal> {
        match self.kind {
            KeyKind::Publishable => self.allowed_origins.check(origin),
            KeyKind::Secret => Ok(()),
        }
    }

    /// Refuses a caller from an address that the key may not be used from. `None`: the address is not known.
    pub fn check_address(&self, address: Option<IpAddr>) -> Result<(), Refusal> {
        match self.allowed_addresses.admit(address) {
            true => Ok(()),
            false => {
                let address = address.map_or_else(|| "unknown".to_owned(), |address| address.to_string());
                Err(Refusal::new(Denial::KeyAddressNotAllowed).fact("address", address))
            }
        }
    }
}

/// What decides whether a key that exists may be used.
#[derive(Clone, Copy, Debug)]
pub struct KeyFacts {
    /// When it was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
    /// When it ends; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// When it was disabled, if it is.
    pub disabled_at: Option<Timestamp>,
    /// Whether the user or client that owns it is disabled or gone.
    pub owner_is_disabled: bool,
}

impl KeyFacts {
    /// Refuses a key that can't be used at `now`, for the reason that lasts longest.
    pub fn check(&self, now: Timestamp) -> Result<(), Denial> {
        if self.revoked_at.is_some() {
            return Err(Denial::KeyRevoked);
        }
        if self.expires_at.is_some_and(|at| now >= at) {
            return Err(Denial::KeyExpired);
        }
        if self.owner_is_disabled {
            return Err(Denial::KeyOwnerDisabled);
        }
        if self.disabled_at.is_some() {
            return Err(Denial::KeyDisabled);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::random::SeededRng;

    #[test]
    fn a_new_key_reads_back_and_shows_eight_characters_of_it() {
        let key = ApiKey::generate(&KeyPrefix::default(), Environment::Live, &SeededRng::new(1));
        assert!(key.reveal().starts_with("sk_live_"));
        assert_eq!(key.reveal().len(), "sk_live_".len() + 38);
        assert_eq!(ApiKey::parse(key.reveal()).unwrap().reveal(), key.reveal());
        assert_eq!(key.hint().len(), "sk_live_".len() + 4);
        assert!(!format!("{key:?}").contains(key.reveal()));
    }

    #[test]
    fn a_mistyped_key_looks_like_one_and_is_refused() {
        let key = ApiKey::generate(&KeyPrefix::default(), Environment::Test, &SeededRng::new(1));
        let mistyped = key.reveal().replace("sk_test_", "sk_live_");
        assert!(looks_like_key(&mistyped));
        assert!(ApiKey::parse(&mistyped).is_none());
    }

    #[test]
    fn doorwards_own_prefix_is_not_for_keys() {
        assert!(KeyPrefix::parse("dw").is_err());
        for bad in ["", "9k", "SK", "a_b", "abcdefghijklm"] {
            assert!(KeyPrefix::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn key_is_refused_for_the_reason_that_lasts_longest() {
        let now = Timestamp::from_secs(1_700_000_000);
        let good = KeyFacts { revoked_at: None, expires_at: None, disabled_at: None, owner_is_disabled: false };
        assert_eq!(good.check(now), Ok(()));
        let ends = |secs| KeyFacts { expires_at: Some(Timestamp::from_secs(secs)), ..good };
        assert_eq!(ends(1_700_000_001).check(now), Ok(()));
        assert_eq!(ends(1_700_000_000).check(now), Err(Denial::KeyExpired));
        let disabled = KeyFacts { disabled_at: Some(now), ..good };
        assert_eq!(disabled.check(now), Err(Denial::KeyDisabled));
        let orphan = KeyFacts { owner_is_disabled: true, ..disabled };
        assert_eq!(orphan.check(now), Err(Denial::KeyOwnerDisabled));
        let revoked = KeyFacts { revoked_at: Some(now), ..ends(0) };
        assert_eq!(revoked.check(now), Err(Denial::KeyRevoked));
    }

    #[test]
    fn key_with_a_list_is_refused_elsewhere_and_from_nowhere() {
        let listed = AllowedAddresses::read(&["192.0.2.0/24".to_owned()]).unwrap();
        let listed = KeyMetadata { allowed_addresses: listed, ..KeyMetadata::default() };
        assert_eq!(listed.check_address(Some([192, 0, 2, 1].into())), Ok(()));
        for (address, known) in [(Some(IpAddr::from([192, 0, 3, 1])), "192.0.3.1"), (None, "unknown")] {
            let refusal = listed.check_address(address).unwrap_err();
            assert_eq!((refusal.denial, refusal.known_fact("address")), (Denial::KeyAddressNotAllowed, Some(known)));
            assert_eq!(KeyMetadata::default().check_address(address), Ok(()));
        }
        assert!(!listed.is_reusable() && KeyMetadata::default().is_reusable());
    }

    #[test]
    fn publishable_key_without_its_origin_is_refused() {
        let origin = "https://app.example.com";
        let allowed_origins = AllowedOrigins::read(&[origin.to_owned()]).unwrap();
        let publishable = KeyMetadata { kind: KeyKind::Publishable, allowed_origins, ..KeyMetadata::default() };
        assert_eq!(publishable.check_origin(Some(origin)), Ok(()));
        for sent in [None, Some("https://other.example")] {
            assert_eq!(publishable.check_origin(sent).unwrap_err().denial, Denial::KeyOriginNotAllowed);
            assert_eq!(KeyMetadata::default().check_origin(sent), Ok(()));
        }
        assert!(!publishable.is_reusable(), "the next use can come from another page");
        let unbound = KeyMetadata { kind: KeyKind::Publishable, ..KeyMetadata::default() };
        assert!(unbound.check_origin(Some(origin)).is_err(), "no list is no permission");
    }

    #[test]
    fn kind_of_a_stored_key_reads_back_and_older_keys_are_secret() {
        let written =
            serde_json::to_value(KeyMetadata { kind: KeyKind::Publishable, ..KeyMetadata::default() }).unwrap();
        assert_eq!(written["kind"], "publishable");
        assert_eq!(serde_json::from_value::<KeyMetadata>(written.clone()).unwrap().kind, KeyKind::Publishable);
        let mut older = written;
        older.as_object_mut().unwrap().remove("kind");
        assert_eq!(serde_json::from_value::<KeyMetadata>(older).unwrap().kind, KeyKind::Secret);
    }

    #[test]
    fn prefix_has_1_to_12_characters_and_reads_back() {
        for good in ["a", "acme2", "abcdefghijkl"] {
            let prefix: KeyPrefix = serde_json::from_value(good.into()).unwrap();
            assert_eq!((prefix.as_str(), serde_json::to_value(&prefix).unwrap()), (good, good.into()));
        }
        assert_eq!(serde_json::from_str::<KeyPrefix>("\"dw\"").ok(), None);
        assert_eq!(KeyPrefix::default().as_str(), "sk");
    }

    #[test]
    fn every_part_of_a_key_must_have_its_form() {
        let body = "a".repeat(38);
        assert!(looks_like_key(&format!("acme_test_{body}")));
        for bad in [
            format!("dw_live_{body}"),
            format!("SK_live_{body}"),
            format!("sk_prod_{body}"),
            format!("sk_live_{body}a"),
            format!("sk_live_{}", &body[1..]),
            format!("sk_live_{}_", &body[1..]),
            format!("sk_{body}"),
        ] {
            assert!(!looks_like_key(&bad), "{bad}");
        }
    }

    #[test]
    fn key_is_shown_by_its_hint() {
        let key = ApiKey::generate(&KeyPrefix::default(), Environment::Test, &SeededRng::new(1));
        assert_eq!(key.hint(), key.reveal()[..12]);
        assert_eq!(format!("{key:?}"), format!("ApiKey({}…)", key.hint()));
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in "\\PC*") {
            let _ = ApiKey::parse(&text);
        }
    }
}
