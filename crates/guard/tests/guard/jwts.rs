//! Access tokens as JWTs, verified by the API itself.

use std::{sync::Arc, time::Duration};

use doorward_core::{jwk::Algorithm, jws};
use serde_json::{Value, json};

use crate::{
    api::Api,
    fake_issuer::{FakeIssuer, JWKS, LATER, METADATA, Misbehaviour, NOW, key},
    time::{elapse, until},
};

#[tokio::test]
async fn issuers_keys_are_fetched_once_for_many_tokens() {
    let issuer = FakeIssuer::start().await;
    let api = Api::start(&issuer).await;
    let token = issuer.jwt("notes:read");
    for _ in 0..3 {
        assert_eq!(api.get("/notes", &token).await.status, 200);
        assert_eq!(api.get("/notes", &issuer.jwt("notes:read")).await.status, 200);
    }
    assert_eq!((issuer.asked(METADATA), issuer.asked(JWKS)), (1, 1));
}

#[tokio::test]
async fn metadata_and_keys_are_refetched_every_five_minutes() {
    let issuer = FakeIssuer::start().await;
    let api = Api::start(&issuer).await;
    assert_eq!(api.get("/notes", &issuer.jwt("notes:read")).await.status, 200);
    api.advance(Duration::from_secs(300));
    elapse(Duration::from_secs(1)).await;
    until(|| (issuer.asked(METADATA), issuer.asked(JWKS)) == (2, 2)).await;
}

#[tokio::test]
async fn a_storm_of_unknown_kids_causes_one_fetch_per_interval() {
    let issuer = FakeIssuer::start().await;
    let api = Arc::new(Api::start(&issuer).await);
    api.get("/notes", &issuer.jwt("notes:read")).await;
    assert_eq!(issuer.asked(JWKS), 1);
    for expected in [2, 3] {
        api.advance(LATER);
        for _ in 0..2 {
            let storm = (0..40).map(|n| {
                let (api, forged) = (api.clone(), jws::sign(&key(&format!("x{n}"), n), "at+jwt", b"{}").unwrap());
                tokio::spawn(async move { api.get("/notes", &forged).await })
            });
            for answer in storm.collect::<Vec<_>>() {
                let answer = answer.await.unwrap();
                assert_eq!((answer.status, answer.code()), (401, "token_key_unknown"));
            }
        }
        assert_eq!(issuer.asked(JWKS), expected);
    }
}

#[tokio::test]
async fn new_key_is_fetched_and_withdrawn_key_ends_cached_tokens() {
    let issuer = FakeIssuer::start().await;
    let api = Api::start(&issuer).await;
    let old = issuer.jwt("notes:read");
    assert_eq!(api.get("/notes", &old).await.status, 200);
    issuer.rotate_to("k2", 2);
    api.advance(LATER);
    assert_eq!(api.get("/notes", &old).await.status, 200, "the guard does not know yet");
    assert_eq!(api.get("/notes", &issuer.jwt("notes:read")).await.status, 200);
    assert_eq!(api.get("/notes", &old).await.code(), "token_key_unknown");
}

#[tokio::test]
async fn changed_key_under_the_same_name_ends_cached_tokens() {
    let issuer = FakeIssuer::start().await;
    let api = Api::start(&issuer).await;
    let old = issuer.jwt("notes:read");
    assert_eq!(api.get("/notes", &old).await.status, 200);
    issuer.rotate_to("k1", 2);
    api.advance(LATER);
    let forged = jws::sign(&key("unknown", 9), "at+jwt", b"{}").unwrap();
    assert_eq!(api.get("/notes", &forged).await.code(), "token_key_unknown");
    assert_eq!(api.get("/notes", &old).await.code(), "token_signature_wrong");
}

#[tokio::test]
async fn cached_token_is_refused_once_it_expires() {
    let issuer = FakeIssuer::start().await;
    let api = Api::start(&issuer).await;
    let token = issuer.jwt("notes:read");
    assert_eq!(api.get("/notes", &token).await.status, 200);
    api.advance(Duration::from_secs(329));
    assert_eq!(api.get("/notes", &token).await.status, 200, "within the skew");
    api.advance(Duration::from_secs(1));
    let answer = api.get("/notes", &token).await;
    assert_eq!((answer.status, answer.code()), (401, "token_expired"));
}

#[tokio::test]
async fn each_flaw_of_a_token_is_refused_with_its_reason() {
    let issuer = FakeIssuer::start().await;
    let api = Api::start(&issuer).await;
    let with = |name: &str, value: Value| {
        let mut claims = issuer.claims("notes:read");
        claims[name] = value;
        issuer.sign("at+jwt", &claims)
    };
    let good = issuer.jwt("notes:read");
    let (message, _) = good.rsplit_once('.').unwrap();
    let signature = issuer.jwt("notes:write");
    let (_, signature) = signature.rsplit_once('.').unwrap();
    for (token, code) in [
        (with("iss", "http://localhost:1".into()), "token_issuer_wrong"),
        (with("aud", "http://localhost:1".into()), "token_audience_wrong"),
        (with("aud", issuer.url.as_str().into()), "token_of_no_api"),
        (with("exp", (NOW.as_secs() - 31).into()), "token_expired"),
        (with("nbf", (NOW.as_secs() + 31).into()), "token_not_yet_valid"),
        (with("jti", Value::Null), "token_claims_invalid"),
        (with("cnf", json!({"jkt": "x"})), "token_binding_unproven"),
        (issuer.sign("JWT", &issuer.claims("notes:read")), "token_type_wrong"),
        (format!("{message}.{signature}"), "token_signature_wrong"),
        (format!("{message}."), "token_signature_wrong"),
        (format!("{message}.A"), "token_malformed"),
        ("a.b.c".to_owned(), "token_malformed"),
        // {"alg":"none"}, {"alg":"EdDSA","kid":"k1","crit":[]}
        ("eyJhbGciOiJub25lIn0.e30.".to_owned(), "token_algorithm_refused"),
        ("eyJhbGciOiJFZERTQSIsImtpZCI6ImsxIiwiY3JpdCI6W119.e30.AA".to_owned(), "token_header_refused"),
    ] {
        let answer = api.get("/notes", &token).await;
        assert_eq!((answer.status, answer.code()), (401, code), "{token}");
    }
    assert_eq!(api.get("/notes", &good).await.status, 200);
}

#[tokio::test]
async fn an_algorithm_that_the_api_did_not_allow_is_refused() {
    let issuer = FakeIssuer::start().await;
    let api = Api::start_with(&issuer, |builder| builder.algorithms([Algorithm::ES256]).build()).await;
    assert_eq!(api.get("/notes", &issuer.jwt("notes:read")).await.code(), "token_algorithm_refused");
}

#[tokio::test]
async fn known_keys_still_verify_while_the_issuer_is_away() {
    let mut issuer = FakeIssuer::start().await;
    let api = Api::start(&issuer).await;
    assert_eq!(api.get("/notes", &issuer.jwt("notes:read")).await.status, 200);
    issuer.stop().await;
    api.advance(LATER);
    assert_eq!(api.get("/notes", &issuer.jwt("notes:read")).await.status, 200);
    issuer.rotate_to("k2", 2);
    let answer = api.get("/notes", &issuer.jwt("notes:read")).await;
    assert_eq!((answer.status, answer.code()), (503, "verifier_unavailable"));
    issuer.start_again().await;
    api.advance(LATER);
    assert_eq!(api.get("/notes", &issuer.jwt("notes:read")).await.status, 200);
}

#[tokio::test]
async fn a_key_set_that_is_too_large_or_none_is_not_used() {
    for body in [" ".repeat(256 * 1024 + 1), "[]".into(), r#"{"keys":[],"keys":[]}"#.into()] {
        let issuer = FakeIssuer::start().await;
        let api = Api::start(&issuer).await;
        issuer.misbehave(JWKS, Misbehaviour::Body(body));
        assert_eq!(api.get("/notes", &issuer.jwt("notes:read")).await.status, 503);
        issuer.behave();
        api.advance(LATER);
        assert_eq!(api.get("/notes", &issuer.jwt("notes:read")).await.status, 200);
    }
}
