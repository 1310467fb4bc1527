//! What an API demands of its keys: how long they live, and when a successor is due.
//!
//! Easy to get wrong: a policy that changes must not end a key that exists. It decides about new keys and successors, and
//! about when a holder is asked to rotate.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{clock::Timestamp, key_rotation::Overlap, new_api_key::MAX_LIFETIME, refusal::Mistake};

const DAY: u64 = 86_400;

/// What is done when a key is used from a network that it was never used from before.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NewNetwork {
    /// Nothing. The networks are not remembered.
    #[default]
    Ignore,
    /// It is reported in the audit and by webhook.
    Report,
}

impl NewNetwork {
    /// Both, the default first.
    pub const ALL: [Self; 2] = [Self::Ignore, Self::Report];

    /// The name in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ignore => "ignore",
            Self::Report => "report",
        }
    }
}

/// The policy of an API for its keys. Durations are in seconds.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeyPolicy {
    /// How long after its creation a key is due for rotation; 90 days by default.
    #[serde(default = "KeyPolicy::default_rotate_after")]
    #[cfg_attr(feature = "openapi", schema(default = KeyPolicy::default_rotate_after, minimum = 1))]
    pub rotate_after: u64,
    /// How long before its end a key is due, if that is earlier; 14 days by default. A key that lives no longer than that is
    /// due by its age only.
    #[serde(default = "KeyPolicy::default_rotate_ahead")]
    #[cfg_attr(feature = "openapi", schema(default = KeyPolicy::default_rotate_ahead))]
    pub rotate_ahead: u64,
    /// The longest lifetime of a new key. No new key may live forever then. Keys that exist are left as they are.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(minimum = 1))]
    pub max_lifetime: Option<u64>,
    /// For how long a key and its successor both work at most; 7 days by default.
    #[serde(default = "KeyPolicy::default_overlap")]
    #[cfg_attr(feature = "openapi", schema(default = KeyPolicy::default_overlap, maximum = 31_536_000))]
    pub overlap: u64,
    /// For how long a key must be unused to end before that, once its successor is used; a day by default.
    #[serde(default = "KeyPolicy::default_quiet_for")]
    #[cfg_attr(feature = "openapi", schema(default = KeyPolicy::default_quiet_for, minimum = 300, maximum = 31_536_000))]
    pub quiet_for: u64,
    /// Whether a key may fetch its own successor; true by default.
    #[serde(default = "KeyPolicy::default_self_rotation")]
    #[cfg_attr(feature = "openapi", schema(default = KeyPolicy::default_self_rotation))]
    pub self_rotation: bool,
    /// What is done when a key is used at the API from a network that it was never used from before.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(default = NewNetwork::default))]
    pub new_network: NewNetwork,
}

impl Default for KeyPolicy {
    fn default() -> Self {
        Self {
            rotate_after: Self::default_rotate_after(),
            rotate_ahead: Self::default_rotate_ahead(),
            max_lifetime: None,
            overlap: Self::default_overlap(),
            quiet_for: Self::default_quiet_for(),
            self_rotation: Self::default_self_rotation(),
            new_network: NewNetwork::default(),
        }
    }
}

impl KeyPolicy {
    const fn default_rotate_after() -> u64 {
        90 * DAY
    }

    const fn default_rotate_ahead() -> u64 {
        14 * DAY
    }

    const fn default_overlap() -> u64 {
        crate::key_rotation::DEFAULT_OVERLAP.as_secs()
    }

    const fn default_quiet_for() -> u64 {
        crate::key_rotation::DEFAULT_QUIET.as_secs()
    }

    const fn default_self_rotation() -> bool {
        true
    }

    /// Its mistakes, each in its member.
    pub fn mistakes(&self) -> Vec<Mistake> {
        let most = MAX_LIFETIME.as_secs();
        let mut mistakes = self.overlap().checked().err().unwrap_or_default();
        let mut check = |member, secs: Option<u64>, least| {
            if secs.is_some_and(|secs| !(least..=most).contains(&secs)) {
                mistakes.push(Mistake::at(member, format!("from {least} to {most} seconds")));
            }
        };
        check("rotate_after", Some(self.rotate_after), 1);
        check("rotate_ahead", Some(self.rotate_ahead), 0);
        check("max_lifetime", self.max_lifetime, 1);
        mistakes
    }

    /// How an old key ends, if a request to rotate does not say it.
    pub fn overlap(&self) -> Overlap {
        Overlap { at_most: Duration::from_secs(self.overlap), quiet_for: Duration::from_secs(self.quiet_for) }
    }

    /// The longest lifetime of a new key, if there is one.
    pub fn max_lifetime(&self) -> Option<Duration> {
        self.max_lifetime.map(Duration::from_secs)
    }

    /// The policy of a key for several APIs, if any of them has one: the strictest of each member.
    pub fn strictest<'a>(policies: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        policies.into_iter().copied().reduce(|one, other| Self {
            rotate_after: one.rotate_after.min(other.rotate_after),
            rotate_ahead: one.rotate_ahead.max(other.rotate_ahead),
            max_lifetime: [one.max_lifetime, other.max_lifetime].into_iter().flatten().min(),
            overlap: one.overlap.min(other.overlap),
            quiet_for: one.quiet_for.min(other.quiet_for),
            self_rotation: one.self_rotation && other.self_rotation,
            new_network: if one.new_network == NewNetwork::Report { NewNetwork::Report } else { other.new_network },
        })
    }

    /// Whether a key may fetch its own successor: each of its APIs must have a policy that allows it.
    pub fn all_allow_self_rotation(policies: impl IntoIterator<Item = Option<Self>>) -> bool {
        policies.into_iter().all(|policy| policy.is_some_and(|policy| policy.self_rotation))
    }

    /// When a key is due for rotation.
    pub fn due_at(&self, created_at: Timestamp, expires_at: Option<Timestamp>) -> Timestamp {
        let by_age = created_at.plus(Duration::from_secs(self.rotate_after));
        let Some(end) = expires_at else { return by_age };
        let ahead = Duration::from_secs(self.rotate_ahead);
        match end.since(created_at) > ahead {
            true => by_age.min(end.minus(ahead)),
            false => by_age,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(number: u64) -> Timestamp {
        Timestamp::from_secs(1_700_000_000).plus(Duration::from_secs(number * DAY))
    }

    #[test]
    fn key_is_due_by_its_age_or_ahead_of_its_end() {
        let policy = KeyPolicy::default();
        assert_eq!(policy.due_at(day(0), None), day(90));
        assert_eq!(policy.due_at(day(0), Some(day(365))), day(90));
        assert_eq!(policy.due_at(day(0), Some(day(90))), day(76));
        assert_eq!(policy.due_at(day(0), Some(day(15))), day(1));
        assert_eq!(policy.due_at(day(0), Some(day(14))), day(90), "it would be due at once");
    }

    #[test]
    fn key_for_several_apis_has_the_strictest_policy() {
        let strict = KeyPolicy { rotate_after: 1, max_lifetime: Some(9), self_rotation: false, ..KeyPolicy::default() };
        let ahead = KeyPolicy {
            rotate_ahead: 99 * DAY,
            max_lifetime: Some(8),
            overlap: 2,
            quiet_for: 400,
            new_network: NewNetwork::Report,
            ..KeyPolicy::default()
        };
        let both = KeyPolicy::strictest([&strict, &ahead]).unwrap();
        let expected = KeyPolicy {
            rotate_after: 1,
            rotate_ahead: 99 * DAY,
            max_lifetime: Some(8),
            overlap: 2,
            quiet_for: 400,
            self_rotation: false,
            new_network: NewNetwork::Report,
        };
        assert_eq!(both, expected);
        assert_eq!(KeyPolicy::strictest([&ahead, &strict]), Some(expected));
        assert_eq!(KeyPolicy::strictest([&KeyPolicy::default(), &strict]).unwrap().max_lifetime, Some(9));
        assert_eq!(KeyPolicy::strictest([]), None);
    }

    #[test]
    fn each_api_must_allow_that_a_key_rotates_itself() {
        let allows = |policies: &[Option<KeyPolicy>]| KeyPolicy::all_allow_self_rotation(policies.iter().copied());
        let (yes, no) = (KeyPolicy::default(), KeyPolicy { self_rotation: false, ..KeyPolicy::default() });
        assert!(allows(&[Some(yes)]) && allows(&[Some(yes), Some(yes)]));
        assert!(!allows(&[Some(yes), Some(no)]) && !allows(&[Some(yes), None]) && !allows(&[None]));
    }

    #[test]
    fn each_duration_of_a_policy_is_bounded() {
        assert_eq!(KeyPolicy::default().mistakes(), []);
        let most = MAX_LIFETIME.as_secs();
        let wrong = KeyPolicy {
            rotate_after: 0,
            rotate_ahead: most + 1,
            max_lifetime: Some(0),
            overlap: 31_536_001,
            quiet_for: 299,
            self_rotation: true,
            new_network: NewNetwork::Ignore,
        };
        let places: Vec<_> = wrong.mistakes().into_iter().map(|mistake| mistake.pointer).collect();
        assert_eq!(places, ["/overlap", "/quiet_for", "/rotate_after", "/rotate_ahead", "/max_lifetime"]);
        let right = KeyPolicy { rotate_after: most, rotate_ahead: 0, max_lifetime: Some(1), ..KeyPolicy::default() };
        assert_eq!(right.mistakes(), []);
    }

    #[test]
    fn policy_with_nothing_said_has_the_defaults() {
        assert_eq!(serde_json::from_str::<KeyPolicy>("{}").unwrap(), KeyPolicy::default());
        assert_eq!(KeyPolicy::default().overlap(), Overlap::default());
        let limited: KeyPolicy = serde_json::from_str(r#"{"max_lifetime":60}"#).unwrap();
        assert_eq!(limited.max_lifetime(), Some(Duration::from_secs(60)));
        assert_eq!(limited.new_network, NewNetwork::Ignore);
        let watched: KeyPolicy = serde_json::from_str(r#"{"new_network":"report"}"#).unwrap();
        assert_eq!(watched.new_network, NewNetwork::Report);
        for known in NewNetwork::ALL {
            assert_eq!(serde_json::to_value(known).unwrap(), known.as_str());
        }
    }
}
