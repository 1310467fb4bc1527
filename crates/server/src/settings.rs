//! Everything that can be set, as plain values. Where they come from is the program's business.

use std::{sync::Arc, time::Duration};

use doorward_core::{
    audit_bounds::AuditBounds, grant::refresh::RefreshLimits, key_usage::KeptAddress, session::SessionLimits,
    signing::RotationSchedule,
};
use ipnet::IpNet;

use crate::pages::{Links, accent::Accent, logo::Logo};

/// The settings of one authorization server.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The issuer: `https://…`, or `http://` on a loopback host.
    pub issuer: Arc<str>,
    /// Lifetimes of codes and tokens.
    pub tokens: Tokens,
    /// When signing keys change.
    pub signing: RotationSchedule,
    /// How long sessions last.
    pub session: SessionLimits,
    /// What passwords must be and cost.
    pub password: Password,
    /// How guesses are slowed down.
    pub throttle: Throttle,
    /// Bounds on what comes from outside and on what is kept in memory.
    pub limits: Limits,
    /// Bounds on connections and on how requests arrive.
    pub listen: doorward_listen::Limits,
    /// How the audit is kept.
    pub audit: Audit,
    /// What is remembered of the use of keys.
    pub keys: Keys,
    /// Who else reports leaked keys.
    pub leaks: Leaks,
    /// Where webhooks may be sent.
    pub webhooks: Webhooks,
    /// What the server is called on its pages.
    pub name: String,
    /// The accent of the pages.
    pub accent: Accent,
    /// The logo of the pages.
    pub logo: Option<Logo>,
    /// What the pages link to.
    pub links: Links,
    /// The proxies whose `X-Forwarded-For` is believed; nobody's if empty.
    pub trusted_proxies: Vec<IpNet>,
}

/// Lifetimes of codes and tokens.
#[derive(Clone, Copy, Debug)]
pub struct Tokens {
    /// Of access tokens that are for no API.
    pub access_token_ttl: Duration,
    /// Lifetime of authorization codes.
    pub code_ttl: Duration,
    /// Lifetime of ID tokens.
    pub id_token_ttl: Duration,
    /// How long a user may take to sign in and consent.
    pub authorization_ttl: Duration,
    /// Lifetimes and grace periods of refresh tokens.
    pub refresh: RefreshLimits,
    /// How far the clocks of the nodes of one issuer may differ; a minute at most.
    pub clock_skew: Duration,
}

/// What passwords must be and cost.
#[derive(Clone, Debug)]
pub struct Password {
    /// Minimum length of new passwords, in characters.
    pub min_length: usize,
    /// Memory of a hash in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub iterations: u32,
    /// Lanes of argon2id per hash.
    pub parallelism: u32,
    /// Hashes that are computed at the same time.
    pub max_concurrent_hashes: usize,
    /// Attempts that may wait for a hash; more are answered 503.
    pub hash_queue: usize,
    /// Passwords that are refused beyond the built-in list, in lower case.
    pub breached: Arc<std::collections::HashSet<String>>,
}

/// How guesses are slowed down.
#[derive(Clone, Copy, Debug)]
pub struct Throttle {
    /// Failed sign-ins that are free by name.
    pub free_failures_per_name: u32,
    /// Failed sign-ins that are free by address.
    pub free_failures_per_address: u32,
    /// Reports of leaked keys that are free by address.
    pub free_leak_reports_per_address: u32,
    /// The longest wait after failed attempts.
    pub max_wait: Duration,
    /// Failed client authentications that are free by address and minute.
    pub client_failures_per_minute: u32,
}

/// Bounds on what comes from outside and on what is kept in memory.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// Authorization requests of one network that wait for somebody to sign in and decide.
    pub open_requests_per_network: i64,
    /// Authorization requests of all networks that are kept; beyond it the oldest of people who are not signed in go.
    pub open_requests: i64,
    /// Entries of each cache.
    pub cache_entries: usize,
    /// Audit events that wait to be written.
    pub audit_queue: usize,
    /// Live sessions of one user.
    pub sessions_per_user: i64,
    /// Keys that one user may make and that are not revoked.
    pub keys_per_user: i64,
    /// Endpoints of webhooks.
    pub webhooks: i64,
    /// Deliveries of one endpoint that are kept in one state.
    pub webhook_deliveries: i64,
}

/// Who reports leaked keys, beside those who find them.
#[derive(Clone, Debug, Default)]
pub struct Leaks {
    /// Where GitHub publishes the keys that its secret scanning signs with; `None`: its messages are refused.
    pub github_keys_url: Option<String>,
}

/// Where webhooks may be sent.
#[derive(Clone, Copy, Debug)]
pub struct Webhooks {
    /// Whether this machine itself may be an endpoint, also without TLS.
    pub allow_loopback: bool,
}

/// How the audit is kept.
#[derive(Clone, Copy, Debug)]
pub struct Audit {
    /// How long audit rows are kept.
    pub retention: Duration,
    /// How many equal refusals of one network in a minute have a row each; the rest become one counted row.
    pub fold_after: u32,
    /// How many refusals of one network in a minute have a row each, over all codes.
    pub refusals_per_network: u32,
    /// How many refusals of all networks in a second have a row each.
    pub refusals_per_second: u32,
    /// How many refusals are kept; the oldest go first.
    pub max_refusals: i64,
    /// How many events of all kinds are kept; the oldest go first.
    pub max_rows: i64,
    /// The space that they may take on the disk, estimated; the oldest go first.
    pub max_bytes: usize,
    /// After how long issued tokens are summed up by client and minute; never, if zero.
    pub summarize_after: Duration,
}

/// What is remembered of the use of keys.
#[derive(Clone, Debug)]
pub struct Keys {
    /// How long the counts of a day are kept.
    pub usage_retention: Duration,
    /// How much is kept of the address that a key was last used from.
    pub last_used_address: KeptAddress,
}

impl Audit {
    pub(crate) fn bounds(&self) -> AuditBounds {
        let bytes = i64::try_from(self.max_bytes).unwrap_or(i64::MAX);
        AuditBounds { rows: self.max_rows, bytes, refusals: self.max_refusals }
    }

    pub(crate) fn sums_up(&self) -> bool {
        self.summarize_after > Duration::ZERO
    }
}

impl Settings {
    /// The defaults for an issuer.
    pub fn new(issuer: &str) -> Self {
        const MINUTE: Duration = Duration::from_secs(60);
        const DAY: Duration = Duration::from_secs(86_400);
        Self {
            issuer: issuer.into(),
            tokens: Tokens {
                access_token_ttl: 5 * MINUTE,
                code_ttl: MINUTE,
                id_token_ttl: 5 * MINUTE,
                clock_skew: Duration::from_secs(30),
                authorization_ttl: 30 * MINUTE,
                refresh: RefreshLimits::default(),
            },
            signing: RotationSchedule { rotate_every: 30 * DAY, publish_before_use: DAY, retire_after: DAY },
            session: SessionLimits { idle: DAY / 2, absolute: 30 * DAY },
            password: Password {
                min_length: 15,
                memory_kib: 19_456,
                iterations: 2,
                parallelism: 1,
                max_concurrent_hashes: std::thread::available_parallelism().map_or(1, usize::from),
                hash_queue: 64,
                breached: Arc::default(),
            },
            throttle: Throttle {
                free_failures_per_name: 5,
                free_failures_per_address: 50,
                free_leak_reports_per_address: 100,
                max_wait: 15 * MINUTE,
                client_failures_per_minute: 20,
            },
            limits: Limits {
                body_bytes: 64 * 1024,
                open_requests_per_network: 1_000,
                open_requests: 100_000,
                cache_entries: 100_000,
                audit_queue: 65_536,
                sessions_per_user: 100,
                keys_per_user: 100,
                webhooks: 100,
                webhook_deliveries: 10_000,
            },
            listen: doorward_listen::Limits::default(),
            audit: Audit {
                retention: 90 * DAY,
                fold_after: 60,
                refusals_per_network: 120,
                refusals_per_second: 100,
                max_refusals: 1_000_000,
                max_rows: 10_000_000,
                max_bytes: 8 << 30,
                summarize_after: 7 * DAY,
            },
            // A server without TLS is on this machine alone: somebody tries it out.
            leaks: Leaks::default(),
            webhooks: Webhooks { allow_loopback: issuer.starts_with("http://") },
            name: "Doorward".into(),
            accent: Accent::default(),
            logo: None,
            links: Links::default(),
            keys: Keys { usage_retention: 400 * DAY, last_used_address: KeptAddress::Full },
            trusted_proxies: Vec::new(),
        }
    }

    /// The identifier of the management API.
    pub fn management(&self) -> String {
        self.url(MANAGEMENT_PATH)
    }

    /// The URL of a path below the issuer.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.issuer)
    }

    /// The issuer's port, as it is written or by default.
    pub fn port(&self) -> &str {
        let last = self.issuer.rsplit(':').next().unwrap_or_default();
        let is_port = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
        match (is_port, self.is_https()) {
            (true, _) => last,
            (false, true) => "443",
            (false, false) => "80",
        }
    }

    /// Whether the issuer is `https`: cookies follow it.
    pub fn is_https(&self) -> bool {
        self.issuer.starts_with("https://")
    }
}

/// The path of the management API below the issuer.
pub const MANAGEMENT_PATH: &str = "/v1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_is_the_issuers() {
        for (issuer, port) in [
            ("http://localhost:8400", "8400"),
            ("http://[::1]:8400", "8400"),
            ("http://[::1]", "80"),
            ("http://127.0.0.1", "80"),
            ("https://auth.example", "443"),
        ] {
            assert_eq!(Settings::new(issuer).port(), port, "{issuer}");
        }
    }
}
