//! What a listener is given.

use std::sync::Arc;

use axum::Router;
use ipnet::IpNet;

use crate::{limits::Limits, tls::Reloading};

/// What is served, and how.
#[derive(Clone, Default)]
pub struct Serve {
    /// What answers requests.
    pub router: Router,
    /// The bounds.
    pub limits: Limits,
    /// The proxies whose `X-Forwarded-For` is believed; nobody's if empty.
    pub trusted_proxies: Vec<IpNet>,
    /// TLS, or plain HTTP.
    pub tls: Option<Arc<Reloading>>,
}
