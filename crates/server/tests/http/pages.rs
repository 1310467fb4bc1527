//! What every page carries (RFC 9700 sections 4.2, 4.12 and 4.16), and what none does.

use crate::harness::*;

/// Every page there is, and whether its form ends at a client.
async fn every_page(server: &TestServer) -> Vec<(&'static str, Answer, bool)> {
    let browser = server.browser();
    let request = AuthorizationRequest::of(&server.world.web);
    let sign_in_for_app = browser.follow(browser.get(&request.path()).await).await;
    let wrong = browser.submit(&Form::of(&sign_in_for_app), &[("username", ALICE), ("password", "wrong")]).await;
    let form = browser.consent(&request).await;
    let consent = browser.get(&form.action).await;
    let stale = Form { csrf: "stale".into(), ..form.clone() };
    let consent_again = browser.allow(&stale, &["notes:read"]).await;
    browser.allow(&form, &["notes:read"]).await.sent("code").unwrap();
    let expired = browser.get(&form.action).await;
    let account = browser.get("/account").await;
    let sign_out = Form::to(&account, "/account/sign-out", "");
    let logout = browser.get(&format!("/logout?client_id={}", server.world.web.id)).await;
    let signing_out = browser.post("/logout", &[("client_id", &server.world.web.id)]).await;
    let password = browser.get("/account/password").await;
    let wrong_password =
        browser.submit(&Form::of(&password), &[("password", "wrong"), ("new_password", "a staple of horses")]).await;
    let error = browser.get(&request.with("redirect_uri", "https://evil.example").path()).await;
    let signed_out = browser.follow(browser.submit(&sign_out, &[]).await).await;
    let nobody = browser.get("/logout").await.expect(200);
    let nowhere = browser.get_with("/nowhere", &[("accept", "text/html,*/*;q=0.8")]).await.expect(404);
    vec![
        ("sign-in", browser.get("/sign-in").await, true),
        ("sign-in for an app", sign_in_for_app, true),
        ("sign-in again", wrong, true),
        ("consent", consent, true),
        ("consent again", consent_again, true),
        ("account", account, false),
        ("password", password, false),
        ("password again", wrong_password, false),
        ("logout", logout, true),
        ("signing out", signing_out, true),
        ("signed out", signed_out, false),
        ("nobody signed in", nobody, false),
        ("error", error, false),
        ("nothing here", nowhere, false),
        ("expired", expired, false),
    ]
}

#[tokio::test]
async fn every_page_refuses_frames_referrers_caches_and_inline_code() {
    let server = TestServer::start().await;
    for (name, page, ends_at_client) in every_page(&server).await {
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"), "{name}");
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"), "{name}");
        assert_eq!(page.header("referrer-policy"), Some("no-referrer"), "{name}");
        assert_eq!(page.header("cache-control"), Some("no-store"), "{name}");
        let policy = page.header("content-security-policy").expect(name);
        let directives: Vec<&str> = policy.split(';').map(str::trim).collect();
        for needed in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "script-src 'self'"] {
            assert!(directives.contains(&needed), "{name}: {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{name}: {policy}");
        // Chromium applies form-action to the whole chain of redirects: the way back to a client would be blocked.
        assert_eq!(directives.contains(&"form-action 'self'"), !ends_at_client, "{name}: {policy}");
        assert!(page.headers.keys().all(|name| !name.as_str().starts_with("access-control-")), "{name}");
    }
}

#[tokio::test]
async fn no_page_loads_anything_from_elsewhere_or_carries_inline_code() {
    let server = TestServer::start().await;
    for (name, page, _) in every_page(&server).await {
        for attribute in ["src=\"", "href=\"", "action=\""] {
            for target in page.body.split(attribute).skip(1) {
                assert!(
                    target.starts_with('/') && !target.starts_with("//"),
                    "{name}: {}",
                    &target[..40.min(target.len())]
                );
            }
        }
        for inline in [" style=", "<style", " onclick=", " onload=", " onsubmit=", "javascript:"] {
            assert!(!page.body.contains(inline), "{name} has {inline}");
        }
        let scripts = page.body.matches("<script").count();
        assert_eq!(scripts, page.body.matches("<script src=").count(), "{name}");
    }
}

#[tokio::test]
async fn page_assets_exist_and_are_immutable() {
    let server = TestServer::start().await;
    let page = server.caller.get("/sign-in").await;
    let assets: Vec<&str> = page.body.split('"').filter(|text| text.starts_with("/assets/")).collect();
    assert_eq!(assets.len(), 3, "{assets:?}");
    for path in assets {
        let asset = server.caller.get(path).await.expect(200);
        assert!(asset.header("cache-control").unwrap().contains("immutable"), "{path}");
        assert_eq!(asset.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert!(asset.header("content-type").is_some());
    }
    assert_eq!(server.caller.get("/assets/none.css").await.problem(), (404, "not_found".into()));
}

#[tokio::test]
async fn every_control_has_its_stable_id() {
    let server = TestServer::start().await;
    let pages = every_page(&server).await;
    let page = |wanted: &str| &pages.iter().find(|(name, _, _)| *name == wanted).unwrap().1.body;
    for (name, ids) in [
        ("sign-in", &["username", "password", "sign-in"][..]),
        ("consent", &["allow", "deny", "switch-account"]),
        ("account", &["sign-out"]),
        ("password", &["password", "new-password", "save-password", "back"]),
        ("logout", &["sign-out", "stay"]),
        ("signing out", &["continue"]),
    ] {
        for id in ids {
            assert_eq!(page(name).matches(&format!(r#" id="{id}""#)).count(), 1, "{name}: {id}");
        }
    }
}

/// A page without what differs from run to run: the port, and what was drawn by lot.
fn settled(server: &TestServer, page: &Answer) -> String {
    let html = page.body.replace(server.issuer(), "http://issuer");
    let mut settled = String::new();
    for piece in html.split_inclusive(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-')) {
        let word = piece.trim_end_matches(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'));
        // One of 280 texts drawn of letters and digits has no digit.
        let has = |kind: fn(&u8) -> bool| word.as_bytes().iter().any(kind);
        let is_mixed = has(u8::is_ascii_digit) || (has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase));
        let is_drawn = word.len() >= 20 && is_mixed;
        settled += if is_drawn { "[drawn]" } else { word };
        settled += &piece[word.len()..];
    }
    settled
}

#[tokio::test]
async fn every_page_reads_as_it_was_approved() {
    let server = TestServer::start().await;
    for (name, page, _) in every_page(&server).await {
        let name = name.replace([' ', '-'], "_");
        insta::assert_snapshot!(name, settled(&server, &page));
    }
}

#[tokio::test]
async fn mistyped_address_is_explained_to_a_person_with_a_way_on() {
    let server = TestServer::start().await;
    for path in ["/acount", "/assets/none.css", "/%ff"] {
        let page = server.caller.get_with(path, &[("accept", "text/html")]).await.expect(404);
        assert!(page.body.contains("Check the address for a typing mistake."), "{}", page.body);
        assert!(page.body.contains(r#"<a class="button" id="way-on" href="/account">"#), "{}", page.body);
        assert!(!page.body.contains("to the people who run"), "the operator can't help: {}", page.body);
    }
}

#[tokio::test]
async fn operators_logo_and_links_stand_on_every_page() {
    let logo = br#"<svg xmlns="http://www.w3.org/2000/svg" width="32" height="32"/>"#;
    let server = TestServer::start_with(|settings| {
        settings.logo = Some(doorward_server::Logo::new(logo.to_vec()).unwrap());
        settings.links.help = Some("https://www.example.com/help?a=1&b=2".into());
        settings.links.terms = Some("https://www.example.com/terms".into());
    })
    .await;
    for (name, page, _) in every_page(&server).await {
        let image = page.body.split(r#"<img src=""#).nth(1).and_then(|rest| rest.split('"').next()).expect(name);
        let file = server.caller.get(image).await.expect(200);
        assert_eq!((file.header("content-type"), file.body.as_bytes()), (Some("image/svg+xml"), &logo[..]));
        // Opened by itself, it runs no script in this origin.
        assert!(file.header("content-security-policy").unwrap().contains("sandbox"));
        assert!(page.body.contains(r#"href="https://www.example.com/help?a=1&#38;b=2""#), "{name}: {}", page.body);
        assert!(page.body.contains(">Terms</a>") && !page.body.contains(">Privacy</a>"), "{name}: {}", page.body);
    }
}
