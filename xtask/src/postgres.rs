//! A PostgreSQL cluster of our own for one run, in a temporary folder, durable as a real one.
//!
//! Easy to get wrong: `initdb` and `postgres` refuse to run as root, and a cluster that trusts every local connection
//! lets any other user of the machine run programs as its owner. So it gets another user, and a random password.

use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::failure::Failure;
use crate::leash::{Leashed, Stop, leash};
use crate::toolchain::is_root;

/// A running cluster. Dropping it ends the server and removes the folder.
#[derive(Debug)]
pub(crate) struct Postgres {
    // Fields are dropped in this order: the server ends before its folder goes.
    server: Leashed,
    folder: TempDir,
    port: u16,
    password: String,
}

impl Postgres {
    /// Makes and starts a cluster with the programs beside `initdb`, and returns when it takes connections.
    pub(crate) fn start(initdb: &Path) -> Result<Self, Failure> {
        let programs = initdb.canonicalize().map_err(Failure::io(format!("{}", initdb.display())))?;
        let programs = programs.parent().expect("a program stands in a folder").to_owned();
        let folder = tempfile::Builder::new()
            .prefix("doorward-postgres-")
            .tempdir()
            .map_err(Failure::io("a temporary folder for PostgreSQL could not be made"))?;
        let password = random_password()?;
        let port = free_port()?;
        let server = launch(&programs, folder.path(), &password, port)?;
        let mut postgres = Self { server, folder, port, password };
        postgres.wait_until_ready(&programs)?;
        Ok(postgres)
    }

    /// For `DOORWARD_TEST_POSTGRES`: the superuser's URL.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres:{}@127.0.0.1:{}/postgres", self.password, self.port)
    }

    fn wait_until_ready(&mut self, programs: &Path) -> Result<(), Failure> {
        let deadline = Instant::now() + READY_LIMIT;
        loop {
            let ready = Command::new(programs.join("pg_isready"))
                .args(["--quiet", "--host=127.0.0.1", "--dbname=postgres", "--username=postgres"])
                .arg(format!("--port={}", self.port))
                .status()
                .map_err(Failure::io("pg_isready could not be started"))?;
            if ready.success() {
                return Ok(());
            }
            let ended = self.server.ended().map_err(Failure::io("PostgreSQL could not be awaited"))?;
            if ended.is_some() || Instant::now() >= deadline {
                let detail = fs::read_to_string(self.log()).unwrap_or_default();
                return Err(Failure::Command { line: "the start of PostgreSQL".to_owned(), detail });
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join(LOG)
    }
}

const READY_LIMIT: Duration = Duration::from_secs(120);
const LOG: &str = "log";
const PASSWORD: &str = "password";

/// `initdb` and the server are one leashed program, so that a folder half made does not stay behind either. `fsync` is
/// said although it is the default: the tests of `kill -9` prove nothing without it.
const INITDB_THEN_SERVE: &str = r#"
"$1/initdb" --pgdata=data --username=postgres --pwfile=password --auth=scram-sha-256 --encoding=UTF8 --locale=C || exit
rm password
exec "$1/postgres" -D data -c fsync=on -c listen_addresses=127.0.0.1 -c port="$2" -c unix_socket_directories= -c max_connections=200
"#;

fn launch(programs: &Path, folder: &Path, password: &str, port: u16) -> Result<Leashed, Failure> {
    let refused = || Failure::io(format!("PostgreSQL could not be prepared in {}", folder.display()));
    let log = fs::File::create(folder.join(LOG)).map_err(refused())?;
    fs::write(folder.join(PASSWORD), password).map_err(refused())?;
    let mut command = leash("/bin/sh", Stop::Interrupt, Some(folder));
    command
        .args(["-c", INITDB_THEN_SERVE, "postgres"])
        .arg(programs)
        .arg(port.to_string())
        .current_dir(folder)
        .stdout(log.try_clone().map_err(refused())?)
        .stderr(log);
    if is_root() {
        let (user, group) = unprivileged_user()?;
        for path in [folder, &folder.join(LOG), &folder.join(PASSWORD)] {
            std::os::unix::fs::chown(path, Some(user), Some(group)).map_err(refused())?;
        }
        command.uid(user).gid(group);
    }
    Leashed::start(&mut command).map_err(Failure::io("PostgreSQL could not be started"))
}

/// The user that Debian's package makes, or else the one without rights that every system has.
fn unprivileged_user() -> Result<(u32, u32), Failure> {
    let number = |flag: &str, user: &str| -> Option<u32> {
        let output = Command::new("id").args([flag, user]).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    ["postgres", "nobody"].iter().find_map(|user| Some((number("-u", user)?, number("-g", user)?))).ok_or_else(|| {
        Failure::Command {
            line: "id -u postgres".to_owned(),
            detail: "PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody`".to_owned(),
        }
    })
}

/// Free now; the server takes it a moment later.
fn free_port() -> Result<u16, Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Failure::io("no free port on 127.0.0.1"))?;
    Ok(listener.local_addr().map_err(Failure::io("no free port on 127.0.0.1"))?.port())
}

fn random_password() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .map_err(Failure::io("/dev/urandom could not be read"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toolchain::{Tool, Toolchain};

    fn psql(initdb: &Path, url: &str, sql: &str) -> std::process::Output {
        let psql = initdb.canonicalize().unwrap().with_file_name("psql");
        Command::new(psql).args(["--no-psqlrc", "--tuples-only", "--no-align", "--command", sql, url]).output().unwrap()
    }

    #[test]
    fn a_cluster_is_durable_asks_for_its_password_and_leaves_nothing_behind() {
        // As for every test on PostgreSQL: `cargo xtask test` sets it, a plain `cargo test` does without.
        if std::env::var_os("DOORWARD_TEST_POSTGRES").is_none() {
            return;
        }
        let (toolchain, _) = Toolchain::find(&[Tool::PostgreSql]);
        let initdb = toolchain.program(Tool::PostgreSql).expect("`cargo xtask test` installs it first");

        let postgres = Postgres::start(initdb).expect("it starts");
        let url = postgres.url();
        let folder = postgres.folder.path().to_owned();
        let fsync = psql(initdb, &url, "SHOW fsync");
        let stranger = psql(initdb, &url.replace(&postgres.password, "wrong"), "SELECT 1");
        drop(postgres);

        assert_eq!(String::from_utf8_lossy(&fsync.stdout).trim(), "on", "{}", String::from_utf8_lossy(&fsync.stderr));
        assert!(!stranger.status.success());
        assert!(!psql(initdb, &url, "SELECT 1").status.success(), "the server has ended");
        assert!(!folder.exists());
    }
}
