//! The client's address behind proxies: `X-Forwarded-For` is read only when a trusted proxy sent it, from the right, and
//! the first address that is no trusted proxy counts. Nothing else that proxies say is ever read.

use std::net::IpAddr;

use doorward_core::network::ClientAddress;
use http::HeaderMap;
use ipnet::IpNet;

/// Where a request comes from that `nearest` sent.
pub(crate) fn client_address(headers: &HeaderMap, nearest: ClientAddress, trusted: &[IpNet]) -> ClientAddress {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    if !is_trusted(&nearest.client) {
        return nearest;
    }
    let mut client = nearest.client;
    let values = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = values.flat_map(|value| value.split(',')).map(str::trim).collect();
    for hop in hops.iter().rev() {
        // What can't be read ends the chain that can be believed.
        let Ok(hop) = hop.parse::<IpAddr>() else { break };
        client = hop.to_canonical();
        if !is_trusted(&client) {
            break;
        }
    }
    ClientAddress { client, ..nearest }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use http::HeaderValue;

    use super::*;

    fn address(peer: &str, forwarded: &[&'static str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_static(value));
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        let peer = SocketAddr::new(peer.parse().unwrap(), 443);
        let found = client_address(&headers, peer.into(), &trusted);
        assert_eq!(found.peer, peer);
        found.client.to_string()
    }

    #[test]
    fn nobody_is_believed_unless_listed() {
        assert_eq!(address("192.0.2.1", &["198.51.100.1"], &[]), "192.0.2.1");
        assert_eq!(address("192.0.2.1", &["198.51.100.1"], &["10.0.0.0/8"]), "192.0.2.1");
    }

    #[test]
    fn the_rightmost_address_that_is_no_listed_proxy_counts() {
        let trusted = &["10.0.0.0/8"];
        assert_eq!(address("10.0.0.1", &["203.0.113.9, 198.51.100.1, 10.0.0.2"], trusted), "198.51.100.1");
        assert_eq!(address("10.0.0.1", &["203.0.113.9", "198.51.100.1"], trusted), "198.51.100.1");
        assert_eq!(address("10.0.0.1", &["203.0.113.9, evil"], trusted), "10.0.0.1");
        assert_eq!(address("10.0.0.1", &[], trusted), "10.0.0.1");
        assert_eq!(address("::ffff:10.0.0.1", &["198.51.100.1"], trusted), "198.51.100.1");
    }
}
