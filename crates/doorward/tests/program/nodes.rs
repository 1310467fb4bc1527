//! Several nodes on one PostgreSQL.

use std::{
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    serve::{configured, free_port, made, set},
    support::{Running, eventually, http, program},
};

/// Three addresses of one issuer, on one database.
struct Nodes {
    folder: tempfile::TempDir,
    config: std::path::PathBuf,
    urls: Vec<String>,
}

impl Nodes {
    /// None where no PostgreSQL is given.
    fn on_a_new_database(name: &str) -> Option<Self> {
        let server = std::env::var("DOORWARD_TEST_POSTGRES").ok()?;
        let database = format!("doorward_nodes_{name}_{}", std::process::id());
        let created = Command::new("psql").args([&server, "-c", &format!("CREATE DATABASE {database}")]).status();
        assert!(created.expect("psql runs").success());
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (config, _) = made(folder.path());
        let (base, _) = server.rsplit_once('/').expect("a URL with a database");
        set(&config, "data", &format!("postgres = \"{base}/{database}\""));
        set(&config, "listen", "shutdown_delay = \"1s\"");
        assert!(configured(&config, &["migrate"]).status.success());
        let urls = (0..3).map(|_| format!("http://127.0.0.1:{}", free_port())).collect();
        Some(Self { folder, config, urls })
    }

    fn start(&self, node: usize) -> Running {
        let mut command = program();
        command.arg("serve").arg("--config").arg(&self.config).stderr(Stdio::null());
        command.env("DOORWARD_LISTEN__ADDRESS", self.urls[node].trim_start_matches("http://"));
        command.env("DOORWARD_DATA__DIR", self.folder.path().join(format!("node{node}")));
        command.env("DOORWARD_KEYS__MASTER_KEY_FILE", self.folder.path().join("data/master.key"));
        let running = Running::start_by(command);
        eventually("the node is ready", || {
            http("GET", &format!("{}/health/ready", self.urls[node]), &[], "")
                .is_some_and(|answer| answer.status == 200)
        });
        running
    }
}

/// A client that may get tokens, by its id and its secret.
fn client(config: &Path) -> (String, String) {
    let api = ["api", "create", "--name", "things", "--identifier", "https://things.example", "--scope", "a:read=Read"];
    assert!(configured(config, &api).status.success());
    let client = ["client", "create", "--name", "Job", "--grant", "client_credentials", "--scope", "a:read", "--json"];
    let client: serde_json::Value = serde_json::from_slice(&configured(config, &client).stdout).expect("JSON");
    let text = |name: &str| client[name].as_str().expect("a text").to_owned();
    (text("client_id"), text("client_secret"))
}

#[test]
fn rolling_restart_fails_no_request_of_a_retrying_client() {
    let Some(nodes) = Nodes::on_a_new_database("restart") else { return };
    let mut running: Vec<_> = (0..3).map(|node| Some(nodes.start(node))).collect();
    let (id, secret) = client(&nodes.config);
    let (is_over, answered, failed) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let callers: Vec<_> = (0..3)
        .map(|caller| {
            let (urls, id, secret) = (nodes.urls.clone(), id.clone(), secret.clone());
            let (is_over, answered, failed) = (is_over.clone(), answered.clone(), failed.clone());
            thread::spawn(move || {
                for turn in caller.. {
                    if is_over.load(Ordering::SeqCst) {
                        return;
                    }
                    let body =
                        format!("grant_type=client_credentials&client_id={id}&client_secret={secret}&scope=a:read");
                    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
                    let is_answered = (0..3).any(|next| {
                        let url = format!("{}/token", urls[(turn + next) % 3]);
                        http("POST", &url, &headers, &body).is_some_and(|answer| answer.status == 200)
                    });
                    let count = if is_answered { &answered } else { &failed };
                    count.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();

    for (node, running) in running.iter_mut().enumerate() {
        let before = answered.load(Ordering::SeqCst);
        assert_eq!(running.take().expect("it runs").terminate(), Some(0));
        eventually("requests are answered without it", || answered.load(Ordering::SeqCst) > before + 10);
        *running = Some(nodes.start(node));
    }
    is_over.store(true, Ordering::SeqCst);
    for caller in callers {
        caller.join().expect("it ends");
    }
    assert_eq!(failed.load(Ordering::SeqCst), 0, "of {} requests", answered.load(Ordering::SeqCst));
}

/// An API's credential, and a key with a number of uses.
fn limited_key(config: &Path, uses: u64) -> (String, String) {
    let json = |arguments: &[&str]| -> serde_json::Value {
        let output = configured(config, arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    let text = |value: &serde_json::Value, name: &str| value[name].as_str().expect("a text").to_owned();
    let api = json(&["api", "create", "--name", "counted", "--identifier", "https://counted.example", "--json"]);
    let credential = format!("{}:{}", text(&api, "client_id"), text(&api, "client_secret"));
    let uses = uses.to_string();
    let key = json(&["key", "create", "--name", "counted", "--api", "counted", "--uses", &uses, "--json"]);
    (format!("Basic {}", STANDARD.encode(credential)), text(&key, "secret"))
}

#[test]
fn killed_node_takes_at_most_a_block_of_uses_with_it() {
    const USES: u64 = 400;
    // A twentieth of what was left.
    const LARGEST_BLOCK: u64 = USES / 20;
    let Some(nodes) = Nodes::on_a_new_database("limits") else { return };
    let (first, second) = (nodes.start(0), nodes.start(1));
    let (authorization, key) = limited_key(&nodes.config, USES);
    let body = format!("{{\"key\":\"{key}\"}}");
    let use_at = |node: usize| {
        let headers = [("Content-Type", "application/json"), ("Authorization", authorization.as_str())];
        http("POST", &format!("{}/v1/keys/verify", nodes.urls[node]), &headers, &body)
    };
    let code = |node: usize| {
        let answer = use_at(node).filter(|answer| answer.status == 200)?;
        Some(answer.json()["code"].as_str().expect("a code").to_owned())
    };
    eventually("both nodes know the key", || (0..2).all(|node| code(node).as_deref() == Some("valid")));
    let granted = AtomicUsize::new(2);
    thread::scope(|scope| {
        for caller in 0..4 {
            let (granted, code) = (&granted, &code);
            scope.spawn(move || {
                for _ in 0..30 {
                    if code(caller % 2).as_deref() == Some("valid") {
                        granted.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    // It has a block in hand, since it was in use a moment ago.
    first.kill();
    eventually("nothing is left", || match code(1).as_deref() {
        Some("valid") => {
            granted.fetch_add(1, Ordering::SeqCst);
            false
        }
        other => other == Some("key_uses_exhausted"),
    });
    let granted = u64::try_from(granted.load(Ordering::SeqCst)).expect("a small number");
    assert!((USES - LARGEST_BLOCK..=USES).contains(&granted), "{granted}");
    second.kill();
}
