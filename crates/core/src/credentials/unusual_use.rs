//! Uses of an API key that its owner should look at: after its end, after it leaked, and from a network that it was never
//! used from.
//!
//! Easy to get wrong: anyone who has an old key can use it as often as it likes. So each kind of use is reported once for a
//! key in [`REPORTED_EVERY`].

use std::time::Duration;

use crate::{api_key::KeyFacts, clock::Timestamp, denial::Denial};

/// How long a kind of use of a key is not reported again.
pub const REPORTED_EVERY: Duration = Duration::from_secs(3_600);

/// The networks that are remembered for a key: those that it was last used from. A network that was forgotten counts as new.
pub const KNOWN_NETWORKS: i64 = 16;

/// A use of a key that should not be in use.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum UnusualUse {
    /// It can't be used any more: it was refused for this reason.
    AfterEnd(Denial),
    /// Somebody reported it as leaked, and it still works.
    AfterLeak,
}

impl UnusualUse {
    /// What is unusual about a use of a key at `now`, if anything is.
    pub fn of(facts: &KeyFacts, is_leaked: bool, now: Timestamp) -> Option<Self> {
        match facts.check(now) {
            Err(denial) => Some(Self::AfterEnd(denial)),
            Ok(()) => is_leaked.then_some(Self::AfterLeak),
        }
    }

    /// Why the key should not be in use, in the audit and in webhooks.
    pub fn reason(self) -> &'static str {
        match self {
            Self::AfterEnd(denial) => denial.code(),
            Self::AfterLeak => "key_leaked",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_that_has_ended_or_leaked_is_not_to_be_used() {
        let now = Timestamp::from_secs(1_000);
        let facts = KeyFacts { revoked_at: None, expires_at: None, disabled_at: None, owner_is_disabled: false };
        let of = |facts: KeyFacts, is_leaked| UnusualUse::of(&facts, is_leaked, now).map(UnusualUse::reason);
        assert_eq!(of(facts, false), None);
        assert_eq!(of(facts, true), Some("key_leaked"));
        let revoked = KeyFacts { revoked_at: Some(now), ..facts };
        assert_eq!((of(revoked, false), of(revoked, true)), (Some("key_revoked"), Some("key_revoked")));
        assert_eq!(of(KeyFacts { expires_at: Some(now), ..facts }, false), Some("key_expired"));
        assert_eq!(of(KeyFacts { disabled_at: Some(now), ..facts }, false), Some("key_disabled"));
        assert_eq!(of(KeyFacts { owner_is_disabled: true, ..facts }, false), Some("key_owner_disabled"));
    }
}
