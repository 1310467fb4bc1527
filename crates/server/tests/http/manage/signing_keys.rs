//! `/v1/signing-keys`.

use doorward_server::manage::keys::NewKey;
use serde_json::{Value, json};

use super::manager::{Manager, places, refused};
use crate::harness::*;

async fn token(server: &TestServer) -> String {
    server.caller.client_credentials(&server.world.web, "notes:read").await.expect(200).text("access_token")
}

async fn published(server: &TestServer) -> Vec<String> {
    let jwks = server.caller.get("/jwks").await.expect(200).json();
    jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn signing_keys_are_listed_and_rotated() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let before = manager.get("/v1/signing-keys").await.expect(200).json();
        assert_eq!(before["next"], Value::Null);
        let key = [("idempotency-key", "5f9c2f1e-6d0b-4f0e-9c57-000000000002")];
        let rotate =
            async || manager.send(reqwest::Method::POST, "/v1/signing-keys", &key, Some(json!({"alg": "ES256"}))).await;
        let created = rotate().await.expect(201);
        assert_eq!(rotate().await.expect(201).body, created.body);
        let path = created.header("location").unwrap();
        assert_eq!(path, format!("/v1/signing-keys/{}", created.text("kid")));
        let shown = manager.get(path).await.expect(200);
        assert_eq!((shown.text("alg"), shown.text("state")), ("ES256".to_owned(), "published".to_owned()));
        assert_eq!(shown.json()["jwk"]["d"], Value::Null);
        let after = manager.get("/v1/signing-keys").await.expect(200).json();
        let count = |list: &Value| list["items"].as_array().unwrap().len();
        assert_eq!(count(&after), count(&before) + 1);
        assert!(published(server).await.contains(&created.text("kid")));
    })
    .await;
}

#[tokio::test]
async fn keys_that_wait_to_sign_keep_the_jwks_small() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    let rotate = async || manager.post("/v1/signing-keys", json!({"alg": "ES256"})).await;
    rotate().await.expect(201);
    let last = rotate().await.expect(201).text("kid");
    let before = published(&server).await;
    assert_eq!(refused(&rotate().await, 409), "conflict");
    assert_eq!(published(&server).await, before);
    manager.act(&format!("/v1/signing-keys/{last}/withdraw")).await.expect(204);
    rotate().await.expect(201);
}

#[tokio::test]
async fn key_of_an_unused_or_unknown_algorithm_is_refused() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    for body in [json!({"alg": "PS256"}), json!({"alg": "none"}), json!({})] {
        let answer = manager.post("/v1/signing-keys", body).await;
        assert_eq!(refused(&answer, 422), "body_invalid");
        assert_eq!(places(&answer), ["/alg"]);
    }
}

#[tokio::test]
async fn limited_caller_finds_no_signing_keys() {
    let server = TestServer::start().await;
    let new =
        NewKey { limited_to: vec!["notes".into()], ..new_key("doorward", "signing_keys:read signing_keys:write") };
    let limited = Manager::by(&server, new).await;
    let kid = header(&token(&server).await)["kid"].as_str().unwrap().to_owned();
    assert_eq!(limited.get("/v1/signing-keys").await.expect(200).json()["items"], json!([]));
    assert_eq!(refused(&limited.get(&format!("/v1/signing-keys/{kid}")).await, 404), "id_unknown");
    let withdraw = limited.act(&format!("/v1/signing-keys/{kid}/withdraw?confirm=true")).await;
    assert_eq!(refused(&withdraw, 404), "id_unknown");
    assert_eq!(refused(&limited.post("/v1/signing-keys", json!({"alg": "ES256"})).await, 403), "rights_exceeded");
}

#[tokio::test]
async fn withdrawn_key_verifies_nothing_and_another_signs_at_once() {
    on_each_engine(async |server| {
        let manager = Manager::of_all(server).await;
        let leaked = token(server).await;
        let kid = header(&leaked)["kid"].as_str().unwrap().to_owned();
        let path = format!("/v1/signing-keys/{kid}/withdraw");
        let asked = manager.act(&path).await;
        assert_eq!(refused(&asked, 409), "confirmation_required");
        assert_eq!(asked.json()["ends"], json!({ "tokens_signed_by": kid }));
        assert!(server.caller.is_active(&server.world.notes, &leaked).await);

        manager.act(&format!("{path}?confirm=true")).await.expect(204);
        assert!(!published(server).await.contains(&kid));
        assert!(!server.caller.is_active(&server.world.notes, &leaked).await);
        let new = token(server).await;
        assert!(published(server).await.contains(&header(&new)["kid"].as_str().unwrap().to_owned()));
        assert!(server.caller.is_active(&server.world.notes, &new).await);
        assert_eq!(refused(&manager.act(&format!("{path}?confirm=true")).await, 404), "id_unknown");
    })
    .await;
}

#[tokio::test]
async fn key_that_never_signed_is_withdrawn_without_successor() {
    let server = TestServer::start().await;
    let manager = Manager::of_all(&server).await;
    let signing = header(&token(&server).await)["kid"].clone();
    let next = manager.post("/v1/signing-keys", json!({"alg": "ES256"})).await.expect(201).text("kid");
    let before = published(&server).await;
    manager.act(&format!("/v1/signing-keys/{next}/withdraw")).await.expect(204);
    assert_eq!(published(&server).await.len(), before.len() - 1);
    assert_eq!(header(&token(&server).await)["kid"], signing);
}
