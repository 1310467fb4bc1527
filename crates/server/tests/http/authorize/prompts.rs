//! `prompt`, `max_age` and `login_hint` (OpenID Connect Core section 3.1.2.1).

use crate::harness::*;

#[tokio::test]
async fn prompt_none_shows_no_page_and_says_what_is_missing() {
    let server = TestServer::start().await;
    let browser = server.browser();
    let silent = AuthorizationRequest::of(&server.world.web).with("prompt", "none");
    let answer = browser.get(&silent.path()).await;
    assert_eq!(answer.sent("error").as_deref(), Some("login_required"));
    assert_eq!(answer.sent("state").as_deref(), Some("xyz"));
    browser.sign_in(ALICE, PASSWORD).await.expect(303);
    let answer = browser.get(&silent.path()).await;
    assert_eq!(answer.sent("error").as_deref(), Some("consent_required"));
    browser.authorize(&AuthorizationRequest::of(&server.world.web)).await.sent("code").unwrap();
    let answer = browser.get(&silent.path()).await;
    server.redeem(&server.world.web, &answer.sent("code").expect("in the first response")).await.expect(200);
    // By POST, without cookies at first.
    let posted = browser.follow(browser.caller.post("/authorize", &silent.pairs()).await).await;
    assert!(posted.sent("code").is_some());
}

#[tokio::test]
async fn a_native_client_is_never_silent() {
    let server = TestServer::start().await;
    let browser = server.browser();
    let request = AuthorizationRequest::of(&server.world.native);
    browser.authorize(&request).await.sent("code").unwrap();
    let answer = browser.get(&request.with("prompt", "none").path()).await;
    assert_eq!(answer.sent("error").as_deref(), Some("consent_required"));
}

#[tokio::test]
async fn prompt_login_asks_the_signed_in_user_for_the_password_again() {
    let server = TestServer::start().await;
    let browser = server.browser();
    let request = AuthorizationRequest::of(&server.world.web);
    browser.authorize(&request).await.sent("code").unwrap();
    server.advance_secs(10);
    let page = browser.follow(browser.get(&request.with("prompt", "login").path()).await).await.expect(200);
    assert!(page.body.contains(r#"value="alice" readonly"#), "{}", page.body);
    // The name can't be changed by what the browser sends.
    let answer = browser.submit(&Form::of(&page), &[("username", BOB), ("password", PASSWORD)]).await;
    let code = browser.follow(answer).await.sent("code").unwrap();
    let tokens = server.redeem(&server.world.web, &code).await.expect(200);
    let id_token = claims(&tokens.text("id_token"));
    assert_eq!(id_token["auth_time"], server.now(), "a fresh sign-in");
    let userinfo = server.caller.userinfo(&tokens.text("access_token")).await.json();
    assert_eq!(userinfo["preferred_username"], ALICE);
}

#[tokio::test]
async fn prompt_consent_asks_again_what_was_allowed() {
    let server = TestServer::start().await;
    let browser = server.browser();
    let request = AuthorizationRequest::of(&server.world.web);
    browser.authorize(&request).await.sent("code").unwrap();
    let page = browser.follow(browser.get(&request.with("prompt", "consent").path()).await).await.expect(200);
    assert!(Form::of(&page).action.starts_with("/consent/"));
}

#[tokio::test]
async fn prompt_select_account_lets_somebody_else_sign_in() {
    let server = TestServer::start().await;
    let browser = server.browser();
    let request = AuthorizationRequest::of(&server.world.web);
    browser.authorize(&request).await.sent("code").unwrap();
    server.advance_secs(10);
    let page = browser.follow(browser.get(&request.with("prompt", "select_account").path()).await).await.expect(200);
    assert!(!page.body.contains("readonly"), "{}", page.body);
    let answer = browser.submit(&Form::of(&page), &[("username", BOB), ("password", PASSWORD)]).await;
    let page = browser.follow(answer).await.expect(200);
    assert!(page.body.contains("Signed in as <strong>bob</strong>"), "{}", page.body);
}

#[tokio::test]
async fn max_age_bounds_the_age_of_the_sign_in() {
    let server = TestServer::start().await;
    let browser = server.browser();
    let request = AuthorizationRequest::of(&server.world.web).with("max_age", "60");
    browser.authorize(&request).await.sent("code").unwrap();
    server.advance_secs(60);
    assert!(browser.get(&request.path()).await.sent("code").is_some());
    server.advance_secs(1);
    assert!(browser.get(&request.path()).await.location().starts_with("/sign-in/"));
    let silent = browser.get(&request.with("prompt", "none").path()).await;
    assert_eq!(silent.sent("error").as_deref(), Some("login_required"));
    // 0 asks each time, and the sign-in that was asked for is enough.
    server.advance_secs(1);
    let zero = browser.authorize(&request.with("max_age", "0")).await;
    let tokens = server.redeem(&server.world.web, &zero.sent("code").unwrap()).await.expect(200);
    assert_eq!(claims(&tokens.text("id_token"))["auth_time"], server.now());
}

#[tokio::test]
async fn id_token_hint_lets_nobody_else_be_answered_about() {
    let server = TestServer::start().await;
    let (web, browser) = (&server.world.web, server.browser());
    let request = AuthorizationRequest::of(web);
    let code = browser.authorize(&request).await.sent("code").unwrap();
    let id_token = server.redeem(web, &code).await.text("id_token");
    // It has expired since.
    server.advance_secs(3_600);
    let hinted = request.with("id_token_hint", &id_token);
    let silent = hinted.with("prompt", "none");
    assert!(browser.get(&silent.path()).await.sent("code").is_some(), "the user of the hint is signed in");
    let nobody = server.browser().get(&silent.path()).await;
    assert_eq!(nobody.sent("error").as_deref(), Some("login_required"));

    let other = server.browser();
    other.authorize_as(&request, BOB).await.sent("code").unwrap();
    server.advance_secs(1);
    assert_eq!(other.get(&silent.path()).await.sent("error").as_deref(), Some("login_required"));
    let page = other.follow(other.get(&hinted.path()).await).await.expect(200);
    assert!(!page.body.contains("alice") && !page.body.contains("readonly"), "{}", page.body);
    let form = Form::of(&page);
    // The page of the next step can't be reached around it.
    let consent = form.action.replace("/sign-in/", "/consent/");
    assert!(other.get(&consent).await.location().starts_with("/continue/"));
    let as_alice = other.submit(&form, &[("username", ALICE), ("password", PASSWORD)]).await;
    let code = other.follow(as_alice).await.sent("code").expect("the user of the hint signed in");
    server.redeem(web, &code).await.expect(200);
}

#[tokio::test]
async fn id_token_hint_fills_in_the_name_only_in_a_known_browser() {
    let server = TestServer::start().await;
    let (web, alices) = (&server.world.web, server.browser());
    let request = AuthorizationRequest::of(web);
    let code = alices.authorize(&request).await.sent("code").unwrap();
    let id_token = server.redeem(web, &code).await.text("id_token");
    let hinted = request.with("id_token_hint", &id_token);
    server.advance_secs(1);
    let shows = async |browser: &Browser, request: &AuthorizationRequest| {
        let page = browser.follow(browser.get(&request.path()).await).await.expect(200);
        assert!(page.body.contains(r#"id="username""#), "{}", page.body);
        page.body.contains(r#"value="alice""#)
    };
    assert!(!shows(&server.browser(), &hinted).await, "an ID token alone is not enough");
    assert!(shows(&alices, &hinted.with("prompt", "select_account")).await, "the session is the user's");
    alices.forget_cookie("doorward-session");
    assert!(shows(&alices, &hinted).await, "the browser signed in before");
    alices.forget_cookie("doorward-device");
    assert!(!shows(&alices, &hinted).await);
}

#[tokio::test]
async fn sign_in_as_another_user_than_the_hint_is_reported() {
    let server = TestServer::start().await;
    let request = AuthorizationRequest::of(&server.world.web);
    let id_token = server.tokens(&server.world.web).await["id_token"].as_str().unwrap().to_owned();
    let answer = server.browser().authorize_as(&request.with("id_token_hint", &id_token), BOB).await;
    assert_eq!(answer.sent("error").as_deref(), Some("login_required"));
}

#[tokio::test]
async fn hint_whose_key_is_gone_names_nobody() {
    let server = TestServer::start().await;
    let web = &server.world.web;
    let id_token = server.tokens(web).await["id_token"].as_str().unwrap().to_owned();
    let hinted = AuthorizationRequest::of(web).with("id_token_hint", &id_token);
    let silent = hinted.with("prompt", "none");

    server.retire_signing_keys().await;
    let browser = server.browser();
    browser.sign_in(ALICE, PASSWORD).await.expect(303);
    assert!(browser.get(&silent.path()).await.sent("code").is_some(), "a retired key still verifies");

    server.remove_retired_signing_keys().await;
    browser.sign_in(ALICE, PASSWORD).await.expect(303);
    server.advance_secs(1);
    assert_eq!(browser.get(&silent.path()).await.sent("error").as_deref(), Some("login_required"));
    let page = browser.follow(browser.get(&hinted.path()).await).await.expect(200);
    assert!(Form::of(&page).action.starts_with("/sign-in/") && !page.body.contains("readonly"), "{}", page.body);
    let signed_in = browser.submit(&Form::of(&page), &[("username", ALICE), ("password", PASSWORD)]).await;
    assert!(browser.follow(signed_in).await.sent("code").is_some());
}

#[tokio::test]
async fn hint_of_another_client_or_kind_is_an_invalid_request() {
    let server = TestServer::start().await;
    let tokens = server.tokens(&server.world.spa).await;
    let own = server.tokens(&server.world.web).await;
    let (signed, signature) = own["id_token"].as_str().unwrap().rsplit_once('.').unwrap();
    let forged = serde_json::Value::from(format!("{signed}.{}", signature.chars().rev().collect::<String>()));
    for (hint, what) in [
        (&forged, "another signature"),
        (&tokens["id_token"], "another client's"),
        (&own["access_token"], "an access token"),
        (&own["refresh_token"], "a refresh token"),
    ] {
        let request = AuthorizationRequest::of(&server.world.web).with("id_token_hint", hint.as_str().unwrap());
        let answer = server.caller.get(&request.with("prompt", "none").path()).await;
        assert_eq!(answer.sent("error").as_deref(), Some("invalid_request"), "{what}");
    }
}

#[tokio::test]
async fn login_hint_appears_only_in_the_field() {
    let server = TestServer::start().await;
    let browser = server.browser();
    let hint = "<b>bob\"";
    let request = AuthorizationRequest::of(&server.world.web).with("login_hint", hint);
    let page = browser.follow(browser.get(&request.path()).await).await.expect(200);
    assert!(page.body.contains(r#"value="&#60;b&#62;bob&#34;""#), "{}", page.body);
    let answer = browser.submit(&Form::of(&page), &[("username", ALICE), ("password", PASSWORD)]).await;
    assert!(answer.location().starts_with("/continue/"));
}
