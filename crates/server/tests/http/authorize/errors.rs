//! Mistakes that are reported to the client (OAuth 2.1 section 4.1.2.1, OpenID Connect Core section 3.1.2.6), in the
//! first response to a GET.

use crate::harness::*;

/// The error that a request brings the client, with state and issuer; GET and POST alike.
async fn told(server: &TestServer, request: &AuthorizationRequest) -> String {
    let mut errors = Vec::new();
    for answer in [server.caller.get(&request.path()).await, server.caller.post("/authorize", &request.pairs()).await] {
        assert!(answer.location().starts_with("https://app.example/cb"), "{}", answer.location());
        assert_eq!(answer.sent("iss").as_deref(), Some(server.issuer()));
        let description = answer.sent("error_description").unwrap();
        assert!(description.rsplit_once(". Trace ID: ").is_some_and(|(_, id)| id.len() == 32), "{description}");
        assert_eq!(answer.sent("trace_id"), None, "no parameter of our own");
        assert_eq!(answer.sent("code"), None);
        errors.push(answer.sent("error").unwrap());
    }
    assert_eq!(errors[0], errors[1]);
    errors.remove(0)
}

#[tokio::test]
async fn each_mistake_has_its_error_and_the_state_comes_back() {
    let server = TestServer::start().await;
    let request = AuthorizationRequest::of(&server.world.web);
    for (name, value, error) in [
        ("response_type", "", "invalid_request"),
        ("response_type", "made_up", "unsupported_response_type"),
        ("response_type", "none", "unsupported_response_type"),
        ("response_mode", "made_up", "invalid_request"),
        ("id_token_hint", "e30.e30.AA", "invalid_request"),
        ("code_challenge", "", "invalid_request"),
        ("code_challenge", "tooshort", "invalid_request"),
        ("code_challenge_method", "", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("scope", "", "invalid_scope"),
        ("scope", "made:up", "invalid_scope"),
        ("scope", "notes:read made:up", "invalid_scope"),
        ("scope", "openid keys:verify", "invalid_scope"),
        ("scope", "notes:read mails:read", "invalid_scope"),
        ("scope", "notes:read \"", "invalid_scope"),
        ("prompt", "made_up", "invalid_request"),
        ("prompt", "none login", "invalid_request"),
        ("max_age", "-1", "invalid_request"),
        ("max_age", "soon", "invalid_request"),
        ("request", "eyJhbGciOiJub25lIn0.e30.", "request_not_supported"),
        ("request_uri", "https://app.example/request", "request_uri_not_supported"),
        ("resource", "https://other.example", "invalid_target"),
        ("resource", "https://mails.example/v1", "invalid_scope"),
    ] {
        let request = request.with(name, value);
        assert_eq!(told(&server, &request).await, error, "{name}={value}");
        assert_eq!(server.caller.get(&request.path()).await.sent("state").as_deref(), Some("xyz"));
    }
}

#[tokio::test]
async fn repeated_parameter_is_invalid_except_resource() {
    let server = TestServer::start().await;
    let request = AuthorizationRequest::of(&server.world.web);
    for name in ["scope", "state", "nonce", "response_type", "code_challenge", "made_up"] {
        let twice = request.with(name, "code").and(name, "code");
        assert_eq!(told(&server, &twice).await, "invalid_request", "{name}");
    }
    let resources = request.and("resource", "https://notes.example").and("resource", "https://notes.example/");
    assert!(server.caller.get(&resources.path()).await.location().starts_with("/sign-in/"));
}

#[tokio::test]
async fn a_resource_of_which_no_scope_is_asked_is_an_invalid_target() {
    let server = TestServer::start().await;
    let request = AuthorizationRequest::of(&server.world.web);
    let unasked = request.and("resource", "https://mails.example/v1");
    assert_eq!(told(&server, &unasked).await, "invalid_scope", "the scopes are another API's");
    let openid = request.with("scope", "openid").and("resource", "https://notes.example");
    assert_eq!(told(&server, &openid).await, "invalid_target");
}

#[tokio::test]
async fn errors_of_a_refused_response_type_come_in_its_default_mode() {
    let server = TestServer::start().await;
    let request = AuthorizationRequest::of(&server.world.web);
    for (response_type, is_fragment) in [
        ("token", true),
        ("id_token", true),
        ("id_token token", true),
        ("code id_token", true),
        ("code token", true),
        ("code id_token token", true),
        ("none", false),
        ("codes", false),
    ] {
        let request = request.with("response_type", response_type);
        assert_eq!(told(&server, &request).await, "unsupported_response_type", "{response_type}");
        let answer = server.caller.get(&request.path()).await;
        let start = if is_fragment { "https://app.example/cb#error=" } else { "https://app.example/cb?error=" };
        assert!(answer.location().starts_with(start), "{response_type}: {}", answer.location());
    }
}

#[tokio::test]
async fn overlong_parameter_is_an_invalid_request() {
    let server = TestServer::start().await;
    let request = AuthorizationRequest::of(&server.world.web);
    for (name, longest) in [("nonce", 512), ("login_hint", 1_024)] {
        let path = request.with(name, &"a".repeat(longest)).path();
        assert!(server.caller.get(&path).await.location().starts_with("/sign-in/"), "{name}");
        assert_eq!(told(&server, &request.with(name, &"a".repeat(longest + 1))).await, "invalid_request", "{name}");
    }
}

#[tokio::test]
async fn state_of_4_kib_comes_back_and_a_longer_one_is_a_page() {
    let server = TestServer::start().await;
    let request = AuthorizationRequest::of(&server.world.web);
    let longest = "%".repeat(4_096);
    let answer = server.browser().authorize(&request.with("state", &longest)).await;
    assert_eq!(answer.sent("state"), Some(longest.clone()));
    for request in [&request, &request.with("scope", "made:up")] {
        let too_long = request.with("state", &format!("{longest}%"));
        for answer in
            [server.caller.get(&too_long.path()).await, server.caller.post("/authorize", &too_long.pairs()).await]
        {
            assert_eq!(answer.error_page(), (400, "parameter_invalid".into()));
            assert!(answer.body.contains("state"), "{}", answer.body);
        }
    }
}

#[tokio::test]
async fn unreadable_request_is_shown_on_a_page() {
    let server = TestServer::start().await;
    let path = format!("{}&x=%ff", AuthorizationRequest::of(&server.world.web).path());
    assert_eq!(server.caller.get(&path).await.error_page(), (400, "body_malformed".into()));
}
