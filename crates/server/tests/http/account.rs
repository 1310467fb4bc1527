//! `/account`: what has access, and how to end it. What is ended fails at once.

use doorward_store::{
    grants::{GrantFilter, ListGrants},
    users::FindUser,
};

use crate::harness::*;

#[tokio::test]
async fn the_account_is_for_signed_in_people() {
    let server = TestServer::start().await;
    assert_eq!(server.caller.get("/account").await.location(), "/sign-in");
    for action in ["disconnect", "end-session", "end-other-sessions", "sign-out"] {
        let path = format!("/account/{action}");
        assert_eq!(server.caller.post(&path, &[]).await.location(), "/sign-in", "{action}");
    }
}

#[tokio::test]
async fn disconnected_app_loses_access_and_needs_a_new_consent() {
    on_each_engine(async |server| {
        let web = &server.world.web;
        let browser = server.browser();
        let request = AuthorizationRequest::of(web);
        let code = browser.authorize(&request).await.sent("code").unwrap();
        let tokens = server.redeem(web, &code).await.expect(200);
        let (access_token, refresh_token) = (tokens.text("access_token"), tokens.text("refresh_token"));
        let unused = browser.get(&request.path()).await.sent("code").unwrap();
        let page = browser.get("/account").await.expect(200);
        assert!(page.body.contains("<h3>Web</h3>"), "{}", page.body);
        let form = Form::to(&page, "/account/disconnect", &web.id);
        let page = browser.follow(browser.submit(&form, &[("client", &web.id)]).await.expect(303)).await.expect(200);
        assert!(page.body.contains("Web is disconnected."), "{}", page.body);
        let page = browser.get("/account").await.expect(200);
        assert!(!page.body.contains("is disconnected."), "it is said once: {}", page.body);
        let refused = (400, "invalid_grant".to_owned(), "grant_ended".to_owned());
        assert_eq!(server.caller.refresh(web, &refresh_token).await.oauth_error(), refused);
        assert_eq!(server.redeem(web, &unused).await.oauth_error(), refused);
        assert!(!server.caller.is_active(&server.world.notes, &access_token).await);
        assert_eq!(server.caller.userinfo(&access_token).await.problem(), (401, "token_revoked".into()));
        // Another server on the store knows, and so does one that starts later.
        let beside = server.beside().await;
        assert_eq!(beside.caller.refresh(web, &refresh_token).await.oauth_error(), refused);
        assert!(browser.get(&request.path()).await.location().starts_with("/consent/"), "consent is forgotten too");
    })
    .await;
}

#[tokio::test]
async fn sessions_are_listed_and_ended_one_or_all_but_this() {
    on_each_engine(async |server| {
        let browsers = [server.browser(), server.browser(), server.browser()];
        for browser in &browsers {
            browser.sign_in(ALICE, PASSWORD).await.expect(303);
        }
        let [this, second, third] = &browsers;
        let page = this.get("/account").await.expect(200);
        assert_eq!(page.body.matches(r#"id="end-session-"#).count(), 2, "{}", page.body);
        let form = Form::to(&page, "/account/end-session", "");
        let session = page.body.split(r#"name="session" value=""#).nth(1).unwrap().split('"').next().unwrap();
        this.submit(&form, &[("session", session)]).await.expect(303);
        let lives = async |browser: &Browser| browser.get("/account").await.status == 200;
        assert!(lives(second).await ^ lives(third).await, "one of the two was ended");
        let page = this.get("/account").await;
        this.submit(&Form::to(&page, "/account/end-other-sessions", ""), &[]).await.expect(303);
        assert!(lives(this).await && !lives(second).await && !lives(third).await);
    })
    .await;
}

#[tokio::test]
async fn nobody_ends_what_is_somebody_else_s() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.browser(), server.browser());
    let tokens = {
        let code = alice.authorize(&AuthorizationRequest::of(&server.world.web)).await.sent("code").unwrap();
        server.redeem(&server.world.web, &code).await.expect(200)
    };
    alice.copy().get("/account").await.expect(200);
    server.browser().sign_in(ALICE, PASSWORD).await.expect(303);
    let page = alice.get("/account").await;
    let session = page.body.split(r#"name="session" value=""#).nth(1).unwrap().split('"').next().unwrap();
    bob.sign_in(BOB, PASSWORD).await.expect(303);
    let csrf = Form::of(&bob.get("/account").await).csrf;
    bob.post("/account/end-session", &[("csrf", &csrf), ("session", session)]).await.expect(303);
    bob.post("/account/disconnect", &[("csrf", &csrf), ("client", &server.world.web.id)]).await.expect(303);
    bob.post("/account/end-other-sessions", &[("csrf", &csrf)]).await.expect(303);
    let after = alice.get("/account").await.expect(200);
    assert_eq!(after.body.matches(r#"name="session""#).count(), 1);
    server.caller.refresh(&server.world.web, &tokens.text("refresh_token")).await.expect(200);
}

#[tokio::test]
async fn signing_out_ends_the_session_and_leaves_apps_connected() {
    let server = TestServer::start().await;
    let browser = server.browser();
    let code = browser.authorize(&AuthorizationRequest::of(&server.world.web)).await.sent("code").unwrap();
    let tokens = server.redeem(&server.world.web, &code).await.expect(200);
    let session = browser.cookie("doorward-session").unwrap();
    let page = browser.get("/account").await;
    let page = browser.follow(browser.submit(&Form::to(&page, "/account/sign-out", ""), &[]).await.expect(303)).await;
    assert!(page.body.contains("You are signed out"), "{}", page.body);
    assert_eq!(browser.cookie("doorward-session"), None);
    let old = server.browser();
    old.set_cookie("doorward-session", &session);
    assert_eq!(old.get("/account").await.location(), "/sign-in");
    server.caller.refresh(&server.world.web, &tokens.text("refresh_token")).await.expect(200);
}

#[tokio::test]
async fn silent_renewals_leave_one_line_and_no_grants() {
    on_each_engine(async |server| {
        let (web, spa, browser) = (&server.world.web, &server.world.spa, server.browser());
        browser.authorize(&AuthorizationRequest::of(web)).await.sent("code").unwrap();
        let silent = AuthorizationRequest::of(spa).with("scope", "openid notes:read");
        let first = browser.authorize(&silent).await.sent("code").unwrap();
        let mut codes = vec![first];
        for _ in 0..25 {
            server.advance_secs(1);
            codes.push(browser.get(&silent.with("prompt", "none").path()).await.sent("code").unwrap());
        }
        // The oldest make room for the newest.
        let ended = (400, "invalid_grant".to_owned(), "grant_ended".to_owned());
        for code in &codes[..6] {
            assert_eq!(server.redeem(spa, code).await.oauth_error(), ended);
        }
        for code in &codes[6..8] {
            server.redeem(spa, code).await.expect(200);
        }
        let page = browser.get("/account").await.expect(200);
        for name in ["Web", "Spa"] {
            assert_eq!(page.body.matches(&format!("<h3>{name}</h3>")).count(), 1, "{}", page.body);
        }
        // Unredeemed codes, and redeemed ones without a refresh token, leave nothing that lives. What was allowed can
        // still be had without asking, so it is still listed, and can be disconnected.
        server.advance_secs(300);
        let filter = GrantFilter { user_id: Some(alice(server).await), ..GrantFilter::default() };
        let live = ListGrants { filter, now: server.app.now(), after: None, limit: 100 };
        assert!(server.app.store.read(live).await.unwrap().grants.is_empty());
        let page = browser.get("/account").await.expect(200);
        assert!(page.body.contains("<h3>Spa</h3>"), "{}", page.body);
        let form = Form::to(&page, "/account/disconnect", &spa.id);
        browser.submit(&form, &[("client", &spa.id)]).await.expect(303);
        assert!(browser.get(&silent.path()).await.location().starts_with("/consent/"));
    })
    .await;
}

async fn alice(server: &TestServer) -> doorward_core::id::UserId {
    server.app.store.read(FindUser::ByUsername(ALICE.into())).await.unwrap().unwrap().id
}

#[tokio::test]
async fn reuse_of_a_refresh_token_is_shown_to_the_user() {
    let server = TestServer::start().await;
    let web = &server.world.web;
    let browser = server.browser();
    let code = browser.authorize(&AuthorizationRequest::of(web)).await.sent("code").unwrap();
    let oldest = server.redeem(web, &code).await.expect(200).text("refresh_token");
    let middle = server.caller.refresh(web, &oldest).await.expect(200).text("refresh_token");
    server.caller.refresh(web, &middle).await.expect(200);
    server.caller.refresh(web, &oldest).await.expect(400);
    let page = browser.get("/account").await.expect(200);
    assert!(page.body.contains("Check this"), "{}", page.body);
    assert!(page.body.contains("Web was disconnected because one of its credentials was used twice."), "{}", page.body);
}

#[tokio::test]
async fn malformed_id_is_an_invalid_request() {
    let server = TestServer::start().await;
    let browser = server.browser();
    browser.sign_in(ALICE, PASSWORD).await.expect(303);
    let csrf = Form::of(&browser.get("/account").await).csrf;
    for (path, name) in [("/account/disconnect", "client"), ("/account/end-session", "session")] {
        let answer = browser.post(path, &[("csrf", &csrf), (name, "nonsense")]).await;
        assert_eq!(answer.error_page(), (400, "parameter_invalid".into()));
        let answer = browser.post(path, &[("csrf", &csrf)]).await;
        assert_eq!(answer.error_page(), (400, "parameter_missing".into()));
    }
}

#[tokio::test]
async fn a_form_that_came_too_late_leads_back() {
    let server = TestServer::start().await;
    let browser = server.browser();
    browser.sign_in(ALICE, PASSWORD).await.expect(303);
    let answer = browser.post("/account/end-other-sessions", &[("csrf", "old")]).await;
    assert_eq!(answer.error_page(), (403, "form_expired".into()));
    assert!(answer.body.contains(r#"href="/account""#) && answer.body.contains("Back to your account"));
}

#[tokio::test]
async fn ending_one_s_own_session_leads_to_signing_in() {
    let server = TestServer::start().await;
    let browser = server.browser();
    browser.sign_in(ALICE, PASSWORD).await.expect(303);
    server.browser().sign_in(ALICE, PASSWORD).await.expect(303);
    let csrf = Form::of(&browser.get("/account").await).csrf;
    let other = server.browser();
    other.sign_in(ALICE, PASSWORD).await.expect(303);
    let page = other.get("/account").await;
    for session in page.body.split(r#"name="session" value=""#).skip(1).map(|rest| rest.split('"').next().unwrap()) {
        browser.post("/account/end-session", &[("csrf", &csrf), ("session", session)]).await.expect(303);
    }
    assert_eq!(browser.get("/account").await.location(), "/sign-in");
    other.get("/account").await.expect(200);
}
