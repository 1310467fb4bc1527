//! `/v1/users`.

use doorward_server::manage::{keys::NewKey, roles};
use reqwest::Method;
use serde_json::{Value, json};

use super::manager::{Manager, places, refused};
use crate::harness::*;

const NEW: &str = "a fine long password";

fn new_user(username: &str) -> Value {
    json!({"username": username, "password": NEW, "name": "Carol of the tests", "email": "carol@example.com"})
}

/// The path of a user of the tests.
async fn path_of(manager: &Manager<'_>, username: &str) -> String {
    let found = manager.get(&format!("/v1/users?username={username}")).await.expect(200).json();
    assert_eq!(found["items"].as_array().map(Vec::len), Some(1), "{found}");
    format!("/v1/users/{}", found["items"][0]["id"].as_str().unwrap())
}

#[tokio::test]
async fn user_is_created_changed_listed_and_deleted() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let created = manager.post("/v1/users", new_user("carol")).await.expect(201);
        assert!(!created.body.contains(NEW));
        let path = created.header("location").unwrap().to_owned();
        let shown = manager.get(&path).await.expect(200);
        assert_eq!((&shown.body, shown.header("etag")), (&created.body, created.header("etag")));
        assert_eq!(shown.json()["roles"], json!([]));

        let stale = [("if-match", "\"other\"")];
        let patch = || Some(json!({"username": "carla", "name": null}));
        assert_eq!(refused(&manager.send(Method::PATCH, &path, &stale, patch()).await, 412), "precondition_failed");
        let fresh = [("if-match", shown.header("etag").unwrap())];
        let changed = manager.send(Method::PATCH, &path, &fresh, patch()).await.expect(200).json();
        assert_eq!((&changed["username"], &changed["name"]), (&json!("carla"), &Value::Null));
        server.browser().sign_in("carol", NEW).await.expect(401);
        let browser = server.browser();
        browser.sign_in("carla", NEW).await.expect(303);

        assert_eq!(path_of(&manager, "CARLA").await, path);
        let names = async |query: &str| {
            let listed = manager.get(&format!("/v1/users?{query}")).await.expect(200).json();
            let items = listed["items"].as_array().unwrap().clone();
            let mut names: Vec<_> = items.iter().map(|user| user["username"].as_str().unwrap().to_owned()).collect();
            // Those that were created within a millisecond have no order.
            names.sort_unstable();
            names
        };
        assert_eq!(names("").await, [ALICE, BOB, "carla"]);
        assert_eq!(names("username=nobody").await, [""; 0]);
        assert!(
            manager.act(&format!("{path}/disable?confirm=true")).await.expect(200).json()["disabled_at"].is_string()
        );
        assert_eq!(names("disabled=true").await, ["carla"]);
        assert_eq!(names("disabled=false").await, [ALICE, BOB]);
        assert_eq!(names("disabled=false&username=carla").await, [""; 0]);
        assert_eq!(manager.act(&format!("{path}/enable")).await.expect(200).json()["disabled_at"], Value::Null);

        browser.sign_in("carla", NEW).await.expect(303);
        let in_use = manager.delete(&path).await;
        assert_eq!(refused(&in_use, 409), "confirmation_required");
        assert_eq!(in_use.json()["ends"]["sessions"], json!({"count": 1, "more": false}));
        browser.get("/account").await.expect(200);
        manager.delete(&format!("{path}?confirm=true")).await.expect(204);
        assert_eq!(browser.get("/account").await.location(), "/sign-in");
        assert_eq!(refused(&manager.get(&path).await, 404), "id_unknown");
        assert_eq!(refused(&manager.delete(&path).await, 404), "id_unknown");
        manager.post("/v1/users", new_user("carla")).await.expect(201);
    })
    .await;
}

#[tokio::test]
async fn password_that_is_set_ends_sessions_and_is_not_repeated() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    let path = path_of(&manager, ALICE).await;
    let browser = server.browser();
    browser.sign_in(ALICE, PASSWORD).await.expect(303);
    let set = async |password: Value| manager.post(&format!("{path}/password"), json!({"password": password})).await;
    for wrong in [json!(8_361_940_275_u64), json!("short73"), json!(null)] {
        let answer = set(wrong.clone()).await;
        assert_eq!(refused(&answer, 422), "body_invalid");
        assert_eq!(places(&answer), ["/password"]);
        assert!(wrong.is_null() || !answer.body.contains(wrong.to_string().trim_matches('"')), "{wrong}");
    }
    browser.get("/account").await.expect(200);
    let answer = set(json!(NEW)).await.expect(200);
    assert!(answer.text("username") == ALICE && !answer.body.contains(NEW));
    assert_eq!(browser.get("/account").await.location(), "/sign-in");
    server.browser().sign_in(ALICE, PASSWORD).await.expect(401);
    server.browser().sign_in(ALICE, NEW).await.expect(303);
}

#[tokio::test]
async fn every_mistake_about_a_user_is_named_at_once() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    let answer = manager.post("/v1/users", json!({"username": 5, "password": 836_194, "colour": "red"})).await;
    assert_eq!(refused(&answer, 422), "body_invalid");
    assert_eq!(places(&answer), ["/colour", "/password", "/username"]);
    assert!(!answer.body.contains("836194"), "{}", answer.body);
    let answer = manager.post("/v1/users", json!({"username": " ", "password": "short"})).await;
    assert_eq!(places(&answer), ["/username", "/password"]);
    assert_eq!(places(&manager.post("/v1/users", json!({})).await), ["/password", "/username"]);
    assert_eq!(refused(&manager.post("/v1/users", new_user("ALICE")).await, 409), "conflict");
    let path = path_of(&manager, BOB).await;
    assert_eq!(refused(&manager.patch(&path, json!({"username": ALICE})).await, 409), "conflict");
    assert_eq!(places(&manager.patch(&path, json!({"username": null})).await), ["/username"]);
    assert_eq!(places(&manager.patch(&path, json!({"password": NEW})).await), ["/password"]);
}

#[tokio::test]
async fn another_email_address_is_verified_only_if_the_change_says_so() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    let path = path_of(&manager, ALICE).await;
    let verified = async |patch: Value| manager.patch(&path, patch).await.expect(200).json()["email_verified"].clone();
    assert_eq!(verified(json!({"email_verified": true})).await, true);
    assert_eq!(verified(json!({"name": "Alice"})).await, true);
    assert_eq!(verified(json!({"email": "new@example.com"})).await, false);
    assert_eq!(verified(json!({"email": "newer@example.com", "email_verified": true})).await, true);
    assert_eq!(verified(json!({"email": null})).await, false);
    assert_eq!(places(&manager.patch(&path, json!({"email_verified": true})).await), ["/email_verified"]);
}

#[tokio::test]
async fn repeated_creation_of_a_user_needs_the_same_password() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    let key = [("idempotency-key", "5f9c2f1e-6d0b-4f0e-9c57-000000000002")];
    let create = async |body: Value| manager.send(Method::POST, "/v1/users", &key, Some(body)).await;
    let first = create(new_user("carol")).await.expect(201);
    assert_eq!(create(new_user("carol")).await.expect(201).body, first.body);
    let other = json!({"username": "carol", "password": "another fine password"});
    assert_eq!(refused(&create(other).await, 422), "idempotency_key_reused");
}

#[tokio::test]
async fn administrator_is_changed_only_with_every_scope() {
    let server = TestServer::start().await;
    let all = Manager::of_all(&server).await;
    let path = path_of(&all, ALICE).await;
    roles::grant(&server.app, &operator(), ALICE, "doorward", "admin").await.unwrap();
    let browser = server.browser();
    browser.sign_in(ALICE, PASSWORD).await.expect(303);
    let sessions = all.get("/v1/sessions").await.expect(200).json();
    let session = format!("/v1/sessions/{}", sessions["items"][0]["id"].as_str().unwrap());
    let less = Manager::with(&server, "users:read users:write sessions:read sessions:write").await;
    for answer in [
        less.post(&format!("{path}/password"), json!({"password": NEW})).await,
        less.patch(&path, json!({"email": "mine@example.com"})).await,
        less.patch(&path, json!({"username": "mine"})).await,
        less.act(&format!("{path}/disable")).await,
        less.delete(&format!("{path}?confirm=true")).await,
        less.delete(&format!("{path}/sessions")).await,
        less.delete(&session).await,
    ] {
        assert_eq!(refused(&answer, 403), "rights_exceeded");
    }
    less.get(&path).await.expect(200);
    browser.get("/account").await.expect(200);
    all.delete(&session).await.expect(204);
    all.patch(&path, json!({"username": "ally"})).await.expect(200);
}

#[tokio::test]
async fn limited_caller_finds_its_users_only_and_creates_none() {
    let server = TestServer::start().await;
    let all = Manager::of_all(&server).await;
    let (alice, bob) = (path_of(&all, ALICE).await, path_of(&all, BOB).await);
    for name in [ALICE, BOB] {
        server.browser().sign_in(name, PASSWORD).await.expect(303);
    }
    let key = || new_key("doorward", "users:read users:write sessions:read sessions:write");
    let of_alice = Manager::by(&server, NewKey { limited_to_owners: vec![format!("user:{ALICE}")], ..key() }).await;
    let of_notes = Manager::by(&server, NewKey { limited_to: vec!["notes".into()], ..key() }).await;
    let count = async |manager: &Manager<'_>, path: &str| {
        manager.get(path).await.expect(200).json()["items"].as_array().unwrap().len()
    };
    for (manager, found) in [(&of_alice, 1), (&of_notes, 0)] {
        assert_eq!(refused(&manager.post("/v1/users", new_user("carol")).await, 403), "rights_exceeded");
        for path in ["/v1/users", "/v1/sessions"] {
            assert_eq!(count(manager, path).await, found, "{path}");
        }
        assert_eq!(count(manager, &format!("/v1/users?username={BOB}")).await, 0);
        for answer in [
            manager.get(&bob).await,
            manager.patch(&bob, json!({"name": "Mine"})).await,
            manager.delete(&format!("{bob}?confirm=true")).await,
            manager.post(&format!("{bob}/password"), json!({"password": NEW})).await,
            manager.delete(&format!("{bob}/sessions")).await,
        ] {
            assert_eq!(refused(&answer, 404), "id_unknown");
        }
    }
    of_alice.patch(&alice, json!({"name": "Mine"})).await.expect(200);
    assert_eq!(refused(&of_notes.get(&alice).await, 404), "id_unknown");
    let by_name = all.get(&format!("/v1/users/{ALICE}")).await;
    assert_eq!(refused(&by_name, 404), "id_unknown", "names stay out of paths");
}

#[tokio::test]
async fn disabling_a_user_in_use_has_to_be_confirmed() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        server.tokens_of(&server.world.web, &AuthorizationRequest::of(&server.world.web)).await;
        let id = manager.get("/v1/users?username=alice").await.expect(200).json()["items"][0]["id"].clone();
        let path = format!("/v1/users/{}/disable", id.as_str().unwrap());
        let refusal = manager.act(&path).await;
        assert_eq!(refused(&refusal, 409), "confirmation_required");
        let ends = &refusal.json()["ends"];
        assert_eq!((&ends["sessions"]["count"], &ends["grants"]["count"]), (&json!(1), &json!(1)), "{ends}");
        assert_eq!((&ends["keys"]["count"], &ends["role_grants"]["count"]), (&json!(0), &json!(0)), "{ends}");
        assert!(manager.act(&format!("{path}?confirm=true")).await.expect(200).json()["disabled_at"].is_string());
        manager.act(&path).await.expect(200);
    })
    .await;
}
