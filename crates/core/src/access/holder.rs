//! Holders of roles and owners of keys. The prefix of an id decides its kind, in this one place.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    id::{ClientId, KeyId, UserId},
    text::is_presentable,
};

/// The holder of a role.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Holder {
    /// A client, as the subject of client_credentials tokens.
    Client(ClientId),
    /// An API key, whose roles were granted to the key itself.
    Key(KeyId),
    /// A user, whatever client acts for the user.
    User(UserId),
}

/// The owner of an API key. The key can't be used while its owner is disabled.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Owner {
    /// A client: the key is refused while the client is disabled.
    Client(ClientId),
    /// Somebody whom only the API knows, by its own id: one of its customers.
    External(ExternalId),
    /// A user: the key is refused while the user is disabled.
    User(UserId),
}

/// A text that is not the id of a client, a key or a user.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not the id of a client, a key or a user")]
pub struct InvalidHolder;

/// The id that an API has for somebody: 1 to 128 characters that can be shown, without white space at the ends. It begins
/// like no id of Doorward, so that nobody can be taken for somebody else.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ExternalId(Box<str>);

/// A text that can't be the owner of a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "an owner is a client's id, a user's id, `user:NAME`, or an id of your own: 1 to 128 visible characters that begin with \
     none of cli_, key_, usr_ and user:"
)]
pub struct InvalidOwner;

impl ExternalId {
    /// What ids of Doorward begin with, and names of users where an owner is named.
    const RESERVED: [&str; 4] = [ClientId::PREFIX, KeyId::PREFIX, UserId::PREFIX, "user"];
    /// The most characters.
    const MAX: usize = 128;

    /// Reads an id.
    pub fn parse(text: &str) -> Result<Self, InvalidOwner> {
        let is_reserved = |prefix: &&str| {
            let rest = text.get(..prefix.len()).filter(|start| start.eq_ignore_ascii_case(prefix));
            rest.is_some() && text[prefix.len()..].starts_with(['_', ':'])
        };
        let is_valid = !text.is_empty()
            && text.chars().count() <= Self::MAX
            && text.trim() == text
            && text.chars().all(is_presentable)
            && !Self::RESERVED.iter().any(is_reserved);
        is_valid.then(|| Self(text.into())).ok_or(InvalidOwner)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Holder {
    /// The id with its prefix, as in tokens and in the audit.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Client(id) => id.as_str(),
            Self::Key(id) => id.as_str(),
            Self::User(id) => id.as_str(),
        }
    }
}

impl Owner {
    /// The id, as in tokens and in the audit.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Client(id) => id.as_str(),
            Self::External(id) => id.as_str(),
            Self::User(id) => id.as_str(),
        }
    }
}

impl FromStr for Holder {
    type Err = InvalidHolder;

    fn from_str(id: &str) -> Result<Self, InvalidHolder> {
        match KeyId::parse(id) {
            Ok(id) => Ok(Self::Key(id)),
            Err(_) => {
                let client = ClientId::parse(id).map(Self::Client);
                client.or_else(|_| UserId::parse(id).map(Self::User)).map_err(|_| InvalidHolder)
            }
        }
    }
}

impl FromStr for Owner {
    type Err = InvalidOwner;

    fn from_str(id: &str) -> Result<Self, InvalidOwner> {
        let client = ClientId::parse(id).map(Self::Client);
        let known = client.or_else(|_| UserId::parse(id).map(Self::User));
        known.or_else(|_| ExternalId::parse(id).map(Self::External))
    }
}

impl From<Holder> for String {
    fn from(holder: Holder) -> Self {
        holder.as_str().to_owned()
    }
}

impl TryFrom<String> for Holder {
    type Error = InvalidHolder;

    fn try_from(id: String) -> Result<Self, InvalidHolder> {
        id.parse()
    }
}

impl From<Owner> for String {
    fn from(owner: Owner) -> Self {
        owner.as_str().to_owned()
    }
}

impl TryFrom<String> for Owner {
    type Error = InvalidOwner;

    fn try_from(id: String) -> Result<Self, InvalidOwner> {
        id.parse()
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::Timestamp, id::ApiId, random::SeededRng};

    #[test]
    fn prefix_of_an_id_says_who_holds_or_owns() {
        let (now, rng) = (Timestamp::from_secs(1), SeededRng::new(1));
        let (client, key, user) = (ClientId::new(now, &rng), KeyId::new(now, &rng), UserId::new(now, &rng));
        for (holder, id) in [
            (Holder::Client(client.clone()), client.as_str()),
            (Holder::Key(key.clone()), key.as_str()),
            (Holder::User(user.clone()), user.as_str()),
        ] {
            assert_eq!(id.parse(), Ok(holder.clone()));
            assert_eq!((holder.as_str(), holder.to_string().as_str()), (id, id));
        }
        for (owner, id) in
            [(Owner::Client(client.clone()), client.as_str()), (Owner::User(user.clone()), user.as_str())]
        {
            assert_eq!(Owner::try_from(id.to_owned()), Ok(owner.clone()));
            assert_eq!((owner.as_str(), owner.to_string().as_str()), (id, id));
        }
        assert_eq!(key.as_str().parse::<Owner>(), Err(InvalidOwner), "a key owns nothing");
        let api = ApiId::new(now, &rng);
        assert_eq!(api.as_str().parse::<Holder>(), Err(InvalidHolder));
    }

    #[test]
    fn any_other_id_that_can_be_shown_is_a_customers() {
        for id in
            ["acme", "4711", "cus_NffrFeUfNV2Hib", "org:4711", "émile@example.com", "A Company, Ltd.", "user", "usr"]
        {
            let owner: Owner = id.parse().unwrap();
            assert_eq!(owner, Owner::External(ExternalId::parse(id).unwrap()));
            assert_eq!((owner.as_str(), String::from(owner.clone())), (id, id.to_owned()));
        }
        let longest = "é".repeat(128);
        assert_eq!(longest.parse::<Owner>().unwrap().as_str(), longest);
    }

    #[test]
    fn id_that_looks_like_one_of_doorward_is_no_customers() {
        let long = "é".repeat(129);
        for id in ["", " acme", "acme\n", "a\0b", "a\u{202e}b", "usr_1", "USR_1", "cli_", "Key_x", "user:bob", &long] {
            assert_eq!(id.parse::<Owner>(), Err(InvalidOwner), "{id}");
        }
    }
}
