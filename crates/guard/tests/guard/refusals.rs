//! What a refused caller gets, and what the operator sees.

use std::time::Duration;

use doorward_guard::{ClientAddress, Guard, ResourceIdentifier};
use reqwest::Method;
use serde_json::json;
use tower_service::Service;

use crate::{
    api::{Answer, Api, builder},
    fake_issuer::{API, FakeIssuer, LATER, Misbehaviour, NOW, REFUSALS},
    time::{elapse, until},
};

const METADATA_URL: &str = "http://localhost:8401/.well-known/oauth-protected-resource";

/// The parameters of a `Bearer` challenge, read by the grammar of RFC 9110 section 11.6.1 with quoted strings alone.
fn challenge(answer: &Answer) -> Vec<(String, String)> {
    let header = answer.header("www-authenticate").expect("a challenge");
    let mut rest = header.strip_prefix("Bearer ").expect("the scheme Bearer");
    let mut parameters = Vec::new();
    loop {
        let (name, after) = rest.split_once("=\"").expect("name=\"");
        assert!(!name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), "{header}");
        let (value, after) = after.split_once('"').expect("a closing quote");
        assert!(value.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'\\'), "{header}");
        parameters.push((name.to_owned(), value.to_owned()));
        match after.strip_prefix(", ") {
            Some(more) => rest = more,
            None => {
                assert_eq!(after, "", "{header}");
                return parameters;
            }
        }
    }
}

fn parameter(answer: &Answer, name: &str) -> Option<String> {
    challenge(answer).into_iter().find(|(own, _)| own == name).map(|(_, value)| value)
}

#[tokio::test]
async fn challenge_without_credential_has_metadata_and_no_error() {
    let issuer = FakeIssuer::start().await;
    let answer = Api::start(&issuer).await.send(Method::GET, "/notes", &[]).await;
    assert_eq!((answer.status, answer.code()), (401, "credential_missing"));
    assert_eq!(challenge(&answer), [("resource_metadata".to_owned(), METADATA_URL.to_owned())]);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.body["status"], 401);
    assert_eq!(answer.body["type"], format!("{}/denials/credential_missing", issuer.url));
}

#[tokio::test]
async fn missing_scope_or_role_is_named_to_the_caller() {
    let issuer = FakeIssuer::start().await;
    let api = Api::start(&issuer).await;
    let answer = api.get("/notes", &issuer.jwt("notes:write")).await;
    assert_eq!((answer.status, answer.code()), (403, "insufficient_scope"));
    assert_eq!(answer.body["required_scopes"], json!(["notes:read"]));
    assert!(answer.body["detail"].as_str().unwrap().ends_with(" required scope: notes:read."), "{}", answer.body);
    assert_eq!(parameter(&answer, "scope").as_deref(), Some("notes:read"));
    let answer = api.get("/notes/1", &issuer.jwt("notes:write")).await;
    assert_eq!((answer.status, answer.code()), (403, "insufficient_permission"));
    assert_eq!(answer.body["required_roles"], json!(["admin"]));
    assert!(answer.body["detail"].as_str().unwrap().ends_with("the role admin is missing."), "{}", answer.body);
}

#[tokio::test]
async fn a_bad_credential_is_invalid_token() {
    let issuer = FakeIssuer::start().await;
    let answer = Api::start(&issuer).await.get("/notes", &issuer.unknown_key()).await;
    assert_eq!(answer.status, 401);
    assert_eq!(parameter(&answer, "error").as_deref(), Some("invalid_token"));
    assert_eq!(parameter(&answer, "resource_metadata").as_deref(), Some(METADATA_URL));
}

#[tokio::test]
async fn missing_role_does_not_look_like_a_missing_scope() {
    let issuer = FakeIssuer::start().await;
    let api = Api::start(&issuer).await;
    let answer = api.get("/notes", &issuer.jwt("notes:write")).await;
    assert_eq!((answer.status, answer.code()), (403, "insufficient_scope"));
    assert_eq!(parameter(&answer, "error").as_deref(), Some("insufficient_scope"));
    assert_eq!(parameter(&answer, "scope").as_deref(), Some("notes:read"));
    let answer = api.get("/notes/1", &issuer.jwt("notes:write")).await;
    assert_eq!((answer.status, answer.code()), (403, "insufficient_permission"));
    assert_eq!(answer.header("www-authenticate"), None);
}

#[tokio::test]
async fn two_credentials_are_refused_wherever_they_stand() {
    let issuer = FakeIssuer::start().await;
    let api = Api::start(&issuer).await;
    let key = issuer.api_key("notes:read", &[]);
    let bearer = format!("Bearer {key}");
    for (path, headers) in [
        ("/notes".to_owned(), vec![("authorization", bearer.as_str()), ("x-api-key", key.as_str())]),
        ("/notes".to_owned(), vec![("authorization", bearer.as_str()), ("authorization", bearer.as_str())]),
        (format!("/notes?api_key={key}"), vec![("authorization", bearer.as_str())]),
    ] {
        let answer = api.send(Method::GET, &path, &headers).await;
        assert_eq!((answer.status, answer.code()), (400, "credential_multiple"));
        assert_eq!(parameter(&answer, "error").as_deref(), Some("invalid_request"));
    }
}

#[tokio::test]
async fn credential_in_the_url_is_refused_and_never_forwarded() {
    let issuer = FakeIssuer::start().await;
    let api = Api::start(&issuer).await;
    let key = issuer.api_key("notes:read", &[]);
    for query in [format!("api_key={key}"), format!("q={key}"), "access_token=x".to_owned()] {
        let answer = api.send(Method::GET, &format!("/notes?{query}"), &[]).await;
        assert_eq!((answer.status, answer.code()), (400, "credential_in_query"), "{query}");
        let event = api.audit.events().pop().unwrap();
        assert_eq!(event.path, "/notes");
        assert!(!format!("{event:?} {:?}", answer.body).contains(&key));
    }
    assert_eq!(api.send(Method::GET, "/notes?token=its-own", &[]).await.code(), "credential_missing");
}

#[tokio::test]
async fn other_schemes_are_refused_as_unreadable() {
    let issuer = FakeIssuer::start().await;
    let api = Api::start(&issuer).await;
    for value in ["Basic dXNlcjpwYXNz", "Bearer", "Bearer a b", "Digest x"] {
        let answer = api.send(Method::GET, "/notes", &[("authorization", value)]).await;
        assert_eq!((answer.status, answer.code()), (401, "credential_malformed"), "{value}");
    }
}

#[tokio::test]
async fn the_audit_knows_who_what_and_where_from_and_no_secret() {
    let issuer = FakeIssuer::start().await;
    let api = Api::start(&issuer).await;
    let token = issuer.jwt("notes:write");
    let bearer = format!("Bearer {token}");
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let traceparent = format!("00-{trace}-00f067aa0ba902b7-01");
    let headers = [("authorization", bearer.as_str()), ("traceparent", traceparent.as_str())];
    let answer = api.send(Method::GET, "/notes?page=2", &headers).await;
    assert_eq!(answer.body["trace_id"], trace);
    let event = api.audit.events().pop().unwrap();
    assert_eq!(event.trace_id.to_string(), trace);
    assert_eq!((event.code.as_str(), event.at.as_str()), ("insufficient_scope", API));
    assert_eq!((event.method.as_str(), event.path.as_str()), ("GET", "/notes"));
    assert_eq!(event.address.as_deref(), Some("127.0.0.1"));
    assert_eq!(event.principal.as_deref(), Some("usr_1"));
    assert_eq!(event.at_ms, NOW.as_millis());
    assert!(!format!("{event:?}").contains(&token));
}

#[tokio::test]
async fn address_that_a_listener_found_goes_before_the_peers() {
    let audit = crate::api::Recorder::default();
    let found = ClientAddress { peer: ([127, 0, 0, 1], 443).into(), client: [203, 0, 113, 1].into() };
    let guard = Guard::builder("http://localhost:8400", ResourceIdentifier::parse(API).unwrap());
    let guard = guard.audit(audit.clone()).build().unwrap();
    let routes = axum::Router::new().layer(guard.layer()).layer(axum::Extension(found));
    let api = Api::serve(routes).await;
    api.send(Method::GET, "/notes", &[]).await;
    assert_eq!(audit.events()[0].address.as_deref(), Some("203.0.113.1"));
}

#[tokio::test]
async fn audit_has_the_callers_path_below_a_nested_router() {
    let issuer = FakeIssuer::start().await;
    let audit = crate::api::Recorder::default();
    let clock = std::sync::Arc::new(doorward_core::clock::ManualClock::at(NOW));
    let guard = builder(&issuer, &clock).audit(audit.clone()).build().unwrap();
    let inner = axum::Router::new().route("/notes", axum::routing::get(async || "")).layer(guard.layer());
    let api = Api::serve(axum::Router::new().nest("/v2", inner)).await;
    api.send(Method::GET, "/v2/notes", &[]).await;
    assert_eq!(audit.events()[0].path, "/v2/notes");
}

#[tokio::test]
async fn refusals_wait_for_delivery_while_the_issuer_is_away() {
    let issuer = FakeIssuer::start().await;
    let clock = std::sync::Arc::new(doorward_core::clock::ManualClock::at(NOW));
    let guard: Guard = builder(&issuer, &clock).deliver_refusals().build().unwrap();
    let app = axum::Router::new().route("/", axum::routing::get(async || "")).layer(guard.layer());
    let api = Api::serve(app).await;
    issuer.misbehave(REFUSALS, Misbehaviour::Status(503));
    let mut told = Vec::new();
    for _ in 0..120 {
        told.push(api.send(Method::GET, "/", &[]).await.body["trace_id"].clone());
    }
    guard.flush().await;
    assert_eq!(issuer.refusals().len(), 0);
    issuer.behave();
    clock.advance(LATER);
    guard.flush().await;
    let delivered: Vec<_> = issuer.refusals().iter().map(|event| event["trace_id"].clone()).collect();
    assert_eq!(delivered, told);
}

#[tokio::test]
async fn refusals_beyond_their_places_are_delivered_with_a_count() {
    let issuer = FakeIssuer::start().await;
    let clock = std::sync::Arc::new(doorward_core::clock::ManualClock::at(NOW));
    let guard = builder(&issuer, &clock).deliver_refusals().build().unwrap();
    let mut app = axum::Router::new().route("/", axum::routing::get(async || "")).layer(guard.layer());
    issuer.misbehave(REFUSALS, Misbehaviour::Status(503));
    let traces: Vec<_> = (1..=3_000).map(|number| format!("{number:032x}")).collect();
    for trace in &traces {
        let request = http::Request::builder().header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"));
        let answer = app.call(request.body(axum::body::Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), 401);
    }
    issuer.behave();
    clock.advance(LATER);
    guard.flush().await;
    let delivered: Vec<_> = issuer.refusals().iter().map(|event| event["trace_id"].clone()).collect();
    assert_eq!(delivered, traces[..201]);
    let counts: Vec<_> = issuer.refusals().iter().map(|event| event["count"].as_u64().unwrap_or(1)).collect();
    assert_eq!((counts[200], counts.iter().sum::<u64>()), (2_800, 3_000));
}

#[tokio::test]
async fn refusals_are_delivered_without_being_asked() {
    let issuer = FakeIssuer::start().await;
    let clock = std::sync::Arc::new(doorward_core::clock::ManualClock::at(NOW));
    let guard = builder(&issuer, &clock).deliver_refusals().build().unwrap();
    let app = axum::Router::new().route("/", axum::routing::get(async || "")).layer(guard.layer());
    let api = Api::serve(app).await;
    api.send(Method::GET, "/", &[]).await;
    elapse(Duration::from_millis(250)).await;
    until(|| !issuer.refusals().is_empty()).await;
    assert_eq!(issuer.refusals()[0]["code"], "credential_missing");
}
