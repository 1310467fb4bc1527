//! The life of a signing key: published, active, retired, gone.
//!
//! A key is published before it signs, so that every verifier has fetched it, and stays published after it signed, so
//! that every token it signed is verified. Its state is a function of the time and of the two times in its row.

use std::time::Duration;

use crate::{clock::Timestamp, id::SigningKeyId, jwk::Algorithm};

/// The durations that decide when keys change.
#[derive(Clone, Copy, Debug)]
pub struct RotationSchedule {
    /// How long a key signs.
    pub rotate_every: Duration,
    /// How long a key is published before it signs.
    pub publish_before_use: Duration,
    /// How long a key stays published after it signed.
    pub retire_after: Duration,
}

/// How many keys of one algorithm wait to sign at most, if somebody asks for them. All of them are in the JWKS, and
/// verifiers read only so much of it.
pub const MAX_WAITING: usize = 2;

/// The times of a signing key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyTimes {
    /// The key's id, its `kid`.
    pub id: SigningKeyId,
    /// The algorithm that it signs with.
    pub algorithm: Algorithm,
    /// When it was published.
    pub published_at: Timestamp,
    /// When it starts to sign.
    pub active_from: Timestamp,
    /// Until when something was signed with its algorithm, if that ended: an API chose another one, or was deleted.
    pub unused_since: Option<Timestamp>,
}

/// The state of a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyState {
    /// In the JWKS, but not signing yet.
    Published,
    /// The key that signs new tokens.
    Active,
    /// No longer signing, but still in the JWKS.
    Retired,
    /// Retired for so long that it can be deleted.
    Gone,
}

impl KeyState {
    /// The state as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Active => "active",
            Self::Retired => "retired",
            Self::Gone => "gone",
        }
    }
}

/// The state of `key` among all keys: it is active from its time until its successor's.
pub fn state(key: &KeyTimes, all: &[KeyTimes], schedule: &RotationSchedule, now: Timestamp) -> KeyState {
    if now < key.active_from {
        let is_first = active(key.algorithm, all, now).is_some_and(|active| active.id == key.id);
        return if is_first { KeyState::Active } else { KeyState::Published };
    }
    let later = |other: &&KeyTimes| {
        other.algorithm == key.algorithm && (other.active_from, &other.id) > (key.active_from, &key.id)
    };
    match all.iter().filter(later).map(|other| other.active_from).min() {
        Some(successor) if now >= successor.plus(schedule.retire_after) => KeyState::Gone,
        Some(successor) if now >= successor => KeyState::Retired,
        _ => KeyState::Active,
    }
}

/// Whether `key` is in the JWKS. A key of an algorithm that is not in use is not, since some libraries fail on a set that
/// holds a key that they don't know; but it stays as long as tokens live that it may have signed.
pub fn is_published(
    key: &KeyTimes,
    all: &[KeyTimes],
    in_use: &[Algorithm],
    schedule: &RotationSchedule,
    now: Timestamp,
) -> bool {
    let was_used_lately = key.unused_since.is_some_and(|since| now < since.plus(schedule.retire_after));
    (in_use.contains(&key.algorithm) || was_used_lately) && state(key, all, schedule, now) != KeyState::Gone
}

/// The key that signs with `algorithm` at `now`. The first key of an algorithm replaces no other, so it signs even if
/// the clock shows a time before its creation.
pub fn active(algorithm: Algorithm, all: &[KeyTimes], now: Timestamp) -> Option<&KeyTimes> {
    let of_algorithm = || all.iter().filter(|key| key.algorithm == algorithm);
    let begun = of_algorithm().filter(|key| key.active_from <= now).max_by_key(|key| (key.active_from, &key.id));
    begun.or_else(|| of_algorithm().min_by_key(|key| (key.active_from, &key.id)))
}

/// When a key of `algorithm` that is created at `now` may start to sign: after the time that verifiers need to fetch
/// it, or at once if it is the only one.
pub fn earliest(algorithm: Algorithm, all: &[KeyTimes], schedule: &RotationSchedule, now: Timestamp) -> Timestamp {
    match all.iter().any(|key| key.algorithm == algorithm) {
        true => now.plus(schedule.publish_before_use),
        false => now,
    }
}

/// Whether somebody may ask for another key of `algorithm`: not too many wait to sign.
pub fn may_add(algorithm: Algorithm, all: &[KeyTimes], now: Timestamp) -> bool {
    all.iter().filter(|key| key.algorithm == algorithm && now < key.active_from).count() < MAX_WAITING
}

/// When a new key of `algorithm` starts to sign, if one is due. It is created early enough to be published for long
/// enough before the current key's time is over.
pub fn due(algorithm: Algorithm, all: &[KeyTimes], schedule: &RotationSchedule, now: Timestamp) -> Option<Timestamp> {
    let earliest = earliest(algorithm, all, schedule, now);
    match all.iter().filter(|key| key.algorithm == algorithm).map(|key| key.active_from).max() {
        None => Some(earliest),
        Some(newest) => {
            let ends = newest.plus(schedule.rotate_every);
            let is_due = now >= ends.minus(schedule.publish_before_use);
            is_due.then(|| ends.max(earliest))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::random::SeededRng;

    const DAY: Duration = Duration::from_secs(86_400);
    const SCHEDULE: RotationSchedule =
        RotationSchedule { rotate_every: Duration::from_secs(30 * 86_400), publish_before_use: DAY, retire_after: DAY };

    fn at(days: u64) -> Timestamp {
        Timestamp::from_millis(0).plus(DAY * u32::try_from(days).unwrap())
    }

    fn key(published: u64, active: u64) -> KeyTimes {
        KeyTimes {
            id: SigningKeyId::new(at(published), &SeededRng::new(published)),
            algorithm: Algorithm::EdDSA,
            published_at: at(published),
            active_from: at(active),
            unused_since: None,
        }
    }

    #[test]
    fn a_key_is_published_active_retired_and_gone_in_turn() {
        let keys = [key(0, 0), key(29, 30), key(59, 60)];
        let states = |day| keys.each_ref().map(|key| state(key, &keys, &SCHEDULE, at(day)));
        use KeyState::*;
        assert_eq!(states(29), [Active, Published, Published]);
        assert_eq!(states(30), [Retired, Active, Published]);
        assert_eq!(states(31), [Gone, Active, Published]);
        assert_eq!(states(60), [Gone, Retired, Active]);
    }

    #[test]
    fn a_successor_is_due_a_publication_before_the_end() {
        let due_on = |keys: &[KeyTimes], day| due(Algorithm::EdDSA, keys, &SCHEDULE, at(day));
        assert_eq!(due_on(&[], 5), Some(at(5)));
        assert_eq!(due_on(&[key(0, 0)], 28), None);
        assert_eq!(due_on(&[key(0, 0)], 29), Some(at(30)));
        // A server that slept through it still publishes before it signs.
        assert_eq!(due_on(&[key(0, 0)], 100), Some(at(101)));
        assert_eq!(due_on(&[key(0, 0), key(29, 30)], 29), None);
    }

    #[test]
    fn keys_that_wait_to_sign_are_few() {
        let of_another = KeyTimes { algorithm: Algorithm::RS256, ..key(0, 9) };
        let may_add = |keys: &[KeyTimes], day| may_add(key(0, 0).algorithm, keys, at(day));
        assert!(may_add(&[], 0) && may_add(&[key(0, 0), key(0, 1), of_another], 0), "one waits");
        let full = [key(0, 0), key(0, 1), key(0, 1)];
        assert!(!may_add(&full, 0) && may_add(&full, 1), "until they sign");
    }

    #[test]
    fn key_of_an_algorithm_out_of_use_is_published_for_its_tokens() {
        let published = |unused_since: Option<u64>, in_use: &[Algorithm], day| {
            let key = KeyTimes { unused_since: unused_since.map(at), ..key(0, 0) };
            is_published(&key, std::slice::from_ref(&key), in_use, &SCHEDULE, at(day))
        };
        assert!(published(None, &[Algorithm::EdDSA], 5));
        assert!(!published(None, &[], 5), "nothing was ever signed with it");
        assert!(published(Some(5), &[], 5));
        assert!(!published(Some(5), &[], 6), "its last token has expired");
        assert!(published(Some(5), &[Algorithm::EdDSA], 6), "it is in use again");
        let keys = [KeyTimes { unused_since: Some(at(31)), ..key(0, 0) }, key(29, 30)];
        assert!(!is_published(&keys[0], &keys, &[], &SCHEDULE, at(31)), "gone by its own successor");
    }

    #[test]
    fn one_of_two_keys_that_begin_at_once_signs() {
        let keys = [key(0, 5), key(1, 5)];
        let states = keys.each_ref().map(|key| state(key, &keys, &SCHEDULE, at(5)));
        assert_eq!(states, [KeyState::Retired, KeyState::Active]);
        assert_eq!(active(Algorithm::EdDSA, &keys, at(5)), Some(&keys[1]));
    }

    #[test]
    fn states_are_named_as_they_are_shown() {
        use KeyState::*;
        assert_eq!(
            [Published, Active, Retired, Gone].map(KeyState::as_str),
            ["published", "active", "retired", "gone"]
        );
    }

    proptest! {
        /// A verifier that fetched the JWKS within the publication time has the key of every token that it sees.
        #[test]
        fn signing_key_is_published_before_and_after_its_use(ticks in prop::collection::vec(0..20_u64, 1..40)) {
            let mut keys: Vec<KeyTimes> = Vec::new();
            let mut day = 0;
            for ticked in ticks {
                day += ticked;
                if let Some(active_from) = due(Algorithm::EdDSA, &keys, &SCHEDULE, at(day)) {
                    let first = keys.is_empty();
                    keys.push(KeyTimes { active_from, ..key(day, day) });
                    prop_assert!(first || active_from >= at(day).plus(SCHEDULE.publish_before_use));
                }
                let signing = active(Algorithm::EdDSA, &keys, at(day)).unwrap();
                prop_assert_eq!(state(signing, &keys, &SCHEDULE, at(day)), KeyState::Active);
                let signed_yesterday = active(Algorithm::EdDSA, &keys, at(day).minus(DAY - Duration::from_secs(1)));
                if let Some(previous) = signed_yesterday {
                    prop_assert!(state(previous, &keys, &SCHEDULE, at(day)) != KeyState::Gone);
                }
            }
        }
    }
}
