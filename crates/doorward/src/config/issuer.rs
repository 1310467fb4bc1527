//! The issuer identifier (RFC 8414 section 2, OpenID Connect Core 1.0 section 2).
//!
//! Clients compare it character by character, so the operator's text is kept as it is: the URL parser checks it,
//! and its normalised form, with another slash or case, is never used.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use doorward_core::redirect_uri::is_loopback_host;
use url::{Host, Url};

/// An `https` URL, or an `http` one of a loopback host, without user, path, query and fragment; exactly as written.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct Issuer(String);

/// Why a text can't be an issuer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum InvalidIssuer {
    #[error("an issuer is an absolute URL, such as `https://id.example.com`")]
    NotUrl,
    #[error("an issuer has no query and no fragment (RFC 8414 section 2)")]
    QueryOrFragment,
    #[error("an issuer ends after host and port, without a path and a slash: Doorward serves a whole host")]
    Path,
    #[error("an issuer is an `https` URL; `http` is only for `localhost`, `127.0.0.1` and `[::1]`")]
    Scheme,
    #[error("an issuer has no user name and no password")]
    UserInfo,
    #[error("an issuer's scheme is written in lower case: `https`")]
    SchemeCase,
}

impl Issuer {
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidIssuer> {
        // The URL parser drops spaces, tabs and line breaks and turns backslashes; what clients compare must have none.
        if !text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
            return Err(InvalidIssuer::NotUrl);
        }
        let url = Url::parse(text).map_err(|_| InvalidIssuer::NotUrl)?;
        let host = url.host_str().ok_or(InvalidIssuer::NotUrl)?;
        match url.scheme() {
            "https" => {}
            "http" if is_loopback_host(host) => {}
            _ => return Err(InvalidIssuer::Scheme),
        }
        // `https:host` and `https:///host` are repaired by the parser, but not by those who compare.
        if !text.get(url.scheme().len()..).is_some_and(|rest| rest.starts_with("://") && !rest.starts_with(":///")) {
            return Err(InvalidIssuer::NotUrl);
        }
        if text.contains(['?', '#']) {
            return Err(InvalidIssuer::QueryOrFragment);
        }
        if url.path() != "/" || text.ends_with('/') {
            return Err(InvalidIssuer::Path);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidIssuer::UserInfo);
        }
        // The text is what clients and this server compare, and `HTTPS` would not look like TLS.
        if !text.starts_with(url.scheme()) {
            return Err(InvalidIssuer::SchemeCase);
        }
        Ok(Self(text.to_owned()))
    }

    /// The address, if it is one of this machine's by plain HTTP: then this server itself has to listen there.
    pub(super) fn loopback_address(&self) -> Option<SocketAddr> {
        let url = Url::parse(&self.0).ok().filter(|url| url.scheme() == "http")?;
        let ip = match url.host()? {
            Host::Ipv6(ip) => IpAddr::V6(ip),
            Host::Ipv4(_) | Host::Domain(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        };
        Some(SocketAddr::new(ip, url.port_or_known_default()?))
    }

    /// The issuer as configured.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_kept_exactly() {
        for text in ["https://ID.example.com", "https://id.example.com:443"] {
            assert_eq!(Issuer::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn scheme_in_upper_case_is_refused() {
        for text in ["HTTPS://id.example.com", "Https://id.example.com", "HTTP://localhost:8400"] {
            assert_eq!(Issuer::parse(text), Err(InvalidIssuer::SchemeCase), "{text}");
        }
    }

    #[test]
    fn http_is_only_for_loopback_hosts() {
        for text in ["http://localhost:8400", "http://127.0.0.1:1", "http://[::1]:8400"] {
            assert!(Issuer::parse(text).is_ok(), "{text}");
        }
        for text in [
            "http://id.example.com",
            "http://localhost.evil",
            "http://10.0.0.1",
            "http://127.0.0.2:1",
            "ftp://localhost",
        ] {
            assert_eq!(Issuer::parse(text), Err(InvalidIssuer::Scheme), "{text}");
        }
    }

    #[test]
    fn path_or_trailing_slash_is_refused() {
        for text in ["https://a.example/", "https://a.example/tenant", "https://a.example/tenant/"] {
            assert_eq!(Issuer::parse(text), Err(InvalidIssuer::Path), "{text}");
        }
    }

    #[test]
    fn query_fragment_user_and_repaired_urls_are_refused() {
        assert_eq!(Issuer::parse("https://a.example?x=1"), Err(InvalidIssuer::QueryOrFragment));
        assert_eq!(Issuer::parse("https://a.example/#"), Err(InvalidIssuer::QueryOrFragment));
        assert_eq!(Issuer::parse("https://me:pw@a.example"), Err(InvalidIssuer::UserInfo));
        for text in
            ["", "id.example.com", " https://a.example", "https:a.example", "https:///a", "https:\\\\a", "https://"]
        {
            assert_eq!(Issuer::parse(text), Err(InvalidIssuer::NotUrl), "{text}");
        }
    }
}
