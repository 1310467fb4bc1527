//! The client's address behind proxies. Only what a trusted proxy reports is believed, in the header that it is known
//! to write: a proxy passes on the other one as the client sent it.

use std::net::{IpAddr, Ipv4Addr};

use doorward_core::{
    forwarded::{self, client},
    network::ClientAddress,
};
use http::{HeaderMap, HeaderName, header::FORWARDED};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The header by which trusted proxies report their clients.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`, or `Forwarded` if a request has only that. Right for proxies that write `X-Forwarded-For`.
    #[default]
    Any,
    /// `Forwarded` only (RFC 7239).
    Forwarded,
    /// `X-Forwarded-For` only.
    XForwardedFor,
}

/// The address of a client that a trusted proxy did not report in a form that can be read. It must not count as the
/// proxy, whose own requests would be slowed down and audited in its place.
pub(crate) const UNKNOWN: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Where a request comes from that `nearest` sent.
pub(crate) fn client_address(
    headers: &HeaderMap,
    nearest: ClientAddress,
    trusted: &[IpNet],
    header: ForwardedHeader,
) -> ClientAddress {
    if !is_trusted(trusted, &nearest.client) {
        return nearest;
    }
    let reads_forwarded = match header {
        ForwardedHeader::Any => !headers.contains_key(X_FORWARDED_FOR),
        ForwardedHeader::Forwarded => true,
        ForwardedHeader::XForwardedFor => false,
    };
    let name = if reads_forwarded { FORWARDED } else { X_FORWARDED_FOR };
    let values = headers.get_all(&name).iter().map(|value| value.as_bytes());
    let trusts = |address: &IpAddr| is_trusted(trusted, address);
    let client = match reads_forwarded {
        true => client(nearest.client, forwarded::forwarded(values), trusts),
        false => client(nearest.client, forwarded::x_forwarded_for(values), trusts),
    };
    ClientAddress { client: client.unwrap_or(UNKNOWN), ..nearest }
}

/// Whether an address is that of a trusted proxy.
pub(crate) fn is_trusted(trusted: &[IpNet], address: &IpAddr) -> bool {
    trusted.iter().any(|net| net.contains(address))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use http::HeaderValue;

    use super::*;

    fn client_of(peer: &str, header: ForwardedHeader, headers: &[(HeaderName, &[u8])]) -> String {
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_bytes(value).unwrap())).collect();
        let peer = SocketAddr::new(peer.parse().unwrap(), 443);
        let found = client_address(&headers, peer.into(), &["10.0.0.0/8".parse().unwrap()], header);
        assert_eq!(found.peer, peer);
        found.client.to_string()
    }

    #[test]
    fn only_listed_proxies_are_believed() {
        let headers = [(X_FORWARDED_FOR, &b"198.51.100.1"[..]), (FORWARDED, b"for=198.51.100.1")];
        assert_eq!(client_of("192.0.2.1", ForwardedHeader::Any, &headers), "192.0.2.1");
        assert_eq!(client_of("10.0.0.1", ForwardedHeader::Any, &headers), "198.51.100.1");
        assert_eq!(client_of("::ffff:10.0.0.1", ForwardedHeader::Any, &headers), "198.51.100.1");
        assert_eq!(client_of("10.0.0.1", ForwardedHeader::Any, &[]), "10.0.0.1");
    }

    #[test]
    fn header_that_the_proxy_does_not_write_is_not_believed() {
        let both = [(X_FORWARDED_FOR, &b"198.51.100.1"[..]), (FORWARDED, b"for=203.0.113.1")];
        assert_eq!(client_of("10.0.0.1", ForwardedHeader::Any, &both), "198.51.100.1");
        assert_eq!(client_of("10.0.0.1", ForwardedHeader::XForwardedFor, &both), "198.51.100.1");
        assert_eq!(client_of("10.0.0.1", ForwardedHeader::Forwarded, &both), "203.0.113.1");
        let invented = [(FORWARDED, &b"for=203.0.113.1"[..])];
        assert_eq!(client_of("10.0.0.1", ForwardedHeader::Any, &invented), "203.0.113.1");
        assert_eq!(client_of("10.0.0.1", ForwardedHeader::XForwardedFor, &invented), "10.0.0.1");
    }

    #[test]
    fn client_that_cannot_be_read_is_unknown_and_not_the_proxy() {
        let header = ForwardedHeader::Any;
        assert_eq!(client_of("10.0.0.1", header, &[(X_FORWARDED_FOR, b"203.0.113.9, \xff")]), "0.0.0.0");
        assert_eq!(client_of("10.0.0.1", header, &[(X_FORWARDED_FOR, b"\xff, 203.0.113.9")]), "203.0.113.9");
        assert_eq!(client_of("10.0.0.1", header, &[(FORWARDED, b"for=unknown")]), "0.0.0.0");
    }
}
