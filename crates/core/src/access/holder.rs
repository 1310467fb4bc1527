//! Who can hold a role, and whom a key can belong to. The kind of an id is decided here, once, by its prefix.

use std::{fmt, str::FromStr};

use serde::Serialize;

use crate::id::{ClientId, KeyId, UserId};

/// Who holds a role.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Holder {
    /// A client.
    Client(ClientId),
    /// An API key.
    Key(KeyId),
    /// A user.
    User(UserId),
}

/// Whom an API key belongs to. It can't be used while its owner is disabled.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Owner {
    /// A client.
    Client(ClientId),
    /// A user.
    User(UserId),
}

/// A text that is the id of nobody who can hold or own something.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not the id of a client, a key or a user")]
pub struct InvalidHolder;

impl Holder {
    /// The id.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Client(id) => id.as_str(),
            Self::Key(id) => id.as_str(),
            Self::User(id) => id.as_str(),
        }
    }
}

impl Owner {
    /// The id.
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
