//! Forms that only our own pages can post: the token fits one browser and one session.

use crate::harness::*;

/// Tries a form with each token that is not its own.
async fn assert_refused(browser: &Browser, form: &Form, fields: &[(&str, &str)], tokens: &[&str]) {
    for token in tokens {
        let forged = Form { csrf: (*token).to_owned(), ..form.clone() };
        let answer = browser.submit(&forged, fields).await;
        assert_eq!(answer.status, 403, "{} {token} {}", form.action, answer.body);
    }
    let missing = browser.post(&form.action, fields).await;
    assert_eq!(missing.status, 403, "{} {}", form.action, missing.body);
}

#[tokio::test]
async fn a_sign_in_needs_the_token_of_its_browser() {
    let server = TestServer::start().await;
    let (browser, stranger) = (server.browser(), server.browser());
    let page = browser.get("/sign-in").await;
    let form = Form::of(&page);
    let theirs = Form::of(&stranger.get("/sign-in").await).csrf;
    let fields = [("username", ALICE), ("password", PASSWORD)];
    let before = server.app.passwords.computed();
    assert_refused(&browser, &form, &fields, &["", "x", &theirs]).await;
    // A browser without cookies, as another site makes it post.
    let cross_site = server.browser().submit(&form, &fields).await;
    assert_eq!(cross_site.status, 403);
    assert_eq!(server.app.passwords.computed(), before, "nothing was looked at");
    // The page that came with the refusal works at once.
    let again = browser.submit(&Form { csrf: String::new(), ..form }, &fields).await;
    assert_eq!(browser.submit(&Form::of(&again), &fields).await.location(), "/account");
}

#[tokio::test]
async fn the_forms_of_the_account_need_the_token_of_their_session() {
    let server = TestServer::start().await;
    let (browser, stranger) = (server.browser(), server.browser());
    let before_sign_in = Form::of(&browser.get("/sign-in").await).csrf;
    browser.authorize(&AuthorizationRequest::of(&server.world.web)).await.sent("code").unwrap();
    server.browser().sign_in(ALICE, PASSWORD).await.expect(303);
    stranger.sign_in(BOB, PASSWORD).await.expect(303);
    let theirs = Form::of(&stranger.get("/account").await).csrf;
    let page = browser.get("/account").await;
    let client = server.world.web.id.as_str();
    for (action, text, fields) in [
        ("/account/disconnect", client, vec![("client", client)]),
        ("/account/end-other-sessions", "", vec![]),
        ("/account/end-session", "", vec![("session", "ses_00000000000000000000000000000000")]),
        ("/account/sign-out", "", vec![]),
    ] {
        let form = Form::to(&page, action, text);
        assert_refused(&browser, &form, &fields, &["", "x", &theirs, &before_sign_in]).await;
    }
    let page = browser.get("/account").await.expect(200);
    assert!(page.body.contains(&format!("disconnect-{client}")) && page.body.contains("end-others"), "{}", page.body);
}

#[tokio::test]
async fn consent_needs_the_token_of_its_session() {
    let server = TestServer::start().await;
    let (browser, stranger) = (server.browser(), server.browser());
    let request = AuthorizationRequest::of(&server.world.web);
    let sign_in = Form::of(&browser.follow(browser.get(&request.path()).await).await);
    let theirs = stranger.consent(&request).await.csrf;
    let form = browser.consent(&request).await;
    let fields = [("decision", "allow"), ("scope", "notes:read")];
    assert_refused(&browser, &form, &fields, &["", "x", &theirs, &sign_in.csrf]).await;
    assert!(browser.submit(&form, &fields).await.sent("code").is_some());
}

#[tokio::test]
async fn nothing_changes_by_get() {
    let server = TestServer::start().await;
    let browser = server.browser();
    browser.sign_in(ALICE, PASSWORD).await.expect(303);
    for path in ["/account/sign-out", "/account/disconnect", "/account/end-session", "/account/end-other-sessions"] {
        assert_eq!(browser.get(path).await.problem(), (405, "method_not_allowed".into()), "{path}");
    }
    browser.get("/account").await.expect(200);
}

#[tokio::test]
async fn expired_sign_in_page_says_so_and_an_unneeded_one_continues() {
    let server = TestServer::start().await;
    let fields = [("username", ALICE), ("password", PASSWORD)];
    let browser = server.browser();
    let form = Form::of(&browser.get("/sign-in").await);
    let stale = Form { csrf: "stale".into(), ..form.clone() };
    let page = browser.submit(&stale, &fields).await.expect(403);
    assert!(page.body.contains("<title>This page has expired – Sign in"), "{}", page.body);
    assert!(page.body.contains(r#"id="problem""#), "{}", page.body);
    let request = AuthorizationRequest::of(&server.world.web);
    let for_app = Form::of(&browser.follow(browser.get(&request.path()).await).await);
    let fresh = request.with("prompt", "login");
    let again = Form::of(&browser.follow(browser.get(&fresh.path()).await).await);
    browser.submit(&form, &fields).await.expect(303);
    // The user signed in in another tab: the open forms belong to a browser without a session.
    assert_eq!(browser.submit(&form, &fields).await.location(), "/account");
    let id = for_app.action.rsplit('/').next().unwrap();
    assert_eq!(browser.submit(&for_app, &fields).await.location(), format!("/continue/{id}"));
    server.clock.advance(std::time::Duration::from_secs(1));
    let last = Form::of(&browser.follow(browser.get(&fresh.path()).await).await);
    let page = browser.submit(&Form { csrf: again.csrf, ..last }, &fields).await.expect(403);
    assert!(page.body.contains("<title>This page has expired – Confirm that it’s you"), "{}", page.body);
}

#[tokio::test]
async fn expired_consent_page_keeps_what_was_unticked() {
    let server = TestServer::start().await;
    let browser = server.browser();
    let form = browser.consent(&AuthorizationRequest::of(&server.world.web)).await;
    let stale = Form { csrf: "stale".into(), ..form.clone() };
    let page = browser.allow(&stale, &["notes:read"]).await.expect(403);
    assert!(page.body.contains("<title>This page has expired – "), "{}", page.body);
    assert!(page.body.contains(r#"value="notes:read" checked>"#), "{}", page.body);
    assert!(page.body.contains(r#"value="notes:write">"#), "{}", page.body);
    assert!(browser.allow(&Form::of(&page), &["notes:read"]).await.sent("code").is_some());
}
