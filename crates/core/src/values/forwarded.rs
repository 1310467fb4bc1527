//! The client's address as proxies report it: `X-Forwarded-For`, and `Forwarded` (RFC 7239).
//!
//! Each proxy appends what it saw, and everything before that is the client's own invention. So both headers are read
//! from the right and as bytes: whatever a client wrote, in whatever encoding and with however many open quotes, can
//! neither hide nor change what a proxy appended.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The client behind trusted proxies: the first address that is not a trusted proxy, beginning with `nearest` and going
/// on with the hops, the last one first. `None` if a hop that counts cannot be read.
pub fn client(
    nearest: IpAddr,
    hops: impl Iterator<Item = Option<IpAddr>>,
    is_trusted: impl Fn(&IpAddr) -> bool,
) -> Option<IpAddr> {
    let mut client = nearest;
    for hop in hops {
        if !is_trusted(&client) {
            break;
        }
        client = hop?;
    }
    Some(client)
}

/// The hops of all `X-Forwarded-For` headers, the last one first; `None` for one that cannot be read.
pub fn x_forwarded_for<'a>(values: impl DoubleEndedIterator<Item = &'a [u8]>) -> impl Iterator<Item = Option<IpAddr>> {
    let hops = values.rev().flat_map(|value| value.rsplit(|byte| *byte == b','));
    hops.map(<[u8]>::trim_ascii).filter(|hop| !hop.is_empty()).map(node)
}

/// The hops of all `Forwarded` headers, the last one first; `None` for one that cannot be read or names no client.
pub fn forwarded<'a>(values: impl DoubleEndedIterator<Item = &'a [u8]>) -> impl Iterator<Item = Option<IpAddr>> {
    let elements = values.rev().flat_map(|value| Parts { rest: Some(value), separator: b',' });
    elements.filter(|element| !element.is_empty()).map(forwarded_for)
}

/// The address of a node: IPv4 or IPv6, with or without brackets and a port (RFC 7239 section 6).
pub fn node(bytes: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(bytes).ok()?;
    if let Some(bracketed) = text.strip_prefix('[') {
        let (address, port) = bracketed.split_once(']')?;
        let is_node = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return is_node.then(|| ipv6(address)).flatten();
    }
    if let Some(address) = ipv6(text) {
        return Some(address);
    }
    let (address, port) = text.split_once(':').unwrap_or((text, "0"));
    let address: Ipv4Addr = address.parse().ok()?;
    is_port(port).then_some(address.into())
}

/// An IPv6 address, whose zone means nothing here. IPv4 mapped into IPv6 is IPv4.
fn ipv6(text: &str) -> Option<IpAddr> {
    let address: Ipv6Addr = text.split('%').next()?.parse().ok()?;
    Some(address.to_canonical())
}

/// Ports may be obfuscated (RFC 7239 section 6.3).
fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// The node that `for` names in an element of `Forwarded`.
fn forwarded_for(element: &[u8]) -> Option<IpAddr> {
    let pairs = Parts { rest: Some(element), separator: b';' };
    let mut named = pairs.filter_map(|pair| {
        let at = pair.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (pair[..at].trim_ascii(), pair[at + 1..].trim_ascii());
        name.eq_ignore_ascii_case(b"for").then_some(value)
    });
    let value = named.next()?;
    if named.next().is_some() {
        return None;
    }
    let unquoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    node(unquoted.unwrap_or(value))
}

/// The parts of a list, the last one first. A separator inside of a quoted string separates nothing.
struct Parts<'a> {
    rest: Option<&'a [u8]>,
    separator: u8,
}

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let text = self.rest?;
        let at = last_outside_quotes(text, self.separator);
        self.rest = at.map(|at| &text[..at]);
        Some(text[at.map_or(0, |at| at + 1)..].trim_ascii())
    }
}

fn last_outside_quotes(text: &[u8], separator: u8) -> Option<usize> {
    let mut is_quoted = false;
    for (at, byte) in text.iter().enumerate().rev() {
        match byte {
            b'"' if is_quoted && is_escaped(text, at) => {}
            b'"' => is_quoted = !is_quoted,
            byte if *byte == separator && !is_quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// Whether an odd number of backslashes precedes a quote.
fn is_escaped(text: &[u8], at: usize) -> bool {
    text[..at].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PROXY: &str = "10.0.0.1";

    fn is_proxy(address: &IpAddr) -> bool {
        matches!(address, IpAddr::V4(address) if address.octets()[0] == 10)
    }

    fn by_x_forwarded_for(nearest: &str, values: &[&[u8]]) -> Option<String> {
        let hops = x_forwarded_for(values.iter().copied());
        client(nearest.parse().unwrap(), hops, is_proxy).map(|client| client.to_string())
    }

    fn by_forwarded(values: &[&[u8]]) -> Option<String> {
        let hops = forwarded(values.iter().copied());
        client(PROXY.parse().unwrap(), hops, is_proxy).map(|client| client.to_string())
    }

    #[test]
    fn rightmost_address_that_is_no_trusted_proxy_is_the_client() {
        let found = |values| by_x_forwarded_for(PROXY, values);
        assert_eq!(found(&[b"203.0.113.9, 198.51.100.1, 10.0.0.2"]).unwrap(), "198.51.100.1");
        assert_eq!(found(&[b"203.0.113.9", b"198.51.100.1"]).unwrap(), "198.51.100.1");
        assert_eq!(found(&[b"10.0.0.3, 10.0.0.2"]).unwrap(), "10.0.0.3");
        assert_eq!(found(&[b"198.51.100.1, "]).unwrap(), "198.51.100.1");
        assert_eq!(found(&[]).unwrap(), PROXY);
    }

    #[test]
    fn untrusted_peer_is_the_client_whatever_it_reports() {
        assert_eq!(by_x_forwarded_for("192.0.2.1", &[b"198.51.100.1"]).unwrap(), "192.0.2.1");
        assert_eq!(by_x_forwarded_for("192.0.2.1", &[b"\xff"]).unwrap(), "192.0.2.1");
    }

    #[test]
    fn address_with_port_or_brackets_is_read() {
        for (text, address) in [
            ("203.0.113.1", "203.0.113.1"),
            ("203.0.113.1:4444", "203.0.113.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:99", "2001:db8::1"),
            ("[fe80::1%eth0]:99", "fe80::1"),
            ("::ffff:203.0.113.1", "203.0.113.1"),
            ("203.0.113.1:_obfuscated", "203.0.113.1"),
        ] {
            assert_eq!(node(text.as_bytes()).unwrap().to_string(), address, "{text}");
        }
        for text in
            ["", "unknown", "_hidden", "203.0.113.1:", "203.0.113", "[2001:db8::1", "[2001:db8::1]99", "[203.0.113.1]"]
        {
            assert_eq!(node(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn garbage_left_of_the_client_changes_nothing() {
        assert_eq!(by_x_forwarded_for(PROXY, &[b"\xff, 198.51.100.1"]).unwrap(), "198.51.100.1");
        assert_eq!(by_x_forwarded_for(PROXY, &[b"\xff", b"198.51.100.1"]).unwrap(), "198.51.100.1");
        for garbage in [&b"for=\"evil"[..], b"for=\"evil\\", b"\"", b"\\\"", b"\xff", b"for=1.2.3.4;\""] {
            for appended in [&b", for=198.51.100.1"[..], b", for=\"198.51.100.1:80\";proto=https"] {
                let value = [garbage, appended].concat();
                assert_eq!(by_forwarded(&[&value]).as_deref(), Some("198.51.100.1"), "{value:?}");
            }
        }
    }

    #[test]
    fn unreadable_client_is_not_taken_for_the_proxy() {
        assert_eq!(by_x_forwarded_for(PROXY, &[b"203.0.113.9, \xff"]), None);
        assert_eq!(by_x_forwarded_for(PROXY, &[b"unknown, 10.0.0.2"]), None);
        assert_eq!(by_forwarded(&[b"for=unknown"]), None);
        assert_eq!(by_forwarded(&[b"for=_hidden;by=10.0.0.1"]), None);
        assert_eq!(by_forwarded(&[b"proto=https"]), None);
        assert_eq!(by_forwarded(&[b"for=198.51.100.1;for=198.51.100.2"]), None);
    }

    #[test]
    fn examples_of_rfc_7239_are_read() {
        let found = |value: &str| by_forwarded(&[value.as_bytes()]).unwrap();
        assert_eq!(found(r#"For="[2001:db8:cafe::17]:4711""#), "2001:db8:cafe::17");
        assert_eq!(found("for=192.0.2.60;proto=http;by=203.0.113.43"), "192.0.2.60");
        assert_eq!(found("for=192.0.2.43, for=198.51.100.17"), "198.51.100.17");
        assert_eq!(found(r#"for=192.0.2.43;host="a,b;for=1.2.3.4\"", for=10.0.0.7;secret="x\\""#), "192.0.2.43");
    }

    proptest! {
        #[test]
        fn reading_never_panics(value in any::<Vec<u8>>()) {
            let _ = by_x_forwarded_for(PROXY, &[&value]);
            let _ = by_forwarded(&[&value]);
        }

        #[test]
        fn nothing_that_precedes_changes_what_a_proxy_appends(value in any::<Vec<u8>>()) {
            let appended = [value.as_slice(), b", 198.51.100.1"].concat();
            prop_assert_eq!(by_x_forwarded_for(PROXY, &[&appended]).unwrap(), "198.51.100.1");
            let appended = [value.as_slice(), b", for=198.51.100.1"].concat();
            prop_assert_eq!(by_forwarded(&[&appended]).unwrap(), "198.51.100.1");
        }
    }
}
