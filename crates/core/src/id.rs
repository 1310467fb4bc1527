//! Identifiers: a prefix that says of what, and a time-ordered UUID (RFC 9562 section 5.7) in 32 hexadecimal digits.
//!
//! Time-ordered, so that rows written together stand together; never secret, never guess-proof: nothing may rest on
//! an identifier being unknown.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    random::{self, Rng},
};

/// A text that is no identifier of the kind asked for.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not an identifier of the form {prefix}_ and 32 hexadecimal digits")]
pub struct InvalidId {
    prefix: &'static str,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// What every identifier of this kind begins with.
            pub const PREFIX: &'static str = $prefix;

            /// A new identifier for something that came to be at `now`.
            pub fn new(now: Timestamp, rng: &dyn Rng) -> Self {
                Self(format!(concat!($prefix, "_{}"), time_ordered(now, rng)).into())
            }

            /// Reads an identifier.
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
    )*};
}

ids! {
    /// An API: a resource server.
    ApiId "api";
    /// A row of the audit.
    AuditId "aud";
    /// A client of the authorization server, or the credential of an API.
    ClientId "cli";
    /// What a user allowed a client, once.
    GrantId "grt";
    /// An API key.
    KeyId "key";
    /// A chain of refresh tokens.
    FamilyId "fam";
    /// A sign-in that lasts.
    SessionId "ses";
    /// A signing key; its `kid`.
    SigningKeyId "sig";
    /// An access token; its `jti`.
    TokenId "tok";
    /// A user.
    UserId "usr";
}

fn time_ordered(now: Timestamp, rng: &dyn Rng) -> uuid::fmt::Simple {
    let millis = u64::try_from(now.as_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random::bytes(rng)).into_uuid().simple()
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
    fn an_id_reads_back_and_an_id_of_another_kind_does_not() {
        let id = UserId::new(Timestamp::from_millis(1_000), &SeededRng::new(1));
        assert_eq!(UserId::parse(id.as_str()), Ok(id.clone()));
        assert!(KeyId::parse(id.as_str()).is_err());
        assert!(UserId::parse("usr_").is_err());
        assert!(UserId::parse(&id.as_str().to_uppercase()).is_err());
    }
}
