//! The verbs beside a server, on its data folder.

use crate::support::{Running, http, json, program, run, run_with_input};

#[test]
fn every_noun_can_be_created_listed_shown_and_ended() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("demo");
    let _demo = Running::demo(&data);

    let api = json(
        &[
            "api",
            "create",
            "--name",
            "mails",
            "--identifier",
            "https://mails.example",
            "--scope",
            "mails:read=Read your mails",
            "--role",
            "postmaster",
            "--token-format",
            "opaque",
        ],
        &data,
    );
    assert!(api["client_secret"].as_str().is_some_and(|secret| secret.starts_with("dw_cs_")));
    assert_eq!(json(&["api", "list"], &data).as_array().map(Vec::len), Some(3));
    assert_eq!(json(&["api", "show", "mails"], &data)["token_format"], "opaque");

    let client = json(
        &[
            "client",
            "create",
            "--name",
            "Mail CLI",
            "--public",
            "--grant",
            "authorization_code",
            "--redirect-uri",
            "http://127.0.0.1/callback",
            "--scope",
            "openid mails:read",
        ],
        &data,
    );
    let id = client["client_id"].as_str().expect("an id");
    assert!(client.get("client_secret").is_none(), "a public client has no secret");
    assert_eq!(json(&["client", "show", id], &data)["scope"], "mails:read openid");
    let flags = ["--add-redirect-uri", "http://127.0.0.1/2", "--remove-scope", "openid", "--name", "Mails"];
    let updated = json(&[&["client", "update", id][..], &flags].concat(), &data);
    assert_eq!((&updated["scope"], &updated["client_name"]), (&"mails:read".into(), &"Mails".into()));
    assert_eq!(updated["redirect_uris"].as_array().map(Vec::len), Some(2));
    let dry_run = ["client", "update", id, "--remove-redirect-uri", "http://127.0.0.1/2", "--dry-run"];
    assert_eq!(json(&dry_run, &data)["ends"]["grants"]["count"], 0);
    assert_eq!(json(&["client", "show", id], &data)["redirect_uris"].as_array().map(Vec::len), Some(2));
    json(&["client", "disable", id], &data);
    assert_eq!(json(&["client", "list", "--disabled"], &data)[0]["client_id"], id);
    assert_eq!(json(&["client", "delete", id, "--dry-run"], &data)["ends"]["keys"]["count"], 0);
    assert_eq!(json(&["grant", "list", "--client", id], &data).as_array().map(Vec::len), Some(0));
    let unknown = ["grant", "revoke", "grt_00000000000000000000000000000000"];
    assert_eq!(run(&unknown, &data).status.code(), Some(1));
    let events = run(&["audit", "tail", "--subject", id, "-n", "1", "--json"], &data).stdout;
    let event: serde_json::Value = serde_json::from_slice(&events).expect("one event");
    assert!(
        event["action"] == "client.disabled" && event["at"].as_str().is_some_and(|at| at.ends_with('Z')),
        "{event}"
    );
    json(&["client", "delete", id], &data);
    assert_eq!(run(&["client", "show", id], &data).status.code(), Some(1));

    let created = run_with_input(&["user", "create", "bob", "--json"], &data, "a fine long password\n");
    assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
    let changed = json(&["role", "grant", "bob", "postmaster", "--api", "mails"], &data);
    assert_eq!((&changed["username"], &changed["role"]), (&"bob".into(), &"postmaster".into()));
    assert_eq!(json(&["role", "list", "--holder", "bob", "--role", "postmaster"], &data)[0], changed);
    assert_eq!(json(&["role", "list", "--api", "mails", "--role", "other"], &data), serde_json::json!([]));
    assert_eq!(json(&["user", "show", "bob"], &data)["roles"][0], "mails:postmaster");
    json(&["role", "withdraw", "bob", "postmaster", "--api", "mails"], &data);
    json(&["user", "disable", "bob", "--confirm"], &data);
    assert!(json(&["user", "show", "bob"], &data)["disabled_at"].is_string());
    assert_eq!(json(&["user", "list", "--disabled"], &data)[0]["username"], "bob");
    assert_eq!(json(&["user", "list", "--disabled=false", "--username", "bob"], &data), serde_json::json!([]));
    let changed = json(&["user", "update", "bob", "--username", "rob", "--email", "rob@example.com"], &data);
    assert_eq!((&changed["username"], &changed["email_verified"]), (&"rob".into(), &false.into()));
    let changed = json(&["user", "update", "rob", "--email-verified"], &data);
    assert_eq!(changed["email_verified"], true);
    assert_eq!(json(&["user", "update", "rob", "--email", ""], &data)["email"], serde_json::Value::Null);
    assert_eq!(run(&["user", "update", "rob"], &data).status.code(), Some(2), "nothing to change");
    assert_eq!(json(&["user", "update", "rob", "--username", "bob"], &data)["username"], "bob");
    assert_eq!(json(&["session", "list", "--user", "bob"], &data), serde_json::json!([]));
    assert_eq!(json(&["session", "end", "--user", "bob"], &data)["ended"], 0);
    assert_eq!(run(&["session", "end", "ses_00000000000000000000000000000000"], &data).status.code(), Some(1));
    let short = run_with_input(&["user", "set-password", "bob"], &data, "short\n");
    assert_eq!(short.status.code(), Some(2));

    let key =
        json(&["key", "create", "--name", "k", "--api", "mails", "--scope", "mails:read", "--never-expires"], &data);
    assert_eq!(key["never_expires"], true);
    let listed = String::from_utf8(run(&["key", "list"], &data).stdout).expect("UTF-8");
    assert!(listed.contains("NEVER EXPIRES"), "{listed}");
    assert!(!listed.contains(key["secret"].as_str().expect("a key")));
    let id = key["id"].as_str().expect("an id");
    let update = ["key", "update", id, "--name", "renamed", "--scope", "", "--role", "postmaster"];
    let changed = json(&update, &data);
    assert_eq!((&changed["name"], &changed["scopes"]), (&"renamed".into(), &serde_json::json!([])));
    assert_eq!(changed["roles"], serde_json::json!(["mails:postmaster"]));
    assert_eq!(json(&["key", "show", id], &data), changed);
    let changed = json(&["key", "update", id, "--metadata", r#"{"plan":"free"}"#], &data);
    assert_eq!(changed["metadata"], serde_json::json!({"plan": "free"}));
    assert_eq!(json(&["key", "disable", id], &data)["state"], "disabled");
    assert_eq!(json(&["key", "enable", id], &data)["state"], "active");
    json(&["key", "revoke", id], &data);
    assert_eq!(json(&["key", "list", "--revoked"], &data)[0]["id"], id);
    assert_eq!(json(&["key", "list", "--revoked=true", "--owner", "user:bob"], &data), serde_json::json!([]));

    let before = json(&["jwks", "show"], &data).as_array().map(Vec::len);
    assert_eq!(json(&["jwks", "rotate"], &data)["state"], "published");
    assert_eq!(json(&["jwks", "show"], &data).as_array().map(Vec::len), before.map(|keys| keys + 1));

    json(
        &["key", "create", "--name", "bob's", "--api", "mails", "--scope", "mails:read", "--owner", "user:bob"],
        &data,
    );
    let dry = json(&["user", "delete", "bob", "--dry-run"], &data);
    assert_eq!(dry["ends"]["keys"]["count"], 1);
    let refused = run(&["user", "delete", "bob"], &data);
    assert_eq!(refused.status.code(), Some(1));
    let told = String::from_utf8(refused.stderr).expect("UTF-8");
    assert_eq!(told.trim_end(), "error: this ends 1 key. To do it, add --confirm");
    json(&["user", "delete", "bob", "--confirm"], &data);
    assert_eq!(run(&["user", "show", "bob"], &data).status.code(), Some(1));

    let audit = String::from_utf8(run(&["audit", "tail", "-n", "200", "--json"], &data).stdout).expect("UTF-8");
    for action in
        ["api.created", "client.deleted", "role.withdrawn", "user.deleted", "key.created", "signing_key.created"]
    {
        assert!(audit.contains(action), "{action}");
    }
    assert!(audit.contains("\"actor\":\"os:"), "the command line is audited as the operating system's user");
}

#[test]
fn errors_have_the_documented_exit_codes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("demo");
    let _demo = Running::demo(&data);
    for (arguments, code) in [
        (&["key", "show", "key_00000000000000000000000000000000"][..], 1),
        (&["key", "create", "--name", "x", "--api", "nothing"], 1),
        (&["key", "create", "--name", "x", "--api", "notes", "--scope", "other:read"], 2),
        (&["key", "create", "--name", "x", "--api", "notes", "--expires-in", "90"], 2),
        (
            &[
                "client",
                "create",
                "--name",
                "x",
                "--grant",
                "authorization_code",
                "--redirect-uri",
                "http://a.example/",
            ],
            2,
        ),
        (&["client", "create", "--name", "x", "--grant", "authorization_code"], 2),
        (&["api", "create", "--name", "notes", "--identifier", "https://x.example"], 1),
        (&["role", "grant", "nobody", "admin", "--api", "notes"], 1),
        (&["explain", "not-a-trace"], 2),
        (&["token", "verify", "x.y.z"], 1),
        (&["nonsense"], 2),
    ] {
        let output = run(arguments, &data);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
    for (arguments, error) in [
        (&["key", "show", "key_00000000000000000000000000000000"][..], "not_found"),
        (&["key", "create", "--name", "x", "--api", "notes", "--scope", "other:read"], "invalid"),
        (&["api", "create", "--name", "notes", "--identifier", "https://x.example"], "conflict"),
        (&["explain", "not-a-trace"], "usage"),
    ] {
        let output = run(&[arguments, &["--json"]].concat(), &data);
        let failure: serde_json::Value = serde_json::from_slice(&output.stderr).expect("the failure is JSON");
        assert_eq!(failure["error"], error, "{failure}");
        assert!(failure["message"].as_str().is_some_and(|message| !message.is_empty()), "{failure}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    // Each mistake has a line. One that is wrong in itself decides, also beside a name that nothing has.
    let wrong = ["key", "create", "--name", "\u{202e}", "--api", "notes", "--api", "gone", "--owner", "user:nobody"];
    let output = run(&wrong, &data);
    let reported = String::from_utf8_lossy(&output.stderr);
    let places: Vec<_> = reported.lines().filter_map(|line| line.split_once(": ")).collect();
    assert_eq!((output.status.code(), places.len()), (Some(2), 3), "{reported}");
    assert!(
        reported.starts_with("error: apis/1: ") && reported.contains("\nowner: ") && reported.contains("\nname: "),
        "{reported}"
    );
    assert_eq!(
        run(&["key", "create", "--name", "x", "--api", "gone", "--owner", "user:nobody"], &data).status.code(),
        Some(1)
    );
    let nowhere = program().args(["key", "list"]).output().expect("the program runs");
    assert_eq!(nowhere.status.code(), Some(2));
    let missing = run(&["key", "list"], &folder.path().join("missing"));
    assert_eq!(missing.status.code(), Some(3));
}

#[test]
fn command_line_errors_are_json_with_the_json_flag() {
    for arguments in [
        &["nonsense", "--json"][..],
        &["--json", "key", "create"],
        &["key", "--json"],
        &["key", "show", "--json", "--unknown", "x"],
        &["audit", "tail", "-n", "many", "--json"],
        &["key", "list", "--config", "a", "--data", "b", "--json"],
        &["--config", "a", "key", "list", "--data", "b", "--json"],
    ] {
        let output = program().args(arguments).output().expect("the program runs");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let failure: serde_json::Value = serde_json::from_slice(&output.stderr).expect("the failure is JSON");
        assert_eq!(failure["error"], "usage", "{failure}");
        let message = failure["message"].as_str().expect("a message");
        assert!(!message.is_empty() && !message.starts_with("error:"), "{message}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
    // Behind `--` the word is a value, and not the flag.
    for arguments in [&["nonsense"][..], &["nonsense", "--", "--json"]] {
        let output = program().args(arguments).output().expect("the program runs");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stderr.starts_with(b"error: "), "{arguments:?}");
    }
    for (asked, begins) in [("--help", "API authentication"), ("--version", "doorward ")] {
        let output = program().args([asked, "--json"]).output().expect("the program runs");
        assert!(output.status.success() && output.stderr.is_empty());
        assert!(String::from_utf8_lossy(&output.stdout).starts_with(begins), "{asked}");
    }
}

#[test]
fn explain_takes_an_id_as_people_hand_it_on() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("demo");
    let demo = Running::demo(&data);
    let refused = http("GET", &format!("{}/notes", demo.get("api")), &[], "").expect("the API answers").json();
    let id = refused["trace_id"].as_str().expect("a trace id");
    for text in [
        id.to_owned(),
        id.to_uppercase(),
        format!("{}-{}-{}", &id[..8], &id[8..16], &id[16..]),
        format!("00-{id}-00f067aa0ba902b7-01"),
    ] {
        let story = json(&["explain", &text], &data);
        assert_eq!(story[0]["code"], "credential_missing", "{text}");
        assert_eq!(story[0]["details"]["reported_by"], "notes", "{text}");
    }
    let unknown = run(&["explain", "4bf92f3577b34da6a3ce929d0e0e4736"], &data);
    assert_eq!(unknown.status.code(), Some(1));

    let log = folder.path().join("api.log");
    let event = format!(
        r#"{{"trace_id":"{id}","at_ms":1,"code":"key_revoked","at":"https://api.example","method":"GET","path":"/"}}"#
    );
    let line = serde_json::json!({"level": "INFO", "fields": {"message": event}, "spans": [{"name": "request"}]});
    std::fs::write(&log, format!("{{\n{line}\n")).expect("written");
    let story = json(&["explain", &id.to_uppercase(), "--log", log.to_str().expect("UTF-8")], &data);
    assert_eq!(story[0]["code"], "key_revoked");

    std::fs::write(&log, format!("{line}\n").repeat(3)).expect("written");
    let cut = run(&["explain", id, "--log", log.to_str().expect("UTF-8"), "--limit", "1"], &data);
    assert_eq!(String::from_utf8_lossy(&cut.stdout).matches("key_revoked").count(), 1);
    assert!(String::from_utf8_lossy(&cut.stderr).contains("2 more events"), "{cut:?}");
}

#[test]
fn missing_scopes_are_refused_or_warned_about() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("demo");
    let _demo = Running::demo(&data);
    let client = ["client", "create", "--name", "x", "--grant", "authorization_code", "--redirect-uri"];
    let refused = run(&[&client[..], &["https://a.example/cb"]].concat(), &data);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("scope: at least one"));
    for (scope, warns) in [(&[][..], true), (&["--scope", "notes:read"], false)] {
        let created = run(&[&["key", "create", "--name", "x", "--api", "notes"], scope].concat(), &data);
        assert!(created.status.success());
        assert_eq!(String::from_utf8_lossy(&created.stderr).contains("no scope"), warns, "{scope:?}");
    }
}

/// What a client or a key may do can be read off, without a look into the database.
#[test]
fn roles_keys_and_limits_are_shown_by_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("demo");
    let _demo = Running::demo(&data);
    let shown = |arguments: &[&str]| {
        let output = run(arguments, &data);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    };

    // The keys of RFC 8037 appendix A.2, by id and without one.
    let jwks = folder.path().join("keys.json");
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let set = format!(
        r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"{x}","kid":"first"}},{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}]}}"#
    );
    std::fs::write(&jwks, set).expect("written");
    let client = json(
        &[
            "client",
            "create",
            "--name",
            "Job",
            "--auth-method",
            "private_key_jwt",
            "--jwks",
            jwks.to_str().expect("UTF-8"),
            "--grant",
            "client_credentials",
            "--scope",
            "notes:read",
        ],
        &data,
    );
    let id = client["client_id"].as_str().expect("an id");
    json(&["role", "grant", id, "admin", "--api", "notes"], &data);
    let thumbprint = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
    let as_json = json(&["client", "show", id], &data);
    assert_eq!(as_json["roles"], serde_json::json!(["notes:admin"]));
    assert_eq!(as_json["key_ids"], serde_json::json!(["first", thumbprint]));
    let printed = shown(&["client", "show", id]);
    assert!(printed.contains("notes:admin") && printed.contains(&format!("first {thumbprint}")), "{printed}");

    let key = ["key", "create", "--name", "k", "--api", "doorward", "--scope", "keys:verify", "--limit-to", "notes"];
    let key = json(&key, &data);
    assert_eq!(key["limited_to"], serde_json::json!(["notes"]));
    let printed = shown(&["key", "show", key["id"].as_str().expect("an id")]);
    assert!(printed.lines().any(|line| line.starts_with("limited to") && line.ends_with(" notes")), "{printed}");
    let key = json(&["key", "create", "--name", "k", "--api", "notes", "--role", "admin"], &data);
    assert_eq!(key["roles"], serde_json::json!(["notes:admin"]));
    assert!(shown(&["key", "show", key["id"].as_str().expect("an id")]).contains("notes:admin"));
}

#[test]
fn completions_are_printed_for_each_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let output = program().args(["completions", shell]).output().expect("the program runs");
        assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("doorward"));
    }
}

#[test]
fn man_pages_has_a_page_for_each_command() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let pages = folder.path().join("man1");
    let written = program().arg("man-pages").arg(&pages).output().expect("the program runs");
    assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
    let page = |name: &str| std::fs::read_to_string(pages.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(page("doorward.1").contains("doorward\\-serve(1)"), "{}", page("doorward.1"));
    assert!(page("doorward-key-create.1").contains("\\-\\-scope"));
    assert!(!pages.join("doorward-denials.1").exists(), "hidden commands have none");
}
