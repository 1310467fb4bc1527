//! An API key in the query of a URL, for callers that can't be changed yet.
//!
//! URLs end up in logs, histories and `Referer` headers (RFC 6750 section 5.3, RFC 9700 section 4.3.2), so it is off
//! everywhere. A route can allow it for a while, to known networks, at a low rate. After its end date it stops by itself.
//!
//! Easy to get wrong: what reads the URL next still finds the key in it. [`QueryKeys::take`] gives the query without the
//! key, and nothing behind it may see the other one.

use std::{net::IpAddr, time::Duration};

use ipnet::IpNet;

use crate::{
    allowed_addresses::{self, InvalidNetwork},
    clock::Timestamp,
    denial::Denial,
    form,
    refusal::Refusal,
    secret::SecretString,
};

/// The request to accept API keys in the query of a route. It has no default for what limits it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeysInQuery<'a> {
    /// The parameter that holds the key, for example `api_key`.
    pub parameter: &'a str,
    /// What the report calls the route, for example `GET /export`.
    pub route: &'a str,
    /// The networks that callers may come from, for example `192.0.2.0/24` or `2001:db8::7`.
    pub networks: &'a [&'a str],
    /// How many requests all callers together may send in a minute.
    pub per_minute: u32,
    /// When it stops.
    pub until: Timestamp,
    /// The page for callers about what to do instead. By default the issuer's page about the refusal that follows.
    pub migration_page: Option<&'a str>,
}

/// Why a route can't accept API keys in its query.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidKeysInQuery {
    /// The end date is too far away.
    #[error("the end date must be within {MAX_DAYS} days")]
    End,
    /// The page is not a URL.
    #[error("the migration page must be an http or https URL of at most 512 characters")]
    MigrationPage,
    /// A text is not a network.
    #[error("{0:?} {1}")]
    Network(String, InvalidNetwork),
    /// There are no networks, or too many.
    #[error("name 1 to {MAX_NETWORKS} networks that callers may come from")]
    Networks,
    /// The network is so large that it limits nothing.
    #[error("{0} is too large: at least /{MIN_PREFIX_V4} for IPv4 and /{MIN_PREFIX_V6} for IPv6")]
    NetworkTooLarge(IpNet),
    /// The parameter can't be named so.
    #[error("the parameter must be 1 to 64 letters, digits, - and _")]
    Parameter,
    /// The rate is zero, or so high that it limits nothing.
    #[error("the rate must be 1 to {MAX_PER_MINUTE} requests a minute")]
    Rate,
    /// The route has no name, or a long one.
    #[error("the route's name must be 1 to {MAX_ROUTE} printable ASCII characters")]
    Route,
}

/// The longest time ahead of the end date, in days.
pub const MAX_DAYS: u64 = 366;
/// The most networks.
pub const MAX_NETWORKS: usize = 32;
/// The highest rate.
pub const MAX_PER_MINUTE: u32 = 600;
/// The longest name of a route.
pub const MAX_ROUTE: usize = 128;
/// The largest network of IPv4 addresses: a /8, as the private one of RFC 1918.
pub const MIN_PREFIX_V4: u8 = 8;
/// The largest network of IPv6 addresses.
pub const MIN_PREFIX_V6: u8 = 32;
/// The most requests that may come at once.
const BURST: u32 = 10;

/// API keys in the query, accepted on one route under its conditions.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct QueryKeys {
    parameter: String,
    route: String,
    networks: Vec<IpNet>,
    per_minute: u32,
    until: Timestamp,
    migration_page: Option<String>,
}

/// A key that was taken out of a query.
#[derive(Debug)]
pub struct TakenKey {
    /// The value of the parameter. It may be anything.
    pub key: SecretString,
    /// The query without it; `None` if nothing is left.
    pub rest: Option<String>,
}

impl KeysInQuery<'_> {
    /// The conditions, if each of them limits something at `now`.
    pub fn checked(&self, now: Timestamp) -> Result<QueryKeys, InvalidKeysInQuery> {
        let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if !(1..=64).contains(&self.parameter.len()) || !self.parameter.bytes().all(is_name) {
            return Err(InvalidKeysInQuery::Parameter);
        }
        let is_printable = self.route.bytes().all(|b| matches!(b, b' '..=b'~')) && !self.route.trim().is_empty();
        if self.route.len() > MAX_ROUTE || !is_printable {
            return Err(InvalidKeysInQuery::Route);
        }
        if !(1..=MAX_NETWORKS).contains(&self.networks.len()) {
            return Err(InvalidKeysInQuery::Networks);
        }
        if !(1..=MAX_PER_MINUTE).contains(&self.per_minute) {
            return Err(InvalidKeysInQuery::Rate);
        }
        if self.until > now.plus(Duration::from_secs(MAX_DAYS * 86_400)) {
            return Err(InvalidKeysInQuery::End);
        }
        if self.migration_page.is_some_and(|page| !is_link(page)) {
            return Err(InvalidKeysInQuery::MigrationPage);
        }
        Ok(QueryKeys {
            parameter: self.parameter.to_owned(),
            route: self.route.to_owned(),
            networks: self.networks.iter().map(|text| network(text)).collect::<Result<_, _>>()?,
            per_minute: self.per_minute,
            until: self.until,
            migration_page: self.migration_page.map(str::to_owned),
        })
    }
}

impl QueryKeys {
    /// What the report calls the route.
    pub fn route(&self) -> &str {
        &self.route
    }

    /// Takes the key out of a query; `None` if the parameter is absent or empty. All other parameters stay as they are,
    /// byte for byte.
    pub fn take(&self, query: &str) -> Result<Option<TakenKey>, Denial> {
        let (mut key, mut rest) = (None, Vec::new());
        for part in query.split('&') {
            let value = form::pairs(part.as_bytes()).find(|(name, _)| *name == *self.parameter).map(|(_, value)| value);
            match value.filter(|value| !value.is_empty()) {
                None => rest.push(part),
                Some(_) if key.is_some() => return Err(Denial::CredentialMultiple),
                Some(value) => key = Some(SecretString::from(&*value)),
            }
        }
        let rest = (!rest.is_empty()).then(|| rest.join("&"));
        Ok(key.map(|key| TakenKey { key, rest }))
    }

    /// Refuses a caller from another network, and everybody after the end. A caller whose address is not known may come
    /// from anywhere.
    pub fn check(&self, client: Option<IpAddr>, now: Timestamp) -> Result<(), Refusal> {
        let refused = |why: &str| Err(Refusal::new(Denial::CredentialInQuery).fact("not_allowed", why));
        let is_inside = |address: IpAddr| self.networks.iter().any(|network| network.contains(&address.to_canonical()));
        match client {
            _ if now >= self.until => refused("the end date of this route has passed"),
            None => refused("the caller's address is not known"),
            Some(address) if !is_inside(address) => refused("the caller's address is in none of the route's networks"),
            Some(_) => Ok(()),
        }
    }

    /// Refuses a request while the rate of the route is used up, and counts nothing: whose text is no key closes the route to
    /// nobody.
    pub fn check_rate(&self, pace: &Pace, now: Timestamp) -> Result<(), Refusal> {
        let mut ahead = *pace;
        self.count(&mut ahead, now)
    }

    /// Counts a request with a valid key against the rate of the route.
    pub fn count(&self, pace: &mut Pace, now: Timestamp) -> Result<(), Refusal> {
        pace.take(self.per_minute, now).map_err(|wait| Refusal::new(Denial::LegacyRateLimited).retry_after(wait))
    }

    /// The headers of each answer to a request whose key was in its query, by their lower-case names. `page` is the
    /// migration page if the route has none.
    ///
    /// `Deprecation` is RFC 9745, `Sunset` RFC 8594. The last two keep the answer out of shared caches (RFC 6750 section
    /// 2.3), and the URL out of the `Referer` of links in it.
    pub fn headers(&self, page: &str) -> [(&'static str, String); 5] {
        let page = self.migration_page.as_deref().unwrap_or(page);
        let end = Duration::from_secs(u64::try_from(self.until.as_secs()).unwrap_or_default());
        let links =
            format!("<{page}>; rel=\"deprecation\"; type=\"text/html\", <{page}>; rel=\"sunset\"; type=\"text/html\"");
        [
            ("deprecation", format!("@{DEPRECATED_SINCE}")),
            ("sunset", httpdate::fmt_http_date(std::time::UNIX_EPOCH + end)),
            ("link", links),
            ("cache-control", "private".to_owned()),
            ("referrer-policy", "no-referrer".to_owned()),
        ]
    }
}

/// 1 January 2025, the month of RFC 9700: since then the standard forbids credentials in queries.
const DEPRECATED_SINCE: i64 = 1_735_689_600;

/// How fast requests come: when the next one is due, by the generic cell rate algorithm.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    due_ms: i64,
}

impl Pace {
    /// Whether it is like a new one by now.
    pub fn is_at_rest(&self, now: Timestamp) -> bool {
        self.due_ms <= now.as_millis()
    }

    /// Counts one request, or says how long to wait.
    fn take(&mut self, per_minute: u32, now: Timestamp) -> Result<(), Duration> {
        let interval = 60_000 / i64::from(per_minute.max(1));
        let ahead = interval * i64::from(BURST.min(per_minute).saturating_sub(1));
        let now = now.as_millis();
        // A clock that was set back must not close the route until it has caught up.
        self.due_ms = self.due_ms.clamp(now, now.saturating_add(ahead + interval));
        let wait = self.due_ms - now - ahead;
        if wait > 0 {
            return Err(Duration::from_millis(wait.unsigned_abs()));
        }
        self.due_ms += interval;
        Ok(())
    }
}

/// A single address counts as the network of it alone.
fn network(text: &str) -> Result<IpNet, InvalidKeysInQuery> {
    let read = allowed_addresses::network(text);
    let network = read.map_err(|why| InvalidKeysInQuery::Network(text.to_owned(), why))?;
    let least = if network.addr().is_ipv4() { MIN_PREFIX_V4 } else { MIN_PREFIX_V6 };
    match network.prefix_len() >= least {
        true => Ok(network),
        false => Err(InvalidKeysInQuery::NetworkTooLarge(network)),
    }
}

/// A URL that can be written into a `Link` header.
fn is_link(page: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'<' | b'>' | b'"');
    let is_web = url::Url::parse(page).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    page.len() <= 512 && page.bytes().all(is_plain) && is_web
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::secret::ExposeSecret;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
    const END: Timestamp = Timestamp::from_secs(1_700_086_400);

    const ASKED: KeysInQuery<'static> = KeysInQuery {
        parameter: "api_key",
        route: "GET /export",
        networks: &["192.0.2.0/24", "2001:db8::7"],
        per_minute: 60,
        until: END,
        migration_page: None,
    };

    fn allowed() -> QueryKeys {
        ASKED.checked(NOW).unwrap()
    }

    #[test]
    fn each_condition_must_limit_something() {
        use InvalidKeysInQuery::*;
        let too_far = NOW.plus(Duration::from_secs(MAX_DAYS * 86_400 + 1));
        let many = ["192.0.2.1"; MAX_NETWORKS + 1];
        for (asked, error) in [
            (KeysInQuery { networks: &[], ..ASKED }, Networks),
            (KeysInQuery { networks: &many, ..ASKED }, Networks),
            (KeysInQuery { networks: &["0.0.0.0/0"], ..ASKED }, NetworkTooLarge("0.0.0.0/0".parse().unwrap())),
            (KeysInQuery { networks: &["10.0.0.0/7"], ..ASKED }, NetworkTooLarge("10.0.0.0/7".parse().unwrap())),
            (KeysInQuery { networks: &["::/0"], ..ASKED }, NetworkTooLarge("::/0".parse().unwrap())),
            (
                KeysInQuery { networks: &["192.0.2.0/33"], ..ASKED },
                Network("192.0.2.0/33".into(), InvalidNetwork::Syntax),
            ),
            (KeysInQuery { networks: &["localhost"], ..ASKED }, Network("localhost".into(), InvalidNetwork::Syntax)),
            (
                KeysInQuery { networks: &["192.0.2.7/24"], ..ASKED },
                Network("192.0.2.7/24".into(), InvalidNetwork::HostBits("192.0.2.0/24".parse().unwrap())),
            ),
            (
                KeysInQuery { networks: &["::ffff:192.0.2.0/120"], ..ASKED },
                Network("::ffff:192.0.2.0/120".into(), InvalidNetwork::Mapped),
            ),
            (KeysInQuery { per_minute: 0, ..ASKED }, Rate),
            (KeysInQuery { per_minute: MAX_PER_MINUTE + 1, ..ASKED }, Rate),
            (KeysInQuery { until: too_far, ..ASKED }, End),
            (KeysInQuery { parameter: "", ..ASKED }, Parameter),
            (KeysInQuery { parameter: "a&b", ..ASKED }, Parameter),
            (KeysInQuery { route: " ", ..ASKED }, Route),
            (KeysInQuery { route: "a\nb", ..ASKED }, Route),
            (KeysInQuery { migration_page: Some("javascript:1"), ..ASKED }, MigrationPage),
            (KeysInQuery { migration_page: Some("https://a.example/>"), ..ASKED }, MigrationPage),
        ] {
            assert_eq!(asked.checked(NOW), Err(error), "{asked:?}");
        }
        assert!(KeysInQuery { until: NOW, ..ASKED }.checked(NOW).is_ok(), "a program starts after the end date too");
    }

    #[test]
    fn callers_pass_from_the_networks_until_the_end_only() {
        let check = |address: Option<&str>, now| allowed().check(address.map(|text| text.parse().unwrap()), now);
        for inside in ["192.0.2.0", "192.0.2.255", "::ffff:192.0.2.9", "2001:db8::7"] {
            assert_eq!(check(Some(inside), NOW), Ok(()), "{inside}");
            assert_eq!(check(Some(inside), END).unwrap_err().denial, Denial::CredentialInQuery);
        }
        for outside in ["192.0.3.0", "2001:db8::8", "127.0.0.1"] {
            assert_eq!(check(Some(outside), NOW).unwrap_err().denial, Denial::CredentialInQuery, "{outside}");
        }
        assert!(check(None, NOW).is_err());
        assert_eq!(check(Some("192.0.2.1"), END.minus(Duration::from_millis(1))), Ok(()));
    }

    #[test]
    fn key_is_taken_out_and_the_rest_stays_as_it_is() {
        for (query, key, rest) in [
            ("api_key=k", "k", None),
            ("a=%20&api_key=k&b", "k", Some("a=%20&b")),
            ("api%5Fkey=%6B", "k", None),
            ("x=1&&api_key=k", "k", Some("x=1&")),
        ] {
            let taken = allowed().take(query).unwrap().unwrap();
            assert_eq!((taken.key.expose_secret(), taken.rest.as_deref()), (key, rest), "{query}");
        }
        for none in ["", "api_key", "api_key=", "API_KEY=k", "a=api_key"] {
            assert!(allowed().take(none).unwrap().is_none(), "{none}");
        }
        assert_eq!(allowed().take("api_key=k&api_key=k").err(), Some(Denial::CredentialMultiple));
    }

    #[test]
    fn rate_allows_a_small_burst_and_then_one_at_a_time() {
        let (allowed, mut pace) = (allowed(), Pace::default());
        let passed = (0..100).filter(|_| allowed.count(&mut pace, NOW).is_ok()).count();
        assert_eq!(passed, 10);
        let refusal = allowed.count(&mut pace, NOW).unwrap_err();
        assert_eq!((refusal.denial, refusal.retry_after), (Denial::LegacyRateLimited, Some(Duration::from_secs(1))));
        assert!(allowed.count(&mut pace, NOW.plus(Duration::from_secs(1))).is_ok());
        assert!(allowed.count(&mut pace, NOW.plus(Duration::from_secs(1))).is_err());
        let back = NOW.minus(Duration::from_secs(3_600));
        assert!(allowed.count(&mut pace, back.plus(Duration::from_secs(10))).is_err());
        assert!(allowed.count(&mut pace, back.plus(Duration::from_secs(11))).is_ok(), "a clock that was set back");
    }

    #[test]
    fn headers_name_both_dates_and_the_page() {
        let headers = allowed().headers("https://issuer.example/denials/credential_in_query");
        let named = |name| headers.iter().find(|(header, _)| *header == name).unwrap().1.as_str();
        assert_eq!((named("deprecation"), named("sunset")), ("@1735689600", "Wed, 15 Nov 2023 22:13:20 GMT"));
        assert!(named("link").starts_with("<https://issuer.example/denials/credential_in_query>; rel=\"deprecation\""));
        let own = KeysInQuery { migration_page: Some("https://docs.example/move"), ..ASKED }.checked(NOW).unwrap();
        assert!(own.headers("https://issuer.example")[2].1.contains("<https://docs.example/move>; rel=\"sunset\""));
    }

    proptest! {
        /// Nothing of the value is left in what the handler gets to see.
        #[test]
        fn value_is_nowhere_in_the_rest(before in "[a-z=&%]{0,20}", after in "[a-z=&%]{0,20}") {
            let query = format!("{before}&api_key=CANARY7f3a&{after}");
            if let Ok(Some(taken)) = allowed().take(&query) {
                prop_assert!(!taken.rest.unwrap_or_default().contains("CANARY"));
                prop_assert_eq!(taken.key.expose_secret(), "CANARY7f3a");
            }
        }

        /// However requests come, a minute has no more than the rate and the burst.
        #[test]
        fn no_minute_has_more_than_its_rate(per_minute in 1..=MAX_PER_MINUTE, gaps in proptest::collection::vec(0_u64..3_000, 1..200)) {
            let (allowed, mut pace) = (KeysInQuery { per_minute, ..ASKED }.checked(NOW).unwrap(), Pace::default());
            let (mut now, mut passed) = (NOW, Vec::new());
            for gap in gaps {
                now = now.plus(Duration::from_millis(gap));
                if allowed.count(&mut pace, now).is_ok() {
                    passed.push(now);
                }
            }
            for first in &passed {
                let within = passed.iter().filter(|at| **at >= *first && at.since(*first) < Duration::from_secs(60));
                // The interval is rounded down to milliseconds, which adds less than one in a hundred.
                let most = usize::try_from(per_minute + per_minute / 50 + BURST).unwrap();
                prop_assert!(within.count() <= most);
            }
        }
    }
}
