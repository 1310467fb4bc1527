//! The accept loop: bounded connections, bounded heads, slow clients cut off, TLS, and an end without broken answers.
#![forbid(unsafe_code)]

mod connection;
mod forwarded;
mod head;
mod limits;
mod listener;
mod places;
mod timed_body;
pub mod tls;
mod write_last;

pub use doorward_core::network::ClientAddress;

pub use crate::{
    head::{HeadSize, MAX_HEADERS},
    limits::Limits,
    listener::{DRAIN, Serve, bind, serve},
};
