//! `/logout`: signing out at the request of an application (OpenID Connect RP-Initiated Logout 1.0).

use doorward_core::{client::AuthenticationMethod, client_metadata::ClientMetadata, redirect_uri::RedirectUri};

use crate::harness::*;

const BYE: &str = "https://bye.example/out?from=doorward";

/// A client with an address to return to after signing out.
async fn app(server: &TestServer) -> Registered {
    let new = client("Bye", AuthenticationMethod::ClientSecret, "https://bye.example/cb");
    let post_logout_redirect_uris = vec![RedirectUri::parse(BYE).unwrap()];
    register(&server.app, ClientMetadata { post_logout_redirect_uris, ..new }).await
}

/// A browser in which Alice is signed in, with the ID token that the client got.
async fn signed_in(server: &TestServer, client: &Registered) -> (Browser, String) {
    let browser = server.browser();
    let code = browser.authorize(&AuthorizationRequest::of(client)).await.sent("code").unwrap();
    let id_token = server.redeem(client, &code).await.text("id_token");
    (browser, id_token)
}

fn path(pairs: &[(&str, &str)]) -> String {
    format!("/logout?{}", form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish())
}

async fn is_signed_in(browser: &Browser) -> bool {
    browser.get("/account").await.status == 200
}

#[tokio::test]
async fn id_token_of_the_user_signs_out_and_leads_back_with_the_state() {
    on_each_engine(async |server| {
        let bye = app(server).await;
        let (browser, id_token) = signed_in(server, &bye).await;
        let session = browser.cookie("doorward-session").unwrap();
        server.advance_secs(3_600);
        let pairs = [("id_token_hint", id_token.as_str()), ("post_logout_redirect_uri", BYE), ("state", "a b")];
        let answer = browser.get(&path(&pairs)).await;
        assert_eq!(answer.location(), format!("{BYE}&state=a%20b"));
        assert_eq!(browser.cookie("doorward-session"), None);
        let old = server.browser();
        old.set_cookie("doorward-session", &session);
        assert!(!is_signed_in(&old).await, "the session is over, not only forgotten");
        // Again: there is nothing to do, and the way back is the same.
        assert_eq!(browser.get(&path(&pairs)).await.location(), format!("{BYE}&state=a%20b"));
    })
    .await;
}

#[tokio::test]
async fn posted_request_continues_by_form_with_no_token_in_a_url() {
    let server = TestServer::start().await;
    let bye = app(&server).await;
    let (browser, id_token) = signed_in(&server, &bye).await;
    let pairs = [("id_token_hint", id_token.as_str()), ("post_logout_redirect_uri", BYE), ("state", "a \"b")];
    // Another site's POST carries no cookie; what comes of it has to be seen by a request of this site.
    let page = server.caller.post("/logout", &pairs).await.expect(200);
    assert!(page.body.contains(r#"<form method="post" action="/logout/continue" data-submit>"#), "{}", page.body);
    assert!(!page.header("content-security-policy").unwrap().contains("form-action"));
    let sent = ["id_token_hint", "client_id", "post_logout_redirect_uri", "state"].map(|name| {
        let start = format!(r#"<input type="hidden" name="{name}" value=""#);
        (name, between(&page.body, &start, "\"").map(|value| value.replace("&#34;", "\"")))
    });
    let sent: Vec<_> = sent.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect();
    assert_eq!(sent, pairs);
    assert!(is_signed_in(&browser).await, "nothing happened yet");
    assert_eq!(browser.post("/logout/continue", &sent).await.location(), format!("{BYE}&state=a%20%22b"));
    assert!(!is_signed_in(&browser).await);
    // Mistakes are reported at once.
    let odd = [pairs[0], ("post_logout_redirect_uri", "https://evil.example/")];
    let answer = server.caller.post("/logout", &odd).await;
    assert_eq!(answer.error_page(), (400, "post_logout_redirect_uri_not_registered".into()));
}

#[tokio::test]
async fn id_token_of_another_session_asks_before_signing_out() {
    let server = TestServer::start().await;
    let bye = app(&server).await;
    let (browser, id_token) = signed_in(&server, &bye).await;
    let other = server.browser();
    other.sign_in(ALICE, PASSWORD).await.expect(303);
    let pairs = [("id_token_hint", id_token.as_str()), ("post_logout_redirect_uri", BYE)];
    let page = other.get(&path(&pairs)).await.expect(200);
    assert!(page.body.contains("<h1>Sign out?</h1>"), "{}", page.body);
    assert!(is_signed_in(&other).await && is_signed_in(&browser).await);
    assert_eq!(browser.get(&path(&pairs)).await.location(), BYE);
    assert!(is_signed_in(&other).await, "the session of the id_token ended, and no other");
}

#[tokio::test]
async fn id_token_with_a_removed_key_asks_and_returns_to_its_client() {
    let server = TestServer::start().await;
    let bye = app(&server).await;
    let (_, id_token) = signed_in(&server, &bye).await;
    server.retire_signing_keys().await;
    server.remove_retired_signing_keys().await;
    let browser = server.browser();
    browser.sign_in(ALICE, PASSWORD).await.expect(303);
    let pairs = [("id_token_hint", id_token.as_str()), ("post_logout_redirect_uri", BYE)];
    let page = browser.get(&path(&pairs)).await.expect(200);
    assert!(page.body.contains("<h1>Sign out?</h1>") && page.body.contains(BYE), "{}", page.body);
    assert!(is_signed_in(&browser).await);
    assert_eq!(server.browser().get(&path(&pairs)).await.location(), BYE);
    let elsewhere = [pairs[0], ("post_logout_redirect_uri", "https://evil.example/")];
    let answer = server.browser().get(&path(&elsewhere)).await;
    assert_eq!(answer.error_page(), (400, "post_logout_redirect_uri_not_registered".into()));
}

#[tokio::test]
async fn without_the_users_id_token_the_person_is_asked() {
    let server = TestServer::start().await;
    let bye = app(&server).await;
    let (browser, id_token) = signed_in(&server, &bye).await;
    let other = server.browser();
    other.sign_in(BOB, PASSWORD).await.expect(303);
    let forged = format!("{}x", &id_token[..id_token.len() - 1]);
    let back = ("post_logout_redirect_uri", BYE);
    for (browser, pairs, leads_to) in [
        (&browser, &[][..], "/signed-out"),
        (&browser, &[back], "/signed-out"),
        (&browser, &[("id_token_hint", forged.as_str()), back], "/signed-out"),
        (&browser, &[("client_id", bye.id.as_str()), back], BYE),
        (&other, &[("id_token_hint", id_token.as_str()), back], BYE),
    ] {
        let page = browser.get(&path(pairs)).await.expect(200);
        assert!(page.body.contains("<h1>Sign out?</h1>"), "{}", page.body);
        assert!(is_signed_in(browser).await, "nothing happened yet");
        let form = Form::of(&page);
        let hidden = ["client_id", "post_logout_redirect_uri"].map(|name| {
            let start = format!(r#"<input type="hidden" name="{name}" value=""#);
            (name, between(&page.body, &start, "\"").unwrap_or_default().to_owned())
        });
        let hidden: Vec<_> = hidden.iter().map(|(name, value)| (*name, value.as_str())).collect();
        // Nobody else can press the button.
        let stale = Form { csrf: "stale".into(), ..form.clone() };
        let again = browser.submit(&stale, &hidden).await.expect(403);
        assert!(again.body.contains("<h1>Sign out?</h1>") && is_signed_in(browser).await);
        let copy = browser.copy();
        assert_eq!(copy.submit(&form, &hidden).await.location(), leads_to);
        assert!(!is_signed_in(&copy).await);
        browser.sign_in(ALICE, PASSWORD).await.expect(303);
    }
}

#[tokio::test]
async fn address_that_is_not_registered_is_a_page_and_ends_nothing() {
    let server = TestServer::start().await;
    let bye = app(&server).await;
    let (browser, id_token) = signed_in(&server, &bye).await;
    for odd in ["https://bye.example/out", &format!("{BYE}&x=1"), "https://evil.example/", "https://bye.example/cb"] {
        for hint in [("id_token_hint", id_token.as_str()), ("client_id", bye.id.as_str())] {
            let answer = browser.get(&path(&[hint, ("post_logout_redirect_uri", odd)])).await;
            assert_eq!(answer.error_page(), (400, "post_logout_redirect_uri_not_registered".into()), "{odd}");
        }
    }
    let mixed_up = [("id_token_hint", id_token.as_str()), ("client_id", server.world.web.id.as_str())];
    assert_eq!(browser.get(&path(&mixed_up)).await.error_page(), (400, "parameter_invalid".into()));
    assert!(is_signed_in(&browser).await);
}

#[tokio::test]
async fn mistake_of_the_app_leaves_a_way_to_sign_out() {
    let server = TestServer::start().await;
    let bye = app(&server).await;
    let (browser, id_token) = signed_in(&server, &bye).await;
    let (hint, client_id) = (("id_token_hint", id_token.as_str()), ("client_id", bye.id.as_str()));
    let (long, slash) = ("s".repeat(4_097), format!("{BYE}/"));
    for pairs in [
        &[client_id, ("post_logout_redirect_uri", slash.as_str())][..],
        &[hint, ("client_id", server.world.web.id.as_str())],
        &[hint, ("state", "a"), ("state", "b")],
        &[hint, ("state", long.as_str())],
    ] {
        for page in [browser.get(&path(pairs)).await, server.caller.post("/logout", pairs).await] {
            let page = page.expect(400);
            assert!(page.body.contains(r#"id="way-on" href="/logout">Sign out<"#), "{}", page.body);
            assert_eq!(page.body.contains("by a trailing slash"), pairs[0] == client_id, "{}", page.body);
        }
        assert!(is_signed_in(&browser).await);
    }
    let form = Form::of(&browser.get("/logout").await.expect(200));
    assert_eq!(browser.submit(&form, &[]).await.location(), "/signed-out");
    assert!(!is_signed_in(&browser).await);
}

#[tokio::test]
async fn page_says_that_nobody_was_signed_in() {
    let server = TestServer::start().await;
    let bye = app(&server).await;
    let (browser, id_token) = signed_in(&server, &bye).await;
    let hint = [("id_token_hint", id_token.as_str())];
    // The app's own server asks: it has no session.
    for answer in [server.caller.get("/logout").await, server.caller.get(&path(&hint)).await] {
        let page = answer.expect(200);
        assert!(page.body.contains("<h1>You are already signed out</h1>"), "{}", page.body);
    }
    assert!(is_signed_in(&browser).await);
}

#[tokio::test]
async fn embedded_requests_sign_nobody_out() {
    let server = TestServer::start().await;
    let bye = app(&server).await;
    let (browser, id_token) = signed_in(&server, &bye).await;
    let pairs = [("id_token_hint", id_token.as_str()), ("post_logout_redirect_uri", BYE)];
    let page = [("sec-fetch-dest", "document"), ("sec-fetch-mode", "navigate")];
    for headers in [
        &[("sec-fetch-dest", "image"), ("sec-fetch-mode", "no-cors")][..],
        &[("sec-fetch-dest", "iframe"), ("sec-fetch-mode", "navigate"), ("sec-fetch-site", "same-site")],
        &[("sec-fetch-dest", "empty"), ("sec-fetch-mode", "cors")],
        &[page[0], page[1], ("sec-purpose", "prefetch;prerender")],
        &[("purpose", "prefetch")],
        &[("x-moz", "prefetch")],
    ] {
        let get = browser.get_with(&path(&pairs), headers).await;
        for answer in [get, browser.post_with("/logout/continue", headers, &pairs).await] {
            assert!(answer.expect(200).body.contains("<h1>Sign out?</h1>"), "{headers:?}");
            assert!(is_signed_in(&browser).await, "{headers:?}");
        }
    }
    browser.head(&path(&pairs)).await.expect(200);
    assert!(is_signed_in(&browser).await);
    assert_eq!(browser.get_with(&path(&pairs), &page).await.location(), BYE);
}
