//! OAuth 2.1: a file per endpoint.

pub(crate) mod authorize;
pub(crate) mod client_authentication;
pub(crate) mod introspect;
pub(crate) mod jwks;
pub(crate) mod metadata;
pub(crate) mod own_token;
pub(crate) mod revoke;
pub(crate) mod token;
