//! Certificates that no client accepts, and a port that no client asks for.

use std::{
    fs,
    net::TcpListener,
    os::fd::OwnedFd,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, UNIX_EPOCH},
};

use doorward_core::clock::Clock;
use doorward_guard::SystemClock;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use crate::{
    serve::{configured, free_port, init, set},
    support::{PROGRAM, Running, eventually, http, without_configuration},
};

/// Writes a certificate for `host` that is valid between the beginnings of two years.
fn certify(folder: &Path, host: &str, [from, to]: [i32; 2]) {
    let mut parameters = CertificateParams::new([host.to_owned()]).expect("a host");
    (parameters.not_before, parameters.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
    let key = KeyPair::generate().expect("a key");
    fs::write(folder.join("tls.key"), key.serialize_pem()).expect("written");
    fs::write(folder.join("tls.pem"), parameters.self_signed(&key).expect("a certificate").pem()).expect("written");
}

#[test]
fn config_check_and_serve_name_certificates_that_clients_reject() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let port = free_port();
    let config = init(folder.path(), &format!("https://localhost:{port}"));
    let address = format!("address = \"127.0.0.1:{port}\"\ntls.certificate = \"tls.pem\"\ntls.key = \"tls.key\"");
    set(&config, "listen", &address);
    for (host, years, named) in [
        ("localhost", [2000, 2020], "the certificate expired on 2020-01-01 00:00 UTC"),
        ("localhost", [2900, 3000], "the certificate is not valid before 2900-01-01 00:00 UTC"),
        ("id.example.com", [2000, 3000], "the certificate is not valid for `localhost`, the host of the issuer"),
    ] {
        certify(folder.path(), host, years);
        let checked = configured(&config, &["config", "check"]);
        let printed = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.code() == Some(2) && printed.contains(named), "{printed}");
        let log = folder.path().join("log");
        let _server = Running::start_with_log(&config, fs::File::create(&log).expect("a log"));
        eventually("the log names it", || fs::read_to_string(&log).is_ok_and(|log| log.contains(named)));
    }
    certify(folder.path(), "localhost", [2000, 3000]);
    assert!(configured(&config, &["config", "check"]).status.success());
    // A proxy's connections may ask for another name.
    certify(folder.path(), "id.example.com", [2000, 3000]);
    set(&config, "listen", "behind_proxy = true\ntrusted_proxies = [\"127.0.0.0/8\"]");
    assert!(configured(&config, &["config", "check"]).status.success());
}

#[test]
fn expiring_certificate_is_logged() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let port = free_port();
    let config = init(folder.path(), &format!("https://localhost:{port}"));
    let address = format!("address = \"127.0.0.1:{port}\"\ntls.certificate = \"tls.pem\"\ntls.key = \"tls.key\"");
    set(&config, "listen", &address);
    let mut parameters = CertificateParams::new(["localhost".to_owned()]).expect("a host");
    let now = u64::try_from(SystemClock.now().as_secs()).expect("after 1970");
    parameters.not_after = (UNIX_EPOCH + Duration::from_secs(now + 5)).into();
    let key = KeyPair::generate().expect("a key");
    fs::write(folder.path().join("tls.key"), key.serialize_pem()).expect("written");
    let certificate = parameters.self_signed(&key).expect("a certificate");
    fs::write(folder.path().join("tls.pem"), certificate.pem()).expect("written");

    let metrics = free_port();
    set(&config, "metrics", &format!("address = \"127.0.0.1:{metrics}\""));

    let log = folder.path().join("log");
    let _server = Running::start_with_log(&config, fs::File::create(&log).expect("a log"));
    eventually("the metrics have the days left", || {
        let answer = http("GET", &format!("http://127.0.0.1:{metrics}/metrics"), &[], "");
        answer.is_some_and(|answer| answer.body.contains("\ndoorward_certificate_days_left 0\n"))
    });
    for printed in ["the certificate expires soon", "the certificate expired on"] {
        eventually(printed, || fs::read_to_string(&log).is_ok_and(|log| log.contains(printed)));
    }
}

#[test]
fn config_check_says_when_the_issuers_port_is_not_listened_at() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = init(folder.path(), "https://localhost:9643");
    certify(folder.path(), "localhost", [2000, 3000]);
    set(&config, "listen", "tls.certificate = \"tls.pem\"\ntls.key = \"tls.key\"");
    let warnings = || {
        let checked = configured(&config, &["config", "check", "--json"]);
        assert!(checked.status.success());
        let printed: serde_json::Value = serde_json::from_slice(&checked.stdout).expect("JSON");
        printed["warnings"].as_array().expect("a list").clone()
    };
    let printed = warnings();
    let warning = printed.first().and_then(|warning| warning.as_str()).unwrap_or_default();
    assert!(printed.len() == 1 && warning.contains("port 9643") && warning.contains("127.0.0.1:8400"), "{printed:?}");
    let checked = configured(&config, &["config", "check"]);
    assert!(String::from_utf8_lossy(&checked.stdout).contains("Warning: clients connect to port 9643"));
    set(&config, "listen", "behind_proxy = true\ntrusted_proxies = [\"127.0.0.0/8\"]");
    assert!(warnings().is_empty(), "the proxy listens at that port");
}

#[test]
fn a_new_server_with_an_ipv6_issuer_listens_there() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Ok(free) = TcpListener::bind("[::1]:0") else { return };
    let url = format!("http://{}", free.local_addr().expect("an address"));
    drop(free);
    let config = init(folder.path(), &url);
    let server = Running::serve(&config, &url);
    assert_eq!(server.terminate(), Some(0));
}

/// A server that gets a socket as systemd passes it: it is file descriptor 3 of the process that `LISTEN_PID` names.
fn serve_with(passed: TcpListener, config: &Path) -> Command {
    let mut shell = without_configuration(Command::new("sh"));
    shell.args(["-c", r#"exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" serve --config "$1""#]);
    shell.arg(PROGRAM).arg(config).stdin(Stdio::from(OwnedFd::from(passed)));
    shell
}

#[test]
fn sockets_that_are_passed_replace_the_configured_address() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let passed = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", passed.local_addr().expect("an address"));
    let config = init(folder.path(), &url);
    // The server could not bind this one.
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let text = fs::read_to_string(&config).expect("the configuration");
    let address = taken.local_addr().expect("an address").to_string();
    let text = text.replace(url.trim_start_matches("http://"), &address);
    fs::write(&config, text.replacen(&format!("issuer = \"http://{address}\""), &format!("issuer = \"{url}\""), 1))
        .expect("the configuration is written");
    let mut server = serve_with(passed, &config).stderr(Stdio::null()).spawn().expect("the program starts");
    eventually("the server answers", || {
        http("GET", &format!("{url}/health"), &[], "").is_some_and(|answer| answer.status == 200)
    });
    server.kill().and_then(|()| server.wait()).expect("it ends");
}

#[test]
fn passed_socket_that_does_not_listen_is_refused() {
    use rustix::net::{AddressFamily, SocketType, socket};
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = init(folder.path(), "http://localhost:8400");
    let idle = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    let refused = serve_with(TcpListener::from(idle), &config).output().expect("the program runs");
    let printed = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(3) && printed.contains("it is not listening"), "{printed}");
}

#[test]
fn passed_socket_off_loopback_needs_tls_or_a_proxy_too() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = init(folder.path(), "http://localhost:8400");
    let passed = TcpListener::bind("0.0.0.0:0").expect("a free port");
    let refused = serve_with(passed, &config).output().expect("the program runs");
    let printed = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(2) && printed.contains("a passed socket"), "{printed}");
}
