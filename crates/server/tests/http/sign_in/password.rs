//! Name and password (OWASP ASVS V6.3.8): unknown and wrong get the same answer and cost the same work.

use doorward_core::{
    secret::{ExposeSecret, SecretString},
    user::UserMetadata,
};
use doorward_server::{manage::users, passwords::Parties};
use doorward_store::users::FindUser;

use crate::harness::*;

/// The page without what differs from request to request.
fn face(answer: &Answer, username: &str) -> (u16, String) {
    let csrf = Form::of(answer).csrf;
    (answer.status, answer.body.replace(&csrf, "CSRF").replace(&format!("value=\"{username}\""), "value=\"NAME\""))
}

#[tokio::test]
async fn all_failed_sign_ins_get_the_same_page_for_one_hash() {
    let server = TestServer::start().await;
    users::disable(&server.app, &operator(), BOB, true, |_| Ok(())).await.unwrap();
    let browser = server.browser();
    let mut faces = Vec::new();
    for (username, password) in [("nobody", "wrong"), (ALICE, "wrong"), (BOB, PASSWORD), ("", "wrong")] {
        let before = server.app.passwords.computed();
        let answer = browser.sign_in(username, password).await;
        assert_eq!(server.app.passwords.computed() - before, 1, "{username}");
        assert_eq!(answer.header("set-cookie"), None);
        faces.push(face(&answer, username));
    }
    assert_eq!(faces[0].0, 401);
    assert!(faces[0].1.contains("Wrong username or password"));
    assert!(faces[..3].iter().all(|face| *face == faces[0]), "{faces:#?}");
    // The operator sees the difference.
    assert_eq!(server.refusals(4).await, ["password_wrong", "user_disabled", "user_unknown", "user_unknown"]);
}

#[tokio::test]
async fn the_right_password_signs_in_whatever_the_case_of_the_name() {
    let server = TestServer::start().await;
    for username in ["alice", "ALICE", " Alice "] {
        let answer = server.browser().sign_in(username, PASSWORD).await;
        assert_eq!(answer.location(), "/account", "{username}");
    }
}

#[tokio::test]
async fn a_password_is_compared_whole_in_either_normal_form() {
    let server = TestServer::start().await;
    let long = "e\u{301} \u{1f511} ".repeat(21);
    let metadata = UserMetadata { username: "carol".into(), ..UserMetadata::default() };
    users::create(&server.app, &operator(), metadata, long.as_str().into()).await.unwrap();
    let mut cut = long.clone();
    cut.pop();
    for wrong in [cut, long.replace("e\u{301}", "e"), long.trim().to_owned(), long.to_uppercase()] {
        server.browser().sign_in("carol", &wrong).await.expect(401);
    }
    for right in [&long, &long.replace("e\u{301}", "\u{e9}"), &long.replace(' ', "\u{a0}")] {
        assert_eq!(server.browser().sign_in("carol", right).await.location(), "/account");
    }
}

async fn hashed(server: &TestServer, password: &str) -> SecretString {
    let turn = server.app.passwords.turn(&Parties::operator()).await.unwrap();
    server.app.passwords.hash(password.into(), &turn, &*server.app.rng).await.unwrap()
}

#[tokio::test]
async fn password_that_an_older_program_hashed_as_it_came_signs_in() {
    let server = TestServer::start().await;
    let decomposed = "a cafe\u{301} in the rain";
    let hash = hashed(&server, decomposed).await;
    let sql = "UPDATE users SET password_hash = $1 WHERE username_folded = 'bob'";
    let params = vec![hash.expose_secret().into()];
    server.app.store.write(Run { sql, params }).await.unwrap();
    for typed in [decomposed, "a caf\u{e9} in the rain"] {
        assert_eq!(server.browser().sign_in(BOB, typed).await.location(), "/account");
    }
    server.browser().sign_in(BOB, "a cafe in the rain").await.expect(401);
}

#[tokio::test]
async fn hash_of_an_older_cost_is_replaced_at_sign_in() {
    on_each_engine(async |server| {
        let older = TestServer::start_with(|settings| settings.password.iterations += 1).await;
        let hash = hashed(&older, PASSWORD).await;
        let sql = "UPDATE users SET password_hash = $1 WHERE username_folded = 'bob'";
        server.app.store.write(Run { sql, params: vec![hash.expose_secret().into()] }).await.unwrap();
        let cost = async |username: &str| {
            let user = server.app.store.read(FindUser::ByUsername(username.to_owned())).await.unwrap().unwrap();
            user.password_hash.expose_secret().split('$').take(4).collect::<Vec<_>>().join("$")
        };
        server.browser().sign_in(BOB, "a wrong password of mine").await.expect(401);
        assert_ne!(cost(BOB).await, cost(ALICE).await);
        let browser = server.browser();
        assert_eq!(browser.sign_in(BOB, PASSWORD).await.location(), "/account");
        assert_eq!(cost(BOB).await, cost(ALICE).await);
        browser.get("/account").await.expect(200);
        let before = server.app.passwords.computed();
        server.browser().sign_in(BOB, PASSWORD).await.expect(303);
        assert_eq!(server.app.passwords.computed() - before, 1, "once");
    })
    .await;
}

#[tokio::test]
async fn name_is_one_user_in_each_spelling_and_an_older_one_is_found() {
    let server = TestServer::start().await;
    let create = async |username: &str| {
        let metadata = UserMetadata { username: username.into(), ..UserMetadata::default() };
        users::create(&server.app, &operator(), metadata, PASSWORD.into()).await
    };
    create("Jos\u{e9}").await.unwrap();
    assert!(create("JOSE\u{301}").await.is_err(), "the same name");
    assert!(create("jos\u{200b}\u{e9}").await.is_err(), "nobody sees the difference");
    create(&format!("{}@example.com", "a".repeat(242))).await.unwrap();
    assert!(create(&format!("{}@example.com", "a".repeat(243))).await.is_err());
    for typed in ["jos\u{e9}", "Jose\u{301}", " JOS\u{c9} "] {
        assert_eq!(server.browser().sign_in(typed, PASSWORD).await.location(), "/account", "{typed}");
    }
    server.browser().sign_in("jos\u{200b}\u{e9}", PASSWORD).await.expect(401);
    // As an older program stored them.
    let sql = "UPDATE users SET username_folded = $1 WHERE username_folded = 'bob'";
    for stored in ["bjo\u{308}rn", "bj\u{f6}rn \u{2605}"] {
        server.app.store.write(Run { sql, params: vec![stored.into()] }).await.unwrap();
        server.browser().sign_in(stored, PASSWORD).await.expect(303);
        assert!(create(stored).await.is_err());
        let sql = "UPDATE users SET username_folded = 'bob' WHERE username_folded = $1";
        server.app.store.write(Run { sql, params: vec![stored.into()] }).await.unwrap();
    }
    server.app.store.write(Run { sql, params: vec!["bjo\u{308}rn".into()] }).await.unwrap();
    server.browser().sign_in("BJ\u{d6}RN", PASSWORD).await.expect(303);
}

#[tokio::test]
async fn hashing_with_the_default_settings_signs_in_too() {
    let defaults = doorward_server::Settings::new("http://localhost").password;
    let server = TestServer::start_with(|settings| settings.password = defaults.clone()).await;
    assert_eq!(defaults.memory_kib, 19_456);
    server.browser().sign_in(ALICE, "wrong").await.expect(401);
    assert_eq!(server.browser().sign_in(ALICE, PASSWORD).await.location(), "/account");
}

#[tokio::test]
async fn a_new_password_ends_the_old_one_and_every_session() {
    let server = TestServer::start().await;
    let browser = server.browser();
    browser.sign_in(ALICE, PASSWORD).await.expect(303);
    let new = "sixteen tin soldiers";
    users::set_password(&server.app, &operator(), ALICE, new.into(), |_| Ok(())).await.unwrap();
    assert_eq!(browser.get("/account").await.location(), "/sign-in");
    server.browser().sign_in(ALICE, PASSWORD).await.expect(401);
    server.browser().sign_in(ALICE, new).await.expect(303);
}

#[tokio::test]
async fn beyond_the_queue_for_hashes_attempts_are_503() {
    let server = TestServer::start_with(|settings| {
        settings.password.hash_queue = 1;
        settings.password.max_concurrent_hashes = 1;
        settings.password.iterations = 2_000;
    })
    .await;
    let browser = server.browser();
    let page = browser.get("/sign-in").await;
    let form = Form::of(&page);
    let answers = at_once(8, |at| {
        let (browser, form, name) = (browser.copy(), form.clone(), format!("nobody{at}"));
        async move { browser.submit(&form, &[("username", &name), ("password", "wrong")]).await }
    })
    .await;
    let busy: Vec<_> = answers.iter().filter(|answer| answer.status == 503).collect();
    assert!(!busy.is_empty() && busy.len() < 8, "{answers:#?}");
    for answer in &busy {
        assert_eq!(answer.error_page(), (503, "overloaded".into()));
        assert_eq!(answer.header("retry-after"), Some("2"));
    }
    // What was refused was not counted either: it cost no write, and left nothing.
    let sql = "UPDATE failures SET recent = recent WHERE subject LIKE 'name/%'";
    let counted = server.app.store.write(Run { sql, params: Vec::new() }).await.unwrap();
    assert_eq!(counted as usize, 8 - busy.len());
}
