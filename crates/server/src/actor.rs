//! Who does something, and what else the audit says of it.

use std::{fmt, net::IpAddr};

use doorward_core::trace::TraceId;
use serde_json::{Map, Value};

/// Who does something: for the audit.
#[derive(Clone, Debug, Default)]
pub struct Actor {
    /// The id of a user, client or key, or `os:name` for the command line; `None` for the server itself.
    pub id: Option<String>,
    /// Where from.
    pub address: Option<IpAddr>,
    /// The trace id of the request.
    pub trace_id: Option<TraceId>,
}

impl Actor {
    /// The user of the operating system who typed a command.
    pub fn command_line(user: &str) -> Self {
        Self { id: Some(format!("os:{user}")), ..Self::default() }
    }
}

/// Names and values without secrets, for an audit event.
#[derive(Clone, Debug, Default)]
pub struct Details(pub(crate) Map<String, Value>);

impl Details {
    /// Nothing more to say.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.0.insert(name.to_owned(), value.to_string().into());
        self
    }
}
