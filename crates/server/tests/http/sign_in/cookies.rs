//! Cookies follow the configured issuer (RFC 6265bis): `__Host-` with https, a plain name with the port on a loopback.

use crate::harness::*;

/// The attributes of the cookies that a sign-in sets, by name.
async fn set_by_sign_in(browser: &Browser) -> Vec<(String, Vec<String>)> {
    let page = browser.get("/sign-in").await.expect(200);
    let answer = browser.submit(&Form::of(&page), &[("username", ALICE), ("password", PASSWORD)]).await.expect(303);
    let cookies = page.headers.get_all("set-cookie").iter().chain(answer.headers.get_all("set-cookie"));
    let mut cookies: Vec<_> = cookies
        .map(|cookie| {
            let mut parts = cookie.to_str().unwrap().split("; ").map(str::to_owned);
            let name = parts.next().unwrap().split_once('=').unwrap().0.to_owned();
            let mut attributes: Vec<_> = parts.collect();
            attributes.sort();
            (name, attributes)
        })
        .collect();
    cookies.sort();
    cookies
}

#[tokio::test]
async fn loopback_cookies_have_the_port_and_are_not_secure() {
    let server = TestServer::start().await;
    let session = server.app.settings.session.absolute.as_secs();
    let port = server.caller.base.rsplit(':').next().unwrap();
    let expected = [
        ("doorward-browser", vec!["HttpOnly".to_owned(), "Path=/".into(), "SameSite=Lax".into()]),
        ("doorward-device", vec!["HttpOnly".into(), "Max-Age=31536000".into(), "Path=/".into(), "SameSite=Lax".into()]),
        (
            "doorward-session",
            vec!["HttpOnly".into(), format!("Max-Age={session}"), "Path=/".into(), "SameSite=Lax".into()],
        ),
    ]
    .map(|(name, attributes)| (format!("{name}-{port}"), attributes));
    assert_eq!(set_by_sign_in(&server.browser()).await, expected);
}

#[tokio::test]
async fn https_cookies_have_the_host_prefix_and_are_secure() {
    let server = TestServer::start_with(|settings| settings.issuer = "https://auth.example".into()).await;
    let browser = server.browser();
    let cookies = set_by_sign_in(&browser).await;
    let names: Vec<_> = cookies.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["__Host-doorward-browser", "__Host-doorward-device", "__Host-doorward-session"]);
    for (name, attributes) in &cookies {
        for needed in ["Secure", "HttpOnly", "Path=/", "SameSite=Lax"] {
            assert!(attributes.iter().any(|attribute| attribute == needed), "{name}: {attributes:?}");
        }
        assert!(attributes.iter().all(|attribute| !attribute.starts_with("Domain")), "{name}");
    }
    browser.get("/account").await.expect(200);
    // No other name is read: neither the plain one, nor another prefix or case.
    let session = browser.cookie("__Host-doorward-session").unwrap();
    for name in ["doorward-session", "__Secure-doorward-session", "__host-doorward-session", "__Host-Doorward-session"]
    {
        let planted = server.browser();
        planted.set_cookie(name, &session);
        assert_eq!(planted.get("/account").await.location(), "/sign-in", "{name}");
    }
}

#[tokio::test]
async fn cookie_of_a_neighbour_in_any_encoding_prevents_no_sign_in() {
    let server = TestServer::start().await;
    for neighbour in [&b"visitor=Jos\xe9"[..], "visitor=José".as_bytes(), b"\xff", b"doorward-session=\xff"] {
        let browser = server.browser().beside(neighbour);
        browser.sign_in(ALICE, PASSWORD).await.expect(303);
        browser.get("/account").await.expect(200);
    }
}

#[tokio::test]
async fn two_servers_on_one_host_do_not_sign_each_other_out() {
    let (one, other) = (TestServer::start().await, TestServer::start().await);
    let browser = one.browser();
    browser.sign_in(ALICE, PASSWORD).await.expect(303);
    let browser = browser.at(&other.caller);
    browser.sign_in(ALICE, PASSWORD).await.expect(303);
    browser.get("/account").await.expect(200);
    browser.at(&one.caller).get("/account").await.expect(200);
}
