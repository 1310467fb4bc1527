//! The basic values that everything else consists of. They know nothing of credentials or OAuth.

pub mod audit_bounds;
pub mod clock;
pub mod cookie;
pub mod digest;
pub mod forwarded;
pub mod id;
pub mod json;
pub mod network;
pub mod plausible_time;
pub mod public_address;
pub mod random;
pub mod seal;
pub mod secret;
pub mod text;
