//! The situations behind the messages of `troubleshooting.md` and `upgrade.md`, in the order of the pages.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::PROGRAM;

/// What the program prints in each situation.
pub(crate) fn provoked() -> Vec<String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let new = |name: &str| Server::new(folder.path().join(name));
    let mut printed = Vec::new();

    let open = new("open");
    open.edit("127.0.0.1:", "0.0.0.0:");
    printed.push(open.fails(&["serve"]));

    let late = new("late");
    let earlier = TcpListener::bind(("127.0.0.1", late.port)).expect("the port is free");
    printed.push(late.fails(&["serve"]));
    drop(earlier);

    let busy = new("busy");
    let running = busy.start();
    printed.push(busy.fails(&["serve"]));
    running.end();

    let keyless = new("keyless");
    fs::remove_file(keyless.folder.join("data/master.key")).expect("the key");
    printed.push(keyless.fails(&["serve"]));

    fs::rename(busy.folder.join("data/master.key"), busy.folder.join("right.key")).expect("the key");
    fs::copy(late.folder.join("data/master.key"), busy.folder.join("data/master.key")).expect("another key");
    printed.push(busy.fails(&["serve"]));
    fs::rename(busy.folder.join("right.key"), busy.folder.join("data/master.key")).expect("the key");

    fs::rename(busy.folder.join("data/doorward.db"), busy.folder.join("right.db")).expect("the database");
    printed.push(busy.fails(&["serve"]));
    fs::remove_file(busy.folder.join("data/doorward.db")).unwrap_or_default();
    fs::rename(busy.folder.join("right.db"), busy.folder.join("data/doorward.db")).expect("the database");

    busy.edit("issuer = \"http://localhost:", "issuer = \"http://127.0.0.1:");
    printed.push(busy.fails(&["serve"]));
    busy.edit("issuer = \"http://127.0.0.1:", "issuer = \"http://localhost:");

    let remote = new("remote");
    remote.edit("[data]", "[data]\npostgres = \"postgres://doorward@127.0.0.1:1/doorward\"");
    printed.push(remote.fails(&["serve"]));

    printed.push(late.fails(&["health"]));
    printed.push(late.fails(&["explain", "4bf92f3577b34da6a3ce929d0e0e4736"]));

    // With SQLite a command migrates, unless a server runs on the folder.
    let running = late.start();
    late.migrations("DELETE FROM schema_migrations WHERE number = (SELECT max(number) FROM schema_migrations)");
    printed.push(late.fails(&["key", "list"]));
    running.end();

    busy.migrations("INSERT INTO schema_migrations SELECT 99, 'later', max(number) FROM schema_migrations");
    let running = busy.start();
    printed.push(running.log.clone());
    running.end();

    busy.migrations("UPDATE schema_migrations SET usable_from = 99 WHERE number = 99");
    printed.push(busy.fails(&["serve"]));
    printed
}

/// A server's folder.
struct Server {
    folder: PathBuf,
    port: u16,
}

/// A server that runs.
struct Running {
    child: Child,
    /// What it had logged when it was ready.
    log: String,
}

impl Server {
    fn new(folder: PathBuf) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address").port();
        let issuer = format!("http://localhost:{port}");
        let made = program().args(["init", "--issuer", &issuer, "--dir"]).arg(&folder).output();
        assert!(made.expect("the program runs").status.success(), "init");
        Self { folder, port }
    }

    fn config(&self) -> PathBuf {
        self.folder.join("doorward.toml")
    }

    fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.config()).expect("the configuration");
        assert!(text.contains(from), "{from}");
        fs::write(self.config(), text.replace(from, to)).expect("the configuration");
    }

    fn migrations(&self, sql: &str) {
        let database = rusqlite::Connection::open(self.folder.join("data/doorward.db")).expect("the database");
        assert_eq!(database.execute(sql, []).expect("a row"), 1, "{sql}");
    }

    /// What a command prints to standard error when it fails.
    fn fails(&self, arguments: &[&str]) -> String {
        let output = program().args(arguments).arg("--config").arg(self.config()).output().expect("the program runs");
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8(output.stderr).expect("UTF-8")
    }

    fn start(&self) -> Running {
        let mut command = program();
        let mut child =
            command.arg("serve").arg("--config").arg(self.config()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut log = String::new();
        let mut lines = BufReader::new(child.stderr.take().expect("standard error"));
        while !log.contains("ready") {
            assert_ne!(lines.read_line(&mut log).expect("a line"), 0, "{log}");
        }
        Running { child, log }
    }
}

impl Running {
    /// Ends it as an operator would, so that its database is whole.
    fn end(mut self) {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status().expect("kill runs");
        assert!(asked.success() && self.child.wait().expect("an end").success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

fn program() -> Command {
    let mut program = Command::new(Path::new(PROGRAM));
    program.env_remove("DOORWARD_CONFIG").env_remove("DOORWARD_DATA").env("NO_COLOR", "1");
    program
}
