//! The session (OWASP ASVS V7): new at sign-in, with an idle and an absolute end, and over when the user is disabled.

use doorward_server::manage::users;

use crate::harness::*;

const COOKIE: &str = "doorward-session";

#[tokio::test]
async fn each_sign_in_starts_a_session_and_ends_the_previous_one() {
    on_each_engine(async |server| {
        let browser = server.browser();
        // A session that somebody planted is not taken over.
        browser.set_cookie(COOKIE, &"p".repeat(43));
        browser.sign_in(ALICE, PASSWORD).await.expect(303);
        let first = browser.cookie(COOKIE).unwrap();
        assert_ne!(first, "p".repeat(43));
        assert!(first.len() >= 43, "more than 128 bits");
        server.advance_secs(1);
        let request = AuthorizationRequest::of(&server.world.web).with("prompt", "login");
        browser.authorize(&request).await.sent("code").unwrap();
        let second = browser.cookie(COOKIE).unwrap();
        assert_ne!(first, second);
        let old = server.browser();
        old.set_cookie(COOKIE, &first);
        assert_eq!(old.get("/account").await.location(), "/sign-in");
        browser.get("/account").await.expect(200);
    })
    .await;
}

#[tokio::test]
async fn a_session_ends_idle_and_absolutely() {
    let server = TestServer::start().await;
    let limits = server.app.settings.session;
    let browser = server.browser();
    browser.sign_in(ALICE, PASSWORD).await.expect(303);
    server.advance(limits.idle - std::time::Duration::from_secs(1));
    browser.get("/account").await.expect(200);
    server.advance(limits.idle);
    assert_eq!(browser.get("/account").await.location(), "/sign-in");
    browser.sign_in(ALICE, PASSWORD).await.expect(303);
    let steps = u32::try_from(limits.absolute.as_secs() / limits.idle.as_secs()).unwrap() * 2;
    for _ in 1..steps {
        server.advance(limits.idle / 2);
        browser.get("/account").await.expect(200);
    }
    server.advance(limits.idle / 2);
    assert_eq!(browser.get("/account").await.location(), "/sign-in");
}

#[tokio::test]
async fn disabling_a_user_ends_sessions_for_good() {
    on_each_engine(async |server| {
        let browser = server.browser();
        browser.sign_in(ALICE, PASSWORD).await.expect(303);
        let form = browser.consent(&AuthorizationRequest::of(&server.world.web)).await;
        users::disable(&server.app, &operator(), ALICE, true, |_| Ok(())).await.unwrap();
        assert_eq!(browser.get("/account").await.location(), "/sign-in");
        // A consent page that was open leads back to the sign-in and to no code.
        let answer = browser.allow(&form, &["notes:read"]).await;
        assert!(answer.location().starts_with("/continue/"), "{}", answer.location());
        users::enable(&server.app, &operator(), ALICE, |_| Ok(())).await.unwrap();
        assert_eq!(browser.get("/account").await.location(), "/sign-in");
    })
    .await;
}

#[tokio::test]
async fn repeated_cookie_is_ignored() {
    let server = TestServer::start().await;
    let browser = server.browser();
    browser.sign_in(ALICE, PASSWORD).await.expect(303);
    let session = browser.cookie(COOKIE).unwrap();
    let name = format!("{COOKIE}-{}", server.app.settings.port());
    let twice = format!("{name}=x; {name}={session}");
    let answer = server.caller.get_with("/account", &[("cookie", &twice)]).await;
    assert_eq!(answer.location(), "/sign-in");
    let once = format!("a=b; {name}={session}; c");
    server.caller.get_with("/account", &[("cookie", &once)]).await.expect(200);
}

#[tokio::test]
async fn signed_in_user_skips_the_sign_in_page() {
    let server = TestServer::start().await;
    let browser = server.browser();
    browser.sign_in(ALICE, PASSWORD).await.expect(303);
    assert_eq!(browser.get("/sign-in").await.location(), "/account");
    assert_eq!(browser.get("/").await.location(), "/account");
}

#[tokio::test]
async fn another_account_replaces_the_first_only_by_signing_in() {
    let server = TestServer::start().await;
    let browser = server.browser();
    browser.sign_in(ALICE, PASSWORD).await.expect(303);
    let session = browser.cookie(COOKIE).unwrap();
    let form = browser.consent(&AuthorizationRequest::of(&server.world.web)).await;
    let other = form.action.replace("/consent/", "/sign-in/") + "/other";
    let page = browser.get(&other).await.expect(200);
    browser.get("/account").await.expect(200);
    let answer = browser.submit(&Form::of(&page), &[("username", BOB), ("password", PASSWORD)]).await;
    let page = browser.follow(answer).await.expect(200);
    assert!(page.body.contains("Signed in as <strong>bob</strong>"), "{}", page.body);
    let alice = server.browser();
    alice.set_cookie(COOKIE, &session);
    assert_eq!(alice.get("/account").await.location(), "/sign-in");
}
