//! The `key_policy` of an API, keys that are due, and keys that fetch their own successor.

use doorward_server::tasks;
use reqwest::Method;
use serde_json::{Value, json};

use super::manager::{Manager, places, refused};
use crate::harness::*;

const DAY: u64 = 86_400;

/// Gives the API `notes` this policy.
async fn set_policy(manager: &Manager<'_>, policy: Value) -> Answer {
    let apis = manager.get("/v1/apis?limit=100").await.json()["items"].clone();
    let notes = apis.as_array().unwrap().iter().find(|api| api["name"] == "notes").unwrap().clone();
    manager.patch(&format!("/v1/apis/{}", notes["id"].as_str().unwrap()), json!({ "key_policy": policy })).await
}

async fn created(manager: &Manager<'_>, members: Value) -> Answer {
    let mut body = json!({"api": "notes", "name": "ci", "scopes": ["notes:read"]});
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    manager.post("/v1/keys", body).await
}

/// A key asks for its own successor.
async fn rotate_self(server: &TestServer, secret: &str, idempotency_key: Option<&str>) -> Answer {
    let request = server.caller.request(Method::POST, "/v1/keys/self/rotate").bearer_auth(secret).json(&json!({}));
    let request = idempotency_key.into_iter().fold(request, |request, key| request.header("idempotency-key", key));
    server.caller.send(request).await
}

/// Advances by days in steps that a clock can make, and does what is due in between.
async fn pass_days(server: &TestServer, days: u64) {
    for _ in 0..days {
        server.advance_secs(DAY);
        server.run_due().await;
        tasks::notice_keys(&server.app).await.unwrap();
    }
}

/// The audit's actions about a key that nobody asked for, in their order.
async fn noticed(server: &TestServer, id: &str) -> Vec<String> {
    let events = server.audit("events", |events| !events.is_empty()).await;
    let of_key = events.iter().filter(|event| event.subject.as_deref() == Some(id));
    let actions = of_key.map(|event| event.action.clone());
    actions.filter(|action| ["key.expiring", "key.rotation_due"].contains(&action.as_str())).collect()
}

#[tokio::test]
async fn policy_bounds_the_lifetime_of_new_keys_only() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    let before = created(&manager, json!({"never_expires": true})).await.expect(201);
    set_policy(&manager, json!({"max_lifetime": 10 * DAY})).await.expect(200);
    assert_eq!(places(&created(&manager, json!({"expires_in": 10 * DAY + 1})).await), ["/expires_in"]);
    assert_eq!(places(&created(&manager, json!({"never_expires": true})).await), ["/never_expires"]);
    created(&manager, json!({"expires_in": 10 * DAY})).await.expect(201);
    let longest = created(&manager, json!({})).await.expect(201);
    let path = format!("/v1/keys/{}", before.text("id"));
    assert_eq!(manager.get(&path).await.json()["never_expires"], true, "nothing ends earlier by surprise");
    let successor = manager.post(&format!("{path}/rotate"), json!({})).await.expect(201);
    assert_eq!(successor.json()["expires_at"], longest.json()["expires_at"]);
    let wrong = set_policy(&manager, json!({"quiet_for": 1, "colour": "red"})).await;
    assert_eq!(refused(&wrong, 422), "body_invalid");
    assert_eq!(places(&set_policy(&manager, json!({"quiet_for": 1})).await), ["/key_policy/quiet_for"]);
    let removed = set_policy(&manager, Value::Null).await.expect(200);
    assert_eq!(removed.json().get("key_policy"), None);
    created(&manager, json!({"never_expires": true})).await.expect(201);
}

#[tokio::test]
async fn keys_are_due_and_expiring_once_each() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        tasks::notice_keys(&server.app).await.unwrap();
        let old =
            created(&manager, json!({"expires_in": 30 * DAY - 3_600, "owner": "acme"})).await.expect(201).text("id");
        let short = created(&manager, json!({"expires_in": 5 * DAY - 3_600})).await.expect(201).text("id");
        set_policy(&manager, json!({"rotate_after": 90 * DAY, "rotate_ahead": 20 * DAY})).await.expect(200);
        let due = async |query: &str| {
            let items =
                manager.get(&format!("/v1/keys?rotation_due=true{query}")).await.expect(200).json()["items"].clone();
            items.as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        pass_days(server, 9).await;
        assert_eq!(due("").await, [""; 0]);
        pass_days(server, 2).await;
        assert_eq!(due("").await, std::slice::from_ref(&old));
        assert_eq!((due("&owner=acme").await, due("&owner=else").await), (vec![old.clone()], vec![]));
        let shown = manager.get(&format!("/v1/keys/{old}")).await.json();
        assert!(shown["rotation"]["due_since"].is_string(), "{shown}");
        pass_days(server, 18).await;
        assert_eq!(noticed(server, &old).await, ["key.rotation_due", "key.expiring", "key.expiring", "key.expiring"]);
        assert_eq!(noticed(server, &short).await, ["key.expiring"], "it never had 14 or 7 days");
        set_policy(&manager, Value::Null).await.expect(200);
        assert_eq!(due("").await, [""; 0], "nothing is due without a policy");
    })
    .await;
}

#[tokio::test]
async fn old_key_is_due_by_its_age_until_it_is_rotated() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    let old = created(&manager, json!({"never_expires": true})).await.expect(201).text("id");
    pass_days(&server, 3).await;
    set_policy(&manager, json!({"rotate_after": 2 * DAY})).await.expect(200);
    tasks::notice_keys(&server.app).await.unwrap();
    let path = format!("/v1/keys/{old}");
    assert!(manager.get(&path).await.json()["rotation"]["due_since"].is_string());
    manager.post(&format!("{path}/rotate"), json!({"overlap": DAY})).await.expect(201);
    let rotated = manager.get(&path).await.json();
    assert_eq!(
        (&rotated["rotation"]["due_since"], &rotated["rotation"]["state"]),
        (&Value::Null, &json!("waiting_for_first_use"))
    );
    pass_days(&server, 3).await;
    assert_eq!(noticed(&server, &old).await, ["key.rotation_due"], "a key that is replaced is not reported again");
}

#[tokio::test]
async fn key_fetches_its_own_successor_where_the_policy_allows_it() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let old = created(&manager, json!({"expires_in": 30 * DAY})).await.expect(201);
        assert_eq!(refused(&rotate_self(server, &old.text("secret"), None).await, 403), "self_rotation_forbidden");
        set_policy(&manager, json!({"self_rotation": false})).await.expect(200);
        assert_eq!(refused(&rotate_self(server, &old.text("secret"), None).await, 403), "self_rotation_forbidden");
        set_policy(&manager, json!({"overlap": 2 * DAY, "self_rotation": true})).await.expect(200);
        let key = Some("5f9c2f1e-6d0b-4f0e-9c57-000000000003");
        let new = rotate_self(server, &old.text("secret"), key).await.expect(201);
        assert_eq!(rotate_self(server, &old.text("secret"), key).await.expect(201).body, new.body);
        assert_eq!(refused(&rotate_self(server, &old.text("secret"), None).await, 409), "conflict");
        assert_eq!(new.json()["scopes"], json!(["notes:read"]));
        // Until the old key has ended, its successor makes no further ones.
        assert_eq!(refused(&rotate_self(server, &new.text("secret"), None).await, 409), "conflict");
        pass_days(server, 3).await;
        assert_eq!(refused(&rotate_self(server, &old.text("secret"), None).await, 401), "key_expired");
        let other = Some("5f9c2f1e-6d0b-4f0e-9c57-000000000004");
        assert_eq!(refused(&rotate_self(server, &old.text("secret"), other).await, 401), "key_expired");
        rotate_self(server, &new.text("secret"), None).await.expect(201);
    })
    .await;
}

#[tokio::test]
async fn only_a_key_that_works_fetches_a_successor() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    set_policy(&manager, json!({})).await.expect(200);
    let key = created(&manager, json!({})).await.expect(201);
    manager.act(&format!("/v1/keys/{}/disable", key.text("id"))).await.expect(200);
    assert_eq!(refused(&rotate_self(&server, &key.text("secret"), None).await, 401), "key_disabled");
    manager.act(&format!("/v1/keys/{}/revoke", key.text("id"))).await.expect(200);
    assert_eq!(refused(&rotate_self(&server, &key.text("secret"), None).await, 401), "key_revoked");
    let mut mistyped = key.text("secret");
    mistyped.pop();
    mistyped.push(if key.text("secret").ends_with('a') { 'b' } else { 'a' });
    assert_eq!(refused(&rotate_self(&server, &mistyped, None).await, 401), "key_mistyped");
    let both = server.caller.request(Method::POST, "/v1/keys/self/rotate").bearer_auth(key.text("secret"));
    let both = both.header("x-api-key", key.text("secret")).json(&json!({}));
    assert_eq!(server.caller.send(both).await.status, 400, "two credentials");
}

#[tokio::test]
async fn stolen_key_fetches_no_successor() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    set_policy(&manager, json!({})).await.expect(200);
    let bound = created(&manager, json!({"allowed_addresses": ["192.0.2.0/24"]})).await.expect(201);
    let answer = rotate_self(&server, &bound.text("secret"), None).await;
    assert_eq!(refused(&answer, 403), "key_address_not_allowed");
    let key = created(&manager, json!({})).await.expect(201).text("secret");
    let browser = server.caller.request(Method::POST, "/v1/keys/self/rotate").bearer_auth(&key).json(&json!({}));
    let answer = server.caller.send(browser.header("origin", "https://app.example")).await;
    assert_eq!(refused(&answer, 403), "key_in_browser");
    let apis = manager.get("/v1/apis?limit=100").await.json()["items"].clone();
    let notes = apis.as_array().unwrap().iter().find(|api| api["name"] == "notes").unwrap().clone();
    let path = format!("/v1/apis/{}", notes["id"].as_str().unwrap());
    manager.patch(&path, json!({"leak_policy": "flag"})).await.expect(200);
    let report = server.caller.request(Method::POST, "/v1/leaks").json(&json!({"key": key}));
    server.caller.send(report).await.expect(202);
    assert_eq!(refused(&rotate_self(&server, &key, None).await, 403), "self_rotation_forbidden");
}

#[tokio::test]
async fn rotated_key_shows_who_still_uses_it() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let old = manager.post("/v1/keys", json!({"api": "doorward", "name": "ops", "scopes": ["keys:read"]})).await;
        let (path, secret) = (format!("/v1/keys/{}", old.text("id")), old.text("secret"));
        manager.post(&format!("{path}/rotate"), json!({})).await.expect(201);
        server.run_due().await;
        for agent in ["curl/8.5.0", "batch\u{202e}job/1", &format!("leak {secret}")] {
            server
                .caller
                .get_with("/v1/keys", &[("authorization", &format!("Bearer {secret}")), ("user-agent", agent)])
                .await;
            server.advance_secs(1);
        }
        server.run_due().await;
        let uses = manager.get(&path).await.json()["rotation"]["old_uses"].clone();
        assert_eq!(uses.as_array().unwrap().len(), 3, "{uses}");
        assert_eq!((&uses[2]["user_agent"], &uses[2]["address"]), (&json!("curl/8.5.0"), &json!("127.0.0.1")));
        assert_eq!(uses[1]["user_agent"], "batchjob/1");
        assert!(!uses.to_string().contains(&secret), "{uses}");
        for number in 0..20 {
            let agent = format!("agent/{number}");
            server
                .caller
                .get_with("/v1/keys", &[("authorization", &format!("Bearer {secret}")), ("user-agent", &agent)])
                .await;
            server.advance_secs(1);
        }
        server.run_due().await;
        let uses = manager.get(&path).await.json()["rotation"]["old_uses"].clone();
        assert_eq!((uses.as_array().unwrap().len(), &uses[0]["user_agent"]), (10, &json!("agent/19")));
    })
    .await;
}

#[tokio::test]
async fn lost_answer_is_given_again_after_the_old_key_has_ended() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    set_policy(&manager, json!({})).await.expect(200);
    let old = created(&manager, json!({})).await.expect(201);
    let rotate = async || {
        let request = server.caller.request(Method::POST, "/v1/keys/self/rotate").bearer_auth(old.text("secret"));
        let key = "5f9c2f1e-6d0b-4f0e-9c57-000000000005";
        server.caller.send(request.header("idempotency-key", key).json(&json!({"overlap": 0}))).await
    };
    let new = rotate().await.expect(201);
    assert_eq!(rotate().await.expect(201).body, new.body);
    manager.act(&format!("/v1/keys/{}/disable", old.text("id"))).await.expect(200);
    assert_eq!(refused(&rotate().await, 401), "key_expired");
    manager.act(&format!("/v1/keys/{}/enable", old.text("id"))).await.expect(200);
    assert_eq!(rotate().await.expect(201).body, new.body);
    manager.act(&format!("/v1/keys/{}/revoke", old.text("id"))).await.expect(200);
    assert_eq!(refused(&rotate().await, 401), "key_revoked", "its holder is not trusted any more");
}
