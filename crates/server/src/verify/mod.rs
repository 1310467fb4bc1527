//! Credentials that this server issued, verified by looking into its own store.

pub(crate) mod access_token;
pub(crate) mod api_key;
pub(crate) mod local;
pub(crate) mod request;

pub use local::LocalVerifier;
