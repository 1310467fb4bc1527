//! The answer to a good authorization request (OAuth 2.1 section 4.1.2, RFC 9207, OpenID Connect Core section 3.1.2).

use crate::harness::*;

#[tokio::test]
async fn the_answer_carries_code_state_and_issuer_in_the_query_by_303() {
    let server = TestServer::start().await;
    let answer = server.browser().authorize(&AuthorizationRequest::of(&server.world.web)).await;
    assert!(answer.location().starts_with("https://app.example/cb?"), "{}", answer.location());
    assert_eq!(answer.sent("state").as_deref(), Some("xyz"));
    assert_eq!(answer.sent("iss").as_deref(), Some(server.issuer()));
    assert!(answer.sent("code").unwrap().starts_with("dw_ac_"));
    assert_eq!(answer.sent("error"), None);
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn state_is_returned_unchanged_and_only_if_sent() {
    let server = TestServer::start().await;
    let browser = server.browser();
    let request = AuthorizationRequest::of(&server.world.web);
    assert_eq!(browser.authorize(&request.without("state")).await.sent("state"), None);
    let odd = "a b+c&d=e%20f#g\u{e4}\"<>";
    assert_eq!(browser.authorize(&request.with("state", odd)).await.sent("state").as_deref(), Some(odd));
}

#[tokio::test]
async fn a_query_of_the_redirect_uri_is_kept() {
    let server = TestServer::start().await;
    let new =
        client("Query", doorward_core::client::AuthenticationMethod::None, "https://query.example/cb?tenant=a%20b");
    let query = register(&server.app, new).await;
    let answer = server.browser().authorize(&AuthorizationRequest::of(&query)).await;
    assert!(answer.location().starts_with("https://query.example/cb?tenant=a%20b&code="), "{}", answer.location());
}

#[tokio::test]
async fn the_request_can_be_posted_and_ends_alike() {
    let server = TestServer::start().await;
    let browser = server.browser();
    let request = AuthorizationRequest::of(&server.world.web);
    // A cross-site POST comes without cookies.
    let stored = browser.caller.post("/authorize", &request.pairs()).await;
    assert!(stored.location().starts_with("/continue/"), "{}", stored.location());
    let page = browser.follow(stored).await.expect(200);
    let signed_in = browser.submit(&Form::of(&page), &[("username", ALICE), ("password", PASSWORD)]).await;
    let page = browser.follow(signed_in).await.expect(200);
    let form = Form::of(&page);
    let answer = browser.allow(&form, &["notes:read"]).await;
    server.redeem(&server.world.web, &answer.sent("code").unwrap()).await.expect(200);
    // Another content type is no form.
    let json = server.caller.post_bytes("/authorize", "application/json", "{}").await;
    assert_eq!(json.error_page(), (415, "content_type_unsupported".into()));
}

#[tokio::test]
async fn consent_is_remembered_for_an_assured_client() {
    let server = TestServer::start().await;
    let browser = server.browser();
    for (client, is_remembered) in [(&server.world.web, true), (&server.world.spa, true), (&server.world.native, false)]
    {
        let request = AuthorizationRequest::of(client);
        browser.authorize(&request).await.sent("code").unwrap();
        let second = browser.follow(browser.get(&request.path()).await).await;
        assert_eq!(second.status == 303, is_remembered, "{}", client.redirect_uri);
    }
    // More than was allowed is asked for again.
    let more = AuthorizationRequest::of(&server.world.web).with("scope", "openid mails:read");
    let page = browser.follow(browser.get(&more.path()).await).await.expect(200);
    assert!(Form::of(&page).action.starts_with("/consent/"));
}

#[tokio::test]
async fn unknown_scopes_are_dropped_with_openid() {
    let server = TestServer::start().await;
    let request = AuthorizationRequest::of(&server.world.web).with("scope", "openid notes:read made:up address");
    let tokens = server.tokens_of(&server.world.web, &request).await;
    assert_eq!(tokens["scope"], "notes:read openid");
}

#[tokio::test]
async fn form_post_sends_code_and_error_with_its_origin() {
    let server = TestServer::start().await;
    let browser = server.browser();
    let request = AuthorizationRequest::of(&server.world.web).with("response_mode", "form_post").with("state", "\"a&b");
    let silent = browser.get(&request.with("prompt", "none").path()).await.expect(200);
    assert_eq!(posted(&silent, "error").as_deref(), Some("login_required"));
    let answer = browser.authorize(&request).await.expect(200);
    for page in [&silent, &answer] {
        assert!(page.body.contains(r#"<form method="post" action="https://app.example/cb" data-submit>"#));
        let policy = page.header("content-security-policy").unwrap();
        assert!(!policy.contains("form-action"), "{policy}");
        assert_eq!(page.header("referrer-policy"), Some("origin"));
        assert_eq!(page.header("cache-control"), Some("no-store"));
        assert_eq!(page.header("location"), None);
        assert_eq!(posted(page, "state").as_deref(), Some("&#34;a&#38;b"));
        assert_eq!(posted(page, "iss").as_deref(), Some(server.issuer()));
    }
    assert_eq!(posted(&answer, "error"), None);
    server.redeem(&server.world.web, &posted(&answer, "code").unwrap()).await.expect(200);
}

#[tokio::test]
async fn fragment_brings_code_and_error_behind_the_redirect_uri() {
    let server = TestServer::start().await;
    let (spa, browser) = (&server.world.spa, server.browser());
    let request = AuthorizationRequest::of(spa).with("response_mode", "fragment");
    let silent = browser.get(&request.with("prompt", "none").path()).await;
    assert_eq!(silent.sent("error").as_deref(), Some("login_required"));
    let answer = browser.authorize(&request).await;
    for answer in [&silent, &answer] {
        assert!(answer.location().starts_with("https://spa.example/cb#"), "{}", answer.location());
        assert_eq!(answer.sent("state").as_deref(), Some("xyz"));
        assert_eq!(answer.sent("iss").as_deref(), Some(server.issuer()));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    }
    server.redeem(spa, &answer.sent("code").unwrap()).await.expect(200);
}

/// A field of the form on a page.
fn posted(page: &Answer, name: &str) -> Option<String> {
    let start = format!(r#"<input type="hidden" name="{name}" value=""#);
    between(&page.body, &start, "\"").map(str::to_owned)
}

#[tokio::test]
async fn authorize_is_closed_to_other_origins() {
    let server = TestServer::start().await;
    let path = AuthorizationRequest::of(&server.world.web).path();
    let answer = server.caller.get_with(&path, &[("origin", "https://evil.example")]).await;
    assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control-")), "{:?}", answer.headers);
}
