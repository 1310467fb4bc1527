//! What is probably a mistake in a configuration, and may be meant: a port can be forwarded by what this server can't see.

use std::net::SocketAddr;

use url::Url;

use super::settings::Config;

impl Config {
    /// Warnings about a server that listens at `addresses`, each a sentence.
    pub(crate) fn warnings(&self, addresses: &[SocketAddr]) -> Vec<String> {
        self.port_is_elsewhere(addresses).into_iter().chain(self.metrics_are_reachable()).collect()
    }

    /// Metrics are answered to anybody, over plain HTTP.
    fn metrics_are_reachable(&self) -> Option<String> {
        let reachable =
            self.program.metrics_addresses.iter().find(|address| !address.ip().to_canonical().is_loopback())?;
        Some(format!(
            "anyone who reaches {reachable} can read the metrics. Set `metrics.address` to an address that only the monitoring \
             system reaches. If it is one, ignore this warning"
        ))
    }

    /// Clients connect to the issuer's port. Behind a proxy that is the proxy's.
    fn port_is_elsewhere(&self, addresses: &[SocketAddr]) -> Option<String> {
        let issuer = &self.server.issuer;
        let port = Url::parse(issuer).ok()?.port_or_known_default()?;
        let is_found = addresses.iter().any(|address| [0, port].contains(&address.port()));
        if self.program.behind_proxy || is_found {
            return None;
        }
        let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        Some(format!(
            "clients connect to port {port} of the issuer {issuer}, but this server listens on {}. Change `issuer` or \
             `listen.address`, or set `listen.behind_proxy`. If the port is forwarded, ignore this warning",
            addresses.join(", ")
        ))
    }
}
