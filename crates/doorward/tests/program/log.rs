//! The log of `doorward serve`.

use std::{
    fs::{self, File},
    net::TcpListener,
};

use crate::support::{Running, eventually, form, http, program};

#[test]
fn json_log_has_one_object_per_line_and_no_secrets() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port();
    let url = format!("http://127.0.0.1:{port}");
    let made = program().args(["init", "--issuer", &url, "--dir"]).arg(folder.path()).output();
    assert!(made.expect("the program runs").status.success());
    let config = folder.path().join("doorward.toml");
    let text = fs::read_to_string(&config).expect("the configuration");
    let text = text.replacen("[log]\n", "[log]\nformat = \"json\"\n", 1);
    assert!(text.contains("\nformat = \"json\""), "{text}");
    fs::write(&config, text).expect("written");
    let log = folder.path().join("log");
    let server = Running::start_with_log(&config, File::create(&log).expect("a file"));
    eventually("the server answers", || {
        http("GET", &format!("{url}/health"), &[], "").is_some_and(|answer| answer.status == 200)
    });

    let secrets = ["sk_live_canary0canary0", "dw_at_canary1canary1", "canary2canary2"];
    let refused = [
        http("GET", &format!("{url}/userinfo?key={}", secrets[0]), &[], "").expect("an answer"),
        http("GET", &format!("{url}/userinfo"), &[("Authorization", &format!("Bearer {}", secrets[1]))], "")
            .expect("an answer"),
        form(
            &format!("{url}/token"),
            &[("grant_type", "client_credentials"), ("client_id", "nobody"), ("client_secret", secrets[2])],
        ),
    ];
    for answer in &refused {
        assert!((400..500).contains(&answer.status), "{}", answer.body);
    }
    assert_eq!(server.terminate(), Some(0));

    let log = fs::read_to_string(&log).expect("the log");
    let lines: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect();
    assert!(lines.iter().all(serde_json::Value::is_object));
    for answer in &refused {
        let trace_id = &answer.json()["trace_id"];
        let line = lines.iter().find(|line| line["trace_id"] == *trace_id);
        let line = line.unwrap_or_else(|| panic!("{trace_id} is in the log:\n{log}"));
        assert!(line["code"].is_string() && line["timestamp"].is_string() && line["level"] == "INFO", "{line}");
    }
    for secret in secrets {
        assert!(!log.contains(secret), "{secret}");
    }
}
