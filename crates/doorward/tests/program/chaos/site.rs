//! A configured Doorward with an API, a client, a user and a key, on one node or several.

use std::{
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    serve::{free_port, init, set},
    support::{PROGRAM, Running, eventually, http, program, without_configuration},
};

pub(crate) const USER: &str = "carol";
pub(crate) const PASSWORD: &str = "seven unlikely words of one test";
pub(crate) const REDIRECT_URI: &str = "https://app.example/cb";

/// What a caller must know to use a site.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) urls: Vec<String>,
    /// The credentials of the API and of the client, as `Authorization` takes them.
    pub(crate) api: String,
    pub(crate) client: String,
    pub(crate) client_id: String,
    /// Where commands find the site: `--config FILE` or `--data DIR`.
    place: [String; 2],
}

impl Target {
    /// Makes an API, a client and a user there.
    pub(crate) fn furnish(urls: Vec<String>, place: [String; 2]) -> Self {
        let mut target = Self { urls, api: String::new(), client: String::new(), client_id: String::new(), place };
        let api = ["api", "create", "--name", "things", "--identifier", "https://things.example"];
        // Tokens live longer than any scenario, so that only an outage can end one.
        let tokens = ["--token-format", "opaque", "--access-token-ttl", "1d", "--scope", "things:read=Read"];
        let api = target.made(&[&api[..], &tokens].concat(), "");
        let client = ["client", "create", "--name", "App", "--redirect-uri", REDIRECT_URI, "--scope", "things:read"];
        let grants = ["authorization_code", "refresh_token", "client_credentials"];
        let grants: Vec<_> = grants.iter().flat_map(|grant| ["--grant", grant]).collect();
        let client = target.made(&[&client[..], &grants].concat(), "");
        target.made(&["user", "create", USER], PASSWORD);
        (target.api, target.client) = (basic(&api), basic(&client));
        target.client_id = text(&client, "client_id");
        target
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Output {
        program().args(arguments).args(&self.place).stdin(Stdio::null()).output().expect("the program runs")
    }

    /// How many events the audit has.
    pub(crate) fn audit_rows(&self) -> usize {
        let output = self.command(&["audit", "tail", "--lines", "1000000", "--json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout.iter().filter(|byte| **byte == b'\n').count()
    }

    fn made(&self, arguments: &[&str], input: &str) -> Value {
        let mut command = program();
        command.args(arguments).args(&self.place).arg("--json").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut stdin = child.stdin.take().expect("standard input is piped");
        // A command that reads nothing may have ended.
        let _ = std::io::Write::write_all(&mut stdin, format!("{input}\n").as_bytes());
        drop(stdin);
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{arguments:?}");
        serde_json::from_slice(&output.stdout).expect("JSON")
    }
}

/// A site in folders of its own, with a log for each node.
pub(crate) struct Site {
    pub(crate) config: PathBuf,
    pub(crate) target: Target,
    /// Nodes share a PostgreSQL and have data folders of their own.
    is_shared: bool,
    folder: PathBuf,
    logs: TempDir,
    _temporary: TempDir,
}

impl Site {
    /// One node on SQLite.
    pub(crate) fn on_sqlite() -> Self {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        let folder = temporary.path().to_owned();
        Self::new(temporary, folder, 1, None)
    }

    /// One node on SQLite, in a folder that is there already.
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self::new(tempfile::tempdir().expect("a temporary folder"), folder.to_owned(), 1, None)
    }

    /// Nodes on a PostgreSQL database.
    pub(crate) fn on_postgres(url: &str, nodes: usize) -> Self {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        let folder = temporary.path().to_owned();
        Self::new(temporary, folder, nodes, Some(url))
    }

    fn new(temporary: TempDir, folder: PathBuf, nodes: usize, postgres: Option<&str>) -> Self {
        let ports: Vec<_> = (0..nodes).map(|_| free_port()).collect();
        let config = init(&folder, &format!("http://localhost:{}", ports[0]));
        set(&config, "listen", "shutdown_delay = \"1s\"");
        let place = ["--config".to_owned(), config.display().to_string()];
        if let Some(postgres) = postgres {
            set(&config, "data", &format!("postgres = \"{postgres}\""));
            assert!(program().arg("migrate").args(&place).status().expect("it runs").success());
        }
        let urls = ports.iter().map(|port| format!("http://127.0.0.1:{port}")).collect();
        let target = Target::furnish(urls, place);
        let logs = tempfile::tempdir().expect("a temporary folder");
        Self { config, target, is_shared: postgres.is_some(), folder, logs, _temporary: temporary }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// How a node is started, by this program or another.
    pub(crate) fn serve(&self, node: usize, program: &Path) -> Command {
        let mut command = without_configuration(Command::new(program));
        command.arg("serve").arg("--config").arg(&self.config).stdin(Stdio::null());
        let log = OpenOptions::new().create(true).append(true).open(self.log_file(node));
        command.stderr(log.expect("the log is opened"));
        if self.is_shared {
            command.env("DOORWARD_LISTEN__ADDRESS", self.target.urls[node].trim_start_matches("http://"));
            command.env("DOORWARD_DATA__DIR", self.folder.join(format!("node{node}")));
            command.env("DOORWARD_KEYS__MASTER_KEY_FILE", self.data().join("master.key"));
        }
        command
    }

    /// Starts a node, and waits until it is ready.
    pub(crate) fn start(&self, node: usize) -> Running {
        self.start_by(node, self.serve(node, Path::new(PROGRAM)))
    }

    /// Starts a node by a command line, and waits until it is ready.
    pub(crate) fn start_by(&self, node: usize, command: Command) -> Running {
        let running = Running::start_by(command);
        eventually("the node is ready", || self.readiness(node) == 200);
        running
    }

    /// The status of `/health/ready`; 0 without an answer.
    pub(crate) fn readiness(&self, node: usize) -> u16 {
        let url = format!("{}/health/ready", self.target.urls[node]);
        http("GET", &url, &[], "").map_or(0, |answer| answer.status)
    }

    pub(crate) fn log(&self, node: usize) -> String {
        fs::read_to_string(self.log_file(node)).unwrap_or_default()
    }

    fn log_file(&self, node: usize) -> PathBuf {
        self.logs.path().join(format!("node{node}.log"))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for node in 0..self.target.urls.len() {
            let log = self.log(node);
            let panics: Vec<_> = log.lines().filter(|line| line.contains("panicked")).collect();
            if std::thread::panicking() {
                let last: Vec<_> = log.lines().rev().take(15).collect();
                eprintln!("the last lines of node {node}:\n{}", last.into_iter().rev().collect::<Vec<_>>().join("\n"));
            } else {
                assert!(panics.is_empty(), "{panics:?}");
            }
        }
    }
}

pub(crate) fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("{name} is a text in {value}")).to_owned()
}

/// The value of `Authorization` for an id and a secret (RFC 7617).
pub(crate) fn basic(value: &Value) -> String {
    let pair = format!("{}:{}", text(value, "client_id"), text(value, "client_secret"));
    format!("Basic {}", STANDARD.encode(pair))
}
