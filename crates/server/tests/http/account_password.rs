//! `/account/password`: who knows the current password changes it, and nobody else.

use doorward_server::{
    Settings,
    manage::{audit::Explained, users::set_password},
};

use crate::harness::*;

const NEW: &str = "a staple of another horse";
const WRONG: &str = "a wrong password of mine";

async fn change(browser: &Browser, old: &str, new: &str) -> Answer {
    let page = browser.get("/account/password").await.expect(200);
    browser.submit(&Form::of(&page), &[("username", ALICE), ("password", old), ("new_password", new)]).await
}

#[tokio::test]
async fn password_change_ends_other_sessions_and_the_old_password() {
    on_each_engine(async |server| {
        let (this, other) = (server.browser(), server.browser());
        for browser in [&this, &other] {
            browser.sign_in(ALICE, PASSWORD).await.expect(303);
        }
        let page = this.follow(change(&this, PASSWORD, NEW).await.expect(303)).await.expect(200);
        assert!(
            page.body.contains("Your password has been changed. All other browsers are signed out."),
            "{}",
            page.body
        );
        assert!(page.body.contains("You changed your password."), "{}", page.body);
        assert_eq!(other.get("/account").await.location(), "/sign-in");
        server.browser().sign_in(ALICE, PASSWORD).await.expect(401);
        server.browser().sign_in(ALICE, NEW).await.expect(303);
    })
    .await;
}

#[tokio::test]
async fn wrong_current_password_is_reported_once_at_its_field() {
    let server = TestServer::start().await;
    let browser = server.browser();
    browser.sign_in(ALICE, PASSWORD).await.expect(303);
    let page = change(&browser, WRONG, NEW).await.expect(401);
    assert!(page.body.contains(r#"aria-describedby="password-mistake" autofocus"#), "{}", page.body);
    assert_eq!(page.body.matches("Wrong password").count(), 2, "in the title, and once on the page: {}", page.body);
    server.browser().sign_in(ALICE, PASSWORD).await.expect(303);
}

#[tokio::test]
async fn guesses_at_the_current_password_are_throttled() {
    let server = TestServer::start().await;
    let browser = server.browser();
    browser.sign_in(ALICE, PASSWORD).await.expect(303);
    for _ in 0..5 {
        change(&browser, WRONG, NEW).await.expect(401);
    }
    let before = server.app.passwords.computed();
    let page = change(&browser, PASSWORD, NEW).await.expect(429);
    assert_eq!(page.header("retry-after"), Some("2"));
    assert!(page.body.contains("Too many attempts"), "{}", page.body);
    assert_eq!(server.app.passwords.computed(), before, "nothing is hashed");
    // The sign-in page has the same counters.
    browser.forget_cookie("doorward-session");
    browser.sign_in(ALICE, PASSWORD).await.expect(429);
    server.advance_secs(2);
    browser.sign_in(ALICE, PASSWORD).await.expect(303);
    change(&browser, PASSWORD, NEW).await.expect(303);
}

#[tokio::test]
async fn one_of_many_concurrent_password_changes_succeeds() {
    on_each_engine(async |server| {
        let browser = server.browser();
        browser.sign_in(ALICE, PASSWORD).await.expect(303);
        let form = Form::of(&browser.get("/account/password").await.expect(200));
        let new = |at: usize| format!("a staple of another horse, number {at}");
        let answers = at_once(4, |at| {
            let (browser, form, new) = (browser.copy(), form.clone(), new(at));
            async move { browser.submit(&form, &[("password", PASSWORD), ("new_password", &new)]).await }
        })
        .await;
        let winners: Vec<_> = (0..answers.len()).filter(|at| answers[*at].status == 303).collect();
        assert_eq!(winners.len(), 1, "{answers:?}");
        for loser in answers.iter().filter(|answer| answer.status != 303) {
            let told = ["The password was just changed.", "Wrong password.", "Too many attempts", "busy"];
            assert!(told.iter().any(|told| loser.body.contains(told)), "{}", loser.body);
        }
        server.browser().sign_in(ALICE, &new(winners[0])).await.expect(303);
        server.browser().sign_in(ALICE, PASSWORD).await.expect(401);
    })
    .await;
}

#[tokio::test]
async fn changes_under_way_never_undo_the_operators_reset() {
    on_each_engine(async |server| {
        let browser = server.browser();
        browser.sign_in(ALICE, PASSWORD).await.expect(303);
        let form = Form::of(&browser.get("/account/password").await.expect(200));
        let reset = "set by the operator, nobody knows it";
        let (change, operator) = (browser.copy(), operator());
        let (answer, set) = tokio::join!(
            change.submit(&form, &[("password", PASSWORD), ("new_password", NEW)]),
            set_password(&server.app, &operator, ALICE, reset.into(), |_| Ok(()))
        );
        set.unwrap();
        // Whichever of the two came first, the reset remains and the sessions are over.
        assert!([303, 401, 403].contains(&answer.status), "{answer:?}");
        server.browser().sign_in(ALICE, reset).await.expect(303);
        server.browser().sign_in(ALICE, NEW).await.expect(401);
        assert_eq!(browser.get("/account").await.location(), "/sign-in");
    })
    .await;
}

#[tokio::test]
async fn unusable_new_password_is_refused_without_counting_a_guess() {
    let server = TestServer::start().await;
    let browser = server.browser();
    browser.sign_in(ALICE, PASSWORD).await.expect(303);
    for (new, told) in [
        ("tiny", "too short. Use at least 15 characters."),
        ("aaaaaaaaaaaaaaaaaaaa", "known from breaches"),
        (&"long".repeat(200), "too long"),
    ] {
        for _ in 0..4 {
            let page = change(&browser, WRONG, new).await.expect(422);
            assert!(page.body.contains(told) && !page.body.contains(new), "{}", page.body);
        }
    }
    let page = change(&browser, PASSWORD, PASSWORD).await.expect(422);
    assert!(page.body.contains("This is the current password."), "{}", page.body);
}

#[tokio::test]
async fn only_our_own_page_changes_the_password_of_who_is_signed_in() {
    let server = TestServer::start().await;
    let browser = server.browser();
    assert_eq!(browser.get("/account/password").await.location(), "/sign-in");
    assert_eq!(browser.post("/account/password", &[]).await.location(), "/sign-in");
    browser.sign_in(ALICE, PASSWORD).await.expect(303);
    let fields = [("csrf", "stale"), ("password", PASSWORD), ("new_password", NEW)];
    browser.post("/account/password", &fields).await.expect(403);
    server.browser().sign_in(ALICE, PASSWORD).await.expect(303);
}

#[tokio::test]
async fn password_managers_find_the_page() {
    let server = TestServer::start().await;
    let answer = server.caller.get("/.well-known/change-password").await.expect(303);
    assert_eq!(answer.location(), "/account/password");
}

#[tokio::test]
async fn failed_sign_ins_are_shown_to_their_user_as_one_line() {
    on_each_engine(async |server| {
        let stranger = server.browser();
        for _ in 0..3 {
            stranger.sign_in(ALICE, WRONG).await.expect(401);
            server.advance_secs(1);
        }
        let are_there = |events: &[Explained]| {
            events.iter().filter(|event| event.code.as_deref() == Some("password_wrong")).count() == 3
        };
        server.audit("the refusals are in the audit", are_there).await;
        let browser = server.browser();
        browser.sign_in(ALICE, PASSWORD).await.expect(303);
        let page = browser.get("/account").await.expect(200);
        assert!(page.body.contains("3 sign-ins failed: wrong password."), "{}", page.body);
        assert_eq!(page.body.matches("failed: wrong password").count(), 1, "{}", page.body);
        let bob = server.browser();
        bob.sign_in(BOB, PASSWORD).await.expect(303);
        assert!(!bob.get("/account").await.expect(200).body.contains("failed"), "they are Alice's alone");
    })
    .await;
}

#[tokio::test]
async fn failed_sign_ins_are_shown_despite_earlier_refusals() {
    let budgets = |settings: &mut Settings| {
        (settings.audit.refusals_per_network, settings.audit.refusals_per_second) = (6, 6);
        settings.throttle.free_failures_per_name = 100;
    };
    let server = TestServer::start_with(budgets).await;
    let guesser = server.caller_from([127, 0, 0, 66]);
    for _ in 0..10 {
        guesser.userinfo("nonsense").await.expect(401);
    }
    for _ in 0..14 {
        Browser::new(&guesser).sign_in(ALICE, WRONG).await.expect(401);
    }
    server.advance_secs(60);
    let wrong = |events: &[Explained]| {
        events
            .iter()
            .filter(|event| event.code.as_deref() == Some("password_wrong"))
            .map(|event| event.count)
            .sum::<i64>()
    };
    server.audit("all are in the audit", |events| wrong(events) == 14).await;
    let browser = server.browser();
    browser.sign_in(ALICE, PASSWORD).await.expect(303);
    let page = browser.get("/account").await.expect(200);
    assert!(page.body.contains("14 sign-ins failed: wrong password."), "{}", page.body);
}
