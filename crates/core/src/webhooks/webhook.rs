//! Endpoints: where events are sent, and which.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::{
    holder::Owner,
    id::ApiId,
    public_address::is_public,
    redirect_uri::{authority, check_authority, host_and_port, is_loopback_host},
    refusal::Mistake,
    registration::display_name,
    rights::{Belongs, Limits},
    webhook_event::EventType,
};

/// The most elements of each list of an endpoint.
const MAX_ELEMENTS: usize = 100;

/// What is registered of an endpoint. A member that is missing has its default; one that is not known is skipped, since a
/// newer program may have stored it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WebhookMetadata {
    /// Where events are sent.
    pub url: WebhookUrl,
    /// The types of the events that are sent; all if empty.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(max_items = 100))]
    pub events: Vec<EventType>,
    /// Only events about these APIs are sent, by id; of all if empty.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(max_items = 100))]
    pub apis: Vec<ApiId>,
    /// Only events about what these owners own are sent; of all if empty.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(max_items = 100))]
    pub owners: Vec<Owner>,
    /// What it is for, for people.
    #[serde(default)]
    pub description: Option<String>,
}

impl WebhookMetadata {
    /// An endpoint that gets all events.
    pub fn new(url: WebhookUrl) -> Self {
        Self { url, events: Vec::new(), apis: Vec::new(), owners: Vec::new(), description: None }
    }

    /// What its events are limited to.
    pub fn limits(&self) -> Limits {
        Limits { apis: self.apis.clone(), owners: self.owners.clone() }
    }

    /// Whether it gets an event of this type, about what belongs to these APIs and this owner.
    pub fn gets(&self, event_type: &EventType, belongs: &Belongs<'_>) -> bool {
        (self.events.is_empty() || self.events.contains(event_type)) && self.limits().admit(belongs)
    }

    /// The same with its description trimmed; refused with every mistake in it. `allows_loopback`: whether this machine
    /// itself may be an endpoint.
    pub fn checked(self, allows_loopback: bool) -> Result<Self, Vec<Mistake>> {
        let mut mistakes = Vec::new();
        if !self.url.may_be_asked(allows_loopback) {
            let why = "is not a public address; use https:// and a host that the internet knows";
            mistakes.push(Mistake::at("url", why));
        }
        for (index, event_type) in self.events.iter().enumerate() {
            if let Err(why) = event_type.check_known() {
                mistakes.push(Mistake::at_element("events", index, why));
            }
        }
        let lengths = [("events", self.events.len()), ("apis", self.apis.len()), ("owners", self.owners.len())];
        let too_long = lengths.into_iter().filter(|(_, length)| *length > MAX_ELEMENTS);
        mistakes.extend(too_long.map(|(member, _)| Mistake::at(member, format!("at most {MAX_ELEMENTS}"))));
        let description = match self.description.as_deref().map(|text| display_name("description", text)).transpose() {
            Ok(description) => description,
            Err(mistake) => {
                mistakes.push(mistake);
                None
            }
        };
        Mistake::none(mistakes)?;
        Ok(Self { description, ..self })
    }
}

/// The URL of an endpoint: `https`, or `http` on a loopback host; written as a parser reads it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct WebhookUrl(Box<str>);

/// Why a text is not the URL of an endpoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum InvalidWebhookUrl {
    /// It has a fragment, which is never sent.
    #[error("must have no fragment (#)")]
    Fragment,
    /// It is not an absolute URL, or is too long, or has characters that a URL can't have.
    #[error("not an absolute URL of at most 2,000 printable ASCII characters, with its host in lower case")]
    Malformed,
    /// It is of another scheme.
    #[error("use https://; http:// is for localhost only")]
    Scheme,
    /// It contains a user name or password.
    #[error("must have no user name or password; the signature shows who sends")]
    UserInfo,
}

impl WebhookUrl {
    /// Parses the URL of an endpoint.
    pub fn parse(text: &str) -> Result<Self, InvalidWebhookUrl> {
        use InvalidWebhookUrl::*;
        if text.len() > 2_000 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Malformed);
        }
        let url = Url::parse(text).map_err(|_| Malformed)?;
        if !text.starts_with("https://") && !text.starts_with("http://") {
            return Err(Scheme);
        }
        if text.contains('#') {
            return Err(Fragment);
        }
        if authority(text).contains('@') {
            return Err(UserInfo);
        }
        check_authority(&url, text).map_err(|_| Malformed)?;
        if url.scheme() == "http" && !url.host_str().is_some_and(is_loopback_host) {
            return Err(Scheme);
        }
        Ok(Self(text.into()))
    }

    /// The URL as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host and the port as they are written.
    pub fn authority(&self) -> &str {
        authority(&self.0)
    }

    /// The host without the port.
    pub fn host(&self) -> &str {
        host_and_port(self.authority()).0
    }

    /// Whether the URL itself shows no reason to refuse it. A name may still lead to an address that is refused: that is
    /// known only when it is resolved.
    pub fn may_be_asked(&self, allows_loopback: bool) -> bool {
        let url = Url::parse(&self.0).ok();
        match url.as_ref().and_then(Url::host) {
            Some(Host::Domain("localhost")) => allows_loopback,
            Some(Host::Domain(name)) => !name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => is_public(address.into()) || allows_loopback && address.is_loopback(),
            Some(Host::Ipv6(address)) => is_public(address.into()) || allows_loopback && address.is_loopback(),
            None => false,
        }
    }
}

impl TryFrom<String> for WebhookUrl {
    type Error = InvalidWebhookUrl;

    fn try_from(text: String) -> Result<Self, InvalidWebhookUrl> {
        Self::parse(&text)
    }
}

impl From<WebhookUrl> for String {
    fn from(url: WebhookUrl) -> Self {
        url.0.into()
    }
}

impl fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::Timestamp, id::UserId, random::SeededRng};

    fn url(text: &str) -> WebhookUrl {
        WebhookUrl::parse(text).unwrap()
    }

    #[test]
    fn url_is_https_or_loopback_and_written_as_it_is_read() {
        use InvalidWebhookUrl::*;
        for good in
            ["https://a.example", "https://a.example:8443/hooks?team=1", "http://localhost:9000/", "http://[::1]/"]
        {
            assert_eq!(url(good).as_str(), good);
        }
        let long = format!("https://a.example/{}", "a".repeat(2_000));
        for (bad, why) in [
            ("", Malformed),
            ("a.example", Malformed),
            (&*long, Malformed),
            ("https://", Malformed),
            ("https://A.example/", Malformed),
            ("https://0x7f.1/", Malformed),
            ("https://2130706433/", Malformed),
            ("https://a.example\\b.example/", Malformed),
            ("https://a.example\\@b.example/", UserInfo),
            ("https://a.example/ b", Malformed),
            ("https://m\u{fc}nchen.example/", Malformed),
            ("http://a.example/", Scheme),
            ("ftp://a.example/", Scheme),
            ("HTTPS://a.example/", Scheme),
            ("http://localhost.a.example/", Scheme),
            ("https://a@b.example/", UserInfo),
            ("https://a:b@c.example/", UserInfo),
            ("https://a.example/#top", Fragment),
        ] {
            assert_eq!(WebhookUrl::parse(bad), Err(why), "{bad}");
        }
    }

    #[test]
    fn private_addresses_are_refused_and_loopback_needs_permission() {
        for text in
            ["https://10.0.0.1/", "https://169.254.169.254/latest", "https://[fd00::1]/", "https://[::ffff:a00:1]/"]
        {
            assert!(!url(text).may_be_asked(true), "{text}");
        }
        for text in ["https://localhost/", "http://127.0.0.1:9000/", "https://[::1]/"] {
            assert!(url(text).may_be_asked(true) && !url(text).may_be_asked(false), "{text}");
        }
        assert!(url("https://hooks.example/").may_be_asked(false) && url("https://1.1.1.1/").may_be_asked(false));
        assert!(!url("https://a.localhost/").may_be_asked(true));
    }

    #[test]
    fn every_mistake_is_found_at_once() {
        let webhook = WebhookMetadata {
            events: vec![EventType::KeyRevoked, "key.painted".to_owned().into()],
            description: Some("\u{202e}".to_owned()),
            apis: vec![ApiId::new(Timestamp::from_secs(1), &SeededRng::new(1)); 101],
            ..WebhookMetadata::new(url("https://127.0.0.1/"))
        };
        let mistakes = webhook.checked(false).unwrap_err();
        let places: Vec<_> = mistakes.iter().map(|mistake| mistake.pointer.as_str()).collect();
        assert_eq!(places, ["/url", "/events/1", "/apis", "/description"]);
        let trimmed = WebhookMetadata {
            description: Some(" For the billing team ".to_owned()),
            ..WebhookMetadata::new(url("https://a.example/"))
        };
        assert_eq!(trimmed.checked(false).unwrap().description.as_deref(), Some("For the billing team"));
    }

    #[test]
    fn endpoint_gets_what_its_types_and_limits_admit() {
        let rng = SeededRng::new(1);
        let [notes, mails] = [1, 2].map(|at| ApiId::new(Timestamp::from_secs(at), &rng));
        let user = UserId::new(Timestamp::from_secs(1), &rng);
        let of = |api: &ApiId| Belongs { apis: vec![api.clone()], owner: Some(user.as_str()) };
        let all = WebhookMetadata::new(url("https://a.example/"));
        assert!(all.gets(&EventType::KeyRevoked, &of(&notes)) && all.gets(&EventType::KeyLeaked, &Belongs::default()));

        let of_notes = WebhookMetadata { apis: vec![notes.clone()], ..all.clone() };
        assert!(of_notes.gets(&EventType::KeyRevoked, &of(&notes)));
        assert!(!of_notes.gets(&EventType::KeyRevoked, &of(&mails)));
        let of_owner = WebhookMetadata { owners: vec![Owner::User(user.clone())], ..all.clone() };
        assert!(of_owner.gets(&EventType::KeyRevoked, &of(&mails)));
        assert!(!of_owner.gets(&EventType::KeyRevoked, &Belongs { owner: Some("usr_other"), ..of(&mails) }));
        let of_type = WebhookMetadata { events: vec![EventType::KeyLeaked], ..all };
        assert!(of_type.gets(&EventType::KeyLeaked, &of(&notes)));
        assert!(!of_type.gets(&EventType::KeyRevoked, &of(&notes)));
    }
}
