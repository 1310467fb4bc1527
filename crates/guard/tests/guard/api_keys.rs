//! API keys, asked about at the issuer.

use std::{sync::Arc, time::Duration};

use reqwest::Method;
use serde_json::json;

use crate::{
    api::Api,
    fake_issuer::{FakeIssuer, Misbehaviour, VERIFY},
};

#[tokio::test]
async fn a_key_opens_what_it_has_the_scope_for_in_either_header() {
    let issuer = FakeIssuer::start().await;
    let api = Api::start(&issuer).await;
    let key = issuer.api_key("notes:read", &[]);
    assert_eq!(api.get("/notes", &key).await.status, 200);
    assert_eq!(api.send(Method::GET, "/notes", &[("x-api-key", &key)]).await.status, 200);
    assert_eq!(api.get("/notes", &issuer.api_key("notes:write", &[])).await.code(), "insufficient_scope");
}

#[tokio::test]
async fn a_mistyped_key_is_refused_without_asking_anybody() {
    let issuer = FakeIssuer::start().await;
    let api = Api::start(&issuer).await;
    let mistyped = issuer.unknown_key().replace("_test_", "_live_");
    let answer = api.get("/notes", &mistyped).await;
    assert_eq!((answer.status, answer.code()), (401, "key_mistyped"));
    assert_eq!(api.audit.last_code(), "key_mistyped");
    assert_eq!(issuer.asked(VERIFY), 0);
}

#[tokio::test]
async fn each_no_of_the_issuer_is_refused_with_its_reason() {
    let issuer = FakeIssuer::start().await;
    let api = Api::start(&issuer).await;
    for (code, shown) in [
        ("key_unknown", "key_unknown"),
        ("key_of_another_api", "key_unknown"),
        ("key_expired", "key_expired"),
        ("key_revoked", "key_revoked"),
        ("key_owner_disabled", "key_owner_disabled"),
    ] {
        let key = issuer.unknown_key();
        issuer.answer(&key, json!({"valid": false, "code": code}));
        let answer = api.get("/notes", &key).await;
        assert_eq!((answer.status, answer.code()), (401, shown));
        assert_eq!(api.audit.last_code(), code);
    }
}

#[tokio::test]
async fn a_revoked_key_is_refused_when_the_yes_is_half_a_second_old() {
    let issuer = FakeIssuer::start().await;
    let api = Api::start(&issuer).await;
    let key = issuer.api_key("notes:read", &[]);
    assert_eq!(api.get("/notes", &key).await.status, 200);
    issuer.answer(&key, json!({"valid": false, "code": "key_revoked"}));
    api.advance(Duration::from_millis(499));
    assert_eq!(api.get("/notes", &key).await.status, 200);
    assert_eq!(issuer.asked(VERIFY), 1);
    api.advance(Duration::from_millis(1));
    let answer = api.get("/notes", &key).await;
    assert_eq!((answer.status, answer.code()), (401, "key_revoked"));
}

#[tokio::test]
async fn negative_verdict_is_kept_for_half_a_second() {
    let issuer = FakeIssuer::start().await;
    let api = Api::start(&issuer).await;
    let key = issuer.api_key("notes:read", &[]);
    let yes = json!({"valid": true, "principal": {"kind": "key", "sub": "key_1", "credential": "api_key",
        "audience": crate::fake_issuer::API, "scope": "notes:read"}});
    issuer.answer(&key, json!({"valid": false, "code": "key_unknown"}));
    assert_eq!(api.get("/notes", &key).await.status, 401);
    issuer.answer(&key, yes);
    api.advance(Duration::from_millis(499));
    assert_eq!(api.get("/notes", &key).await.code(), "key_unknown");
    assert_eq!(issuer.asked(VERIFY), 1);
    // Long before the second is over in which a new key has to work.
    api.advance(Duration::from_millis(1));
    assert_eq!(api.get("/notes", &key).await.status, 200);
}

#[tokio::test]
async fn callers_with_one_key_share_one_question() {
    let issuer = FakeIssuer::start().await;
    let api = Arc::new(Api::start(&issuer).await);
    let key = issuer.api_key("notes:read", &[]);
    let callers: Vec<_> = (0..30)
        .map(|_| {
            let (api, key) = (api.clone(), key.clone());
            tokio::spawn(async move { api.get("/notes", &key).await.status })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), 200);
    }
    assert_eq!(issuer.asked(VERIFY), 1);
}

#[tokio::test]
async fn wrong_api_credential_rejects_every_key() {
    let issuer = FakeIssuer::start().await;
    let key = issuer.api_key("notes:read", &[]);
    let api = Api::start_with(&issuer, |builder| builder.credential("cli_api", "wrong").build()).await;
    let answer = api.get("/notes", &key).await;
    assert_eq!((answer.status, answer.code()), (503, "verifier_unavailable"));
    let event = api.audit.events().pop().unwrap();
    assert!(event.facts.iter().any(|(name, value)| name == "reason" && value.contains("credential")), "{event:?}");
    assert!(!format!("{event:?}").contains(&key));
}

#[tokio::test]
async fn an_answer_that_is_no_verdict_lets_nobody_in() {
    let issuer = FakeIssuer::start().await;
    let api = Api::start(&issuer).await;
    let key = issuer.api_key("notes:read", &[]);
    for how in [
        Misbehaviour::Status(500),
        Misbehaviour::Status(429),
        Misbehaviour::Status(204),
        Misbehaviour::Body("true".into()),
        Misbehaviour::Body(r#"{"valid":false,"valid":true}"#.into()),
        Misbehaviour::Body(" ".repeat(64 * 1024 + 1)),
        Misbehaviour::Redirect(format!("{}/elsewhere", issuer.url)),
    ] {
        issuer.misbehave(VERIFY, how);
        assert_eq!(api.get("/notes", &key).await.status, 503);
    }
    assert_eq!(issuer.asked("/elsewhere"), 0);
    issuer.behave();
    assert_eq!(api.get("/notes", &key).await.status, 200);
}
