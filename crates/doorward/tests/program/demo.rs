//! `doorward demo`.

use std::{net::TcpListener, os::unix::fs::PermissionsExt};

use serde_json::Value;

use crate::support::{Running, eventually, form, http, json, program, run, with_key};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// Keys, tokens and refusals work as the demo prints them, and every refusal can be explained.
#[test]
fn printed_commands_of_the_demo_work() {
    let folder = folder();
    let data = folder.path().join("demo");
    let demo = Running::demo(&data);
    let api = demo.get("api");

    assert_eq!(with_key(&demo, "GET", "/notes", demo.get("api_key")), 200);
    assert_eq!(with_key(&demo, "POST", "/notes", demo.get("api_key")), 201);
    assert_eq!(with_key(&demo, "POST", "/notes", demo.get("api_key_read_only")), 403);
    assert_eq!(with_key(&demo, "GET", "/notes", &demo.get("api_key").replace("sk_live_", "sk_test_")), 401);
    assert_eq!(with_key(&demo, "GET", "/notes", demo.get("admin_key")), 401, "a management key does not open notes");
    assert_eq!(http("GET", &format!("{api}/health"), &[], "").expect("an answer").status, 200);

    let refused = http("GET", &format!("{api}/notes"), &[], "").expect("an answer");
    assert_eq!(refused.status, 401);
    assert!(refused.head.contains("www-authenticate: bearer resource_metadata="), "{}", refused.head);
    let trace_id = refused.json()["trace_id"].as_str().expect("a trace id").to_owned();
    let story = json(&["explain", &trace_id], &data);
    assert_eq!(story[0]["code"], "credential_missing");
    assert_eq!(story[0]["details"]["path"], "/notes");
    assert!(story[0]["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()));

    let tokens = form(
        &format!("{}/token", demo.get("issuer")),
        &[
            ("grant_type", "client_credentials"),
            ("client_id", demo.get("client_id")),
            ("client_secret", demo.get("client_secret")),
            ("scope", "notes:read"),
        ],
    );
    assert_eq!(tokens.status, 200, "{}", tokens.body);
    let bearer = format!("Bearer {}", tokens.json()["access_token"].as_str().expect("a token"));
    let called = http("GET", &format!("{api}/notes"), &[("Authorization", &bearer)], "").expect("an answer");
    assert_eq!(called.status, 200, "{}", called.body);
    assert_eq!(demo.terminate(), Some(0), "SIGTERM is a clean end");
}

/// What a demo printed, without the port for metrics, which is another one at each start.
fn kept(seed: &Value) -> Value {
    let mut kept = seed.clone();
    kept.as_object_mut().expect("an object").remove("metrics").expect("the URL of the metrics");
    kept
}

/// After `kill -9` a second start on the folder finds the same, and all that was issued still works.
#[test]
fn a_killed_demo_comes_back_with_the_same_values() {
    let folder = folder();
    let data = folder.path().join("demo");
    let first = Running::demo(&data);
    let made = json(&["key", "create", "--name", "mine", "--api", "notes", "--scope", "notes:read"], &data);
    let revoked = json(&["key", "create", "--name", "gone", "--api", "notes", "--scope", "notes:read"], &data);
    json(&["key", "revoke", revoked["id"].as_str().expect("an id")], &data);
    let seed = first.seed.clone();
    first.kill();

    let second = Running::demo(&data);
    assert_eq!(kept(&second.seed), kept(&seed));
    assert_eq!(with_key(&second, "GET", "/notes", second.get("api_key")), 200);
    assert_eq!(with_key(&second, "GET", "/notes", made["secret"].as_str().expect("a key")), 200);
    assert_eq!(with_key(&second, "GET", "/notes", revoked["secret"].as_str().expect("a key")), 401);
    let mode = std::fs::metadata(data.join("demo.json")).expect("the secrets' file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// A demo that is killed while it makes its folder must not leave one that no demo starts on.
#[test]
fn demo_killed_during_creation_starts_over() {
    for file in ["demo.unfinished", "master.key", "doorward.db"] {
        let folder = folder();
        let data = folder.path().join("demo");
        Running::demo_killed_at(file, &data);
        let demo = Running::demo(&data);
        assert_eq!(with_key(&demo, "GET", "/notes", demo.get("api_key")), 200, "killed at {file}");
        assert!(!data.join("demo.unfinished").exists());
    }
}

/// The last moment at which a demo is unfinished: everything is created, and its values are not yet written.
#[test]
fn demo_without_its_values_starts_over() {
    let folder = folder();
    let data = folder.path().join("demo");
    let first = Running::demo(&data);
    let key = first.get("api_key").to_owned();
    first.kill();
    std::fs::remove_file(data.join("demo.json")).expect("the values");
    std::fs::remove_file(data.join("issuer")).expect("the issuer");
    std::fs::write(data.join("demo.unfinished"), "").expect("the folder is ours");
    let listed = run(&["key", "list"], &data);
    assert_eq!(listed.status.code(), Some(2), "no command works on what is unfinished");
    let config = folder.path().join("doorward.toml");
    std::fs::write(&config, "issuer = \"http://localhost:8400\"\n[data]\ndir = \"demo\"\n").expect("written");
    for command in [&["client", "list"][..], &["migrate"], &["serve"]] {
        let refused = program().args(command).arg("--config").arg(&config).output().expect("the program runs");
        let shown = String::from_utf8_lossy(&refused.stderr);
        assert!(refused.status.code() == Some(1) && shown.contains("doorward demo --data"), "{command:?}: {shown}");
    }

    let second = Running::demo(&data);
    assert_ne!(second.get("api_key"), key);
    assert_eq!(with_key(&second, "GET", "/notes", second.get("api_key")), 200);
    assert_eq!(with_key(&second, "GET", "/notes", &key), 401);
    let seed = second.seed.clone();
    second.kill();
    // Killed after the values were written and before the mark was taken away: the demo is whole.
    std::fs::remove_file(data.join("issuer")).expect("the issuer");
    std::fs::write(data.join("demo.unfinished"), "").expect("the folder is ours");
    let third = Running::demo(&data);
    assert_eq!(kept(&third.seed), kept(&seed));
    assert_eq!(json(&["api", "list"], &data).as_array().map(Vec::len), Some(2));
}

#[test]
fn demo_refuses_another_servers_folder_and_leaves_it_alone() {
    let folder = folder();
    let made = program().args(["init", "--dir"]).arg(folder.path()).output().expect("the program runs");
    assert!(made.status.success());
    let data = folder.path().join("data");
    let contents = || ["doorward.db", "master.key"].map(|file| std::fs::read(data.join(file)).expect("a file"));
    let before = contents();
    let refused = || run(&["demo", "--json", "--port", "0", "--api-port", "0"], &data);
    assert_eq!(refused().status.code(), Some(1));
    // A server ran here, whatever a mark says.
    std::fs::write(data.join("issuer"), "http://localhost:8400").expect("the folder is ours");
    std::fs::write(data.join("demo.unfinished"), "").expect("the folder is ours");
    let output = refused();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("use another folder"));
    assert_eq!(contents(), before);
    assert!(!data.join("demo.json").exists());
}

/// Browsers and programs resolve `localhost` to either address.
#[test]
fn the_demo_answers_on_both_loopback_addresses() {
    let folder = folder();
    let demo = Running::demo(&folder.path().join("demo"));
    for name in ["issuer", "api"] {
        let port = demo.get(name).rsplit(':').next().expect("a port");
        let mut hosts = vec!["127.0.0.1"];
        if TcpListener::bind("[::1]:0").is_ok() {
            hosts.push("[::1]");
        }
        for host in hosts {
            let answer = http("GET", &format!("http://{host}:{port}/health"), &[], "").expect("an answer");
            assert_eq!(answer.status, 200, "{name} on {host}");
        }
    }
}

/// A key that another process revokes is refused by the API, which had accepted it just before.
#[test]
fn key_revoked_on_the_command_line_is_refused_by_the_api() {
    let folder = folder();
    let data = folder.path().join("demo");
    let demo = Running::demo(&data);
    let key = json(&["key", "create", "--name", "short-lived", "--api", "notes", "--scope", "notes:read"], &data);
    let secret = key["secret"].as_str().expect("a key");
    assert_eq!(with_key(&demo, "GET", "/notes", secret), 200);
    json(&["key", "revoke", secret], &data);
    eventually("the key is refused", || with_key(&demo, "GET", "/notes", secret) == 401);
}

/// A disabled client gets no more tokens, and a new secret replaces the old one at once.
#[test]
fn clients_are_changed_beside_the_running_server() {
    let folder = folder();
    let data = folder.path().join("demo");
    let demo = Running::demo(&data);
    let token = |secret: &str| {
        form(
            &format!("{}/token", demo.get("issuer")),
            &[("grant_type", "client_credentials"), ("client_id", demo.get("client_id")), ("client_secret", secret)],
        )
        .status
    };
    assert_eq!(token(demo.get("client_secret")), 200);
    let rotated = json(&["client", "rotate-secret", demo.get("client_id")], &data);
    let secret = rotated["client_secret"].as_str().expect("a secret");
    eventually("the new secret works", || token(secret) == 200);
    assert_eq!(token(demo.get("client_secret")), 401);
    json(&["client", "disable", demo.get("client_id")], &data);
    eventually("the client is refused", || token(secret) == 401);
    json(&["client", "enable", demo.get("client_id")], &data);
    eventually("the client is accepted", || token(secret) == 200);
}

#[test]
fn a_taken_port_is_an_error_that_names_the_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("an address").port().to_string();
    for (flag, other) in [("--port", "--api-port"), ("--api-port", "--port")] {
        let output = program().args(["demo", flag, &port, other, "0"]).output().expect("the program runs");
        assert_eq!(output.status.code(), Some(3));
        let shown = String::from_utf8_lossy(&output.stderr);
        assert!(shown.contains(flag) && shown.contains(&port), "{shown}");
    }
}

#[test]
fn a_second_server_on_the_folder_is_refused() {
    let folder = folder();
    let data = folder.path().join("demo");
    let _demo = Running::demo(&data);
    let output = run(&["demo", "--json", "--port", "0", "--api-port", "0"], &data);
    assert_eq!(output.status.code(), Some(3));
    assert!(!output.stderr.is_empty());
}

/// A credential in the URL is refused at the server's own routes too, and never logged.
#[test]
fn a_key_in_the_url_is_refused_and_recorded_nowhere() {
    let folder = folder();
    let data = folder.path().join("demo");
    let demo = Running::demo(&data);
    let key = demo.get("api_key").to_owned();
    for url in [
        format!("{}/notes?api_key={key}", demo.get("api")),
        format!("{}/notes?x={key}", demo.get("api")),
        format!("{}/userinfo?access_token={key}", demo.get("issuer")),
        format!("{}/v1/keys/verify?key={key}", demo.get("issuer")),
    ] {
        let answer = http("GET", &url, &[], "").expect("an answer");
        assert_eq!(answer.status, 400, "{url}");
        assert_eq!(answer.json()["code"], "credential_in_query");
        let trace_id = answer.json()["trace_id"].as_str().expect("a trace id").to_owned();
        let story = json(&["explain", &trace_id], &data);
        assert!(!story.to_string().contains(&key));
    }
    drop(demo);
    for file in ["doorward.db", "doorward.db-wal"] {
        let bytes = std::fs::read(data.join(file)).unwrap_or_default();
        let random = &key.as_bytes()["sk_live_".len() + 4..];
        assert!(!bytes.windows(random.len()).any(|window| window == random), "{file} holds the key");
    }
}
