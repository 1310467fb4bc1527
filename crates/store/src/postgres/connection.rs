//! How to reach the server: the URL, the bounds on every statement, TLS.
//!
//! TLS follows `sslmode`: `require` verifies the server's certificate and name against the platform's roots (as
//! libpq's `verify-full`), `disable` does without. Neither said is fine on this machine, and refused over a network.
//!
//! Easy to get wrong: libpq's default, `prefer`, sends everything in clear text to any server that answers without TLS.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Client, ClientWrapper, HookError};

use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres::error::SqlState;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::StoreError;

/// A server, and how to speak to it.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) config: Config,
    /// None: without TLS.
    pub(super) tls: Option<MakeRustlsConnect>,
}

impl Server {
    /// Reads `postgres://…`. The errors don't repeat the URL, which holds a password.
    pub(super) fn parse(url: &str) -> Result<Server, StoreError> {
        let mut config: Config = url.parse().map_err(|_| {
            StoreError::Location(
                "the PostgreSQL URL can't be read: write postgres://user:password@host/database, \
                 special characters percent-encoded, sslmode as require or disable, and several hosts as host1,host2",
            )
        })?;
        if config.get_ssl_mode() == SslMode::Prefer {
            if !is_local(&config) {
                return Err(StoreError::Location(
                    "the PostgreSQL server is on another machine: say in the URL sslmode=require \
                     (certificates are verified), or sslmode=disable on a network that you trust",
                ));
            }
            config.ssl_mode(SslMode::Disable);
        }
        let tls = match config.get_ssl_mode() {
            SslMode::Disable => None,
            _ => Some(tls()?),
        };
        // Of several hosts, the one that takes writes: a replica that was promoted is found, and none is written to.
        if config.get_hosts().len() > 1 && config.get_target_session_attrs() == TargetSessionAttrs::Any {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        let options = config.get_options().unwrap_or_default();
        let options = format!("{BOUNDS} {options}");
        config.options(options.trim_end());
        if config.get_application_name().is_none() {
            config.application_name("doorward");
        }
        config.connect_timeout(CONNECT).tcp_user_timeout(UNACKNOWLEDGED).keepalives_idle(IDLE);
        Ok(Server { config, tls })
    }
}

/// Why a connection failed, with the cause.
pub(super) fn reason(error: &tokio_postgres::Error) -> String {
    let by_pooler = error.as_db_error().is_some_and(|error| error.message().contains("unsupported startup parameter"));
    match error.source() {
        Some(source) if by_pooler => format!("PostgreSQL: {error}: {source}: {POOLER}"),
        Some(source) => format!("PostgreSQL: {error}: {source}"),
        None => format!("PostgreSQL: {error}"),
    }
}

/// Whether the connection is gone, as opposed to an answer of the server, or is about to go: the server ends it, and says so.
pub(super) fn is_broken(error: &tokio_postgres::Error) -> bool {
    let ended = [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::CANNOT_CONNECT_NOW];
    error.is_closed()
        || error.source().is_some_and(|source| source.is::<io::Error>())
        || error.code().is_some_and(|code| ended.contains(code))
}

/// A setting that lets the server lose what it has acknowledged.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the PostgreSQL server runs with {0}=off: a crash of its machine can lose or destroy committed data")]
pub struct UnsafeDurability(&'static str);

pub(super) async fn unsafe_durability(client: &Client) -> Result<Option<UnsafeDurability>, tokio_postgres::Error> {
    for (name, sql) in [("fsync", "SHOW fsync"), ("full_page_writes", "SHOW full_page_writes")] {
        if setting(client, sql).await? == "off" {
            return Ok(Some(UnsafeDurability(name)));
        }
    }
    Ok(None)
}

async fn setting(client: &Client, sql: &str) -> Result<String, tokio_postgres::Error> {
    client.query_one(sql, &[]).await?.try_get(0)
}

/// Makes a new connection fit: what was acknowledged is durable, whatever the database's own default is, and the bounds on
/// statements hold.
pub(super) async fn prepare(client: &mut ClientWrapper) -> Result<(), HookError> {
    let row = client
        .query_one("SELECT current_setting('synchronous_commit'), current_setting('statement_timeout')", &[])
        .await
        .map_err(HookError::Backend)?;
    let setting = |index| row.try_get::<_, &str>(index).map_err(HookError::Backend);
    if setting(1)? == "0" {
        return Err(HookError::Message(POOLER.into()));
    }
    if setting(0)? == "off" {
        client.batch_execute("SET synchronous_commit = on").await.map_err(HookError::Backend)?;
    }
    Ok(())
}

const POOLER: &str = "the settings of a session do not reach PostgreSQL: a pooler such as PgBouncer is in between and \
                      drops them. Connect to PostgreSQL itself; this program pools its own connections";

fn is_local(config: &Config) -> bool {
    config.get_hostaddrs().iter().all(|address| address.is_loopback())
        && config.get_hosts().iter().all(|host| match host {
            Host::Unix(_) => true,
            Host::Tcp(name) => {
                name == "localhost" || name.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
            }
        })
}

fn tls() -> Result<MakeRustlsConnect, StoreError> {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_platform_verifier())
        .map_err(|_| {
            StoreError::Location(
                "this machine's root certificates can't be read, and sslmode=require needs them: \
                 install ca-certificates",
            )
        })?
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

/// How long connecting may take.
pub(super) const CONNECT: Duration = Duration::from_secs(2);

/// How long sent data may go without an acknowledgement: the other machine is gone.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);

/// How long a silent connection is left before it is probed.
const IDLE: Duration = Duration::from_secs(60);

/// On every connection, in milliseconds; what the URL's own `options` say comes after and wins.
const BOUNDS: &str = "-c statement_timeout=4000 -c lock_timeout=3000 \
                      -c idle_in_transaction_session_timeout=10000";

#[cfg(test)]
mod tests {
    use super::Server;

    #[test]
    fn password_is_never_sent_in_clear_text_by_default() {
        for local in [
            "postgres://u:p@localhost/d",
            "postgres://u:p@127.0.0.1/d",
            "postgres://u:p@[::1]/d",
            "postgres://u@%2Frun%2Fpostgresql/d",
            "postgres://u:p@db.example/d?sslmode=disable",
        ] {
            assert!(Server::parse(local).unwrap().tls.is_none(), "{local}");
        }
        for remote in [
            "postgres://u:canary@db.example/d",
            "postgres://u:canary@db.example/d?sslmode=prefer",
            "postgres://u:canary@localhost,db.example/d",
            "postgres://u:canary@10.0.0.1/d",
        ] {
            let error = Server::parse(remote).err().unwrap().to_string();
            assert!(error.contains("sslmode=require"), "{error}");
            assert!(!error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn a_malformed_url_is_not_repeated() {
        let error = Server::parse("postgres://u:canary@h:port/d").err().unwrap();
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}
