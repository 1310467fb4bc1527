//! `doorward audit tail` finds events by their filters, and reports a filter that is not valid.

use std::path::Path;

use serde_json::Value;

use crate::support::{Running, form, json, run};

/// The events that match, as the command prints them.
fn tail(filter: &[&str], data: &Path) -> Vec<Value> {
    let output = run(&[&["audit", "tail", "--json"], filter].concat(), data);
    assert!(output.status.success(), "{filter:?}: {}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{filter:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("each line is an event")).collect()
}

#[test]
fn tail_shows_only_events_that_match_every_flag() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("demo");
    let demo = Running::demo(&data);
    let mut keys = Vec::new();
    for name in ["first", "second"] {
        let key = ["key", "create", "--name", name, "--api", "notes", "--scope", "notes:read", "--never-expires"];
        keys.push(json(&key, &data)["id"].as_str().expect("an id").to_owned());
    }
    let token = format!("{}/token", demo.get("issuer"));
    assert_eq!(form(&token, &[("grant_type", "password")]).status, 401);
    // Ends the server, which writes all refusals first.
    assert_eq!(demo.terminate(), Some(0));

    let all = tail(&["-n", "1000"], &data);
    let created = tail(&["--action", "key.created"], &data);
    let subjects: Vec<_> = created.iter().map(|event| event["subject"].as_str().expect("a key")).collect();
    assert!(subjects.ends_with(&[&keys[0], &keys[1]]), "{subjects:?}");
    assert_eq!(tail(&["--action", "key.created", "--about", &keys[0]], &data).len(), 1);
    let actor = created.last().expect("an event")["actor"].as_str().expect("a user of this machine");
    assert!(actor.starts_with("os:"), "{actor}");
    assert!(tail(&["--actor", actor, "--action", "key.created"], &data).len() >= 2);
    assert!(tail(&["--actor", "os:nobody-of-this-name"], &data).is_empty());

    let code = all.iter().filter_map(|event| event["code"].as_str()).next_back().expect("a refusal");
    let refused = tail(&["--code", code, "--address", "127.0.0.0/8"], &data);
    assert!(!refused.is_empty() && refused.iter().all(|event| event["code"] == code), "{refused:?}");
    assert!(tail(&["--code", code, "--address", "192.0.2.7"], &data).is_empty());
    assert!(tail(&["--code", code, "--action", "key.created"], &data).is_empty());

    assert_eq!(tail(&["-n", "1000", "--since", "1h"], &data).len(), all.len());
    assert!(tail(&["--until", "1h"], &data).is_empty());
    assert!(tail(&["--since", "2100-01-01T00:00:00Z"], &data).is_empty());
    let newest = all.last().expect("an event")["id"].as_str().expect("an id");
    assert_eq!(tail(&["-n", "1000", "--before", newest], &data), all[..all.len() - 1]);
}

#[test]
fn filter_that_is_wrong_is_a_usage_error_that_says_why() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("demo");
    Running::demo(&data);
    for (flags, reason) in [
        (&["--action", "key.opened"][..], "not an action. The actions are access_token.revoked, api.created"),
        (&["--code", "no_reason"], "`doorward denials` lists them"),
        (&["--since", "yesterday"], "how long ago, as in 2h"),
        (&["--until", "2026-11-28"], "a time with its zone"),
        (&["--address", "localhost"], "nor a network, as in 192.0.2.0/24"),
        (&["--since", "1h", "--until", "2h"], "--since must be earlier than --until"),
        (&["--before", "aud_1"], "not an identifier"),
        (&["--follow", "--until", "1h"], "cannot be used with"),
        (&["-n", "0"], "0 is not in"),
    ] {
        let output = run(&[&["audit", "tail"], flags].concat(), &data);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {error}");
        assert!(error.contains(reason), "{flags:?}: {error}");
        assert!(output.stdout.is_empty(), "{flags:?}");
    }
}
