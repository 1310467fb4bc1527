//! What a user allowed a client, and the credentials that carry it: authorization codes and refresh tokens.
//!
//! [`code`] and [`refresh`] decide what happens to one; [`audience`] decides which API and which scopes a token is for.

mod apis;
pub mod audience;
pub mod binding;
pub mod code;
pub mod refresh;
