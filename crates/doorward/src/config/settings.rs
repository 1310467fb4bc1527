//! The configuration as it is used: the server's settings, and what the program around the server needs.
//!
//! What a key means and its range are in [`super::schema`]; its default is here or in [`Settings::new`].

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use doorward_core::{digest::MasterKey, secret::SecretString};
use doorward_listen::{ForwardedHeader, tls::Files};
use doorward_server::Settings;

/// Everything that an operator can configure.
#[derive(Debug)]
pub(crate) struct Config {
    /// Without the content of the files that [`Program`] names.
    pub(crate) server: Settings,
    pub(crate) program: Program,
}

impl Config {
    /// The defaults. The issuer has none and is empty.
    pub(super) fn new() -> Self {
        Self { server: Settings::new(""), program: Program::default() }
    }
}

/// What the program needs to run the server.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) addresses: Vec<SocketAddr>,
    /// Whether a proxy ends TLS in front of the server.
    pub(crate) behind_proxy: bool,
    /// How that proxy reports its clients.
    pub(crate) forwarded_header: ForwardedHeader,
    /// Whether its connections begin with the PROXY protocol.
    pub(crate) proxy_protocol: bool,
    pub(crate) tls: Option<Files>,
    /// How long the server keeps answering, not ready, after a request to stop.
    pub(crate) shutdown_delay: Duration,
    pub(crate) data_dir: PathBuf,
    /// If given, the store is PostgreSQL; otherwise SQLite in `data_dir`.
    pub(crate) postgres: Option<SecretString>,
    /// Whether to start on a PostgreSQL server that may lose what it has acknowledged.
    pub(crate) accept_data_loss: bool,
    /// The key itself. If given, there is no file.
    pub(crate) master_key: Option<MasterKey>,
    /// If not given, a file in `data_dir`.
    pub(crate) master_key_file: PathBuf,
    pub(crate) breached_list_file: Option<PathBuf>,
    pub(crate) logo_file: Option<PathBuf>,
    pub(crate) log_format: LogFormat,
    pub(crate) log_level: LogLevel,
    /// Where metrics are answered, if anywhere.
    pub(crate) metrics_addresses: Vec<SocketAddr>,
    /// The threads that answer requests.
    pub(crate) threads: usize,
}

impl Program {
    /// Why the server does not listen at `address`, if it doesn't: off loopback it speaks plain HTTP only with a proxy.
    pub(crate) fn refuses_plain_http_at(&self, address: SocketAddr) -> Option<String> {
        let is_reachable = !address.ip().to_canonical().is_loopback();
        let refused = is_reachable && self.tls.is_none() && !self.behind_proxy;
        refused.then(|| format!("{address}, where others could reach this server over plain HTTP"))
    }
}

impl Default for Program {
    fn default() -> Self {
        Self {
            addresses: vec![SocketAddr::from(([127, 0, 0, 1], 8400))],
            behind_proxy: false,
            forwarded_header: ForwardedHeader::default(),
            proxy_protocol: false,
            tls: None,
            shutdown_delay: Duration::ZERO,
            data_dir: "data".into(),
            postgres: None,
            accept_data_loss: false,
            master_key: None,
            master_key_file: PathBuf::new(),
            breached_list_file: None,
            logo_file: None,
            log_format: LogFormat::Text,
            log_level: LogLevel::Info,
            metrics_addresses: Vec::new(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// The form of a log line, in the order of the configuration's words.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

impl LogFormat {
    pub(super) const ALL: [Self; 2] = [Self::Text, Self::Json];
}

/// The least important line that is written, in the order of the configuration's words.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    pub(super) const ALL: [Self; 5] = [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];
}
