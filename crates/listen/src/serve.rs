//! What a listener is given.

use std::{sync::Arc, time::Duration};

use axum::Router;
use ipnet::IpNet;

use crate::{forwarded::ForwardedHeader, limits::Limits, tls::Reloading};

/// What is served, and how.
#[derive(Clone, Default)]
pub struct Serve {
    /// The router that answers requests.
    pub router: Router,
    /// The limits of connections, requests and waiting bytes.
    pub limits: Limits,
    /// The proxies that may report who their clients are; nobody if empty.
    pub trusted_proxies: Vec<IpNet>,
    /// The header by which trusted proxies report their clients.
    pub forwarded_header: ForwardedHeader,
    /// Whether every connection of a trusted proxy begins with a header of the PROXY protocol, version 2. One without
    /// it is closed.
    pub proxy_protocol: bool,
    /// TLS, or plain HTTP.
    pub tls: Option<Arc<Reloading>>,
    /// How the listener ends.
    pub shutdown: Shutdown,
}

/// How a listener ends when it has to.
#[derive(Clone, Copy, Debug)]
pub struct Shutdown {
    /// How long it continues to accept connections, so that load balancers notice that this server is no longer ready.
    /// Meanwhile each answer of HTTP/1.1 says `Connection: close`.
    pub delay: Duration,
    /// How long requests may take to finish after the port was closed.
    pub drain: Duration,
}

impl Default for Shutdown {
    /// Without a delay, and within the 10 seconds after which Docker kills.
    fn default() -> Self {
        Self { delay: Duration::ZERO, drain: Duration::from_secs(8) }
    }
}
