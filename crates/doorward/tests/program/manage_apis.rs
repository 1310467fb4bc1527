//! `doorward api` and `doorward jwks`: what is in use ends only after a confirmation.

use serde_json::json as value;

use crate::support::{Running, json, run};

#[test]
fn api_in_use_is_changed_and_deleted_after_a_confirmation() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("demo");
    let _demo = Running::demo(&data);
    let code = |arguments: &[&str]| run(arguments, &data).status.code();
    let api = json(&["api", "show", "notes"], &data);
    let scope = api["scopes"][0]["scope"].as_str().expect("a scope").to_owned();

    let changed = json(
        &[
            "api",
            "update",
            "notes",
            "--add-scope",
            "notes:share=Share notes",
            "--add-role",
            "guest",
            "--access-token-ttl",
            "1m",
        ],
        &data,
    );
    assert_eq!(changed["access_token_ttl"], 60);
    assert!(changed["roles"].as_array().is_some_and(|roles| roles.contains(&value!("guest"))));
    assert_eq!(changed["scopes"].as_array().map(Vec::len), api["scopes"].as_array().map(|scopes| scopes.len() + 1));
    json(&["api", "update", "notes", "--remove-scope", "notes:share", "--remove-role", "guest"], &data);
    assert_eq!(code(&["api", "update", "notes", "--remove-scope", "notes:share"]), Some(1), "it has no such scope");
    assert_eq!(code(&["api", "update", "notes"]), Some(2), "nothing to change");

    let narrow = ["api", "update", "notes", "--remove-scope", &scope];
    let ends = json(&[&narrow[..], &["--dry-run"]].concat(), &data);
    assert!(ends["ends"]["keys"]["count"].as_u64().is_some_and(|count| count > 0), "{ends}");
    assert_eq!(code(&narrow), Some(1));
    let changed = json(&[&narrow[..], &["--confirm"]].concat(), &data);
    assert_eq!(changed["scopes"].as_array().map(Vec::len), api["scopes"].as_array().map(|scopes| scopes.len() - 1));

    let secret = json(&["api", "rotate-secret", "notes"], &data);
    assert_eq!(secret["client_id"], api["client_id"]);
    assert!(secret["client_secret"].as_str().is_some_and(|secret| secret.starts_with("dw_cs_")));
    assert_eq!(code(&["api", "delete", "notes"]), Some(1));
    assert!(json(&["api", "delete", "notes", "--dry-run"], &data)["ends"]["keys"]["count"].is_number());
    json(&["api", "delete", "notes", "--confirm"], &data);
    assert_eq!(code(&["api", "show", "notes"]), Some(1));
    assert_eq!(code(&["api", "delete", "doorward", "--confirm"]), Some(2), "the management API stays");
}

#[test]
fn leaked_signing_key_is_withdrawn_after_a_confirmation() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("demo");
    let _demo = Running::demo(&data);
    let keys = json(&["jwks", "show"], &data);
    let kid = keys[0]["kid"].as_str().expect("a key");
    assert_eq!(run(&["jwks", "withdraw", kid], &data).status.code(), Some(1));
    json(&["jwks", "withdraw", kid, "--confirm"], &data);
    let left = json(&["jwks", "show"], &data);
    let left = left.as_array().expect("a list");
    assert!(left.iter().all(|key| key["kid"] != kid));
    assert!(left.iter().any(|key| key["alg"] == keys[0]["alg"] && key["state"] == "active"), "{left:?}");
    assert_eq!(run(&["jwks", "withdraw", kid, "--confirm"], &data).status.code(), Some(1));
}
