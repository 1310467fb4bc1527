//! Events that webhooks report: each has a type of a closed list, written as `subject.verb`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

macro_rules! event_types {
    ($($variant:ident $word:literal $meaning:literal,)*) => {
        /// The type of an event.
        #[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
        #[serde(from = "String", into = "String")]
        pub enum EventType {
            $(#[doc = concat!("`", $word, "`: ", $meaning)] $variant,)*
            /// A type that this program does not know: a newer one may.
            Other(Box<str>),
        }

        impl EventType {
            /// Every type that this program sends, as it is written.
            pub const KNOWN: &[&str] = &[$($word,)*];

            /// The type as it is written.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)*
                    Self::Other(word) => word,
                }
            }
        }

        impl From<String> for EventType {
            fn from(word: String) -> Self {
                match word.as_str() {
                    $($word => Self::$variant,)*
                    _ => Self::Other(word.into()),
                }
            }
        }
    };
}

event_types! {
    KeyExpiring "key.expiring" "a key expires in 14, 7 or 1 days.",
    KeyLeaked "key.leaked" "somebody handed in a key that they found.",
    KeyNewNetwork "key.new_network" "a key was used from a network that it was never used from, if its API asks for it.",
    KeyRevoked "key.revoked" "a key was revoked.",
    KeyRotationDue "key.rotation_due" "the policy of its API asks for a successor of a key.",
    KeyUsedAfterEnd "key.used_after_end" "a key is used that was revoked or disabled, has expired, or whose owner is disabled.",
    KeyUsedAfterLeak "key.used_after_leak" "a key is used that was reported as leaked, and still works.",
    WebhookTest "webhook.test" "somebody tests an endpoint.",
}

/// A text that is no type of an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("unknown event type; use one of {}", EventType::KNOWN.join(", "))]
pub struct UnknownEventType;

impl EventType {
    /// Refuses what this program does not send.
    pub fn check_known(&self) -> Result<(), UnknownEventType> {
        match self {
            Self::Other(_) => Err(UnknownEventType),
            _ => Ok(()),
        }
    }
}

impl FromStr for EventType {
    type Err = UnknownEventType;

    /// Reads a type that this program sends.
    fn from_str(word: &str) -> Result<Self, UnknownEventType> {
        let read = Self::from(word.to_owned());
        read.check_known().map(|()| read)
    }
}

impl From<EventType> for String {
    fn from(event_type: EventType) -> Self {
        event_type.as_str().to_owned()
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_reads_back_in_the_characters_of_the_standard() {
        for word in EventType::KNOWN {
            let read: EventType = word.parse().unwrap();
            assert_eq!(read.as_str(), *word);
            assert_eq!(serde_json::to_value(&read).unwrap(), *word);
            assert!(word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte == b'.'), "{word}");
        }
    }

    #[test]
    fn type_of_a_newer_program_is_kept_but_refused_where_it_is_new() {
        let newer: EventType = serde_json::from_value("key.painted".into()).unwrap();
        assert_eq!(newer.as_str(), "key.painted");
        assert_eq!(newer.check_known(), Err(UnknownEventType));
        assert_eq!("key.painted".parse::<EventType>(), Err(UnknownEventType));
    }
}
