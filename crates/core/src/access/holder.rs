//! Holders of roles and owners of keys. The prefix of an id decides its kind, in this one place.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::id::{ClientId, KeyId, UserId};

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
    /// A user: the key is refused while the user is disabled.
    User(UserId),
}

/// A text that is not the id of a client, a key or a user.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not the id of a client, a key or a user")]
pub struct InvalidHolder;

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
    /// The id with its prefix, as in tokens and in the audit.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Client(id) => id.as_str(),
            Self::User(id) => id.as_str(),
        }
    }
}

impl FromStr for Holder {
    type Err = InvalidHolder;

    fn from_str(id: &str) -> Result<Self, InvalidHolder> {
        match KeyId::parse(id) {
            Ok(id) => Ok(Self::Key(id)),
            Err(_) => id.parse().map(|owner| match owner {
                Owner::Client(id) => Self::Client(id),
                Owner::User(id) => Self::User(id),
            }),
        }
    }
}

impl FromStr for Owner {
    type Err = InvalidHolder;

    fn from_str(id: &str) -> Result<Self, InvalidHolder> {
        let client = ClientId::parse(id).map(Self::Client);
        client.or_else(|_| UserId::parse(id).map(Self::User)).map_err(|_| InvalidHolder)
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
    type Error = InvalidHolder;

    fn try_from(id: String) -> Result<Self, InvalidHolder> {
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
        assert_eq!(key.as_str().parse::<Owner>(), Err(InvalidHolder), "a key owns nothing");
        let api = ApiId::new(now, &rng);
        assert_eq!(api.as_str().parse::<Holder>(), Err(InvalidHolder));
    }
}
