//! The accept loop: bounded connections, bounded heads, slow clients cut off, TLS, and an end without broken answers.
#![forbid(unsafe_code)]

mod head;
mod limits;
pub mod listener;
pub mod proxy;
mod timed_body;
pub mod tls;
mod write_last;

pub use head::{HeadSize, MAX_HEADERS};
pub use limits::Limits;
pub use listener::Peer;
