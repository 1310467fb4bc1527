//! The origins of web pages that a publishable key may be used from.
//!
//! Origins are compared as browsers send them: the ASCII serialisation of RFC 6454 section 6.2, byte for byte.
//!
//! Easy to get wrong: the header `Origin` is no authentication. A browser does not let a page choose it, but every other
//! program can. So an origin decides where a key that is public anyway may be used, and never what it may do.

use std::{fmt, str};

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::{
    denial::Denial,
    refusal::{Mistake, Refusal},
};

/// The most characters of an origin: the longest host name (RFC 1035 section 2.3.4) with a scheme and a port.
const MAX_LENGTH: usize = 8 + 253 + 6;

/// The origins that a key may be used from. A key without them is not bound to origins.
#[derive(Clone, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct AllowedOrigins(Vec<String>);

/// A text that no key can be bound to.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidOrigin {
    /// Anybody on the network could answer in the name of the page.
    #[error("begins with http: only https, or http on this machine (localhost, 127.0.0.1, [::1])")]
    Insecure,
    /// The same origin, but not as browsers send it.
    #[error("is not as browsers send it; write {0}")]
    NotSerialised(String),
    /// No origin of a page.
    #[error("is no origin such as https://app.example.com, without path and wildcard")]
    Syntax,
}

impl AllowedOrigins {
    /// The most origins of one key.
    pub const MAX: usize = 32;

    /// Reads origins, or names each that is at fault.
    pub fn read(texts: &[String]) -> Result<Self, Vec<Mistake>> {
        if texts.len() > Self::MAX {
            return Err(vec![Mistake::at("allowed_origins", format!("at most {}", Self::MAX))]);
        }
        let mistakes = texts.iter().enumerate().filter_map(|(index, text)| {
            let error = check(text).err()?;
            Some(Mistake::at_element("allowed_origins", index, error))
        });
        Mistake::none(mistakes.collect())?;
        Ok(Self(texts.to_vec()))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The origins as texts.
    pub fn texts(&self) -> Vec<String> {
        self.0.clone()
    }

    /// Refuses a request from another origin, or from none. `sent` is what [`sent`] found.
    pub fn check(&self, sent: Option<&str>) -> Result<(), Refusal> {
        match sent.is_some_and(|sent| self.0.iter().any(|allowed| allowed == sent)) {
            true => Ok(()),
            false => Err(Refusal::new(Denial::KeyOriginNotAllowed).fact("origin", sent.unwrap_or("none"))),
        }
    }
}

/// The origin of a request, from all values of its header `Origin`. `None` if there is none, if there are several, which
/// no browser sends (RFC 6454 section 7.3), or if it is too long for an origin.
pub fn sent<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Option<&'a str> {
    let mut values = values.into_iter();
    let only = values.next().filter(|_| values.next().is_none())?;
    str::from_utf8(only).ok().map(str::trim).filter(|origin| (1..=MAX_LENGTH).contains(&origin.len()))
}

fn check(text: &str) -> Result<(), InvalidOrigin> {
    let url = Url::parse(text).map_err(|_| InvalidOrigin::Syntax)?;
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    let serialised = url.origin().ascii_serialization();
    if !url.origin().is_tuple() || !is_bare || text.contains('*') || serialised.len() > MAX_LENGTH {
        return Err(InvalidOrigin::Syntax);
    }
    match url.scheme() {
        "https" => {}
        "http" if url.host().is_some_and(|host| is_this_machine(&host)) => {}
        "http" => return Err(InvalidOrigin::Insecure),
        _ => return Err(InvalidOrigin::Syntax),
    }
    match serialised == text {
        true => Ok(()),
        false => Err(InvalidOrigin::NotSerialised(serialised)),
    }
}

fn is_this_machine(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

/// What is stored can't be read as a list of origins.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub struct InvalidOrigins(Vec<Mistake>);

impl fmt::Display for InvalidOrigins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    }
}

impl TryFrom<Vec<String>> for AllowedOrigins {
    type Error = InvalidOrigins;
    fn try_from(texts: Vec<String>) -> Result<Self, InvalidOrigins> {
        Self::read(&texts).map_err(InvalidOrigins)
    }
}

impl From<AllowedOrigins> for Vec<String> {
    fn from(origins: AllowedOrigins) -> Self {
        origins.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<AllowedOrigins, Vec<Mistake>> {
        AllowedOrigins::read(&[text.to_owned()])
    }

    #[test]
    fn origin_is_registered_as_browsers_send_it() {
        for good in [
            "https://app.example.com",
            "https://app.example.com:8443",
            "https://xn--bcher-kva.example",
            "https://192.0.2.7",
            "https://[2001:db8::7]",
            "http://localhost",
            "http://localhost:3000",
            "http://127.0.0.1:5173",
            "http://[::1]:5173",
        ] {
            let origins = read(good).unwrap();
            assert_eq!((origins.check(Some(good)), origins.texts()), (Ok(()), vec![good.to_owned()]));
        }
        for (text, written) in [
            ("https://app.example.com/", "https://app.example.com"),
            ("https://App.example.com", "https://app.example.com"),
            ("HTTPS://app.example.com", "https://app.example.com"),
            ("https://app.example.com:443", "https://app.example.com"),
            ("http://localhost:80", "http://localhost"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
            ("https:app.example.com", "https://app.example.com"),
        ] {
            let error = InvalidOrigin::NotSerialised(written.to_owned());
            assert_eq!(check(text), Err(error), "{text}");
        }
    }

    #[test]
    fn wildcards_paths_and_other_schemes_are_no_origins() {
        for text in [
            "",
            "*",
            "null",
            "https://*.example.com",
            "https://app.example.com/page",
            "https://app.example.com?a",
            "https://app.example.com#a",
            "https://user@app.example.com",
            "https://user:password@app.example.com",
            "app.example.com",
            "chrome-extension://abcdefghijklmnop",
            "file:///",
            "ftp://app.example.com",
            "ws://localhost",
        ] {
            assert_eq!(check(text), Err(InvalidOrigin::Syntax), "{text}");
        }
        for text in ["http://app.example.com", "http://localhost.example", "http://10.0.0.1", "http://[2001:db8::1]"] {
            assert_eq!(check(text), Err(InvalidOrigin::Insecure), "{text}");
        }
    }

    #[test]
    fn each_origin_at_fault_is_named() {
        let texts = ["https://a.example", "*", "https://b.example/"].map(str::to_owned);
        let places: Vec<_> = AllowedOrigins::read(&texts).unwrap_err().into_iter().map(|found| found.pointer).collect();
        assert_eq!(places, ["/allowed_origins/1", "/allowed_origins/2"]);
        let many = vec!["https://a.example".to_owned(); AllowedOrigins::MAX + 1];
        assert_eq!(AllowedOrigins::read(&many).unwrap_err()[0].pointer, "/allowed_origins");
        assert!(AllowedOrigins::read(&many[1..]).is_ok());
    }

    #[test]
    fn request_from_another_origin_or_none_is_refused() {
        let origins = read("https://app.example.com").unwrap();
        for (sent, known) in [
            (Some("https://other.example"), "https://other.example"),
            (Some("null"), "null"),
            (Some("https://app.example.com.evil.example"), "https://app.example.com.evil.example"),
            (Some("http://app.example.com"), "http://app.example.com"),
            (Some("https://APP.example.com"), "https://APP.example.com"),
            (Some("https://app.example.com:443"), "https://app.example.com:443"),
            (None, "none"),
        ] {
            let refusal = origins.check(sent).unwrap_err();
            assert_eq!((refusal.denial, refusal.known_fact("origin")), (Denial::KeyOriginNotAllowed, Some(known)));
        }
    }

    #[test]
    fn several_origins_in_one_request_are_none() {
        let of = |values: &[&'static str]| sent(values.iter().map(|value| value.as_bytes()));
        assert_eq!(of(&["https://app.example.com"]), Some("https://app.example.com"));
        assert_eq!(of(&["https://app.example.com", "https://app.example.com"]), None);
        assert_eq!((of(&[]), of(&[""]), of(&[" "])), (None, None, None));
        let long = "a".repeat(MAX_LENGTH + 1);
        assert_eq!((sent([long.as_bytes()]), sent([&b"https://\xff"[..]])), (None, None));
    }

    proptest! {
        /// A key is used from an origin exactly if it is on the list, whatever a caller sends.
        #[test]
        fn only_listed_origins_are_accepted(hosts in proptest::collection::vec("[a-z]{1,8}", 1..4), other in "\\PC{0,40}") {
            let texts: Vec<_> = hosts.iter().map(|host| format!("https://{host}.example")).collect();
            let origins = AllowedOrigins::read(&texts).unwrap();
            for text in &texts {
                prop_assert_eq!(origins.check(Some(text)), Ok(()));
            }
            prop_assert_eq!(origins.check(Some(&other)).is_ok(), texts.contains(&other));
        }

        /// What is accepted is its own serialisation, so that no two spellings of it exist.
        #[test]
        fn reading_keeps_only_serialised_origins(text in "(https?://)?[a-zA-Z0-9.:@/*\\[\\]-]{0,30}") {
            if check(&text).is_ok() {
                prop_assert_eq!(Url::parse(&text).unwrap().origin().ascii_serialization(), text);
            }
        }
    }
}
