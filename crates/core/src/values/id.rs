//! Identifiers: a prefix that says of what, and a time-ordered UUID (RFC 9562 section 5.7) in 32 hexadecimal digits.
//!
//! Time-ordered, so that rows written together stand together; never secret, never guess-proof: nothing may rest on
//! an identifier being unknown.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use serde::{Deserialize, Serialize, Serializer};

use crate::{
    clock::Timestamp,
    digest::Digest,
    random::{self, Rng},
};

/// A text that is not an identifier of the kind asked for.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not an identifier of the form {prefix}_ and 32 hexadecimal digits")]
pub struct InvalidId {
    prefix: &'static str,
}

/// Whether a text has the form of an identifier of some kind, which a name must not have: who names something by its
/// identifier or by its name must not find another.
pub fn reads_as_id(text: &str) -> bool {
    text.split_once('_').is_some_and(|(prefix, digits)| {
        prefix.len() == 3
            && prefix.bytes().all(|b| b.is_ascii_alphabetic())
            && digits.len() == 32
            && digits.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// What every identifier of this kind begins with.
            pub const PREFIX: &'static str = $prefix;

            /// A new identifier for something that came to be at `now`.
            pub fn new(now: Timestamp, rng: &dyn Rng) -> Self {
                Self(format!(concat!($prefix, "_{}"), time_ordered(now, rng)).into())
            }

            /// What sorts before the identifiers of all that came to be at `time` or later, and after all earlier ones
            /// (RFC 9562 section 5.7).
            pub fn floor(time: Timestamp) -> String {
                format!(concat!($prefix, "_{:012x}"), millis(time))
            }

            /// The time that orders it.
            pub fn made_at(&self) -> Timestamp {
                let digits = self.0.get(Self::PREFIX.len() + 1..Self::PREFIX.len() + 13).unwrap_or_default();
                Timestamp::from_millis(i64::from_str_radix(digits, 16).unwrap_or(0))
            }

            /// Parses an identifier with this prefix.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                let digits = text.strip_prefix(concat!($prefix, "_")).unwrap_or_default();
                let valid = digits.len() == 32 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                valid.then(|| Self(text.into())).ok_or(InvalidId { prefix: $prefix })
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.into()
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }
    )*};
}

ids! {
    /// An API: a resource server.
    ApiId "api";
    /// A row of the audit.
    AuditId "aud";
    /// A client of the authorization server, or the credential of an API.
    ClientId "cli";
    /// An event that webhooks report.
    EventId "evt";
    /// What a user allowed a client, once.
    GrantId "grt";
    /// An API key, but not its secret.
    KeyId "key";
    /// A chain of refresh tokens.
    FamilyId "fam";
    /// A sign-in that lasts.
    SessionId "ses";
    /// A signing key; its `kid`.
    SigningKeyId "sig";
    /// An access token; its `jti`.
    TokenId "tok";
    /// A user; the `sub` of their tokens.
    UserId "usr";
    /// An endpoint that events are sent to.
    WebhookId "whk";
}

/// Sorts the identifiers of one process in order of creation, even within a millisecond (RFC 9562 section 6.2, method
/// 1).
#[derive(Debug, Default)]
pub struct Sequence(AtomicU64);

impl Sequence {
    /// A millisecond and a place in it: after every one that was given before.
    fn next(&self, now: Timestamp) -> (u64, u16) {
        // Twelve bits count; who makes more in a millisecond borrows from the next.
        let earliest = millis(now) << 12;
        let after = |last: u64| Some(earliest.max(last + 1));
        let last = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, after).unwrap_or_else(|last| last);
        let next = earliest.max(last + 1);
        (next >> 12, (next & 0xfff) as u16)
    }
}

impl AuditId {
    /// A new identifier that sorts after every other one of `sequence`.
    pub fn in_order(sequence: &Sequence, now: Timestamp, rng: &dyn Rng) -> Self {
        let (millis, place) = sequence.next(now);
        let mut bytes: [u8; 10] = random::public_bytes(rng);
        bytes[..2].copy_from_slice(&place.to_be_bytes());
        let uuid = uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid();
        Self(format!("{}_{}", Self::PREFIX, uuid.simple()).into())
    }
}

impl EventId {
    /// The id of an event that an operation reports about one thing. It needs no random bytes: an operation that runs again
    /// reports the same events. `operation` is the event of the audit that it writes.
    pub fn derived(operation: &AuditId, event_type: &str, subject: &str) -> Self {
        let digest = Digest::sha256(format!("{operation}\n{event_type}\n{subject}").as_bytes());
        let bytes = digest.as_bytes().first_chunk().expect("a digest has 32 bytes");
        let uuid = uuid::Builder::from_unix_timestamp_millis(millis(operation.made_at()), bytes).into_uuid();
        Self(format!("{}_{}", Self::PREFIX, uuid.simple()).into())
    }
}

fn time_ordered(now: Timestamp, rng: &dyn Rng) -> uuid::fmt::Simple {
    uuid::Builder::from_unix_timestamp_millis(millis(now), &random::public_bytes(rng)).into_uuid().simple()
}

fn millis(time: Timestamp) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRng;

    #[test]
    fn ids_sort_by_their_time() {
        let rng = SeededRng::new(1);
        let early = KeyId::new(Timestamp::from_millis(1_000), &rng);
        let late = KeyId::new(Timestamp::from_millis(2_000), &rng);
        assert!(early < late);
    }

    #[test]
    fn floor_of_a_time_separates_earlier_and_later_ids() {
        let rng = SeededRng::new(1);
        for millis in [0, 1, 1_700_000_000_000] {
            let floor = AuditId::floor(Timestamp::from_millis(millis));
            assert!(AuditId::new(Timestamp::from_millis(millis), &rng).as_str() >= floor.as_str());
            assert_eq!(AuditId::new(Timestamp::from_millis(millis), &rng).made_at(), Timestamp::from_millis(millis));
            let before = Timestamp::from_millis(millis - 1);
            assert!(millis == 0 || AuditId::new(before, &rng).as_str() < floor.as_str());
        }
    }

    #[test]
    fn ids_sort_by_creation_even_if_the_clock_stops_or_goes_back() {
        let (rng, sequence) = (SeededRng::new(1), Sequence::default());
        let times = [1_000; 5_000].into_iter().chain([999, 1_000, 2_000]);
        let ids: Vec<_> = times.map(|at| AuditId::in_order(&sequence, Timestamp::from_millis(at), &rng)).collect();
        assert!(ids.is_sorted_by(|one, next| one < next));
        assert!(AuditId::parse(ids[0].as_str()).is_ok());
    }

    #[test]
    fn derived_id_is_repeatable_and_has_the_time_of_its_operation() {
        let operation = AuditId::new(Timestamp::from_millis(1_000), &SeededRng::new(1));
        let other = AuditId::new(Timestamp::from_millis(1_000), &SeededRng::new(2));
        let id = EventId::derived(&operation, "key.revoked", "key_1");
        assert_eq!(id, EventId::derived(&operation, "key.revoked", "key_1"));
        assert_eq!((id.made_at(), EventId::parse(id.as_str())), (operation.made_at(), Ok(id.clone())));
        for different in [
            EventId::derived(&operation, "key.revoked", "key_2"),
            EventId::derived(&operation, "key.leaked", "key_1"),
            EventId::derived(&other, "key.revoked", "key_1"),
        ] {
            assert_ne!(id, different);
        }
    }

    #[test]
    fn an_id_reads_back_and_an_id_of_another_kind_does_not() {
        let id = UserId::new(Timestamp::from_millis(1_000), &SeededRng::new(1));
        assert_eq!(UserId::parse(id.as_str()), Ok(id.clone()));
        assert!(KeyId::parse(id.as_str()).is_err());
        assert!(UserId::parse("usr_").is_err());
        assert!(UserId::parse(&id.as_str().to_uppercase()).is_err());
    }

    #[test]
    fn id_is_written_as_text_and_reads_back() {
        let id = KeyId::new(Timestamp::from_millis(1_000), &SeededRng::new(1));
        assert_eq!(format!("{id:?} {id}"), format!("{0} {0}", id.as_str()));
        let written = serde_json::to_value(&id).unwrap();
        assert_eq!(written, id.as_str());
        assert_eq!(serde_json::from_value::<KeyId>(written).unwrap(), id);
        assert_eq!(String::from(id.clone()), id.as_str());
    }

    #[test]
    fn sequence_borrows_from_the_next_millisecond_after_4096() {
        let (rng, sequence) = (SeededRng::new(1), Sequence::default());
        let floor = |millis| AuditId::floor(Timestamp::from_millis(millis));
        let next = || AuditId::in_order(&sequence, Timestamp::from_millis(1_700_000_000_000), &rng);
        for id in (0..4_096).map(|_| next()) {
            assert!(*floor(1_700_000_000_000) <= *id.as_str() && *id.as_str() < *floor(1_700_000_000_001), "{id}");
        }
        assert!(*next().as_str() >= *floor(1_700_000_000_001));
    }
}
