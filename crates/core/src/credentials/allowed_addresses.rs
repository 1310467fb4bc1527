//! The addresses from which a key may be used.
//!
//! Easy to get wrong: an address that is not known is in no network. A key with a list is refused then.

use std::{fmt, net::IpAddr, str::FromStr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::refusal::Mistake;

/// The networks from which a key may be used; from everywhere if empty.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct AllowedAddresses(Vec<IpNet>);

/// A text that is no network of addresses.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidNetwork {
    /// Bits are set behind the prefix, so that nobody can tell what was meant.
    #[error("has bits behind its prefix; the network is {0}")]
    HostBits(IpNet),
    /// An IPv4 network in the form of IPv6: callers are known by their IPv4 addresses.
    #[error("is IPv4 in the form of IPv6; write it as IPv4")]
    Mapped,
    /// Neither an address nor a network.
    #[error("is no address such as 192.0.2.7 and no network such as 2001:db8::/32")]
    Syntax,
}

impl AllowedAddresses {
    /// The most networks of one key.
    pub const MAX: usize = 64;

    /// Reads addresses and networks (RFC 4632 section 3.1, RFC 4291 section 2.3), or names each that is at fault.
    pub fn read(texts: &[String]) -> Result<Self, Vec<Mistake>> {
        if texts.len() > Self::MAX {
            return Err(vec![Mistake::at("allowed_addresses", format!("at most {}", Self::MAX))]);
        }
        let (mut networks, mut mistakes) = (Vec::new(), Vec::new());
        for (index, text) in texts.iter().enumerate() {
            match network(text) {
                Ok(network) => networks.push(network),
                Err(error) => mistakes.push(Mistake::at_element("allowed_addresses", index, error)),
            }
        }
        Mistake::none(mistakes)?;
        Ok(Self(networks))
    }

    /// Whether the list restricts nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The networks as texts, each with its prefix.
    pub fn texts(&self) -> Vec<String> {
        self.0.iter().map(IpNet::to_string).collect()
    }

    /// Whether who may use a key from these addresses may do so from the others too.
    pub fn are_within(&self, others: &Self) -> bool {
        let is_within = |one: &IpNet| others.0.iter().any(|other| other.contains(one));
        others.is_empty() || (!self.is_empty() && self.0.iter().all(is_within))
    }

    /// Whether a caller with this address may use the key. `None`: the address is not known.
    pub fn admit(&self, address: Option<IpAddr>) -> bool {
        let address = address.map(|address| address.to_canonical());
        self.is_empty() || address.is_some_and(|address| self.0.iter().any(|network| network.contains(&address)))
    }
}

/// Reads an address, or a network with its prefix.
pub(crate) fn network(text: &str) -> Result<IpNet, InvalidNetwork> {
    let address = IpAddr::from_str(text).map(IpNet::from);
    let network = address.or_else(|_| IpNet::from_str(text)).map_err(|_| InvalidNetwork::Syntax)?;
    if let IpNet::V6(mapped) = network
        && mapped.prefix_len() >= 96
        && mapped.addr().to_ipv4_mapped().is_some()
    {
        return Err(InvalidNetwork::Mapped);
    }
    match network.trunc() == network {
        true => Ok(network),
        false => Err(InvalidNetwork::HostBits(network.trunc())),
    }
}

/// What is stored can't be read as a list of networks.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub struct InvalidAddresses(Vec<Mistake>);

impl fmt::Display for InvalidAddresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    }
}

impl TryFrom<Vec<String>> for AllowedAddresses {
    type Error = InvalidAddresses;
    fn try_from(texts: Vec<String>) -> Result<Self, InvalidAddresses> {
        Self::read(&texts).map_err(InvalidAddresses)
    }
}

impl From<AllowedAddresses> for Vec<String> {
    fn from(addresses: AllowedAddresses) -> Self {
        addresses.texts()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(texts: &[&str]) -> Result<AllowedAddresses, Vec<String>> {
        let texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
        AllowedAddresses::read(&texts).map_err(|mistakes| mistakes.into_iter().map(|mistake| mistake.pointer).collect())
    }

    #[test]
    fn only_addresses_of_the_list_are_admitted() {
        let list = read(&["192.0.2.0/24", "198.51.100.7", "2001:db8::/32"]).unwrap();
        assert_eq!(list.texts(), ["192.0.2.0/24", "198.51.100.7/32", "2001:db8::/32"]);
        let admits = |address: &str| list.admit(Some(address.parse().unwrap()));
        for inside in ["192.0.2.255", "::ffff:192.0.2.1", "198.51.100.7", "2001:db8:ffff::1"] {
            assert!(admits(inside), "{inside}");
        }
        for outside in ["192.0.3.0", "198.51.100.8", "2001:db9::", "::192.0.2.1", "0.0.0.0", "::"] {
            assert!(!admits(outside), "{outside}");
        }
    }

    #[test]
    fn unknown_address_is_admitted_only_without_a_list() {
        assert!(!read(&["0.0.0.0/0", "::/0"]).unwrap().admit(None));
        assert!(AllowedAddresses::default().admit(None));
    }

    #[test]
    fn each_network_that_is_none_is_named() {
        let wrong = ["", "192.0.2.1/24", "192.0.2.0/33", "192.0.2.0/", "10.0.0.0/8 ", "host", "::ffff:192.0.2.0/120"];
        let all: Vec<_> = (0..wrong.len()).map(|index| format!("/allowed_addresses/{index}")).collect();
        assert_eq!(read(&wrong), Err(all));
        assert_eq!(read(&["192.0.2.1/24", "192.0.2.0/24"]), Err(vec!["/allowed_addresses/0".to_owned()]));
        assert_eq!(
            network("192.0.2.1/24").unwrap_err().to_string(),
            "has bits behind its prefix; the network is 192.0.2.0/24"
        );
    }

    #[test]
    fn list_has_at_most_64_networks() {
        assert!(read(&["192.0.2.1"; AllowedAddresses::MAX]).is_ok());
        assert_eq!(read(&["192.0.2.1"; AllowedAddresses::MAX + 1]), Err(vec!["/allowed_addresses".to_owned()]));
    }

    #[test]
    fn list_reads_back_as_it_was_stored() {
        let list = read(&["192.0.2.0/24", "2001:db8::1"]).unwrap();
        let stored = serde_json::to_string(&list).unwrap();
        assert_eq!(stored, r#"["192.0.2.0/24","2001:db8::1/128"]"#);
        assert_eq!(serde_json::from_str::<AllowedAddresses>(&stored).unwrap(), list);
        assert!(serde_json::from_str::<AllowedAddresses>(r#"["192.0.2.1/24"]"#).is_err());
    }

    proptest! {
        #[test]
        fn network_holds_exactly_the_addresses_with_its_prefix(base: u32, other: u32, length in 0_u32..=32) {
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            let network = format!("{}/{length}", std::net::Ipv4Addr::from_bits(base & mask));
            let list = AllowedAddresses::read(&[network]).unwrap();
            let other_address = IpAddr::from(std::net::Ipv4Addr::from_bits(other));
            prop_assert_eq!(list.admit(Some(other_address)), other & mask == base & mask);
        }
    }
}
