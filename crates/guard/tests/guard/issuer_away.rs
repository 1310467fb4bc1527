//! A guard whose issuer is away, slow or another lets nobody in (fails closed), and recovers by itself.

use serde_json::json;

use crate::{
    api::Api,
    fake_issuer::{FakeIssuer, LATER, METADATA, Misbehaviour, VERIFY},
    time::until,
};

#[tokio::test]
async fn every_credential_gets_503_until_the_issuer_is_there() {
    let mut issuer = FakeIssuer::start().await;
    issuer.stop().await;
    let api = Api::start(&issuer).await;
    let credentials = [issuer.api_key("notes:read", &[]), issuer.jwt("notes:read"), issuer.opaque("notes:read")];
    for credential in &credentials {
        let answer = api.get("/notes", credential).await;
        assert_eq!((answer.status, answer.code()), (503, "verifier_unavailable"));
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert_eq!(answer.header("www-authenticate"), None);
    }
    issuer.start_again().await;
    api.advance(LATER);
    for credential in &credentials {
        assert_eq!(api.get("/notes", credential).await.status, 200);
    }
}

#[tokio::test]
async fn missing_credential_is_reported_while_the_issuer_is_away() {
    let mut issuer = FakeIssuer::start().await;
    issuer.stop().await;
    let api = Api::start(&issuer).await;
    assert_eq!(api.send(reqwest::Method::GET, "/notes", &[]).await.status, 401);
}

#[tokio::test]
async fn failing_discovery_is_not_repeated_at_every_request() {
    let issuer = FakeIssuer::start().await;
    let api = Api::start(&issuer).await;
    issuer.misbehave(METADATA, Misbehaviour::Status(500));
    for _ in 0..5 {
        assert_eq!(api.get("/notes", &issuer.jwt("notes:read")).await.status, 503);
    }
    assert_eq!(issuer.asked(METADATA), 1);
}

#[tokio::test]
async fn metadata_of_another_issuer_is_not_believed() {
    let issuer = FakeIssuer::start().await;
    let api = Api::start(&issuer).await;
    for claimed in [format!("{}/", issuer.url), "http://localhost:1".to_owned()] {
        let document = json!({"issuer": claimed, "jwks_uri": format!("{}/jwks", issuer.url)});
        issuer.misbehave(METADATA, Misbehaviour::Body(document.to_string()));
        assert_eq!(api.get("/notes", &issuer.jwt("notes:read")).await.status, 503);
        let event = api.audit.events().pop().unwrap();
        assert!(event.facts.iter().any(|(_, value)| value.contains("not exactly the issuer")), "{event:?}");
        api.advance(LATER);
    }
}

#[tokio::test]
async fn the_apis_credential_is_not_sent_to_another_origin() {
    let (issuer, thief) = (FakeIssuer::start().await, FakeIssuer::start().await);
    let api = Api::start(&issuer).await;
    let document = json!({"issuer": issuer.url, "jwks_uri": format!("{}/jwks", issuer.url),
        "doorward_key_verification_endpoint": format!("{}{VERIFY}", thief.url)});
    issuer.misbehave(METADATA, Misbehaviour::Body(document.to_string()));
    assert_eq!(api.get("/notes", &issuer.api_key("notes:read", &[])).await.status, 503);
    assert_eq!(thief.asked(VERIFY), 0);
}

#[tokio::test]
async fn an_issuer_that_never_answers_is_given_up() {
    let issuer = FakeIssuer::start().await;
    let api = Api::start(&issuer).await;
    issuer.misbehave(VERIFY, Misbehaviour::Never);
    let key = issuer.api_key("notes:read", &[]);
    let pause_once_asked = async {
        until(|| issuer.asked(VERIFY) > 0).await;
        // From here on the clock jumps to the next timer whenever nothing else is left to do.
        tokio::time::pause();
    };
    let (answer, ()) = tokio::join!(api.get("/notes", &key), pause_once_asked);
    assert_eq!(answer.status, 503);
    let event = api.audit.events().pop().unwrap();
    assert!(event.facts.iter().any(|(_, value)| value.contains("in time")), "{event:?}");
}
