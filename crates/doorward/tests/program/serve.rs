//! `doorward init`, `config check` and `serve`, on SQLite and, where one is given, on PostgreSQL.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output, Stdio},
};

use crate::support::{PROGRAM, Running, eventually, form, http, program, run_with_input, without_configuration};

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

pub(crate) fn init(folder: &Path, issuer: &str) -> std::path::PathBuf {
    let output = program().args(["init", "--issuer", issuer, "--dir"]).arg(folder).output().expect("the program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    folder.join("doorward.toml")
}

/// A new server's configuration, and the URL that it answers at.
pub(crate) fn made(folder: &Path) -> (std::path::PathBuf, String) {
    let port = free_port();
    (init(folder, &format!("http://localhost:{port}")), format!("http://127.0.0.1:{port}"))
}

pub(crate) fn configured(config: &Path, arguments: &[&str]) -> Output {
    program().args(arguments).arg("--config").arg(config).output().expect("the program runs")
}

/// The last section wins nothing: keys are added to the file's own sections.
pub(crate) fn set(config: &Path, section: &str, line: &str) {
    let text = fs::read_to_string(config).expect("the configuration");
    let text = text.replacen(&format!("[{section}]\n"), &format!("[{section}]\n{line}\n"), 1);
    fs::write(config, text).expect("the configuration is written");
}

fn works(config: &Path, url: &str) {
    let server = Running::serve(config, url);
    let api =
        ["api", "create", "--name", "things", "--identifier", "https://things.example", "--scope", "things:read=Read"];
    let api = configured(config, &[&api[..], &["--json"]].concat());
    assert!(api.status.success(), "{}", String::from_utf8_lossy(&api.stderr));
    let api: serde_json::Value = serde_json::from_slice(&api.stdout).expect("JSON");
    let client = [
        "client",
        "create",
        "--name",
        "Job",
        "--grant",
        "client_credentials",
        "--scope",
        "things:read",
        "--default-scope",
        "things:read",
        "--json",
    ];
    let client: serde_json::Value = serde_json::from_slice(&configured(config, &client).stdout).expect("JSON");
    let key = ["key", "create", "--name", "k", "--api", "things", "--scope", "things:read", "--json"];
    let key: serde_json::Value = serde_json::from_slice(&configured(config, &key).stdout).expect("JSON");
    let text = |value: &serde_json::Value, name: &str| value[name].as_str().expect("a text").to_owned();
    let (id, secret) = (text(&client, "client_id"), text(&client, "client_secret"));
    let mut token = String::new();
    eventually("a token is given", || {
        let pairs =
            [("grant_type", "client_credentials"), ("client_id", id.as_str()), ("client_secret", secret.as_str())];
        let answer = form(&format!("{url}/token"), &pairs);
        if answer.status == 200 {
            token = text(&answer.json(), "access_token");
        }
        answer.status == 200
    });
    let verified = configured(config, &["token", "verify", &token, "--json"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));

    // The API asks about the key by its own credential; after its revocation the answer changes.
    let basic = {
        use base64::{Engine, engine::general_purpose::STANDARD};
        format!("Basic {}", STANDARD.encode(format!("{}:{}", text(&api, "client_id"), text(&api, "client_secret"))))
    };
    let body = format!(r#"{{"key":"{}"}}"#, text(&key, "secret"));
    let headers = [("Authorization", basic.as_str()), ("Content-Type", "application/json")];
    let verdict = || http("POST", &format!("{url}/v1/keys/verify"), &headers, &body).expect("an answer").json();
    assert_eq!(verdict()["valid"], true);
    let revoked = configured(config, &["key", "revoke", &text(&key, "id")]);
    assert!(revoked.status.success());
    eventually("the key is revoked", || verdict()["code"] == "key_revoked");
    server.kill();

    let again = Running::serve(config, url);
    assert_eq!(verdict()["code"], "key_revoked");
    assert_eq!(again.terminate(), Some(0));
}

#[test]
fn a_new_server_works_on_sqlite() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = format!("http://localhost:{}", free_port());
    let config = init(folder.path(), &url);
    assert!(configured(&config, &["config", "check"]).status.success());
    works(&config, &url.replace("localhost", "127.0.0.1"));
}

#[test]
fn a_new_server_lets_nobody_in() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = format!("http://localhost:{}", free_port());
    let config = init(folder.path(), &url);
    let _server = Running::serve(&config, &url.replace("localhost", "127.0.0.1"));
    for noun in ["user", "client", "key"] {
        let listed = configured(&config, &[noun, "list", "--json"]);
        assert_eq!(String::from_utf8_lossy(&listed.stdout).trim(), "[]", "{noun}");
    }
}

#[test]
fn a_new_server_works_on_postgresql() {
    let Ok(server) = std::env::var("DOORWARD_TEST_POSTGRES") else { return };
    let database = format!("doorward_program_{}", std::process::id());
    let created =
        std::process::Command::new("psql").args([&server, "-c", &format!("CREATE DATABASE {database}")]).status();
    assert!(created.expect("psql runs").success());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = format!("http://localhost:{}", free_port());
    let config = init(folder.path(), &url);
    let (base, _) = server.rsplit_once('/').expect("a URL with a database");
    set(&config, "data", &format!("postgres = \"{base}/{database}\""));
    assert!(configured(&config, &["migrate"]).status.success());
    works(&config, &url.replace("localhost", "127.0.0.1"));
}

#[test]
fn every_mistake_of_a_configuration_is_named_with_its_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("doorward.toml");
    fs::write(&config, "issuer = \"http://api.example\"\nbogus = 1\n[tokens]\ncode_ttl = \"2m\"\n").expect("written");
    let output = configured(&config, &["config", "check", "--json"]);
    assert_eq!(output.status.code(), Some(2));
    let mistakes: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let lines: Vec<_> = mistakes["mistakes"].as_array().expect("a list").iter().map(|m| m["line"].as_u64()).collect();
    for line in [1, 2, 4] {
        assert!(lines.contains(&Some(line)), "{mistakes}");
    }
    let served = configured(&config, &["serve"]);
    assert_eq!(served.status.code(), Some(2), "what has mistakes is not served");
}

#[test]
fn plain_http_off_loopback_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = init(folder.path(), "https://auth.example");
    set(&config, "listen", "address = \"0.0.0.0:0\"");
    let output = configured(&config, &["config", "check"]);
    assert_eq!(output.status.code(), Some(2));
    set(&config, "listen", "behind_proxy = true\ntrusted_proxies = [\"127.0.0.0/8\"]");
    assert!(configured(&config, &["config", "check"]).status.success());
}

#[test]
fn init_reports_what_it_created_as_json() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let made = program().args(["init", "--json", "--dir"]).arg(folder.path()).output().expect("the program runs");
    let made: serde_json::Value = serde_json::from_slice(&made.stdout).expect("JSON");
    for name in ["config", "data", "master_key"] {
        assert!(Path::new(made[name].as_str().expect("a path")).exists(), "{name}: {made}");
    }
    assert_eq!(made["issuer"], "http://localhost:8400");
}

#[test]
fn config_check_names_files_that_cant_be_used() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = init(folder.path(), "https://id.example.com");
    assert!(configured(&config, &["config", "check"]).status.success());
    for (variables, named) in [
        (&["DOORWARD_LISTEN__TLS__CERTIFICATE", "DOORWARD_LISTEN__TLS__KEY"][..], "listen.tls"),
        (&["DOORWARD_KEYS__MASTER_KEY_FILE"], "/nowhere"),
        (&["DOORWARD_PASSWORD__BREACHED_LIST_FILE"], "password.breached_list_file"),
        (&["DOORWARD_PAGES__LOGO_FILE"], "pages.logo_file"),
    ] {
        let mut check = program();
        check.args(["config", "check", "--config"]).arg(&config);
        let checked = check.envs(variables.iter().map(|name| (name, "/nowhere"))).output().expect("the program runs");
        let printed = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.code() == Some(2) && printed.contains(named), "{printed}");
    }
}

/// An operator can fix them all before the next try.
#[test]
fn config_check_reports_unusable_files_with_other_mistakes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = init(folder.path(), "https://id.example.com");
    let certificate = folder.path().join("tls.pem");
    let made = rcgen::generate_simple_self_signed(["id.example.com".to_owned()]).expect("a certificate");
    fs::write(&certificate, made.cert.pem()).expect("written");
    set(&config, "tokens", "code_ttl = \"2m\"");
    set(&config, "password", "breached_list_file = \"no-list\"");
    set(&config, "listen", "tls.certificate = \"tls.pem\"\ntls.key = \"no-key\"");
    fs::write(folder.path().join("data/master.key"), "canary\n").expect("written");
    let check = || {
        let output = configured(&config, &["config", "check", "--json"]);
        let printed: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let mistakes = printed["mistakes"].as_array().expect("a list").clone();
        let text = fs::read_to_string(&config).expect("the configuration");
        // Each is at the line of its key.
        for mistake in &mistakes {
            let Some(line) = mistake["line"].as_u64() else { continue };
            let line = text.lines().nth(line as usize - 1).expect("a line");
            let path = mistake["path"].as_str().expect("a key");
            assert!(path.ends_with(line.split(' ').next().expect("a key")), "{mistake}: {line}");
        }
        assert!(!printed.to_string().contains("canary"), "{printed}");
        let paths: Vec<_> = mistakes.iter().map(|m| m["path"].as_str().expect("a key").to_owned()).collect();
        (output.status.code(), paths)
    };
    let (code, mut paths) = check();
    paths.sort();
    let expected = ["keys.master_key_file", "listen.tls.key", "password.breached_list_file", "tokens.code_ttl"];
    assert_eq!((code, paths), (Some(2), expected.map(str::to_owned).to_vec()));
    assert_eq!(configured(&config, &["config", "check"]).status.code(), Some(2));

    // A key that belongs to another certificate shows only when both are read.
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    fs::write(folder.path().join("no-key"), other.signing_key.serialize_pem()).expect("written");
    assert!(check().1.contains(&"listen.tls.certificate".to_owned()));
    fs::write(folder.path().join("no-key"), made.signing_key.serialize_pem()).expect("written");
    assert!(!check().1.iter().any(|path| path.starts_with("listen.tls")));
}

#[test]
fn serve_says_that_it_takes_no_data_folder() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let refused = program().args(["serve", "--data"]).arg(folder.path()).output().expect("the program runs");
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("serve needs --config FILE"));
}

/// Both flags are global, and these commands would skip them without a word.
#[test]
fn unsupported_place_is_refused_with_the_alternative() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let made = folder.path().join("made");
    for (arguments, instead) in [
        (&["init", "--dir", "made", "--config", "other.toml"][..], "--dir"),
        (&["config", "check", "--data", "other"], "--config FILE"),
        (&["config", "reference", "--data", "other"], "--config FILE"),
    ] {
        let refused = program().args(arguments).current_dir(folder.path()).output().expect("the program runs");
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
        let printed = String::from_utf8_lossy(&refused.stderr);
        assert!(printed.contains(instead), "{arguments:?}: {printed}");
        assert!(!made.exists(), "{arguments:?}");
    }
}

#[test]
fn place_in_the_environment_does_not_stop_other_commands() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("doorward.toml");
    let with_variables = |arguments: &[&str]| {
        let mut command = program();
        command.args(arguments).current_dir(folder.path());
        command.env("DOORWARD_CONFIG", &config).env("DOORWARD_DATA", folder.path().join("data"));
        let output = command.output().expect("the program runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for arguments in [&["init"][..], &["config", "check"], &["config", "reference"]] {
        let (code, printed) = with_variables(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {printed}");
    }
    assert!(config.exists());
    // A flag overrides the variable of the other place.
    assert_eq!(with_variables(&["client", "list", "--config", "doorward.toml"]).0, Some(0));
    let (code, printed) = with_variables(&["client", "list", "--config", "elsewhere.toml"]);
    assert!(code == Some(2) && printed.contains("elsewhere.toml"), "{printed}");
    let (code, printed) = with_variables(&["client", "list", "--data", "elsewhere"]);
    assert!(code == Some(3) && printed.contains("elsewhere"), "{printed}");
    let (code, printed) = with_variables(&["client", "list"]);
    assert!(code == Some(2) && printed.contains("DOORWARD_CONFIG and DOORWARD_DATA"), "{printed}");
}

#[test]
fn folder_without_a_sqlite_server_is_refused_and_unchanged() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).expect("the folder is ours");
    let list = || {
        let listed =
            program().args(["client", "list", "--data"]).arg(folder.path()).output().expect("the program runs");
        (listed.status.code(), String::from_utf8_lossy(&listed.stderr).into_owned())
    };
    let (code, printed) = list();
    assert!(code == Some(2) && printed.contains("--config"), "{printed}");
    // A server on PostgreSQL leaves these two in its folder.
    fs::write(folder.path().join("issuer"), "http://localhost:8400").expect("the folder is ours");
    let key = folder.path().join("master.key");
    fs::write(&key, "A".repeat(43)).expect("the folder is ours");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("the file is ours");
    let (code, printed) = list();
    assert!(code == Some(2) && printed.contains("contains no database"), "{printed}");
    assert!(!folder.path().join("doorward.db").exists());
}

#[test]
fn data_folder_is_used_with_the_configuration_of_its_server() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = format!("http://localhost:{}", free_port());
    let config = init(&folder.path().join("server"), &url);
    let (elsewhere, copy) = (folder.path().join("elsewhere"), folder.path().join("copy"));
    fs::rename(folder.path().join("server/data"), &elsewhere).expect("the folder is ours");
    set(&config, "data", "dir = \"../elsewhere\"");
    set(&config, "password", "min_length = 30");
    let server = Running::serve(&config, &url.replace("localhost", "127.0.0.1"));
    let create = |name: &str, data: &Path| {
        let password = "correct horse battery\n";
        let created = run_with_input(&["user", "create", name], data, password);
        (created.status.code(), String::from_utf8_lossy(&created.stderr).into_owned())
    };
    let (code, printed) = create("ada", &elsewhere);
    assert!(code == Some(2) && printed.contains("30"), "{printed}");
    assert_eq!(server.terminate(), Some(0));

    // The configuration names another folder than the copy, and its server's data must not change.
    fs::create_dir(&copy).expect("the folder is ours");
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o700)).expect("the folder is ours");
    for file in fs::read_dir(&elsewhere).expect("the folder is ours") {
        let file = file.expect("a file");
        fs::copy(file.path(), copy.join(file.file_name())).expect("the file is ours");
    }
    let (code, printed) = create("ada", &copy);
    assert_eq!(code, Some(0), "{printed}");
    let users = configured(&config, &["user", "list", "--json"]);
    assert_eq!(String::from_utf8_lossy(&users.stdout).trim(), "[]");

    fs::write(&config, "bogus = 1").expect("the configuration is written");
    let (code, printed) = create("ada", &elsewhere);
    assert!(code == Some(2) && printed.contains("`bogus` is not a key"), "{printed}");
    fs::remove_file(&config).expect("the file is ours");
    let (code, printed) = create("ada", &elsewhere);
    assert_eq!(code, Some(0), "{printed}");

    // The defaults don't apply just because the record can't be read.
    let record = elsewhere.join("configuration");
    fs::remove_file(&record).and_then(|()| fs::create_dir(&record)).expect("the folder is ours");
    let (code, printed) = create("bob", &elsewhere);
    assert!(code == Some(3) && printed.contains("configuration"), "{printed}");
}

/// The folder is in the environment of the server, and the rest in the file.
#[test]
fn data_folder_from_the_environment_uses_its_configuration() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (config, url) = made(&folder.path().join("server"));
    let real = folder.path().join("real");
    fs::rename(folder.path().join("server/data"), &real).expect("the folder is ours");
    set(&config, "password", "min_length = 40");
    let mut server = program();
    server.args(["serve", "--config"]).arg(&config).env("DOORWARD_DATA__DIR", &real);
    let mut server = server.stderr(std::process::Stdio::null()).spawn().expect("the program starts");
    eventually("the server answers", || {
        http("GET", &format!("{url}/health"), &[], "").is_some_and(|answer| answer.status == 200)
    });
    let create = || {
        let created = run_with_input(&["user", "create", "bob"], &real, "correct horse battery\n");
        (created.status.code(), String::from_utf8_lossy(&created.stderr).into_owned())
    };
    let (code, printed) = create();
    assert!(code == Some(2) && printed.contains("40"), "{printed}");

    // What others can write decides nothing.
    fs::set_permissions(&config, fs::Permissions::from_mode(0o666)).expect("the file is ours");
    let (code, printed) = create();
    assert!(code == Some(2) && printed.contains("can be written by others"), "{printed}");
    server.kill().and_then(|()| server.wait()).expect("it ends");
}

#[test]
fn a_second_init_changes_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = init(folder.path(), "http://localhost:8400");
    let before = fs::read(folder.path().join("data/master.key")).expect("the master key");
    let again = program().args(["init", "--dir"]).arg(folder.path()).output().expect("the program runs");
    assert_eq!(again.status.code(), Some(1));
    assert_eq!(fs::read(folder.path().join("data/master.key")).expect("the master key"), before);
    assert!(config.exists());
}

/// A certificate that is replaced on disk is served to new connections, without a restart.
#[test]
fn tls_certificate_is_reloaded_when_it_changes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let port = free_port();
    let config = init(folder.path(), &format!("https://localhost:{port}"));
    let (certificate, key) = (folder.path().join("tls.pem"), folder.path().join("tls.key"));
    let write = || {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        fs::write(&key, made.signing_key.serialize_pem()).expect("written");
        fs::write(&certificate, made.cert.pem()).expect("written");
        made.cert.der().to_vec()
    };
    let first = write();
    set(
        &config,
        "listen",
        &format!("address = \"127.0.0.1:{port}\"\ntls.certificate = \"tls.pem\"\ntls.key = \"tls.key\""),
    );
    let _server = Running::start(&config);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let served = || {
        runtime.block_on(async {
            let client = reqwest::Client::builder().tls_danger_accept_invalid_certs(true).tls_info(true).build();
            let url = format!("https://localhost:{port}/health");
            let answer = client.expect("a client").get(url).send().await.ok()?;
            assert_eq!(answer.status(), 200);
            let info = answer.extensions().get::<reqwest::tls::TlsInfo>()?;
            info.peer_certificate().map(<[u8]>::to_vec)
        })
    };
    eventually("TLS is served", || served() == Some(first.clone()));
    assert!(http("GET", &format!("http://127.0.0.1:{port}/health"), &[], "").is_none(), "plain HTTP gets no answer");
    let second = write();
    eventually("the new certificate is served", || served() == Some(second.clone()));
}

#[test]
fn server_starts_with_keys_published_for_only_a_minute() {
    let folder = tempfile::tempdir().expect("a folder");
    let (config, url) = made(folder.path());
    set(&config, "signing", "retire_after = \"1m\"");
    set(&config, "tokens", "access_token_ttl = \"1m\"\nid_token_ttl = \"1m\"");
    assert!(configured(&config, &["config", "check"]).status.success());
    Running::serve(&config, &url);
}

/// Many systems start programs with room for 1,024 open files, and let them have more.
#[test]
fn limit_of_open_files_is_raised_as_far_as_the_system_lets() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (config, _) = made(folder.path());
    let metrics = free_port();
    set(&config, "metrics", &format!("address = \"127.0.0.1:{metrics}\""));
    let mut shell = without_configuration(Command::new("sh"));
    shell.args(["-c", r#"ulimit -Sn 200 && ulimit -Hn 300 && exec "$0" serve --config "$1""#]);
    let _server = Running::start_by({
        shell.arg(PROGRAM).arg(&config).stderr(Stdio::null());
        shell
    });
    eventually("the limit is 300", || {
        let answer = http("GET", &format!("http://127.0.0.1:{metrics}/metrics"), &[], "");
        answer.is_some_and(|answer| answer.body.contains("\nprocess_max_fds 300\n"))
    });
}
