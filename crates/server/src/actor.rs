//! Who does something.

use std::net::IpAddr;

use doorward_core::{rights::Rights, trace::TraceId};

/// Who does something: for the audit, and for what is allowed.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The id of a user, client or key, or `os:name` for the command line; `None` for the server itself.
    pub id: Option<String>,
    /// The address that the request came from.
    pub address: Option<IpAddr>,
    /// The trace id of the request.
    pub trace_id: Option<TraceId>,
    /// What it may do.
    pub rights: Rights,
}

impl Default for Actor {
    /// The server itself.
    fn default() -> Self {
        Self { id: None, address: None, trace_id: None, rights: Rights::All }
    }
}

impl Actor {
    /// The user of the operating system who typed a command.
    pub fn command_line(user: &str) -> Self {
        Self { id: Some(format!("os:{user}")), ..Self::default() }
    }
}
