//! Addresses of web pages that pages of this server link to: about a client, or for help.
//!
//! A link must be safe to click and lead where it seems to. So the address must be written as browsers show it; nothing is
//! normalised.

use url::{Host, ParseError, Position, Url};

use crate::redirect_uri::{Misread, authority, check_authority, is_loopback_host};

/// Longest address, in bytes.
const MAX_LENGTH: usize = 2_000;

/// Why an address can't be linked to.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidWebPage {
    /// It has no host, or none that is written in the one usual form.
    #[error(
        "write the host as browsers show it: a name or an address, in lower case, without empty parts or a final dot"
    )]
    Host,
    /// It is not an absolute URL, or has characters that a URL can't have.
    #[error("not an absolute URL of at most 2,000 printable ASCII characters")]
    Malformed,
    /// Its path is not written as browsers show it.
    #[error("write the path as browsers show it: without `.` or `..` segments, quotes or angle brackets")]
    Path,
    /// Its port is not written in the one usual form.
    #[error("write the port as a number from 1 to 65535 without leading zeros, or leave it out with its colon")]
    Port,
    /// Its scheme is not one of the web.
    #[error("use https://; http:// is for localhost only")]
    Scheme,
    /// It contains a user name or password.
    #[error("an address to link to has no user name or password")]
    UserInfo,
}

/// Refuses what is not an address of a web page.
pub fn check_web_page(address: &str) -> Result<(), InvalidWebPage> {
    use InvalidWebPage::*;
    if address.len() > MAX_LENGTH || !address.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Malformed);
    }
    if !address.starts_with("https://") && !address.starts_with("http://") {
        return Err(if Url::parse(address).is_ok() { Scheme } else { Malformed });
    }
    if authority(address).contains('@') {
        return Err(UserInfo);
    }
    let url = Url::parse(address).map_err(|error| match error {
        ParseError::InvalidPort => Port,
        _ => Host,
    })?;
    if !is_usual(url.host()) {
        return Err(Host);
    }
    check_authority(&url, address).map_err(|misread| match misread {
        Misread::Host => Host,
        Misread::Port => Port,
    })?;
    if url.scheme() == "http" && !url.host_str().is_some_and(is_loopback_host) {
        return Err(Scheme);
    }
    // The part after the authority must be what the parser reads, apart from the slash that it adds to a bare
    // authority.
    let written = address.split_once("://").map_or("", |(_, rest)| &rest[authority(address).len()..]);
    match url[Position::BeforePath..].strip_prefix('/') {
        Some(rest) if written.strip_prefix('/').unwrap_or(written) == rest => Ok(()),
        _ => Err(Path),
    }
}

/// Whether a host is an address, or a name whose parts are all there.
fn is_usual(host: Option<Host<&str>>) -> bool {
    match host {
        Some(Host::Domain(name)) => name.split('.').all(|part| {
            let in_grammar = part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
            in_grammar && (1..=63).contains(&part.len()) && !part.starts_with('-') && !part.ends_with('-')
        }),
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => true,
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn web_page_is_accepted() {
        for page in [
            "https://app.example",
            "https://app.example/",
            "https://app.example?lang=en",
            "https://app.example/about?lang=en#team",
            "https://app.example:8443/a/b",
            "https://app.example:443/",
            "https://xn--mnchen-3ya.example/",
            "https://192.0.2.1/",
            "https://[2001:db8::1]/help",
            "https://intranet/",
            "http://localhost:8080/",
            "http://127.0.0.1",
            "http://[::1]:8080/about",
        ] {
            assert_eq!(check_web_page(page), Ok(()), "{page}");
        }
    }

    #[test]
    fn address_that_misleads_is_refused_for_its_true_cause() {
        use InvalidWebPage::*;
        let long = format!("https://app.example/{}", "a".repeat(2_000));
        for (address, why) in [
            ("", Malformed),
            ("app.example", Malformed),
            (" https://app.example/", Malformed),
            ("https://app.exam\nple/", Malformed),
            ("https://m\u{fc}nchen.example/", Malformed),
            (&long, Malformed),
            ("javascript:alert(1)", Scheme),
            ("data:text/html,hi", Scheme),
            ("mailto:help@app.example", Scheme),
            ("ftp://app.example/", Scheme),
            ("HTTPS://app.example/", Scheme),
            ("https:app.example", Scheme),
            ("http://app.example/", Scheme),
            ("https://issuer.example@app.example/", UserInfo),
            ("https://@app.example/", UserInfo),
            ("https://:secret@app.example/", UserInfo),
            ("http://:secret@localhost/", UserInfo),
            ("https://", Host),
            ("https:///about", Host),
            ("https://..", Host),
            ("https://../about", Host),
            ("https://a..example/", Host),
            ("https://.app.example/", Host),
            ("https://app.example./", Host),
            ("https://-app.example/", Host),
            ("https://App.example/", Host),
            ("https://app%2eexample/", Host),
            ("https://issuer.example\\@app.example/", UserInfo),
            ("https://issuer.example\\.app.example/", Host),
            ("https://0x7f.1/", Host),
            ("https://[::1/", Host),
            ("https://app.example:/", Port),
            ("https://app.example:0443/", Port),
            ("https://app.example:0/", Port),
            ("https://app.example:99999/", Port),
            ("https://app.example/../about", Path),
            ("https://app.example/./about", Path),
            ("https://app.example/%2e%2e/about", Path),
            ("https://app.example/a\\b", Path),
            ("https://app.example/\"onclick", Path),
        ] {
            assert_eq!(check_web_page(address), Err(why), "{address:?}");
        }
    }

    #[test]
    fn address_has_2000_characters_at_most() {
        let of_length = |length: usize| format!("https://app.example/{}", "a".repeat(length - 20));
        assert_eq!(check_web_page(&of_length(2_000)), Ok(()));
        assert_eq!(check_web_page(&of_length(2_001)), Err(InvalidWebPage::Malformed));
        assert_eq!(check_web_page("https://a_b.example/"), Ok(()));
    }
}
