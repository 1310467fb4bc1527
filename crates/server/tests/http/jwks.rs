//! `GET /jwks` (RFC 7517 section 5) and the rotation of signing keys.

use std::collections::BTreeSet;

use doorward_core::jwk::Algorithm;
use doorward_server::manage::{apis, clients, signing_keys};

use crate::harness::*;

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// The names of the keys that are published.
async fn published(server: &TestServer) -> BTreeSet<String> {
    let jwks = server.caller.get("/jwks").await.expect(200).json();
    jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

async fn token(server: &TestServer) -> String {
    server.caller.client_credentials(&server.world.web, "notes:read").await.expect(200).text("access_token")
}

fn kid(token: &str) -> String {
    header(token)["kid"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn only_public_keys_are_published_with_use_and_algorithm() {
    let server = TestServer::start().await;
    let answer = server.caller.get("/jwks").await.expect(200);
    assert_eq!(answer.header("cache-control"), Some("public, max-age=60"));
    let jwks = answer.json();
    let keys = jwks["keys"].as_array().unwrap();
    for key in keys {
        assert_eq!(key["use"], "sig");
        for private in ["d", "p", "q", "dp", "dq", "qi", "k", "oth"] {
            assert_eq!(key.get(private), None, "{private}");
        }
    }
}

/// The algorithms of the keys that are published.
async fn algorithms(server: &TestServer) -> BTreeSet<String> {
    let jwks = server.caller.get("/jwks").await.expect(200).json();
    jwks["keys"].as_array().unwrap().iter().map(|key| key["alg"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn only_algorithms_in_use_are_published() {
    on_each_engine(async |server| {
        let beside = server.beside().await;
        let published = async |expected: &[&str], why: &str| {
            let expected: BTreeSet<_> = expected.iter().map(|alg| (*alg).to_owned()).collect();
            for server in [server, &beside] {
                eventually(why, async || (algorithms(server).await == expected).then_some(())).await;
            }
            let metadata = server.caller.get("/.well-known/openid-configuration").await.json();
            let supported: BTreeSet<String> =
                serde_json::from_value(metadata["id_token_signing_alg_values_supported"].clone()).unwrap();
            assert_eq!(supported, expected, "{why}");
        };
        published(&["ES256", "RS256"], "by default").await;
        assert!(signing_keys::rotate(&server.app, &operator(), Algorithm::EdDSA).await.is_err());
        let new = doorward_core::client_metadata::ClientMetadata {
            id_token_signed_response_alg: Algorithm::EdDSA,
            ..client("Modern", doorward_core::client::AuthenticationMethod::None, "https://modern.example/cb")
        };
        let modern = register(&server.app, new.clone()).await;
        published(&["ES256", "EdDSA", "RS256"], "a client wants EdDSA").await;
        clients::delete(&server.app, &operator(), &modern.id, true, |_| Ok(())).await.unwrap();
        published(&["ES256", "RS256"], "the client is gone").await;
        register(&server.app, new).await;
        published(&["ES256", "EdDSA", "RS256"], "another client wants the key that is there").await;
        let identifier = doorward_core::api::ResourceIdentifier::parse("https://ps.example").unwrap();
        let api = doorward_core::api::ApiMetadata {
            signing_algorithm: Algorithm::PS256,
            ..doorward_core::api::ApiMetadata::new("ps", identifier)
        };
        apis::create(&server.app, &operator(), api).await.unwrap();
        published(&["ES256", "EdDSA", "PS256", "RS256"], "an API wants PS256").await;
    })
    .await;
}

#[tokio::test]
async fn a_key_is_published_before_it_signs_and_after_it_signed() {
    let server = TestServer::start().await;
    let old = kid(&token(&server).await);
    server.advance_secs(29 * DAY);
    server.run_due().await;
    let with_successor = published(&server).await;
    assert_eq!(kid(&token(&server).await), old, "the successor does not sign yet");
    server.advance_secs(DAY - 1);
    let last = token(&server).await;
    assert_eq!(kid(&last), old);
    server.advance_secs(1);
    let new = kid(&token(&server).await);
    assert_ne!(new, old);
    assert!(with_successor.contains(&new), "it was published a day before");
    assert!(published(&server).await.contains(&old), "what it signed is verified on");
    assert!(server.caller.is_active(&server.world.notes, &last).await);
    server.advance_secs(DAY);
    server.run_due().await;
    assert!(!published(&server).await.contains(&old));
}

#[tokio::test]
async fn tokens_verify_with_key_sets_an_hour_older_or_newer() {
    let server = TestServer::start_with(|settings| {
        settings.signing.rotate_every = std::time::Duration::from_secs(2 * DAY);
        settings.signing.publish_before_use = std::time::Duration::from_secs(6 * HOUR);
        settings.signing.retire_after = std::time::Duration::from_secs(6 * HOUR);
    })
    .await;
    let (mut before, mut pending, mut signers) = (published(&server).await, None::<String>, BTreeSet::new());
    for hour in 0..7 * 24 {
        server.advance_secs(HOUR);
        server.run_due().await;
        let token = token(&server).await;
        assert!(before.contains(&kid(&token)), "hour {hour}: a verifier that fetched an hour ago");
        before = published(&server).await;
        if let Some(earlier) = pending {
            assert!(before.contains(&kid(&earlier)), "hour {hour}: a verifier that fetches an hour later");
        }
        assert!(server.caller.is_active(&server.world.notes, &token).await, "hour {hour}");
        signers.insert(kid(&token));
        pending = Some(token);
    }
    assert!(signers.len() >= 3, "{signers:?}");
}

#[tokio::test]
async fn manual_rotation_reaches_every_server_and_waits() {
    on_each_engine(async |server| {
        let beside = server.beside().await;
        let old = kid(&token(server).await);
        let new = signing_keys::rotate(&server.app, &operator(), Algorithm::ES256).await.unwrap();
        let new = new.kid.to_string();
        for server in [server, &beside] {
            eventually("the successor is published", async || published(server).await.contains(&new).then_some(()))
                .await;
            assert_eq!(kid(&token(server).await), old);
        }
        server.advance_secs(DAY);
        assert_eq!(kid(&token(&beside).await), new);
        assert!(server.caller.is_active(&server.world.notes, &token(&beside).await).await);
    })
    .await;
}

#[tokio::test]
async fn rotated_key_is_published_at_once_by_its_own_process() {
    let server = TestServer::start().await;
    server.stop_tasks().await;
    let rotated = signing_keys::rotate(&server.app, &operator(), Algorithm::ES256).await.unwrap();
    assert!(published(&server).await.contains(rotated.kid.as_str()));
}
