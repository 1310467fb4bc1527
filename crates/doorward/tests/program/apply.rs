//! `apply` and `export`, as an operator and a CI job use them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::Value;

use crate::{
    serve::{configured, made, set},
    support::program,
};

/// Two APIs, a client of each kind, a role.
const STATE: &str = r#"
[[api]]
name = "notes"
identifier = "https://notes.example"
roles = ["editor"]
scopes = [
    { scope = "notes:read", description = "Read your notes" },
    { scope = "notes:write", description = "Change your notes" },
]

[[client]]
client_id = "cli_019ac1f07c8d7f3e9d6c5b4a39281706"
client_name = "Job"
grant_types = ["client_credentials"]
scope = "notes:read"

[[client]]
client_name = "App"
token_endpoint_auth_method = "none"
grant_types = ["authorization_code"]
redirect_uris = ["https://app.example/callback"]
scope = "openid notes:read notes:write"

[[role]]
holder = "cli_019ac1f07c8d7f3e9d6c5b4a39281706"
api = "notes"
role = "editor"
"#;

struct Server {
    folder: tempfile::TempDir,
    config: PathBuf,
}

impl Server {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (config, _) = made(folder.path());
        assert!(configured(&config, &["migrate"]).status.success());
        Self { folder, config }
    }

    fn file(&self, text: &str) -> PathBuf {
        let path = self.folder.path().join("state.toml");
        fs::write(&path, text).expect("the state is written");
        path
    }

    fn apply(&self, file: &Path, flags: &[&str]) -> (Option<i32>, String, String) {
        let file = file.display().to_string();
        let output = configured(&self.config, &[&["apply", &*file], flags].concat());
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    fn export(&self) -> String {
        let output = configured(&self.config, &["export"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    }
}

#[test]
fn apis_get_the_configured_lifetime_by_a_verb_and_by_a_file() {
    let server = Server::new();
    set(&server.config, "tokens", "access_token_ttl = \"10m\"");
    let file = server.file("[[api]]\nname = \"tasks\"\nidentifier = \"urn:tasks\"\n");
    assert_eq!(server.apply(&file, &[]).0, Some(0));
    let verb = ["api", "create", "--name", "notes", "--identifier", "urn:notes"];
    assert!(configured(&server.config, &verb).status.success());
    for name in ["tasks", "notes"] {
        let shown = configured(&server.config, &["api", "show", name, "--json"]);
        let api: Value = serde_json::from_slice(&shown.stdout).expect("JSON");
        assert_eq!(api["access_token_ttl"], 600, "{name}");
    }
}

#[test]
fn applied_file_is_stable_and_its_export_builds_the_same_server() {
    let server = Server::new();
    let file = server.file(STATE);
    let (code, shown, errors) = server.apply(&file, &["--dry-run", "--detailed-exit-code"]);
    assert_eq!(code, Some(4), "{shown}{errors}");
    assert!(shown.contains("+ api notes") && shown.contains("+ role notes:editor cli_"), "{shown}");
    assert!(!server.export().contains("notes"), "a dry run changes nothing");

    let (code, shown, errors) = server.apply(&file, &[]);
    assert_eq!(code, Some(0), "{shown}{errors}");
    assert!(shown.contains("doorward client rotate-secret cli_019ac1f07c8d7f3e9d6c5b4a39281706"), "{shown}");
    assert!(!shown.contains("dw_cs_"), "{shown}");
    let (code, shown, _) = server.apply(&file, &["--detailed-exit-code", "--prune"]);
    assert_eq!((code, &*shown), (Some(0), "Nothing to change.\n"));

    let edited = server.file(&STATE.replace("https://app.example/callback", "https://app.example/cb"));
    let (_, shown, _) = server.apply(&edited, &[]);
    let line = "(App) redirect_uris: - https://app.example/callback, + https://app.example/cb";
    assert!(shown.contains(line), "{shown}");

    let other = Server::new();
    let exported = other.file(&server.export());
    let (code, shown, errors) = other.apply(&exported, &[]);
    assert_eq!(code, Some(0), "{shown}{errors}");
    assert_eq!(other.export(), server.export());
    let (_, shown, _) = other.apply(&exported, &[]);
    assert_eq!(shown, "Nothing to change.\n");
}

#[test]
fn mistakes_are_named_with_their_lines_and_end_with_exit_code_2() {
    let server = Server::new();
    let wrong = STATE.replace("roles = [\"editor\"]", "roles = [\"editor\"]\ncolour = \"red\"");
    let wrong = server.file(&wrong.replace("scope = \"notes:read\"\n", "scope = \"no:such\"\n"));
    let (code, _, errors) = server.apply(&wrong, &[]);
    assert!(code == Some(2) && errors.contains("state.toml:6: api/0/colour: is unknown"), "{errors}");
    let endless = server.file(&STATE.replace("roles = [\"editor\"]", "roles = []\naccess_token_ttl = nan"));
    let (code, _, errors) = server.apply(&endless, &[]);
    assert!(code == Some(2) && errors.contains("state.toml:6: api/0/access_token_ttl: a finite number"), "{errors}");
    let unknown = server.file(&STATE.replace("scope = \"notes:read\"\n", "scope = \"no:such\"\n"));
    let (code, _, errors) = server.apply(&unknown, &[]);
    assert!(code == Some(2) && errors.contains("state.toml:15: client/0/scope: no API has no:such"), "{errors}");
    let (code, _, errors) = server.apply(&server.file("[[api]\n"), &[]);
    assert!(code == Some(2) && errors.contains("TOML parse error at line 1"), "{errors}");
    let (code, ..) = server.apply(Path::new("nowhere.toml"), &[]);
    assert_eq!(code, Some(3));
    assert!(!server.export().contains("notes"), "nothing was changed");
}

#[test]
fn member_that_is_given_twice_is_refused_in_json_too() {
    let server = Server::new();
    assert_eq!(server.apply(&server.file(STATE), &[]).0, Some(0));
    let before = server.export();
    for json in [r#"{"client": [{"client_name": "App"}], "client": []}"#, r#"{"api": [{"name": "a", "name": "b"}]}"#] {
        let (code, _, errors) = server.apply(&server.file(json), &["--prune", "--confirm"]);
        assert!(code == Some(2) && errors.contains("a name is repeated"), "{errors}");
    }
    assert_eq!(server.export(), before);
}

#[test]
fn killed_apply_leaves_the_old_or_the_new_state() {
    let server = Server::new();
    let apis = |last: u64| -> String {
        let api = |n| format!("[[api]]\nname = \"api{n}\"\nidentifier = \"urn:api:{n}\"\naccess_token_ttl = {last}\n");
        (0..100).map(api).collect()
    };
    let counted = || {
        let output = configured(&server.config, &["export", "--json"]);
        let state: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let apis = state["api"].as_array().expect("a list").clone();
        let ttls: std::collections::BTreeSet<_> = apis.iter().map(|api| api["access_token_ttl"].as_u64()).collect();
        assert!(ttls.len() <= 1 && matches!(apis.len(), 0 | 100), "half of a state: {ttls:?} of {}", apis.len());
        ttls.into_iter().next().flatten()
    };
    // Each is killed after as much more work as a wait on its log gives it: none is late on purpose, so several are
    // killed before, in and after the commit, wherever the machine is.
    for (turn, ttl) in (60..72).enumerate() {
        let before = counted();
        let file = server.file(&apis(ttl));
        let mut command = program();
        command.arg("apply").arg(&file).arg("--config").arg(&server.config);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
        let log = server.folder.path().join("data/doorward.db-wal");
        let size = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
        let begun = size(&log);
        while child.try_wait().expect("it is our child").is_none() {
            // Once it writes, it is in the midst of the transaction or behind it.
            if size(&log) > begun.saturating_add(turn as u64 * 4_096) {
                break;
            }
            std::thread::yield_now();
        }
        // It may have ended.
        let _ = child.kill();
        child.wait().expect("it ends");
        let after = counted();
        assert!(after == before || after == Some(ttl), "{before:?} {after:?}");
    }
    assert!(server.apply(&server.file(&apis(300)), &[]).0 == Some(0));
    assert_eq!(counted(), Some(300));
}
