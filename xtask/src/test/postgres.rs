//! A PostgreSQL cluster of our own for one run, in a temporary folder, as durable as a real one.
//!
//! Easy to get wrong: a cluster that trusts every local connection lets any other user of the machine run programs as its
//! owner. So it has a random password.

use std::fs::{self, File};
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use anyhow::{Context, Result};
use serde::de::IgnoredAny;
use tempfile::TempDir;

use crate::{leash::leash, server::Server};

/// A running cluster. Dropping it ends the server and removes the folder.
pub(crate) struct Postgres {
    /// For `DOORWARD_TEST_POSTGRES`: the superuser's URL.
    pub(crate) url: String,
    // Fields are dropped in this order: the server ends before its folder is removed.
    _server: Server,
    _folder: TempDir,
}

impl Postgres {
    /// Creates and starts a cluster with the programs beside `initdb`, and returns when it accepts connections.
    pub(crate) fn start(initdb: &Path) -> Result<Self> {
        let initdb = initdb.canonicalize().with_context(|| initdb.display().to_string())?;
        let folder = tempfile::Builder::new().prefix("doorward-postgres-").tempdir()?;
        let mut password = [0; 16];
        File::open("/dev/urandom")?.read_exact(&mut password)?;
        let password: String = password.iter().map(|byte| format!("{byte:02x}")).collect();
        fs::write(folder.path().join("password"), &password)?;
        // Free now; the server takes it a moment later.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        // One leashed program creates and serves, so that a half-finished folder does not stay behind either.
        let mut command = leash("/bin/sh", Some(folder.path()));
        command
            .args(["-c", include_str!("postgres.sh"), "postgres"])
            .arg(initdb.with_file_name(""))
            .arg(port.to_string());
        let server = Server::start("PostgreSQL", command.current_dir(folder.path()), folder.path())?;
        server.listening::<IgnoredAny>()?;
        let url = format!("postgres://postgres:{password}@127.0.0.1:{port}/postgres");
        Ok(Self { url, _server: server, _folder: folder })
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::process::Run;
    use crate::tools::{self, Tool};

    #[test]
    fn cluster_is_durable_needs_its_password_and_leaves_nothing() {
        // As for every test on PostgreSQL: `cargo xtask test` sets it, a plain `cargo test` does without.
        if std::env::var_os("DOORWARD_TEST_POSTGRES").is_none() {
            return;
        }
        let tools = tools::ready(&[Tool::PostgreSql].into()).unwrap();
        let initdb = tools.programs[&Tool::PostgreSql].canonicalize().unwrap();
        let psql = |url: &str, sql| {
            let arguments = ["--no-psqlrc", "--tuples-only", "--no-align", "--command", sql, url];
            Command::new(initdb.with_file_name("psql")).args(arguments).read()
        };

        let postgres = Postgres::start(&initdb).unwrap();
        let (url, folder) = (postgres.url.clone(), postgres._folder.path().to_owned());
        let (_, address) = url.split_once('@').unwrap();
        assert_eq!(psql(&url, "SHOW fsync").unwrap().trim(), "on");
        assert!(psql(&format!("postgres://postgres:wrong@{address}"), "SELECT 1").is_err());
        drop(postgres);

        assert!(psql(&url, "SELECT 1").is_err(), "the server has ended");
        assert!(!folder.exists());
    }
}
