//! `doorward scan`: files, history, standard input, as a hook, for code hosts, with a server.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use doorward_core::{
    api_key::{ApiKey, Environment, KeyPrefix},
    checksummed::{self, CLIENT_SECRET_PREFIX, REFRESH_TOKEN_PREFIX},
    random::SeededRng,
    secret::ExposeSecret,
};
use serde_json::{Value, json};

use crate::support::{self, PROGRAM, Running, program, with_input, without_configuration};

fn key(seed: u64) -> String {
    let prefix = KeyPrefix::parse("acme").expect("a prefix");
    ApiKey::generate(&prefix, Environment::Live, &SeededRng::new(seed)).reveal().to_owned()
}

fn token(prefix: &str) -> String {
    checksummed::generate(prefix, &SeededRng::new(9)).expose_secret().to_owned()
}

/// Runs a scan in a folder.
fn scan(folder: &Path, arguments: &[&str]) -> Output {
    program().arg("scan").args(arguments).current_dir(folder).output().expect("the program runs")
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

fn printed(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    (text(&output.stdout), text(&output.stderr))
}

/// The places that a scan of a folder reports, as JSON.
fn findings(folder: &Path, arguments: &[&str]) -> Vec<Value> {
    let output = scan(folder, &[arguments, &["--json"]].concat());
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let findings = report["findings"].as_array().expect("a list").clone();
    assert_eq!(code(&output), Some(i32::from(!findings.is_empty())), "{}", printed(&output).1);
    findings
}

fn paths(findings: &[Value]) -> Vec<&str> {
    findings.iter().map(|finding| finding["path"].as_str().expect("a path")).collect()
}

/// Runs Git with an identity, and without what its user has configured.
fn git(folder: &Path, arguments: &[&str]) -> Output {
    let mut git = without_configuration(Command::new("git"));
    git.current_dir(folder).envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_SYSTEM", "/dev/null")]);
    git.args(["-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main"]);
    git.args(arguments).output().expect("git runs")
}

fn commit(folder: &Path, files: &[(&str, &[u8])]) -> String {
    for (name, content) in files {
        fs::write(folder.join(name), content).expect("a file");
    }
    assert!(git(folder, &["add", "--all"]).status.success());
    let committed = git(folder, &["commit", "--quiet", "--no-verify", "--message", "Change"]);
    assert!(committed.status.success(), "{committed:?}");
    head(folder)
}

fn head(folder: &Path) -> String {
    printed(&git(folder, &["rev-parse", "HEAD"])).0.trim().to_owned()
}

fn repository() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    assert!(git(folder.path(), &["init", "--quiet"]).status.success());
    folder
}

#[test]
fn scan_of_a_folder_prints_places_and_hints_only() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path();
    let (plain, secret) = (key(1), token(CLIENT_SECRET_PREFIX));
    let wide: Vec<u8> = format!("\u{feff}a\r\nkey={plain}\r\n").encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::create_dir_all(root.join("deep/er")).expect("folders");
    fs::write(root.join("deep/er/config.json"), format!("{{\n  \"größe\": 1, \"key\": \"{plain}\"\n}}"))
        .expect("a file");
    fs::write(root.join(".env"), format!("SECRET={secret}\n")).expect("a file");
    fs::write(root.join("image.bin"), [b"\0\xff\x00", plain.as_bytes(), b"\xfe"].concat()).expect("a file");
    fs::write(root.join("windows.txt"), wide).expect("a file");
    fs::write(root.join("clean.txt"), format!("{}x", &plain[..plain.len() - 1])).expect("a file");

    let output = scan(root, &["."]);
    let (stdout, stderr) = printed(&output);
    let (hint, secret_hint) = (&plain[..14], &secret[..10]);
    let expected = [
        format!("./.env:1:8: client secret {secret_hint}…"),
        format!("./deep/er/config.json:2:23: live API key {hint}…"),
        format!("./image.bin:1:4: live API key {hint}…"),
        format!("./windows.txt:2:5: live API key {hint}…"),
    ];
    assert_eq!(stdout.lines().collect::<Vec<_>>(), expected);
    assert_eq!((code(&output), stderr.as_str()), (Some(1), "5 files searched: 4 found.\n"));

    let as_json = findings(root, &["deep", ".env"]);
    let fingerprint = as_json[1]["fingerprint"].as_str().expect("a text");
    let offset = "{\n  \"größe\": 1, \"key\": \"".len();
    assert_eq!(
        as_json[1],
        json!({"path": "deep/er/config.json", "line": 2, "column": 23, "offset": offset, "kind": "live_api_key",
               "hint": hint, "fingerprint": fingerprint})
    );
    for shown in [&stdout, &stderr, &as_json[0].to_string(), &as_json[1].to_string()] {
        assert!(!shown.contains(&plain[14..24]) && !shown.contains(&secret[10..20]), "{shown}");
    }
}

#[test]
fn gitignored_file_is_searched_on_request_only() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path();
    fs::write(root.join(".gitignore"), "*.log\n").expect("a file");
    fs::write(root.join("app.log"), key(1)).expect("a file");
    assert_eq!(findings(root, &["."]), [] as [Value; 0]);
    assert_eq!(paths(&findings(root, &["--no-ignore", "."])), ["./app.log"]);
    assert_eq!(paths(&findings(root, &["app.log", "app.log"])), ["app.log"], "who names a file means it, once");
}

#[test]
fn gitignored_file_that_git_tracks_is_searched() {
    let folder = repository();
    let root = folder.path();
    fs::create_dir(root.join("conf")).expect("a folder");
    commit(root, &[(".gitignore", b"*.env\n"), ("conf/tracked.env", key(1).as_bytes())]);
    assert!(git(root, &["add", "--force", "conf/tracked.env"]).status.success());
    commit(root, &[("other.env", key(2).as_bytes())]);
    assert_eq!(paths(&findings(root, &["."])), ["./conf/tracked.env"]);
    assert_eq!(paths(&findings(root, &["conf"])), ["conf/tracked.env"]);
}

#[test]
fn what_cannot_be_read_is_named_and_changes_the_exit_code() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path();
    fs::write(root.join("clean"), "nothing").expect("a file");
    let missing = scan(root, &["clean", "missing", "--json"]);
    let (stdout, stderr) = printed(&missing);
    assert_eq!(code(&missing), Some(3), "{stderr}");
    let error: Value = serde_json::from_str(stderr.trim()).expect("one line of JSON");
    assert_eq!(error["error"], "unavailable");
    assert!(error["message"].as_str().is_some_and(|text| text.contains("missing")), "{error}");
    let report: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!((&report["searched"], &report["unread"]), (&json!(1), &json!(1)));

    fs::write(root.join("leak"), key(1)).expect("a file");
    assert!(Command::new("mkfifo").arg(root.join("pipe")).status().expect("mkfifo runs").success());
    let found = scan(root, &[".", "missing"]);
    let (stdout, stderr) = printed(&found);
    assert_eq!(code(&found), Some(1), "a finding counts more");
    assert!(stdout.starts_with("./leak:1:1: ") && stderr.contains("missing"), "{stdout}{stderr}");
    assert!(stderr.contains("warning: ./pipe is not searched: it is no regular file"), "{stderr}");
    assert!(stderr.ends_with("2 files searched: 1 found; 1 could not be read.\n"), "{stderr}");
    assert_eq!(code(&scan(root, &[])), Some(2), "a path is missing");
}

#[test]
fn publishable_key_is_noted_and_fails_no_check() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path();
    let public = ApiKey::generate(&KeyPrefix::publishable(), Environment::Live, &SeededRng::new(1));
    fs::write(root.join("page.html"), public.reveal()).expect("a file");
    let scanned = scan(root, &["."]);
    let (stdout, stderr) = printed(&scanned);
    assert_eq!(code(&scanned), Some(0), "{stderr}");
    assert_eq!(stdout.trim(), format!("./page.html:1:1: publishable API key {}…", public.hint()));
    let sarif: Value = serde_json::from_str(&printed(&scan(root, &[".", "--sarif"])).0).expect("JSON");
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!((&result["ruleId"], &result["level"]), (&json!("publishable_api_key"), &json!("note")));
    fs::write(root.join("server.env"), key(1)).expect("a file");
    assert_eq!(code(&scan(root, &["."])), Some(1));
}

#[test]
fn standard_input_is_searched_to_its_end() {
    let key = key(1);
    // Longer than any buffer, on one line.
    let input = format!("{}{key}{}", "_live_ä".repeat(1 << 17), "x".repeat(1 << 20));
    let output = with_input(program().args(["scan", "-", "--json"]), input.as_bytes());
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let finding = &report["findings"][0];
    assert_eq!(finding["offset"], 8 << 17);
    assert_eq!(
        (&finding["path"], &finding["line"], &finding["column"]),
        (&json!("-"), &json!(1), &json!((7 << 17) + 1))
    );
    assert_eq!((code(&output), report["bytes"].as_u64()), (Some(1), Some(input.len() as u64)));

    let clean = with_input(program().args(["scan", "-"]), b"nothing");
    assert_eq!((code(&clean), printed(&clean).0.as_str()), (Some(0), ""));
}

#[test]
fn history_has_what_was_removed_again() {
    let folder = repository();
    let root = folder.path();
    let (first, second) = (key(1), key(2));
    let base = commit(root, &[("a", b"one\ntwo\n"), (".gitattributes", b"*.bin -diff\n")]);
    let added =
        commit(root, &[("a", format!("one\n{first}\ntwo\nkey {second}").as_bytes()), ("ä \"b.bin", &[0, 10, 0])]);
    let removed = commit(root, &[("a", b"one\ntwo\n")]);
    let long =
        [b"\0\xff\n+++ b/other\n", "x".repeat(200_000).as_bytes(), token(REFRESH_TOKEN_PREFIX).as_bytes()].concat();
    let binary = commit(root, &[("ä \"b.bin", &long)]);

    let line = |commit: &str, path: &str, line: u64, column: u64, hint: &str| {
        (commit.to_owned(), path.to_owned(), line, column, hint.to_owned())
    };
    let places = |range: &str| -> Vec<_> {
        let found = findings(root, &["--git", range]);
        let text = |finding: &Value, name: &str| finding[name].as_str().expect("a text").to_owned();
        let number = |finding: &Value, name: &str| finding[name].as_u64().expect("a number");
        let place = |finding| {
            let (commit, path, hint) = (text(finding, "commit"), text(finding, "path"), text(finding, "hint"));
            (commit, path, number(finding, "line"), number(finding, "column"), hint)
        };
        found.iter().map(place).collect()
    };
    let leaks = [line(&added, "a", 2, 1, &first[..14]), line(&added, "a", 4, 5, &second[..14])];
    let hidden = line(&binary, "ä \"b.bin", 3, 200_001, &token(REFRESH_TOKEN_PREFIX)[..10]);
    assert_eq!(places(&format!("{base}..{removed}")), leaks);
    assert_eq!(places("HEAD"), [leaks.as_slice(), std::slice::from_ref(&hidden)].concat());
    assert_eq!(places(&format!("{removed}..")), [hidden]);
    assert_eq!(places(&format!("{added}..{removed}")), [], "a removed line is not added");

    assert!(git(root, &["checkout", "--quiet", "--orphan", "other"]).status.success());
    let other = commit(root, &[("b", first.as_bytes())]);
    let in_b = line(&other, "b", 1, 1, &first[..14]);
    assert!(places("HEAD").contains(&in_b), "a root adds all of its lines");
    let output = scan(root, &["--git=--all", "--json", "b"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["findings"].as_array().map(Vec::len), Some(1), "{report}");
    let shown = printed(&scan(root, &["--git=--all", "b"])).0;
    assert_eq!(shown.trim(), format!("{}:b:1:1: live API key {}…", &other[..12], &first[..14]));
}

#[test]
fn merge_that_adds_a_key_of_its_own_is_found() {
    let folder = repository();
    let root = folder.path();
    commit(root, &[("a", b"one\n")]);
    assert!(git(root, &["checkout", "--quiet", "-b", "side"]).status.success());
    commit(root, &[("a", b"two\n")]);
    assert!(git(root, &["checkout", "--quiet", "main"]).status.success());
    let before = commit(root, &[("a", b"three\n")]);
    assert!(!git(root, &["merge", "--quiet", "side"]).status.success(), "both changed the line");
    let merge = commit(root, &[("a", format!("two\n{}\nthree\n", key(1)).as_bytes())]);
    let found = findings(root, &["--git", &format!("{before}..HEAD")]);
    assert_eq!((found.len(), &found[0]["commit"], &found[0]["line"]), (1, &json!(merge), &json!(2)));
}

#[test]
fn key_that_a_merged_branch_removed_again_is_found_by_its_path() {
    let folder = repository();
    let root = folder.path();
    fs::create_dir(root.join("src")).expect("a folder");
    let before = commit(root, &[("src/a", b"one\n")]);
    assert!(git(root, &["checkout", "--quiet", "-b", "side"]).status.success());
    commit(root, &[("src/conf", key(1).as_bytes())]);
    fs::remove_file(root.join("src/conf")).expect("a file");
    commit(root, &[("src/a", b"one\n")]);
    assert!(git(root, &["checkout", "--quiet", "main"]).status.success());
    assert!(git(root, &["merge", "--quiet", "--no-ff", "--no-edit", "side"]).status.success());
    assert_eq!(paths(&findings(root, &["--git", &format!("{before}..HEAD"), "src"])), ["src/conf"]);
}

#[test]
fn configuration_of_git_hides_nothing() {
    let folder = repository();
    let root = folder.path();
    commit(root, &[("a b", format!("{}\n", key(1)).as_bytes())]);
    for (name, value) in [
        ("diff.noprefix", "true"),
        ("diff.mnemonicPrefix", "true"),
        ("diff.external", "/bin/true"),
        ("color.ui", "always"),
        ("log.showRoot", "false"),
        ("log.showSignature", "true"),
        ("log.diffMerges", "off"),
        ("diff.orderFile", "/dev/null"),
        ("format.pretty", "oneline"),
    ] {
        assert!(git(root, &["config", name, value]).status.success());
        assert_eq!(paths(&findings(root, &["--git", "HEAD"])), ["a b"], "{name}");
    }
}

#[test]
fn git_that_fails_is_no_clean_result() {
    let folder = repository();
    let root = folder.path();
    commit(root, &[("a", b"one\n")]);
    let unknown = scan(root, &["--git", "nowhere..HEAD"]);
    assert_eq!(code(&unknown), Some(3));
    assert!(printed(&unknown).1.starts_with("error: git: bad revision"), "{:?}", printed(&unknown));

    let injected = scan(root, &["--git=--output=written"]);
    assert_eq!((code(&injected), root.join("written").exists()), (Some(3), false), "a range is no option of git");

    let empty = tempfile::tempdir().expect("a temporary folder");
    let outside = scan(empty.path(), &["--staged"]);
    assert_eq!(code(&outside), Some(3), "{:?}", printed(&outside));

    let without = program().args(["scan", "--git", "HEAD"]).current_dir(root).env("PATH", empty.path()).output();
    let without = without.expect("the program runs");
    assert_eq!(code(&without), Some(3));
    assert!(printed(&without).1.starts_with("error: the program git was not found"), "{:?}", printed(&without));
}

#[test]
fn pre_commit_hook_stops_a_key_and_lets_its_removal_pass() {
    let folder = repository();
    let root = folder.path();
    let hook = root.join(".git/hooks/pre-commit");
    commit(root, &[("a", format!("{}\n", key(1)).as_bytes())]);
    fs::create_dir_all(hook.parent().expect("a folder")).expect("a folder");
    fs::write(&hook, format!("#!/bin/sh\nexec '{PROGRAM}' scan --staged\n")).expect("a hook");
    assert!(Command::new("chmod").arg("+x").arg(&hook).status().expect("chmod runs").success());
    let begin = head(root);

    fs::write(root.join("b"), format!("one\n  {}\n", key(2))).expect("a file");
    git(root, &["add", "b"]);
    let refused = git(root, &["commit", "--message", "Add a key"]);
    let (stdout, stderr) = printed(&refused);
    let place = format!("b:2:3: live API key {}…", &key(2)[..14]);
    assert!(!refused.status.success() && (stdout + &stderr).contains(&place), "{stderr}");
    assert_eq!(head(root), begin);

    git(root, &["reset", "--quiet"]);
    fs::write(root.join("a"), "no key\n").expect("a file");
    git(root, &["add", "a"]);
    let accepted = git(root, &["commit", "--message", "Remove the key"]);
    assert!(accepted.status.success(), "{accepted:?}");
    assert_ne!(head(root), begin);
}

#[test]
fn sarif_names_places_and_fingerprints_only() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path();
    let key = key(1);
    fs::write(root.join("a b"), format!("x\nkey: {key}")).expect("a file");
    fs::write(root.join("c"), &key).expect("a file");
    let output = scan(root, &["--sarif", ".", "missing"]);
    let log: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((code(&output), &log["version"]), (Some(1), &json!("2.1.0")));
    let run = &log["runs"][0];
    let [first, second] = run["results"].as_array().expect("a list").as_slice() else { panic!("{log}") };
    assert_eq!(
        first["locations"][0]["physicalLocation"],
        json!({"artifactLocation": {"uri": "a%20b", "uriBaseId": "%SRCROOT%"},
               "region": {"startLine": 2, "startColumn": 6, "byteOffset": 7}})
    );
    let rule = first["ruleIndex"].as_u64().expect("a number") as usize;
    assert_eq!(
        (&first["ruleId"], &run["tool"]["driver"]["rules"][rule]["id"]),
        (&json!("live_api_key"), &first["ruleId"])
    );
    assert_eq!(first["partialFingerprints"], second["partialFingerprints"], "the same key");
    assert_eq!(run["invocations"][0]["executionSuccessful"], json!(false));
    let notification = &run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"];
    assert!(notification.as_str().is_some_and(|text| text.contains("missing")), "{log}");
    assert!(!log.to_string().contains(&key[14..24]), "{log}");
    assert_eq!(code(&scan(root, &["--sarif", "--json", "."])), Some(2));
}

#[test]
fn server_says_which_keys_are_valid() {
    let data = tempfile::tempdir().expect("a temporary folder");
    let demo = Running::demo(data.path());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path();
    let create = |api: &str, scope: &str| {
        let key = ["key", "create", "--name", "k", "--api", api, "--scope", scope];
        let key = support::json(&key, data.path());
        (key["id"].as_str().expect("an id").to_owned(), key["secret"].as_str().expect("a key").to_owned())
    };
    let (revoked_id, revoked) = create("notes", "notes:read");
    support::json(&["key", "revoke", &revoked_id], data.path());
    fs::write(root.join("asks"), create("doorward", "keys:verify").1).expect("a file");
    fs::write(root.join("asks-in-vain"), create("notes", "notes:read").1).expect("a file");
    let (valid, unknown, secret) = (demo.get("api_key"), key(1), token(CLIENT_SECRET_PREFIX));
    fs::write(root.join("leaks"), [valid, &revoked, &unknown, &secret, valid].join("\n")).expect("a file");

    let asked = ["leaks", "--live", demo.get("issuer"), "--key-file", "asks"];
    let states: Vec<_> = findings(root, &asked).iter().map(|finding| finding["state"].clone()).collect();
    let expected = [json!("valid"), json!("key_revoked"), json!("key_unknown"), Value::Null, json!("valid")];
    assert_eq!(states, expected);
    assert!(printed(&scan(root, &asked)).0.contains("(key_revoked)\n"));

    let refused = scan(root, &["leaks", "--live", demo.get("issuer"), "--key-file", "asks-in-vain"]);
    let (stdout, stderr) = printed(&refused);
    assert_eq!((code(&refused), stdout.lines().count()), (Some(1), 5), "what was found is printed: {stderr}");
    assert!(stderr.contains("error: the server refuses the key of --key-file: 40"), "{stderr}");
    let to_others = scan(root, &["leaks", "--live", "http://auth.example", "--key-file", "asks"]);
    assert_eq!(code(&to_others), Some(2), "keys do not leave the machine without TLS");
}
