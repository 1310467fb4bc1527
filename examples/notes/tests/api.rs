//! What each route of the notes API demands and gives, with credentials of a test issuer.
#![expect(clippy::unwrap_used, reason = "the helpers of the tests are outside of test functions")]

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use doorward_guard::testing::{TestIssuer, status};
use doorward_notes::{SampleApp, router};
use serde_json::{Value, json};

const API: &str = "http://localhost:8401";

fn app(issuer: &TestIssuer) -> Router {
    let sample = SampleApp::new("http://localhost:8400", "cli_app", "http://localhost:8401/callback").unwrap();
    router(&issuer.guard(), sample)
}

async fn send(app: &Router, method: &str, path: &str, credential: &str, body: &str) -> (StatusCode, Value) {
    let (status, text) = send_for_text(app, method, path, credential, body).await;
    (status, serde_json::from_str(&text).unwrap_or_default())
}

async fn send_for_text(app: &Router, method: &str, path: &str, credential: &str, body: &str) -> (StatusCode, String) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {credential}"))
        .header("content-type", "application/json")
        .body(Body::from(body.to_owned()))
        .unwrap();
    let Ok(response) = tower_service::Service::call(&mut app.clone(), request).await;
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn each_route_needs_a_credential_and_its_scope() {
    let issuer = TestIssuer::new(API);
    let app = app(&issuer);
    let (read, write) = (issuer.token("notes:read"), issuer.api_key("notes:write"));
    for (method, path, insufficient) in [
        ("GET", "/notes", &write),
        ("POST", "/notes", &read),
        ("DELETE", "/notes/1", &read),
        ("DELETE", "/notes/1", &write),
    ] {
        assert_eq!(status(&app, method, path, None).await, 401, "{method} {path}");
        assert_eq!(status(&app, method, path, Some(insufficient)).await, 403, "{method} {path}");
    }
    assert_eq!(status(&app, "GET", "/me", None).await, 401);
    assert_eq!(status(&app, "GET", "/none", None).await, 401);
    assert_eq!(status(&app, "GET", "/health", None).await, 200);
    assert_eq!(status(&app, "GET", "/", None).await, 200);
    assert_eq!(status(&app, "GET", "/.well-known/oauth-protected-resource", None).await, 200);
}

#[tokio::test]
async fn a_note_is_written_read_and_deleted() {
    let issuer = TestIssuer::new(API);
    let app = app(&issuer);
    let admin = issuer.mint("notes:read notes:write").role("admin").jwt();
    let (created, note) = send(&app, "POST", "/notes", &admin, r#"{"text":"Buy milk"}"#).await;
    assert_eq!((created, &note["text"]), (StatusCode::CREATED, &json!("Buy milk")));
    let listed = send(&app, "GET", "/notes", &admin, "").await.1;
    assert_eq!((listed[0]["id"].as_u64(), &listed[1]), (Some(1), &note), "{listed}");
    let path = format!("/notes/{}", note["id"]);
    assert_eq!(send(&app, "DELETE", &path, &admin, "").await.0, StatusCode::NO_CONTENT);
    assert_eq!(send(&app, "DELETE", &path, &admin, "").await.0, StatusCode::NOT_FOUND);
    assert_eq!(send(&app, "DELETE", "/notes/1", &admin, "").await.0, StatusCode::NO_CONTENT);
    assert_eq!(send(&app, "GET", "/notes", &admin, "").await.1, json!([]));
}

#[tokio::test]
async fn every_body_ends_with_one_newline() {
    let issuer = TestIssuer::new(API);
    let app = app(&issuer);
    let user = issuer.token("notes:read notes:write");
    for (method, path, body, expected) in [
        ("GET", "/notes", "", 200),
        ("GET", "/me", "", 200),
        ("GET", "/health", "", 200),
        ("POST", "/notes", r#"{"text":"Buy milk"}"#, 201),
        ("POST", "/notes", "{}", 422),
        ("GET", "/none", "", 404),
    ] {
        let (status, text) = send_for_text(&app, method, path, &user, body).await;
        assert_eq!(status, expected, "{method} {path}: {text}");
        assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{method} {path}: {text:?}");
    }
}

#[tokio::test]
async fn an_authenticated_caller_learns_that_nothing_is_there() {
    let issuer = TestIssuer::new(API);
    let app = app(&issuer);
    let read = issuer.token("notes:read");
    for (method, path, expected) in [("GET", "/none", 404), ("PUT", "/notes", 405), ("DELETE", "/notes/x", 403)] {
        let (status, problem) = send(&app, method, path, &read, "").await;
        assert_eq!((status.as_u16(), &problem["status"]), (expected, &json!(expected)), "{method} {path}");
    }
}

#[tokio::test]
async fn me_is_the_principal() {
    let issuer = TestIssuer::new(API);
    let (status, me) = send(&app(&issuer), "GET", "/me", &issuer.api_key("notes:read"), "").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!((&me["kind"], &me["sub"], &me["scope"]), (&json!("key"), &json!("usr_test"), &json!("notes:read")));
}

#[tokio::test]
async fn bad_bodies_are_refused_with_the_right_status() {
    let issuer = TestIssuer::new(API);
    let app = app(&issuer);
    let write = issuer.token("notes:write");
    let too_long = json!({"text": "x".repeat(4097)}).to_string();
    for (body, expected) in [
        ("", StatusCode::BAD_REQUEST),
        ("{", StatusCode::BAD_REQUEST),
        ("{}", StatusCode::UNPROCESSABLE_ENTITY),
        (r#"{"text":" "}"#, StatusCode::UNPROCESSABLE_ENTITY),
        (r#"{"text":"a","owner":"b"}"#, StatusCode::UNPROCESSABLE_ENTITY),
        (&too_long, StatusCode::PAYLOAD_TOO_LARGE),
        (&" ".repeat(100_000), StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let (status, problem) = send(&app, "POST", "/notes", &write, body).await;
        assert_eq!(status, expected, "{}", &body[..body.len().min(40)]);
        assert_eq!(problem["status"], expected.as_u16(), "{problem}");
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{problem}");
    }
    assert_eq!(status(&app, "POST", "/notes", Some(&write)).await, 415);
}
