//! How the refresh tokens of a family are bound to the client that got them (RFC 9700 section 2.2.2): a thief
//! can't use them.

use crate::client::Client;

/// What the holder of a refresh token must also prove.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Binding {
    /// That it is the client: by client authentication.
    Client,
    /// Nothing: a public client's tokens.
    None,
}

impl Binding {
    /// The binding of the tokens that a client gets.
    pub fn of(client: &Client) -> Self {
        match client.is_confidential() {
            true => Self::Client,
            false => Self::None,
        }
    }

    /// Whether the token alone is not enough.
    pub fn is_bound(self) -> bool {
        match self {
            Self::Client => true,
            Self::None => false,
        }
    }
}
