//! What a user allowed a client, and the credentials that carry it: authorization codes and refresh tokens.
//!
//! The state machines stand in [`code`] and [`refresh`]; which API and which scopes a token is for, in [`audience`].

pub mod audience;
pub mod code;
pub mod refresh;
