//! Opaque access tokens, asked about by introspection.

use std::time::Duration;

use http::Method;
use serde_json::json;

use crate::{
    api::Api,
    fake_issuer::{FakeIssuer, INTROSPECT, VERIFY},
};

#[tokio::test]
async fn revoked_opaque_token_is_refused_half_a_second_later() {
    let issuer = FakeIssuer::start().await;
    let api = Api::start(&issuer).await;
    let token = issuer.opaque("notes:read");
    assert_eq!(api.get("/notes", &token).await.status, 200);
    assert_eq!(api.get("/notes", &token).await.status, 200);
    assert_eq!(issuer.asked(INTROSPECT), 1);
    issuer.answer(&token, json!({"active": false}));
    api.advance(Duration::from_millis(500));
    let answer = api.get("/notes", &token).await;
    assert_eq!((answer.status, answer.code()), (401, "token_unknown"));
}

#[tokio::test]
async fn an_active_token_for_another_api_is_refused() {
    let issuer = FakeIssuer::start().await;
    let api = Api::start(&issuer).await;
    let token = issuer.opaque("notes:read");
    let mut answer = issuer.claims("notes:read");
    answer["active"] = true.into();
    answer["aud"] = "http://localhost:9999".into();
    issuer.answer(&token, answer);
    assert_eq!(api.get("/notes", &token).await.code(), "token_audience_wrong");
}

#[tokio::test]
async fn a_mistyped_token_is_refused_without_asking_anybody() {
    let issuer = FakeIssuer::start().await;
    let api = Api::start(&issuer).await;
    let mut mistyped = issuer.opaque("notes:read");
    let last = mistyped.pop().unwrap();
    mistyped.push(if last == '0' { '1' } else { '0' });
    let answer = api.get("/notes", &mistyped).await;
    assert_eq!((answer.status, answer.code()), (401, "token_malformed"));
    assert_eq!(issuer.asked(INTROSPECT), 0);
}

#[tokio::test]
async fn callers_trace_context_is_carried_on_to_the_issuer() {
    let issuer = FakeIssuer::start().await;
    let api = Api::start(&issuer).await;
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for (given, carried) in [(vec![parent], Some(parent)), (vec!["00-0-0-0"], None), (vec![parent, parent], None)] {
        for (credential, path) in
            [(issuer.opaque("notes:read"), INTROSPECT), (issuer.api_key("notes:read", &[]), VERIFY)]
        {
            let bearer = format!("Bearer {credential}");
            let mut headers = vec![("authorization", &*bearer), ("tracestate", "vendor=1")];
            headers.extend(given.iter().map(|parent| ("traceparent", *parent)));
            assert_eq!(api.send(Method::GET, "/notes", &headers).await.status, 200);
            assert_eq!(issuer.asked_with(path, "traceparent").as_deref(), carried, "{path}");
            assert_eq!(issuer.asked_with(path, "tracestate").as_deref(), carried.map(|_| "vendor=1"));
        }
    }
}
