//! Credentials: how a request presents one, what each kind looks like, and when it is valid.

pub mod access_token;
pub mod allowed_addresses;
pub mod allowed_origins;
pub mod api_key;
pub mod checksummed;
pub mod client_side;
pub mod credential;
pub mod id_token;
pub mod jwk;
pub mod jws;
pub mod key_kind;
pub mod key_limits;
pub mod key_rotation;
pub mod key_selection;
pub mod key_usage;
pub mod legacy;
mod masked;
pub mod new_access_token;
pub mod new_api_key;
pub mod own_api_key;
pub mod query_key;
#[cfg(feature = "scan")]
pub mod scan;
pub mod signing;
pub mod unusual_use;
