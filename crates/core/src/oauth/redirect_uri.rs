//! Redirect URIs (OAuth 2.1 section 2.3, RFC 8252, RFC 9700 section 2.1): compared as exact strings.
//!
//! The one exception is the port of a loopback redirect, which a native program can't know beforehand. Nothing is
//! normalised and nothing is matched by pattern: that is how others were bypassed.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::{ParseError, Url};

use crate::refusal::Refusal;

/// A registered redirect URI.
#[derive(Clone, Eq, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct RedirectUri(String);

/// Why a redirect URI can't be registered.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidRedirectUri {
    /// It has a fragment (RFC 6749 section 3.1.2).
    #[error("a redirect URI has no fragment")]
    Fragment,
    /// Its host is not written in the one usual form.
    #[error("write the host as browsers show it: in lower case, addresses in full, without a final dot")]
    Host,
    /// It is not an absolute URI, or has characters that a URI can't have.
    #[error("not an absolute URI of at most 2,000 printable ASCII characters")]
    Malformed,
    /// Its path has steps that servers resolve differently: a dot segment (RFC 3986 section 5.2.4), also a hidden one.
    /// `..` within a name, as in `a..b`, is no step.
    #[error("the path must not contain `.` or `..` segments, `;`, `\\` or an encoded dot or slash")]
    Path,
    /// Its port is not written in the one usual form.
    #[error("write the port as a number from 1 to 65535 without leading zeros, or leave it out with its colon")]
    Port,
    /// A client can't receive a code by its scheme.
    #[error("use https, http for a loopback host, or a private-use scheme with a dot in it (RFC 8252 section 7.1)")]
    Scheme,
    /// Its scheme has capitals.
    #[error("write the scheme in lower case")]
    SchemeCase,
    /// It contains a user name or password.
    #[error("a redirect URI has no user name or password")]
    UserInfo,
    /// It contains a `*`.
    #[error("redirect URIs are compared exactly: no wildcards")]
    Wildcard,
}

impl RedirectUri {
    /// Reads a redirect URI for registration.
    pub fn parse(text: &str) -> Result<Self, InvalidRedirectUri> {
        use InvalidRedirectUri::*;
        if text.len() > 2_000 || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Malformed);
        }
        if text.contains('#') {
            return Err(Fragment);
        }
        if text.contains('*') {
            return Err(Wildcard);
        }
        let url = Url::parse(text).map_err(|error| match error {
            ParseError::InvalidPort => Port,
            ParseError::InvalidIpv4Address | ParseError::InvalidIpv6Address | ParseError::IdnaError => Host,
            _ => Malformed,
        })?;
        if !text.starts_with(url.scheme()) {
            return Err(SchemeCase);
        }
        if !url.username().is_empty() || url.password().is_some() || authority(text).contains('@') {
            return Err(UserInfo);
        }
        // Behind the scheme's colon: a path without a leading slash begins there.
        let path = text.split('?').next().and_then(|uri| uri.split_once(':')).map_or("", |(_, path)| path);
        let encoded = path.to_ascii_lowercase();
        let has_odd_segment = path.split('/').any(|segment| matches!(segment, "." | ".."));
        if has_odd_segment
            || path.contains([';', '\\'])
            || ["%2e", "%2f", "%5c"].iter().any(|odd| encoded.contains(odd))
        {
            return Err(Path);
        }
        match url.scheme() {
            "https" | "http" => {
                let host = url.host_str().ok_or(Malformed)?;
                if host.ends_with('.') {
                    return Err(Host);
                }
                check_authority(&url, text).map_err(|misread| match misread {
                    Misread::Host => Host,
                    Misread::Port => Port,
                })?;
                if url.scheme() == "http" && !is_loopback_host(host) {
                    return Err(Scheme);
                }
            }
            scheme if !scheme.contains('.') => return Err(Scheme),
            _ => {}
        }
        Ok(Self(text.to_owned()))
    }

    /// Whether `asked` is this redirect URI: the same text, or, where `port_is_free`, the same except for the port of a
    /// loopback host (RFC 8252 section 7.3), never across the three spellings of loopback.
    pub fn matches(&self, asked: &str, port_is_free: bool) -> bool {
        if self.0 == asked {
            return true;
        }
        let without_ports = || Some((without_loopback_port(&self.0)?, without_loopback_port(asked)?));
        port_is_free && without_ports().is_some_and(|(own, asked)| own == asked)
    }

    /// Whether any program on the user's machine could be the one that receives it: loopback or a private-use scheme
    /// (RFC 8252 section 8.6).
    pub fn is_native(&self) -> bool {
        !self.0.starts_with("https://")
    }

    /// The redirect URI as registered.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RedirectUri {
    type Error = InvalidRedirectUri;
    fn try_from(text: String) -> Result<Self, InvalidRedirectUri> {
        Self::parse(&text)
    }
}

impl From<RedirectUri> for String {
    fn from(uri: RedirectUri) -> Self {
        uri.0
    }
}

impl fmt::Debug for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a redirect URI leads, for people: host and port, or the scheme where there is no host.
pub fn display_host(redirect_uri: &str) -> String {
    match Url::parse(redirect_uri) {
        Ok(url) if url.has_host() => match (url.host_str().unwrap_or_default(), url.port()) {
            (host, Some(port)) => format!("{host}:{port}"),
            (host, None) => host.to_owned(),
        },
        Ok(url) => format!("{}:", url.scheme()),
        Err(_) => String::new(),
    }
}

/// Adds parameters to a redirect URI's query, whatever it holds already (RFC 6749 section 4.1.2).
pub fn with_query<'a>(redirect_uri: &str, parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let separator = if redirect_uri.contains('?') { '&' } else { '?' };
    format!("{redirect_uri}{separator}{}", encoded(parameters))
}

/// Parameters as a form, with `%20` for a space: some clients read them by `decodeURIComponent`, which leaves `+` as it
/// is. A plus itself is `%2B`.
pub(crate) fn encoded<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(parameters);
    form.finish().replace('+', "%20")
}

/// Adds a fact if a registered address differs only by a trailing slash, which is easily overlooked.
pub(crate) fn naming_the_slash(refusal: Refusal, registered: &[RedirectUri], asked: &str) -> Refusal {
    let differs = |registered: &RedirectUri| {
        registered.0.strip_suffix('/') == Some(asked) || asked.strip_suffix('/') == Some(&registered.0)
    };
    match registered.iter().any(differs) {
        true => refusal.fact("differs", "by a trailing slash"),
        false => refusal,
    }
}

/// Whether a host is one of the three spellings of loopback.
pub fn is_loopback_host(host: &str) -> bool {
    matches!(host, "127.0.0.1" | "[::1]" | "localhost")
}

/// The authority as it is written (RFC 3986 section 3.2); empty where there is none.
pub(crate) fn authority(text: &str) -> &str {
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())]
}

/// What the parser reads differently from how an authority is written.
pub(crate) enum Misread {
    /// The host: upper case, an IDN, another spelling of an address.
    Host,
    /// The port: another spelling of it, or 0. That of the scheme may stand there or not.
    Port,
}

/// Refuses an address of the web whose authority is not written as the parser reads it.
pub(crate) fn check_authority(url: &Url, text: &str) -> Result<(), Misread> {
    let (host, port) = host_and_port(authority(text));
    if Some(host) != url.host_str() {
        return Err(Misread::Host);
    }
    let read = url.port_or_known_default().map(|port| port.to_string());
    match port {
        Some(_) if port != read.as_deref() || port == Some("0") => Err(Misread::Port),
        _ => Ok(()),
    }
}

/// Host and port of an authority without a user, as they are written.
pub(crate) fn host_and_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        // The last colon of an IPv6 address without a port is inside the brackets.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

/// The URI's host, and path with query, when its host is loopback and its scheme `http`.
fn without_loopback_port(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix("http://")?;
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (host, port) = host_and_port(authority);
    let is_port =
        |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    (is_loopback_host(host) && port.is_none_or(is_port)).then_some((host, path))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn uri(text: &str) -> RedirectUri {
        RedirectUri::parse(text).unwrap()
    }

    #[test]
    fn only_the_registered_text_matches() {
        let registered = uri("https://app.example/cb?a=1");
        assert!(registered.matches("https://app.example/cb?a=1", true));
        for odd in [
            "https://app.example/cb",
            "https://app.example/cb?a=1&b=2",
            "https://app.example/cb?a=1#x",
            "https://app.example/cb/?a=1",
            "https://app.example/cb/..;/x",
            "https://app.example/cb/%2e%2e/x?a=1",
            "https://app.example/%63b?a=1",
            "https://app.example/x/../cb?a=1",
            "https://app.example//cb?a=1",
            "https://app.example\\cb?a=1",
            "https://app.example/\tcb?a=1",
            "https://app.example/cb?a=1 ",
            " https://app.example/cb?a=1",
            "HTTPS://app.example/cb?a=1",
            "https://APP.example/cb?a=1",
            "https://app.example./cb?a=1",
            "https://app.example:443/cb?a=1",
            "https://app.example:8443/cb?a=1",
            "https://user@app.example/cb?a=1",
            "https://app.example@evil.example/cb?a=1",
            "https://app.example.evil.example/cb?a=1",
            "https://evil.example/app.example/cb?a=1",
            "https://sub.app.example/cb?a=1",
            "https://äpp.example/cb?a=1",
            "http://app.example/cb?a=1",
            "//app.example/cb?a=1",
            "/cb?a=1",
            "javascript:alert(1)",
            "data:text/html,x",
            "",
        ] {
            assert!(!registered.matches(odd, true), "{odd}");
        }
    }

    #[test]
    fn only_the_port_of_a_native_loopback_redirect_may_differ() {
        let registered = uri("http://127.0.0.1/cb");
        for port in ["http://127.0.0.1:1/cb", "http://127.0.0.1:65535/cb"] {
            assert!(registered.matches(port, true), "{port}");
            assert!(!registered.matches(port, false), "{port}");
        }
        for odd in [
            "http://localhost:1/cb",
            "http://[::1]:1/cb",
            "http://127.0.0.2:1/cb",
            "http://127.1:1/cb",
            "http://127.0.0.1:0/cb",
            "http://127.0.0.1:65536/cb",
            "http://127.0.0.1:/cb",
            "http://127.0.0.1:1:2/cb",
            "http://127.0.0.1:1@evil.example/cb",
            "http://127.0.0.1.evil.example:1/cb",
            "http://localhost.evil:1/cb",
            "http://127.0.0.1:1/cb/",
            "http://127.0.0.1:1/cb?x",
            "http://127.0.0.1:1/CB",
            "https://127.0.0.1:1/cb",
            "http://127.0.0.1:+1/cb",
        ] {
            assert!(!registered.matches(odd, true), "{odd}");
        }
        assert!(uri("http://[::1]:9/cb").matches("http://[::1]:10/cb", true));
        assert!(uri("http://localhost:9/cb").matches("http://localhost/cb", true));
        assert!(!uri("https://app.example/cb").matches("https://app.example:8443/cb", true));
    }

    #[test]
    fn ambiguous_redirect_uris_can_not_be_registered() {
        use InvalidRedirectUri::*;
        for (text, why) in [
            ("https://app.example/cb#", Fragment),
            ("https://*.example/cb", Wildcard),
            ("https://app.example/*", Wildcard),
            ("https://user@app.example/", UserInfo),
            ("https://@app.example/", UserInfo),
            ("https:user@app.example/", UserInfo),
            ("http://app.example/cb", Scheme),
            ("javascript:alert(1)", Scheme),
            ("data:text/html,x", Scheme),
            ("app:/cb", Scheme),
            ("https://APP.example/cb", Host),
            ("https://app.example./cb", Host),
            ("https://0x7f.1/cb", Host),
            ("https://[::1/cb", Host),
            ("https://1.2.3.4.5/cb", Host),
            ("HTTPS://app.example/cb", SchemeCase),
            ("Com.Example.App:/cb", SchemeCase),
            ("https://app.example:/cb", Port),
            ("https://app.example:0443/cb", Port),
            ("https://app.example:0/cb", Port),
            ("https://app.example:65536/cb", Port),
            ("http://[::1]:080/cb", Port),
            ("http://2130706433/cb", Host),
            ("https://app.example/a/../cb", Path),
            ("https://app.example/a/..;/cb", Path),
            ("https://app.example/a/..", Path),
            ("https://app.example/./cb?x", Path),
            ("https://app.example/cb;v=1", Path),
            ("https://app.example/%2E%2e/cb", Path),
            ("https://app.example/a..%2fcb", Path),
            ("com.example.app:/../cb", Path),
            ("com.example.app:../cb", Path),
            ("com.example.app:..", Path),
            ("https://app.example\\cb", Path),
            ("/cb", Malformed),
            ("https://app.example/c b", Malformed),
            ("https://äpp.example/", Malformed),
        ] {
            assert_eq!(RedirectUri::parse(text), Err(why), "{text}");
        }
        for good in ["com.example.app:/cb", "https://app.example:8443/cb?x=1", "http://localhost:8401/callback"] {
            assert!(RedirectUri::parse(good).is_ok(), "{good}");
        }
    }

    /// A dot segment is `.` or `..` and nothing else (RFC 3986 section 5.2.4): no server takes a step at the others.
    #[test]
    fn dots_within_the_name_of_a_segment_are_accepted() {
        for name in ["a..b", "..a", "a..", "...", ".well-known", "v1.2"] {
            for good in [format!("https://app.example/{name}/cb"), format!("com.example.app:/{name}")] {
                assert!(uri(&good).matches(&good, false), "{good}");
            }
        }
        assert!(RedirectUri::parse("https://app.example/cb?next=../;x").is_ok(), "the query is no path");
    }

    #[test]
    fn port_of_the_scheme_is_compared_as_it_was_registered() {
        for text in ["https://app.example:443/cb", "http://localhost:80/cb", "http://[::1]:80/cb"] {
            assert!(uri(text).matches(text, false), "{text}");
        }
        assert!(!uri("https://app.example:443/cb").matches("https://app.example/cb", true));
        assert!(!uri("http://localhost:80/cb").matches("http://localhost/cb", false));
        assert!(
            uri("http://localhost:80/cb").matches("http://localhost/cb", true),
            "the port of a native client is free"
        );
    }

    #[test]
    fn people_are_shown_host_and_port() {
        assert_eq!(display_host("http://localhost:8401/callback"), "localhost:8401");
        assert_eq!(display_host("https://app.example/cb"), "app.example");
        assert_eq!(display_host("com.example.app:/cb"), "com.example.app:");
    }

    #[test]
    fn parameters_join_an_existing_query() {
        assert_eq!(with_query("https://a.example/?x=1", [("s", "a b&+")]), "https://a.example/?x=1&s=a%20b%26%2B");
        assert_eq!(with_query("https://a.example/", [("s", "1")]), "https://a.example/?s=1");
    }

    #[test]
    fn redirect_uri_has_2000_characters_at_most_and_reads_back() {
        let of_length = |length: usize| format!("https://app.example/{}", "a".repeat(length - 20));
        assert!(RedirectUri::parse(&of_length(2_000)).is_ok());
        assert_eq!(RedirectUri::parse(&of_length(2_001)), Err(InvalidRedirectUri::Malformed));
        let text = "https://app.example/cb";
        assert_eq!((uri(text).as_str(), format!("{:?}", uri(text))), (text, text.to_owned()));
        assert_eq!(serde_json::to_value(uri(text)).unwrap(), text);
        assert_eq!(serde_json::from_str::<RedirectUri>("\"/cb\"").ok(), None);
    }

    #[test]
    fn password_without_user_is_user_info() {
        assert_eq!(RedirectUri::parse("https://:secret@app.example/"), Err(InvalidRedirectUri::UserInfo));
    }

    #[test]
    fn loopback_and_private_schemes_are_native() {
        assert!(uri("http://localhost/cb").is_native() && uri("com.example.app:/cb").is_native());
        assert!(!uri("https://app.example/cb").is_native());
        for host in ["127.0.0.1", "[::1]", "localhost"] {
            assert!(is_loopback_host(host), "{host}");
        }
        assert!(!is_loopback_host("127.0.0.2") && !is_loopback_host("app.example"));
    }

    proptest! {
        #[test]
        fn reading_never_panics_and_what_is_registered_matches_itself(text in "\\PC{0,60}") {
            if let Ok(uri) = RedirectUri::parse(&text) {
                prop_assert!(uri.matches(&text, false));
            }
        }

        #[test]
        fn a_free_port_never_changes_the_host(asked in "http://[a-z0-9.:@\\[\\]]{1,30}/cb") {
            if uri("http://localhost/cb").matches(&asked, true) {
                let url = Url::parse(&asked).unwrap();
                prop_assert_eq!(url.host_str(), Some("localhost"));
            }
        }
    }
}
