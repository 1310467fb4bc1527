//! The host that a request names (RFC 9112 section 3.2, RFC 9113 section 8.3.1). A request without a valid one is
//! refused: two parties on its way could understand it differently.

use std::net::Ipv6Addr;

use http::{Request, Version, header::HOST};

/// Whether a request names one valid host. HTTP/1.0 may do without.
pub(crate) fn is_named<B>(request: &Request<B>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter().map(|host| host.as_bytes());
    let (host, is_repeated) = (hosts.next(), hosts.next().is_some());
    if is_repeated || !host.is_none_or(is_host) {
        return false;
    }
    let authority = request.uri().authority().map(|authority| authority.as_str().as_bytes());
    match (request.version(), host) {
        (Version::HTTP_2, None) => authority.is_some_and(is_host),
        (Version::HTTP_2, Some(host)) => authority.is_none_or(|authority| host.eq_ignore_ascii_case(authority)),
        (Version::HTTP_11, None) => false,
        _ => true,
    }
}

/// `uri-host [ ":" port ]`, with a host that is not empty (RFC 9110 section 4.2.1).
fn is_host(value: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(value) else { return false };
    let (is_name, port) = match text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        Some((address, port)) => {
            (address.parse::<Ipv6Addr>().is_ok(), port.strip_prefix(':').or(port.is_empty().then_some("")))
        }
        None => {
            let (name, port) = text.split_once(':').unwrap_or((text, ""));
            (is_registered_name(name), Some(port))
        }
    };
    is_name && port.is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// `reg-name` (RFC 3986 section 3.2.2), which IPv4 addresses are as well.
fn is_registered_name(name: &str) -> bool {
    let mut escaped = name.split('%');
    let is_plain =
        |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte));
    let is_escape = |part: &str| part.len() >= 2 && part.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    !name.is_empty() && escaped.next().is_some_and(is_plain) && escaped.all(|part| is_escape(part) && is_plain(part))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn is_named_by(version: Version, uri: &str, hosts: &[&[u8]]) -> bool {
        let mut request = Request::builder().version(version).uri(uri).body(()).unwrap();
        for host in hosts {
            request.headers_mut().append(HOST, HeaderValue::from_bytes(host).unwrap());
        }
        is_named(&request)
    }

    #[test]
    fn host_is_a_name_or_an_address_with_or_without_a_port() {
        for valid in [
            "x",
            "localhost:8400",
            "auth.example",
            "a_b.example.",
            "192.0.2.1:80",
            "[::1]",
            "[::1]:8400",
            "a%20b",
            "x:",
        ] {
            assert!(is_named_by(Version::HTTP_11, "/", &[valid.as_bytes()]), "{valid}");
        }
        for invalid in [
            "", ":80", "a b", "a/b", "a@b", "a?b", "a:b", "a:1:2", "[::1", "[::1]8", "[x]", "::1", "a%2", "a%zz",
            "a\"b", "http://a", "a, b",
        ] {
            assert!(!is_named_by(Version::HTTP_11, "/", &[invalid.as_bytes()]), "{invalid}");
        }
        assert!(!is_named_by(Version::HTTP_11, "/", &[b"caf\xe9"]));
    }

    #[test]
    fn missing_or_repeated_host_is_invalid() {
        assert!(!is_named_by(Version::HTTP_11, "/", &[]));
        assert!(!is_named_by(Version::HTTP_11, "http://a/", &[]));
        assert!(!is_named_by(Version::HTTP_11, "/", &[b"a", b"a"]));
        assert!(!is_named_by(Version::HTTP_10, "/", &[b"a", b"b"]));
        assert!(is_named_by(Version::HTTP_10, "/", &[]));
    }

    #[test]
    fn http_2_names_its_host_by_the_authority() {
        assert!(is_named_by(Version::HTTP_2, "http://a.example/", &[]));
        assert!(is_named_by(Version::HTTP_2, "http://a.example/", &[b"A.example"]));
        assert!(is_named_by(Version::HTTP_2, "/", &[b"a.example"]));
        assert!(!is_named_by(Version::HTTP_2, "/", &[]));
        assert!(!is_named_by(Version::HTTP_2, "http://a.example/", &[b"b.example"]));
        assert!(!is_named_by(Version::HTTP_2, "http://u@a.example/", &[]));
    }
}
