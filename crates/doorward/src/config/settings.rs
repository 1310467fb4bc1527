//! The configuration as the program uses it: plain typed fields, each valid by itself and with the others.
//!
//! What a key means, its range and its default stand in [`super::schema`] alone. A section's `Default` is only the
//! blank form that the table of keys fills in: a [`Config`] is made by loading one, and in no other way.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use doorward_core::{digest::MasterKey, secret::SecretString};
use ipnet::IpNet;

use super::issuer::Issuer;

/// Everything that `doorward serve` is told by its operator.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) issuer: Issuer,
    pub(crate) listen: Listen,
    pub(crate) data: Data,
    pub(crate) keys: Keys,
    pub(crate) tokens: Tokens,
    pub(crate) signing: Signing,
    pub(crate) session: Session,
    pub(crate) password: Password,
    pub(crate) throttle: Throttle,
    pub(crate) limits: Limits,
    pub(crate) audit: Audit,
    pub(crate) log: Log,
    pub(crate) pages: Pages,
    pub(crate) worker: Worker,
}

impl Config {
    /// The form before the table of keys has filled it in.
    pub(super) fn blank() -> Self {
        Self {
            issuer: Issuer::blank(),
            listen: Listen::default(),
            data: Data::default(),
            keys: Keys::default(),
            tokens: Tokens::default(),
            signing: Signing::default(),
            session: Session::default(),
            password: Password::default(),
            throttle: Throttle::default(),
            limits: Limits::default(),
            audit: Audit::default(),
            log: Log::default(),
            pages: Pages::default(),
            worker: Worker::default(),
        }
    }
}

/// Where the server answers, and who may stand in front of it.
#[derive(Debug, Default)]
pub(crate) struct Listen {
    pub(crate) address: Vec<SocketAddr>,
    pub(crate) behind_proxy: bool,
    /// Empty unless `behind_proxy`; forwarded headers count only from these.
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) tls: Option<Tls>,
}

/// The PEM files that TLS is served from.
#[derive(Debug, Default)]
pub(crate) struct Tls {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// Where state is kept.
#[derive(Debug, Default)]
pub(crate) struct Data {
    pub(crate) dir: PathBuf,
    /// If given, the store is PostgreSQL; otherwise SQLite in `dir`.
    pub(crate) postgres: Option<SecretString>,
}

/// The key that protects everything stored.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    pub(crate) master_key: MasterKeySource,
}

/// Where the master key comes from.
#[derive(Debug)]
pub(crate) enum MasterKeySource {
    /// A file that holds it in base64url; not yet read.
    File(PathBuf),
    /// The environment gave the key itself.
    Given(MasterKey),
}

impl Default for MasterKeySource {
    fn default() -> Self {
        Self::File(PathBuf::new())
    }
}

/// Lifetimes of codes and tokens.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    pub(crate) access_token_ttl: Duration,
    pub(crate) id_token_ttl: Duration,
    pub(crate) code_ttl: Duration,
    pub(crate) refresh_idle: Duration,
    pub(crate) refresh_absolute: Duration,
    pub(crate) refresh_grace_same_address: Duration,
    pub(crate) refresh_grace_other_address: Duration,
}

/// The life of a signing key.
#[derive(Debug, Default)]
pub(crate) struct Signing {
    pub(crate) rotate_every: Duration,
    pub(crate) publish_before_use: Duration,
    pub(crate) retire_after: Duration,
}

/// How long a person stays signed in.
#[derive(Debug, Default)]
pub(crate) struct Session {
    pub(crate) idle: Duration,
    pub(crate) absolute: Duration,
}

/// What a password must be, and what hashing one may cost.
#[derive(Debug, Default)]
pub(crate) struct Password {
    pub(crate) min_length: u32,
    pub(crate) hash_memory_kib: u32,
    pub(crate) hash_iterations: u32,
    pub(crate) hash_parallelism: u32,
    pub(crate) max_concurrent_hashes: u32,
    pub(crate) hash_queue: u32,
    pub(crate) breached_list_file: Option<PathBuf>,
}

/// How failed attempts are slowed down.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    pub(crate) free_failures_per_name: u32,
    pub(crate) free_failures_per_address: u32,
    pub(crate) max_wait: Duration,
    pub(crate) client_failures_per_minute: u32,
}

/// Bounds on what one caller, or all of them, can make the server hold. Sizes are in bytes.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    pub(crate) body_bytes: usize,
    pub(crate) header_bytes: usize,
    pub(crate) body_timeout: Duration,
    pub(crate) header_timeout: Duration,
    pub(crate) connections: u32,
    pub(crate) connections_per_address: u32,
    pub(crate) open_requests_per_network: u32,
    pub(crate) sessions_per_user: u32,
    pub(crate) cache_entries: u32,
    pub(crate) audit_queue: u32,
}

/// How long and how much the audit record remembers.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    pub(crate) retention: Duration,
    pub(crate) fold_after: u32,
}

/// What the program writes about its work.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) format: LogFormat,
    pub(crate) level: LogLevel,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum LogFormat {
    Json,
    #[default]
    Text,
}

/// The least important line that is written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

/// How the pages look.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    pub(crate) name: String,
    /// `#rrggbb`; none means the colours that Doorward comes with.
    pub(crate) accent: Option<String>,
}

/// The threads that answer requests.
#[derive(Debug, Default)]
pub(crate) struct Worker {
    pub(crate) threads: u32,
}
