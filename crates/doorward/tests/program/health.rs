//! What orchestrators ask: whether the program works, and whether requests may come.

use std::fs;

use crate::{
    serve::{configured, free_port, init, set},
    support::{Running, eventually, http, program},
};

#[test]
fn health_exits_with_0_if_ready_1_if_not_3_if_unanswered() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (config, url) = crate::serve::made(folder.path());
    set(&config, "listen", "shutdown_delay = \"3s\"");
    let ask = |arguments: &[&str]| configured(&config, &[&["health"], arguments].concat());

    let none = ask(&[]);
    assert_eq!(none.status.code(), Some(3));
    let why = String::from_utf8_lossy(&none.stderr).into_owned();
    assert!(why.contains("can't be reached") && why.contains("refused"), "{why}");

    let server = Running::serve(&config, &url);
    let ready = ask(&["--json"]);
    assert_eq!(ready.status.code(), Some(0));
    let body: serde_json::Value = serde_json::from_slice(&ready.stdout).expect("JSON");
    assert_eq!((&body["status"], &body["answer"]["checks"]["database"]), (&200.into(), &"ok".into()), "{body}");
    let by_folder = program().args(["health", "--data"]).arg(folder.path().join("data")).output();
    assert!(by_folder.expect("the program runs").status.success(), "the folder knows the server's configuration");
    let elsewhere = format!("127.0.0.1:{}", free_port());
    assert_eq!(ask(&["--address", &elsewhere]).status.code(), Some(3));

    server.signal("TERM");
    eventually("it is not ready", || ask(&[]).status.code() == Some(1));
    assert_eq!(ask(&["--live"]).status.code(), Some(0));
    assert_eq!(server.exit_code(), Some(0));
}

#[test]
fn health_reaches_a_server_with_tls_and_proxy_protocol() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let port = free_port();
    let config = init(folder.path(), &format!("https://id.example.com:{port}"));
    let made = rcgen::generate_simple_self_signed(vec!["id.example.com".to_owned()]).expect("a certificate");
    fs::write(folder.path().join("cert.pem"), made.cert.pem()).expect("written");
    fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem()).expect("written");
    let listen = format!(
        "address = \"0.0.0.0:{port}\"\nproxy_protocol = true\nbehind_proxy = true\ntrusted_proxies = [\"127.0.0.1/32\"]\n\
         tls.certificate = \"cert.pem\"\ntls.key = \"key.pem\""
    );
    set(&config, "listen", &listen);
    assert!(configured(&config, &["config", "check"]).status.success());
    let mut command = program();
    command.arg("serve").arg("--config").arg(&config).stderr(std::process::Stdio::null());
    let server = Running::start_by(command);
    eventually("it is ready", || configured(&config, &["health"]).status.code() == Some(0));
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn health_of_an_unused_folder_asks_for_the_configuration() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    init(folder.path(), "http://localhost:8499");
    let asked =
        program().args(["health", "--data"]).arg(folder.path().join("data")).output().expect("the program runs");
    assert_eq!(asked.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&asked.stderr).contains("--config FILE"));
}

#[test]
fn stopping_server_is_not_ready_but_answers_until_its_delay() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (config, url) = crate::serve::made(folder.path());
    let text = fs::read_to_string(&config).expect("the configuration");
    fs::write(&config, text.replacen("[listen]\n", "[listen]\nshutdown_delay = \"3s\"\n", 1)).expect("written");
    let server = Running::serve(&config, &url);
    let ask = |path: &str| http("GET", &format!("{url}{path}"), &[], "");

    server.signal("TERM");
    let mut last = None;
    eventually("it is not ready", || {
        last = ask("/health/ready");
        last.as_ref().is_some_and(|answer| answer.status == 503)
    });
    let body = last.expect("an answer").json();
    assert_eq!((&body["status"], &body["checks"]["shutdown"]), (&"not_ready".into(), &"has begun".into()), "{body}");
    assert_eq!(body["checks"]["database"], "ok");
    assert_eq!(ask("/health/live").expect("an answer").status, 200);
    assert_eq!(ask("/jwks").expect("an answer").status, 200, "requests are answered");
    assert_eq!(server.exit_code(), Some(0));
    assert!(ask("/health/live").is_none());
}
