//! Guesses are slowed down and nobody is locked out for good (protocol.md, "Passwords and throttling").

use doorward_server::manage::users;

use crate::harness::*;

const WRONG: &str = "a wrong password of mine";

/// Says how many seconds to wait, on the page and in the header.
#[track_caller]
fn wait(answer: &Answer) -> u64 {
    assert_eq!(answer.status, 429, "{}", answer.body);
    assert!(answer.body.contains("Too many attempts"), "{}", answer.body);
    Form::of(answer);
    answer.header("retry-after").unwrap().parse().unwrap()
}

#[tokio::test]
async fn waits_grow_after_five_failures_of_a_name_without_hashing() {
    on_each_engine(async |server| {
        // A name that nobody has is counted as one that somebody has.
        for username in [ALICE, "nobody"] {
            let browser = server.browser();
            for _ in 0..5 {
                browser.sign_in(username, WRONG).await.expect(401);
            }
            let before = server.app.passwords.computed();
            assert_eq!(wait(&browser.sign_in(username, WRONG).await), 2);
            // The right password is not looked at either.
            assert_eq!(wait(&browser.sign_in(username, PASSWORD).await), 2);
            assert_eq!(server.app.passwords.computed(), before);
            server.advance_secs(2);
            browser.sign_in(username, WRONG).await.expect(401);
            assert_eq!(wait(&browser.sign_in(username, WRONG).await), 4);
        }
    })
    .await;
}

#[tokio::test]
async fn waits_reach_a_quarter_of_an_hour_and_counters_decay() {
    let server = TestServer::start().await;
    let browser = server.browser();
    let mut longest = 0;
    for _ in 0..14 {
        let answer = browser.sign_in(ALICE, WRONG).await;
        if answer.status == 429 {
            longest = wait(&answer);
            server.advance_secs(longest);
            browser.sign_in(ALICE, WRONG).await.expect(401);
        }
    }
    assert!((512..=900).contains(&longest), "{longest}");
    server.advance_secs(15 * 60);
    for _ in 0..5 {
        browser.sign_in(ALICE, WRONG).await.expect(401);
    }
    assert_eq!(wait(&browser.sign_in(ALICE, WRONG).await), 2);
}

#[tokio::test]
async fn success_clears_the_counter_of_the_name() {
    let server = TestServer::start().await;
    for _ in 0..3 {
        let browser = server.browser();
        for _ in 0..4 {
            browser.sign_in(ALICE, WRONG).await.expect(401);
        }
        browser.sign_in(ALICE, PASSWORD).await.expect(303);
    }
}

#[tokio::test]
async fn fifty_failures_are_free_by_address() {
    let server = TestServer::start().await;
    for at in 0..50 {
        server.browser().sign_in(&format!("name{at}"), WRONG).await.expect(401);
    }
    assert_eq!(wait(&server.browser().sign_in("another", WRONG).await), 2);
    let elsewhere = Browser::new(&server.caller_from([127, 0, 0, 2]));
    elsewhere.sign_in("another", WRONG).await.expect(401);
}

#[tokio::test]
async fn nobody_can_lock_the_owner_out_of_a_known_browser() {
    on_each_engine(async |server| {
        let owner = server.browser();
        owner.sign_in(ALICE, PASSWORD).await.expect(303);
        owner.forget_cookie("doorward-session");
        let strangers = [server.browser(), Browser::new(&server.caller_from([127, 0, 0, 66]))];
        for _ in 0..8 {
            for stranger in &strangers {
                stranger.sign_in(ALICE, WRONG).await;
            }
        }
        wait(&strangers[0].sign_in(ALICE, WRONG).await);
        owner.sign_in(ALICE, PASSWORD).await.expect(303);
    })
    .await;
}

#[tokio::test]
async fn known_browser_has_its_own_counter_for_one_account() {
    let server = TestServer::start().await;
    let owner = server.browser();
    owner.sign_in(ALICE, PASSWORD).await.expect(303);
    owner.forget_cookie("doorward-session");
    for _ in 0..5 {
        owner.sign_in(ALICE, WRONG).await.expect(401);
    }
    wait(&owner.sign_in(ALICE, WRONG).await);
    // For Bob, the browser of Alice is any browser; and a forged cookie is none.
    let device = owner.cookie("doorward-device").unwrap();
    for cookie in [device.clone(), format!("{device}x"), device.replace("usr_", "usr_0"), "a.b.c".into()] {
        let browser = server.browser();
        browser.set_cookie("doorward-device", &cookie);
        for _ in 0..5 {
            browser.sign_in(BOB, WRONG).await.expect(401);
        }
        wait(&browser.sign_in(BOB, WRONG).await);
        users::set_password(&server.app, &operator(), BOB, PASSWORD.into(), |_| Ok(())).await.unwrap();
    }
}

#[tokio::test]
async fn right_password_works_at_its_turn_after_100_failures() {
    let server = TestServer::start_with(|settings| {
        settings.throttle.free_failures_per_address = 10_000;
        settings.throttle.free_failures_per_name = 200;
    })
    .await;
    let stranger = server.browser();
    for _ in 0..101 {
        stranger.sign_in(ALICE, WRONG).await.expect(401);
    }
    assert_eq!(wait(&stranger.sign_in(ALICE, WRONG).await), 900);
    let owner = Browser::new(&server.caller_from([127, 0, 0, 2]));
    let secs = wait(&owner.sign_in(ALICE, PASSWORD).await);
    assert_eq!(secs, 60);
    server.advance_secs(secs);
    // The guesser has no attempt left that would take the owner's.
    assert_eq!(wait(&stranger.sign_in(ALICE, WRONG).await), 840);
    owner.sign_in(ALICE, PASSWORD).await.expect(303);
    stranger.sign_in(ALICE, WRONG).await.expect(401);
}

#[tokio::test]
async fn browser_is_unknown_after_password_change_or_full_sign_out() {
    on_each_engine(async |server| {
        let is_known = async |browser: &Browser| {
            let address = server.caller_from([127, 0, 0, 66]);
            while Browser::new(&address).sign_in(ALICE, WRONG).await.status == 401 {}
            browser.forget_cookie("doorward-session");
            browser.sign_in(ALICE, WRONG).await.status == 401
        };
        let (thief, owner) = (server.browser(), server.browser());
        thief.sign_in(ALICE, PASSWORD).await.expect(303);
        assert!(is_known(&thief).await);

        let account = Browser::new(&server.caller_from([127, 0, 0, 3]));
        server.advance_secs(15 * 60);
        account.sign_in(ALICE, PASSWORD).await.expect(303);
        let form = Form::to(&account.get("/account").await, "/account/end-other-sessions", "Sign out everywhere else");
        account.submit(&form, &[]).await.expect(303);
        assert!(!is_known(&thief).await, "signed out everywhere");

        server.advance_secs(15 * 60);
        owner.sign_in(ALICE, PASSWORD).await.expect(303);
        assert!(is_known(&owner).await);
        let other = "sixteen tin soldiers";
        users::set_password(&server.app, &operator(), ALICE, other.into(), |_| Ok(())).await.unwrap();
        assert!(!is_known(&owner).await, "another password");
        server.advance_secs(15 * 60);
        owner.sign_in(ALICE, other).await.expect(303);
        assert!(is_known(&owner).await);
        server.advance_secs(365 * 86_400);
        assert!(!is_known(&owner).await, "a year later");
    })
    .await;
}

#[tokio::test]
async fn many_browsers_of_an_account_share_a_counter() {
    let server = TestServer::start().await;
    let mut guesses = 0;
    for _ in 0..6 {
        let thief = server.browser();
        thief.sign_in(ALICE, PASSWORD).await.expect(303);
        thief.forget_cookie("doorward-session");
        while thief.sign_in(ALICE, WRONG).await.status == 401 {
            guesses += 1;
        }
    }
    assert_eq!(guesses, 15, "as many as three browsers have");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_at_the_same_time_count_each() {
    on_each_engine(async |server| {
        let browser = server.browser();
        let page = browser.get("/sign-in").await;
        let form = Form::of(&page);
        let answers = at_once(20, |_| {
            let (browser, form) = (browser.copy(), form.clone());
            async move { browser.submit(&form, &[("username", ALICE), ("password", WRONG)]).await }
        })
        .await;
        let looked_at = answers.iter().filter(|answer| answer.status == 401).count();
        assert_eq!(looked_at, 5, "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
    })
    .await;
}
