//! The table of keys: the one place that says which keys there are, what they take, and what they mean.
//!
//! The parser, the environment's names, the template that `doorward init` writes and the reference page are all
//! generated from it. A new key is one row here and one field, with its default, of `doorward_server::Settings` or of
//! [`Program`](super::settings::Program). Upper bounds that look strict are those of the protocol (codes, grace
//! periods, clock skew): a configuration may tighten a rule, but not loosen it.

use std::{fmt, net::SocketAddr, ops::RangeInclusive, path::PathBuf, time::Duration};

use doorward_core::{digest::MasterKey, key_usage::KeptAddress, secret::SecretString};
use doorward_listen::{ForwardedHeader, tls::Files};
use doorward_server::Accent;
use ipnet::IpNet;

use super::{
    issuer::Issuer,
    settings::{Config, LogFormat, LogLevel},
};

pub(super) struct Key {
    /// Its place in the file, joined by dots.
    pub(super) path: &'static str,
    /// What it takes, and the field that receives the value.
    pub(super) kind: Kind,
    /// What applies if it is not given.
    pub(super) default: DefaultValue,
    /// What it is for, for the operator.
    pub(super) doc: &'static str,
}

/// What a key takes. Each variant ends with the field that receives the value.
pub(super) enum Kind {
    Addresses(Field<Vec<SocketAddr>>),
    Boolean(Field<bool>),
    /// The words, and how the position of one is set and read.
    Choice(&'static [&'static str], Set<usize>, fn(&Config) -> usize),
    Colour(Field<Accent>),
    Count(RangeInclusive<u32>, fn(&mut Config) -> &mut dyn Count),
    DatabaseUrl(Set<SecretString>),
    Duration(RangeInclusive<Duration>, Field<Duration>),
    Issuer(Set<Issuer>),
    Link(Field<Option<String>>),
    MasterKey(Set<MasterKey>),
    Name(Field<String>),
    Networks(Field<Vec<IpNet>>),
    Path(Field<PathBuf>),
    Size(RangeInclusive<usize>, Field<usize>),
}

/// The field of a key, to be written, or to read the default from.
pub(super) type Field<T> = fn(&mut Config) -> &mut T;

/// Writes a field that has no default.
pub(super) type Set<T> = fn(&mut Config, T);

/// A field for a number, in the type that its user needs.
pub(super) trait Count: fmt::Display {
    fn set(&mut self, count: u32);
}

/// The default of a key. Examples are in the form that the environment would give.
pub(super) enum DefaultValue {
    /// What the field of a new [`Config`] holds.
    Fixed,
    /// What the machine or another key determines; `text` says so in words.
    Described { text: &'static str, example: &'static str },
    /// None: the key must be given.
    Required,
    /// None, and the key may be left out.
    Unset { example: &'static str },
}

/// The sections with a sentence each, in the order in which a reader wants them.
pub(super) static SECTIONS: &[(&str, &str)] = &[
    ("listen", "Addresses, proxies and TLS."),
    ("data", "Storage."),
    ("keys", "The master key, which protects all stored data, and what is remembered of the use of API keys."),
    ("tokens", "Lifetimes of codes and tokens."),
    ("signing", "Rotation of signing keys."),
    ("session", "Lifetimes of browser sessions."),
    ("password", "Rules for passwords, and the cost of hashing them (argon2id)."),
    ("throttle", "Slowing down failed attempts. Nobody is locked out permanently."),
    ("limits", "Limits on the resources that callers can use."),
    ("audit", "How long and how much the audit record remembers."),
    ("log", "Logging."),
    ("leaks", "Who reports leaked API keys, beside those who find them."),
    ("webhooks", "Sending events to endpoints."),
    ("metrics", "Metrics for monitoring systems."),
    ("pages", "Appearance of the pages."),
    ("worker", "Threads that handle requests."),
];

/// What `listen.forwarded_header` takes, in the order of its words.
const FORWARDED_HEADERS: [ForwardedHeader; 3] =
    [ForwardedHeader::Any, ForwardedHeader::Forwarded, ForwardedHeader::XForwardedFor];

/// What `keys.last_used_address` takes, in the order of its words.
const KEPT_ADDRESSES: [KeptAddress; 3] = [KeptAddress::Full, KeptAddress::Network, KeptAddress::None];

use DefaultValue::{Described, Fixed, Required, Unset};
use Kind as K;

/// Every key, by section. Two lines each, so that the table can be read as one.
#[rustfmt::skip]
pub(super) static KEYS: &[Key] = &[
    key("issuer", K::Issuer(|c, v| c.server.issuer = v.as_str().into()), Required,
        "The public URL of this server. Clients compare it exactly. It is https, or http for a loopback host."),

    key("listen.address", K::Addresses(|c| &mut c.program.addresses), Fixed,
        "The address to listen on, or a list of addresses. Outside loopback, `tls` or a trusted proxy is required."),
    key("listen.behind_proxy", K::Boolean(|c| &mut c.program.behind_proxy), Fixed,
        "Whether a proxy in front of this server terminates TLS and reports the client's address."),
    key("listen.trusted_proxies", K::Networks(|c| &mut c.server.trusted_proxies), Fixed,
        "The networks of that proxy. Forwarded headers from other addresses are ignored."),
    key("listen.forwarded_header", K::Choice(&["any", "forwarded", "x-forwarded-for"],
            |c, v| c.program.forwarded_header = FORWARDED_HEADERS[v],
            |c| FORWARDED_HEADERS.iter().position(|header| *header == c.program.forwarded_header).unwrap_or_default()), Fixed,
        "The header in which that proxy reports its clients. `any` reads X-Forwarded-For, or else Forwarded (RFC 7239). If the proxy writes only Forwarded, set `forwarded`."),
    key("listen.proxy_protocol", K::Boolean(|c| &mut c.program.proxy_protocol), Fixed,
        "Whether the proxy begins each connection with a PROXY protocol v2 header. Connections without one are closed."),
    key("listen.tls.certificate", K::Path(|c| &mut tls(c).certificate), Unset { example: "tls/fullchain.pem" },
        "The certificate chain (PEM). The server reloads it when the file changes."),
    key("listen.tls.key", K::Path(|c| &mut tls(c).key), Unset { example: "tls/privkey.pem" },
        "The private key of the certificate (PEM)."),
    key("listen.shutdown_delay", K::Duration(seconds(0)..=seconds(60), |c| &mut c.program.shutdown_delay), Fixed,
        "How long the server keeps answering after a request to stop, while `/health/ready` returns 503. Set it to the time that a load balancer takes to notice."),

    key("data.dir", K::Path(|c| &mut c.program.data_dir), Fixed,
        "The folder for the SQLite database and key files. It must be on a local disk and belong to the user who runs the server."),
    key("data.postgres", K::DatabaseUrl(|c, v| c.program.postgres = Some(v)), Unset { example: "postgres://doorward@localhost/doorward" },
        "The URL of a PostgreSQL database, which replaces SQLite. Of several hosts (`host1,host2`), the one that accepts writes is used."),
    key("data.accept_data_loss", K::Boolean(|c| &mut c.program.accept_data_loss), Fixed,
        "Whether to start with a PostgreSQL server that has `fsync=off` or `full_page_writes=off`. Such a server can lose committed data when its machine crashes."),

    key("keys.master_key_file", K::Path(|c| &mut c.program.master_key_file),
        Described { text: "`master.key` in `data.dir`", example: "data/master.key" },
        "The file with the master key: 32 bytes in base64url. Back it up separately from the database. Without it, the stored data is unusable."),
    key("keys.master_key", K::MasterKey(|c, v| c.program.master_key = Some(v)), Unset { example: "" },
        "The master key itself. It can be set only in the environment, not in the configuration file."),
    key("keys.usage_retention", K::Duration(days(1)..=days(3650), |c| &mut c.server.keys.usage_retention), Fixed,
        "How long the counts of a day are kept, that say how often an API key was used."),
    key("keys.last_used_address", K::Choice(&["full", "network", "none"],
            |c, v| c.server.keys.last_used_address = KEPT_ADDRESSES[v],
            |c| KEPT_ADDRESSES.iter().position(|kept| *kept == c.server.keys.last_used_address).unwrap_or_default()), Fixed,
        "How much is kept of the address that an API key was last used from: all of it, its network (an IPv4 /24, an IPv6 /48), or nothing."),

    key("tokens.access_token_ttl", K::Duration(seconds(30)..=hours(24), |c| &mut c.server.tokens.access_token_ttl), Fixed,
        "Lifetime of access tokens, unless their API sets another."),
    key("tokens.id_token_ttl", K::Duration(seconds(30)..=hours(24), |c| &mut c.server.tokens.id_token_ttl), Fixed,
        "Lifetime of ID tokens."),
    key("tokens.clock_skew", K::Duration(seconds(0)..=seconds(60), |c| &mut c.server.tokens.clock_skew), Fixed,
        "How far the clocks of this server's nodes may differ. It does not extend any lifetime."),
    key("tokens.code_ttl", K::Duration(seconds(10)..=seconds(60), |c| &mut c.server.tokens.code_ttl), Fixed,
        "Lifetime of authorization codes."),
    key("tokens.refresh_idle", K::Duration(minutes(5)..=days(3650), |c| &mut c.server.tokens.refresh.idle), Fixed,
        "How long a refresh token may stay unused."),
    key("tokens.refresh_absolute", K::Duration(minutes(5)..=days(3650), |c| &mut c.server.tokens.refresh.absolute), Fixed,
        "How long the refresh tokens of one sign-in last in total."),
    key("tokens.refresh_grace_same_address", K::Duration(seconds(0)..=seconds(60), |c| &mut c.server.tokens.refresh.grace_same_address), Fixed,
        "How long a repeated refresh from the same address gets the same response."),
    key("tokens.refresh_grace_other_address", K::Duration(seconds(0)..=seconds(10), |c| &mut c.server.tokens.refresh.grace_other_address), Fixed,
        "How long a repeated refresh from another address gets the same response."),

    key("signing.rotate_every", K::Duration(hours(1)..=days(3650), |c| &mut c.server.signing.rotate_every), Fixed,
        "How long a signing key is used before the next one replaces it."),
    key("signing.publish_before_use", K::Duration(hours(1)..=days(30), |c| &mut c.server.signing.publish_before_use), Fixed,
        "How long a new key is published before it signs, so that all caches have fetched it."),
    key("signing.retire_after", K::Duration(seconds(30)..=days(365), |c| &mut c.server.signing.retire_after), Fixed,
        "How long a key stays published, and verifies `id_token_hint`, after it stops signing. At least the longest token lifetime."),

    key("session.idle", K::Duration(minutes(5)..=days(365), |c| &mut c.server.session.idle), Fixed,
        "How long a session may stay unused."),
    key("session.absolute", K::Duration(minutes(5)..=days(365), |c| &mut c.server.session.absolute), Fixed,
        "Maximum lifetime of a session."),

    key("password.min_length", K::Count(8..=128, |c| &mut c.server.password.min_length), Fixed,
        "Minimum length of a password, in characters. Go below 15 only if a second factor is always required (NIST SP 800-63B-4)."),
    key("password.hash_memory_kib", K::Count(7_168..=4_194_304, |c| &mut c.server.password.memory_kib), Fixed,
        "Memory per password hash, in KiB."),
    key("password.hash_iterations", K::Count(1..=64, |c| &mut c.server.password.iterations), Fixed,
        "Passes over the memory per password hash."),
    key("password.hash_parallelism", K::Count(1..=64, |c| &mut c.server.password.parallelism), Fixed,
        "Lanes per password hash."),
    key("password.max_concurrent_hashes", K::Count(1..=1_024, |c| &mut c.server.password.max_concurrent_hashes),
        Described { text: "the number of processor cores", example: "2" },
        "Maximum number of passwords hashed at once."),
    key("password.hash_queue", K::Count(1..=100_000, |c| &mut c.server.password.hash_queue), Fixed,
        "Maximum number of sign-ins that wait for a password hash. Beyond it, sign-ins get 503."),
    key("password.breached_list_file", K::Path(|c| c.program.breached_list_file.get_or_insert_default()), Unset { example: "breached.txt" },
        "A file of passwords to reject, one per line."),

    key("throttle.free_failures_per_name", K::Count(1..=99, |c| &mut c.server.throttle.free_failures_per_name), Fixed,
        "Failed sign-ins with one name before further attempts must wait."),
    key("throttle.free_failures_per_address", K::Count(1..=100_000, |c| &mut c.server.throttle.free_failures_per_address), Fixed,
        "Failed sign-ins from one address before further attempts must wait."),
    key("throttle.free_leak_reports_per_address", K::Count(1..=100_000, |c| &mut c.server.throttle.free_leak_reports_per_address), Fixed,
        "Leaked keys that one address may report before further reports must wait. Reports count until there was none for 15 minutes."),
    key("throttle.max_wait", K::Duration(minutes(1)..=hours(1), |c| &mut c.server.throttle.max_wait), Fixed,
        "The longest wait. After 100 failures in a row with one name, each network gets one attempt per this time (15 minutes at most) until a sign-in succeeds."),
    key("throttle.client_failures_per_minute", K::Count(20..=100_000, |c| &mut c.server.throttle.client_failures_per_minute), Fixed,
        "Failed client authentications per minute from one address. Beyond it, further ones get 429."),

    key("limits.body_bytes", K::Size(1_024..=16 << 20, |c| &mut c.server.limits.body_bytes), Fixed,
        "Maximum size of a request body. Larger ones get 413."),
    key("limits.header_bytes", K::Size(8_192..=1 << 20, |c| &mut c.server.listen.header_bytes), Fixed,
        "Maximum size of a request's head. Larger ones get 431."),
    key("limits.header_timeout", K::Duration(seconds(1)..=minutes(5), |c| &mut c.server.listen.header_timeout), Fixed,
        "Maximum time for a caller to send a request's head."),
    key("limits.body_timeout", K::Duration(seconds(1)..=minutes(5), |c| &mut c.server.listen.body_timeout), Fixed,
        "Maximum time for a caller to send a request's body."),
    key("limits.idle_timeout", K::Duration(seconds(1)..=hours(1), |c| &mut c.server.listen.idle_timeout), Fixed,
        "Maximum idle time of an HTTP/2 connection. For HTTP/1.1 it is `header_timeout`."),
    key("limits.write_timeout", K::Duration(seconds(1)..=hours(1), |c| &mut c.server.listen.write_timeout), Fixed,
        "Maximum time for a caller to read 8 KiB of a response, or the rest of it. Slower connections are closed."),
    key("limits.waiting_bytes", K::Size(1 << 20..=64 << 30, |c| &mut c.server.listen.waiting_bytes), Fixed,
        "Maximum bytes waiting on all HTTP/2 connections together: incomplete requests and unread responses. Beyond it, the connection with the most waiting bytes is closed."),
    key("limits.connections", K::Count(1..=1_000_000, |c| &mut c.server.listen.connections), Fixed,
        "Maximum number of open connections. Beyond it, the connection that has been idle longest is closed."),
    key("limits.connections_per_address", K::Count(1..=1_000_000, |c| &mut c.server.listen.connections_per_address), Fixed,
        "Maximum number of open connections per IPv4 address or IPv6 /64, by the same rule. Trusted proxies are exempt."),
    key("limits.open_requests_per_network", K::Count(1..=1_000_000, |c| &mut c.server.limits.open_requests_per_network), Fixed,
        "Maximum number of authorization requests per IPv4 address or IPv6 /64 that wait for a user. Further ones get 429."),
    key("limits.open_requests", K::Count(1_000..=100_000_000, |c| &mut c.server.limits.open_requests), Fixed,
        "Maximum number of stored authorization requests. Beyond it, the oldest ones of users who are not signed in are deleted."),
    key("limits.sessions_per_user", K::Count(1..=10_000, |c| &mut c.server.limits.sessions_per_user), Fixed,
        "Maximum number of sessions per user."),
    key("limits.keys_per_user", K::Count(1..=10_000, |c| &mut c.server.limits.keys_per_user), Fixed,
        "Maximum number of API keys that a user may make on the account page. Revoked ones do not count."),
    key("limits.webhooks", K::Count(1..=10_000, |c| &mut c.server.limits.webhooks), Fixed,
        "Maximum number of endpoints of webhooks."),
    key("limits.webhook_deliveries", K::Count(100..=1_000_000, |c| &mut c.server.limits.webhook_deliveries), Fixed,
        "Maximum number of events kept per endpoint that wait, that were delivered, and that were given up, each. Beyond it, the oldest ones that wait are given up, and the oldest others are deleted."),
    key("limits.cache_entries", K::Count(100..=100_000_000, |c| &mut c.server.limits.cache_entries), Fixed,
        "Maximum number of entries per cache."),
    key("limits.audit_queue", K::Count(100..=10_000_000, |c| &mut c.server.limits.audit_queue), Fixed,
        "Maximum number of refusals that wait to be written to the audit log. State changes never wait here."),

    key("audit.retention", K::Duration(days(1)..=days(3650), |c| &mut c.server.audit.retention), Fixed,
        "How long the audit record is kept."),
    key("audit.fold_after", K::Count(10..=1_000_000, |c| &mut c.server.audit.fold_after), Fixed,
        "Refusals of one code from one IPv4 address or IPv6 /64 in a minute that get a row and a log line each; the rest become one counted row."),
    key("audit.refusals_per_network", K::Count(10..=1_000_000, |c| &mut c.server.audit.refusals_per_network), Fixed,
        "Refusals of all codes from one IPv4 address or IPv6 /64 in a minute that get a row and a log line each. Beyond it there is one counted row per code."),
    key("audit.refusals_per_second", K::Count(10..=1_000_000, |c| &mut c.server.audit.refusals_per_second), Fixed,
        "Refusals of all callers in a second that get a row and a log line each. Beyond it there is one counted row per code and network."),
    key("audit.max_refusals", K::Count(1_000..=1_000_000_000, |c| &mut c.server.audit.max_refusals), Fixed,
        "Refusals that are kept. Beyond it the oldest are removed before `audit.retention` is over."),
    key("audit.max_rows", K::Count(10_000..=4_000_000_000, |c| &mut c.server.audit.max_rows), Fixed,
        "Audit events that are kept, refusals among them. Beyond it issued tokens are summed up before `audit.summarize_after` is over, and then the oldest events are removed."),
    key("audit.max_bytes", K::Size(16 << 20..=64 << 40, |c| &mut c.server.audit.max_bytes), Fixed,
        "The estimated size of the audit record in the database, by the same rule. A million events take about 700 MB."),
    key("audit.summarize_after", K::Duration(seconds(0)..=days(3650), |c| &mut c.server.audit.summarize_after), Fixed,
        "When issued access tokens and rotated refresh tokens are summed up: one row for each client and minute replaces theirs. `0s` turns it off."),

    key("log.format", K::Choice(&["text", "json"], |c, v| c.program.log_format = LogFormat::ALL[v], |c| c.program.log_format as usize), Fixed,
        "Format of log lines."),
    key("log.level", K::Choice(&["error", "warn", "info", "debug", "trace"],
            |c, v| c.program.log_level = LogLevel::ALL[v], |c| c.program.log_level as usize), Fixed,
        "Lowest level that is logged."),

    key("leaks.github_keys_url", K::Link(|c| &mut c.server.leaks.github_keys_url), Unset { example: "https://api.github.com/meta/public_keys/secret_scanning" },
        "Where GitHub publishes the keys that its secret scanning signs messages with. It turns `POST /v1/leaks/github` on."),

    key("webhooks.allow_loopback", K::Boolean(|c| &mut c.server.webhooks.allow_loopback), Fixed,
        "Whether events may be sent to this machine itself, also without TLS. Private addresses are never allowed."),

    key("metrics.address", K::Addresses(|c| &mut c.program.metrics_addresses), Unset { example: "127.0.0.1:9464" },
        "The address, or a list of addresses, that serves `GET /metrics` over plain HTTP. Do not use a public address: anyone who reaches it can read the metrics."),

    key("pages.name", K::Name(|c| &mut c.server.name), Fixed,
        "Name of the service, shown on every page."),
    key("pages.accent", K::Colour(|c| &mut c.server.accent), Unset { example: "#0b5cad" },
        "Colour of links and buttons. It must have enough contrast on light and dark pages (WCAG AA)."),
    key("pages.logo_file", K::Path(|c| c.program.logo_file.get_or_insert_default()), Unset { example: "logo.svg" },
        "Logo on each page: an SVG, PNG, JPEG or WebP file of at most 64 KiB, shown 32 pixels high on light and dark pages."),
    key("pages.help_url", K::Link(|c| &mut c.server.links.help), Unset { example: "https://www.example.com/help" },
        "URL of a help page, linked on each page."),
    key("pages.privacy_url", K::Link(|c| &mut c.server.links.privacy), Unset { example: "https://www.example.com/privacy" },
        "URL of the privacy notice, linked on each page."),
    key("pages.terms_url", K::Link(|c| &mut c.server.links.terms), Unset { example: "https://www.example.com/terms" },
        "URL of the terms of use, linked on each page."),

    key("worker.threads", K::Count(1..=1_024, |c| &mut c.program.threads),
        Described { text: "the number of processor cores", example: "2" },
        "Number of threads that handle requests."),
];

impl Key {
    /// The name of the section, empty for a key outside of all sections.
    pub(super) fn section(&self) -> &'static str {
        self.path.split_once('.').map_or("", |(section, _)| section)
    }

    /// The key as it is written inside its section.
    pub(super) fn name_in_section(&self) -> &'static str {
        self.path.split_once('.').map_or(self.path, |(_, name)| name)
    }

    /// The last part of the path.
    pub(super) fn leaf(&self) -> &'static str {
        self.path.rsplit_once('.').map_or(self.path, |(_, leaf)| leaf)
    }

    /// The environment variable that gives it.
    pub(super) fn variable(&self) -> String {
        format!("DOORWARD_{}", self.path.replace('.', "__").to_ascii_uppercase())
    }

    /// The environment variable that names a file to read it from: for secrets, where no key of that name exists.
    pub(super) fn file_variable(&self) -> Option<String> {
        let taken = find(&format!("{}_file", self.path)).is_some();
        (self.is_secret() && !taken).then(|| format!("{}_FILE", self.variable()))
    }

    /// Whether its value must not be seen.
    pub(super) fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::DatabaseUrl(_) | Kind::MasterKey(_))
    }

    /// Whether it takes any number of values, none among them.
    pub(super) fn takes_list(&self) -> bool {
        matches!(self.kind, Kind::Addresses(_) | Kind::Networks(_))
    }

    /// Whether the file may hold it. If not, only the environment can.
    pub(super) fn is_allowed_in_file(&self) -> bool {
        !matches!(self.kind, Kind::MasterKey(_))
    }
}

/// The key of a path.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// Whether there are keys below this path.
pub(super) fn is_section(path: &str) -> bool {
    KEYS.iter().any(|key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

const fn key(path: &'static str, kind: Kind, default: DefaultValue, doc: &'static str) -> Key {
    Key { path, kind, default, doc }
}

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

const fn minutes(count: u64) -> Duration {
    seconds(count * 60)
}

const fn hours(count: u64) -> Duration {
    minutes(count * 60)
}

const fn days(count: u64) -> Duration {
    hours(count * 24)
}

fn tls(config: &mut Config) -> &mut Files {
    let empty = || Files { certificate: PathBuf::new(), key: PathBuf::new() };
    config.program.tls.get_or_insert_with(empty)
}

impl Count for u32 {
    fn set(&mut self, count: u32) {
        *self = count;
    }
}

impl Count for i64 {
    fn set(&mut self, count: u32) {
        *self = count.into();
    }
}

impl Count for usize {
    fn set(&mut self, count: u32) {
        *self = count as Self;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_key_has_an_environment_name_of_its_own() {
        let names = || KEYS.iter().flat_map(|key| [Some(key.variable()), key.file_variable()]).flatten();
        assert_eq!(names().collect::<BTreeSet<_>>().len(), names().count());
        assert_eq!(find("listen.tls.key").map(Key::variable).as_deref(), Some("DOORWARD_LISTEN__TLS__KEY"));
    }

    #[test]
    fn every_section_has_a_sentence_and_every_sentence_a_section() {
        let described: BTreeSet<_> = SECTIONS.iter().map(|(name, _)| *name).collect();
        let used: BTreeSet<_> = KEYS.iter().map(Key::section).filter(|name| !name.is_empty()).collect();
        assert_eq!(described, used);
    }

    #[test]
    fn paths_are_unique_and_no_key_is_also_a_section() {
        let paths: BTreeSet<_> = KEYS.iter().map(|key| key.path).collect();
        assert_eq!(paths.len(), KEYS.len());
        assert!(paths.iter().all(|path| !is_section(path)));
    }

    #[test]
    fn secrets_come_from_a_file_by_a_variable() {
        assert_eq!(find("data.postgres").unwrap().file_variable().as_deref(), Some("DOORWARD_DATA__POSTGRES_FILE"));
        // The name belongs to `keys.master_key_file`, which reads the same file.
        assert_eq!(find("keys.master_key").unwrap().file_variable(), None);
        assert_eq!(find("keys.master_key_file").unwrap().variable(), "DOORWARD_KEYS__MASTER_KEY_FILE");
    }
}
