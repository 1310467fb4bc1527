//! Whose an address is: one IPv4 address, or the /64 that an IPv6 host moves about in (RFC 4941).
//!
//! Counting IPv6 addresses one by one counts nothing: everybody has 2^64 of them.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

/// One party's addresses.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Network(IpAddr);

impl Network {
    /// The network that an address belongs to. IPv4 mapped into IPv6 is IPv4.
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        })
    }
}

impl Network {
    /// The first address of the network.
    pub fn address(self) -> IpAddr {
        self.0
    }

    /// The network of the customer that it belongs to: an IPv4 /24, an IPv6 /48.
    pub fn of_customer(self) -> Self {
        let [widest, other] = self.around();
        if self.0.is_ipv4() { other } else { widest }
    }

    /// The networks around it, the widest first, as one customer gets them: an IPv6 /48 and /56, an IPv4 /16 and /24.
    pub fn around(self) -> [Self; 2] {
        let cut = |bits: u32| match self.0 {
            IpAddr::V4(address) => IpAddr::from(Ipv4Addr::from_bits(address.to_bits() & (u32::MAX << bits))),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << bits)).into(),
        };
        match self.0 {
            IpAddr::V4(_) => [Self(cut(16)), Self(cut(8))],
            IpAddr::V6(_) => [Self(cut(80)), Self(cut(72))],
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Where a request comes from. The listener puts it into the extensions of each request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClientAddress {
    /// The other end of the connection, which may be a proxy.
    pub peer: SocketAddr,
    /// The client: the peer, or the address that a trusted proxy names.
    pub client: IpAddr,
}

impl From<SocketAddr> for ClientAddress {
    /// The peer is the client. IPv4 mapped into IPv6 is IPv4.
    fn from(peer: SocketAddr) -> Self {
        Self { peer, client: peer.ip().to_canonical() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_neighbours_in_a_64_are_one_party() {
        let of = |text: &str| Network::of(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }

    #[test]
    fn network_is_shown_by_its_first_address() {
        let network = Network::of("2001:db8:0:1::99".parse().unwrap());
        assert_eq!(
            (network.to_string(), network.address()),
            ("2001:db8:0:1::".into(), "2001:db8:0:1::".parse().unwrap())
        );
        let peer: SocketAddr = "[::ffff:192.0.2.1]:99".parse().unwrap();
        let expected = ClientAddress { peer, client: "192.0.2.1".parse().unwrap() };
        assert_eq!(ClientAddress::from(peer), expected);
    }

    #[test]
    fn neighbours_share_the_networks_around_them() {
        let around = |text: &str| Network::of(text.parse().unwrap()).around().map(|network| network.to_string());
        assert_eq!(around("2001:db8:1:2345::1"), ["2001:db8:1::", "2001:db8:1:2300::"]);
        assert_eq!(around("192.0.2.1"), ["192.0.0.0", "192.0.2.0"]);
    }
}
