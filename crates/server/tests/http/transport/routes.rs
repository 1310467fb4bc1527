//! Addresses that are not there, and methods that a route does not have.

use reqwest::Method;
use serde_json::json;

use crate::harness::*;

#[tokio::test]
async fn address_that_no_route_has_is_a_404_problem() {
    let server = TestServer::start().await;
    for path in
        ["/nowhere", "/token/", "/Token", "//token", "/v1", "/v1/key", "/authorize/x", "/.well-known/", "/jwks.json"]
    {
        let answer = server.caller.get(path).await;
        assert_eq!(answer.problem(), (404, "not_found".into()), "{path}");
        assert_eq!(answer.text("trace_id").len(), 32, "{path}");
    }
}

#[tokio::test]
async fn unknown_method_is_a_405_problem_with_the_allowed_ones() {
    let server = TestServer::start().await;
    for (method, path, allowed) in [
        (Method::GET, "/token", "POST"),
        (Method::PUT, "/token", "POST"),
        (Method::GET, "/introspect", "POST"),
        (Method::GET, "/revoke", "POST"),
        (Method::GET, "/v1/keys/verify", "POST"),
        (Method::GET, "/v1/requests/verify", "POST"),
        (Method::GET, "/v1/leaks", "POST"),
        (Method::POST, "/jwks", "GET,HEAD"),
        (Method::DELETE, "/authorize", "GET,HEAD,POST"),
        (Method::TRACE, "/userinfo", "GET,HEAD,POST"),
        (Method::OPTIONS, "/authorize", "GET,HEAD,POST"),
        (Method::PATCH, "/account", "GET,HEAD"),
    ] {
        let answer = server.caller.send(server.caller.request(method.clone(), path)).await;
        assert_eq!(answer.problem(), (405, "method_not_allowed".into()), "{method} {path}");
        assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
    }
}

#[tokio::test]
async fn no_override_changes_what_a_route_demands() {
    let server = TestServer::start().await;
    for name in ["x-http-method-override", "x-http-method", "x-method-override"] {
        let answer = server.caller.get_with("/v1/keys/verify", &[(name, "POST")]).await;
        assert_eq!(answer.problem(), (405, "method_not_allowed".into()), "{name}");
        let answer = server.caller.get_with("/userinfo", &[(name, "OPTIONS")]).await;
        assert_eq!(answer.problem(), (401, "credential_missing".into()), "{name}");
    }
    let head = server.caller.send(server.caller.request(Method::HEAD, "/userinfo")).await;
    assert_eq!(head.status, 401);
}

#[tokio::test]
async fn callers_trace_id_is_used_and_a_broken_one_replaced() {
    let server = TestServer::start().await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let given = [("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")];
    assert_eq!(server.caller.get_with("/userinfo", &given).await.text("trace_id"), trace);
    for broken in ["", "00-xyz", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", "'; DROP TABLE audit"] {
        let answer = server.caller.get_with("/userinfo", &[("traceparent", broken)]).await;
        assert_eq!(answer.problem().0, 401);
        assert_ne!(answer.text("trace_id"), "0".repeat(32));
    }
}

#[tokio::test]
async fn health_says_that_the_server_works_and_that_it_can_serve() {
    let server = TestServer::start().await;
    for path in ["/health", "/health/ready"] {
        let ready = server.caller.get(path).await.expect(200).json();
        let checks = json!({"database": "ok", "changes": "ok", "tasks": "ok", "shutdown": "ok"});
        assert_eq!(ready, json!({"status": "ready", "checks": checks}));
    }
    assert_eq!(server.caller.get("/health/live").await.expect(200).json(), json!({"status": "live"}));
}

#[tokio::test]
async fn unknown_path_is_a_page_for_people_or_a_problem() {
    let server = TestServer::start().await;
    let browser = server.browser();
    let html = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
    let page = browser.get_with("/nowhere", &html).await.expect(404).body;
    assert!(page.contains("<h1>There is no page at this address</h1>") && page.contains("not_found"), "{page}");
    assert_eq!(browser.get_with("/account/disconnect", &html).await.error_page(), (405, "method_not_allowed".into()));
    assert_eq!(browser.get("/nowhere").await.problem(), (404, "not_found".into()));
}
