//! `kill -9` under load: what was answered before is true after.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    sync::mpsc,
    thread,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::support::{Running, eventually, form, http, json, run, with_key};

/// How many tokens are answered before the server is killed.
const TOKENS: usize = 100;
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");

#[test]
fn tokens_and_keys_issued_before_a_kill_stay_active() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("demo");
    let demo = Running::demo(&data);
    let text = |value: &Value, name: &str| value[name].as_str().expect("a text").to_owned();
    let api = ["api", "create", "--name", "mails", "--identifier", "https://mails.example"];
    let api = json(&[&api[..], &["--scope", "mails:read=Read your mails", "--token-format", "opaque"]].concat(), &data);
    let client = ["client", "create", "--name", "Job", "--grant", "client_credentials", "--scope", "mails:read"];
    let client = json(&[&client[..], &["--default-scope", "mails:read"]].concat(), &data);
    let (id, secret) = (text(&client, "client_id"), text(&client, "client_secret"));
    let url = format!("{}/token", demo.get("issuer"));
    let pairs = [("grant_type", "client_credentials"), ("client_id", &*id), ("client_secret", &*secret)];
    eventually("the new client gets a token", || form(&url, &pairs).status == 200);

    let is_killed = AtomicBool::new(false);
    let (answered, tokens) = mpsc::channel();
    let body = pairs.map(|(name, value)| format!("{name}={value}")).join("&");
    let (tokens, keys) = thread::scope(|scope| {
        for _ in 0..4 {
            let answered = answered.clone();
            scope.spawn(|| {
                let answered = answered;
                // An answer that was cut off is no JSON, and promises nothing.
                while let Some(answer) = http("POST", &url, &[FORM], &body)
                    && let Ok(token) = serde_json::from_str::<Value>(&answer.body)
                {
                    assert_eq!(answer.status, 200, "{}", answer.body);
                    if answered.send(text(&token, "access_token")).is_err() {
                        break;
                    }
                }
            });
        }
        drop(answered);
        let makes_keys = scope.spawn(|| {
            let mut keys = Vec::new();
            while !is_killed.load(Ordering::Relaxed) {
                let create = ["key", "create", "--name", "k", "--api", "notes", "--scope", "notes:read", "--json"];
                let output = run(&create, &data);
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                keys.push(text(&serde_json::from_slice(&output.stdout).expect("JSON"), "secret"));
            }
            keys
        });
        let mut collected: Vec<String> = tokens.iter().take(TOKENS).collect();
        demo.kill();
        is_killed.store(true, Ordering::Relaxed);
        assert_eq!(collected.len(), TOKENS, "the server answers until it is killed");
        // Those that were answered in between.
        collected.extend(tokens);
        (collected, makes_keys.join().expect("keys are created"))
    });
    assert!(!keys.is_empty());

    let demo = Running::demo(&data);
    let credential = STANDARD.encode(format!("{}:{}", text(&api, "client_id"), text(&api, "client_secret")));
    let basic = format!("Basic {credential}");
    for token in &tokens {
        let url = format!("{}/introspect", demo.get("issuer"));
        let headers = [("Authorization", &*basic), FORM];
        let answer = http("POST", &url, &headers, &format!("token={token}")).expect("an answer");
        let printed = answer.json();
        assert!(printed["active"] == true && printed["client_id"] == *id, "{printed}");
    }
    for key in &keys {
        assert_eq!(with_key(&demo, "GET", "/notes", key), 200);
    }
}
