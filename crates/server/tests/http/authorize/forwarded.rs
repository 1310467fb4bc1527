//! The issuer comes from the configuration alone: no header that a caller chooses changes a link, an `iss`, a redirect
//! or a cookie (security.md; Zitadel's CVE-2025-64101).

use crate::harness::*;

const FORWARDED: &[(&str, &str)] = &[
    ("host", "evil.example"),
    ("forwarded", "for=203.0.113.1;host=evil.example;proto=https"),
    ("x-forwarded-for", "203.0.113.1"),
    ("x-forwarded-host", "evil.example"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-port", "443"),
    ("x-forwarded-prefix", "/evil"),
    ("x-forwarded-server", "evil.example"),
    ("x-forwarded-uri", "/evil"),
    ("x-forwarded-scheme", "https"),
    ("x-original-url", "/evil"),
    ("x-original-host", "evil.example"),
    ("x-rewrite-url", "/evil"),
    ("x-real-ip", "203.0.113.1"),
    ("x-host", "evil.example"),
    ("x-http-method-override", "DELETE"),
    ("true-client-ip", "203.0.113.1"),
    ("via", "1.1 evil.example"),
];

#[tokio::test]
async fn forwarded_headers_change_no_response() {
    let server = TestServer::start().await;
    let request = AuthorizationRequest::of(&server.world.web);
    let (plain, forwarded) = (server.browser(), server.browser());
    // Make the random parts of the two alike.
    for browser in [&plain, &forwarded] {
        browser.set_cookie("doorward-browser", &"a".repeat(32));
    }
    for path in [
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration",
        "/jwks",
        "/sign-in",
        "/account",
        "/",
        "/health",
        &request.with("prompt", "none").path(),
        &request.with("response_type", "token").path(),
    ] {
        let (left, right) = (plain.get(path).await, forwarded.get_with(path, FORWARDED).await);
        assert_eq!((left.status, &left.body), (right.status, &right.body), "{path}");
        let headers = |answer: &Answer| {
            let mut headers = answer.headers.clone();
            headers.remove("date");
            // Each answer that is a refusal has its own.
            let location = headers.remove("location").map(|location| location.to_str().unwrap().to_owned());
            let traced = location.as_deref().and_then(|location| location.split_once("Trace%20ID%3A%20"));
            let location = traced.map(|(before, after)| format!("{before}{}", &after[32..])).or(location.clone());
            (headers, location)
        };
        assert_eq!(headers(&left), headers(&right), "{path}");
    }
}

#[tokio::test]
async fn no_forwarded_header_changes_the_way_to_a_code() {
    let server = TestServer::start().await;
    let browser = server.browser();
    let request = AuthorizationRequest::of(&server.world.web);
    let first = browser.get_with(&request.path(), FORWARDED).await;
    assert!(first.location().starts_with("/sign-in/"), "{}", first.location());
    let page = browser.get_with(first.location(), FORWARDED).await.expect(200);
    let form = Form::of(&page);
    let fields = [("csrf", form.csrf.as_str()), ("username", ALICE), ("password", PASSWORD)];
    let signed_in = browser.post_with(&form.action, FORWARDED, &fields).await;
    for cookie in signed_in.headers.get_all("set-cookie") {
        assert!(!cookie.to_str().unwrap().contains("Secure"), "{cookie:?}");
        assert!(!cookie.to_str().unwrap().contains("Domain"), "{cookie:?}");
    }
    let page = browser.follow(browser.get_with(signed_in.location(), FORWARDED).await).await.expect(200);
    assert!(!page.body.contains("evil"), "{}", page.body);
    let form = Form::of(&page);
    let decision = [("csrf", form.csrf.as_str()), ("decision", "allow"), ("scope", "notes:read")];
    let answer = browser.post_with(&form.action, FORWARDED, &decision).await;
    assert!(answer.location().starts_with("https://app.example/cb?"), "{}", answer.location());
    assert_eq!(answer.sent("iss").as_deref(), Some(server.issuer()));
    // The audit has the address that the connection came from.
    let events = server.audit("the sign-in", |events| events.iter().any(|event| event.action == "session.began")).await;
    let began = events.iter().find(|event| event.action == "session.began").unwrap();
    assert_eq!(began.address.as_deref(), Some("127.0.0.1"));
}

#[tokio::test]
async fn trusted_proxy_sets_only_the_clients_address() {
    let listed = |settings: &mut doorward_server::Settings| {
        settings.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    };
    let server = TestServer::start_with(listed).await;
    let mut addresses = Vec::new();
    for caller in [&server.caller, &server.caller_from([127, 0, 0, 2])] {
        let answer = caller.get_with("/userinfo", &FORWARDED[1..]).await;
        assert_eq!(answer.problem(), (401, "credential_missing".into()));
        addresses.push(server.explain(&answer.text("trace_id")).await[0].address.clone().unwrap());
    }
    assert_eq!(addresses, ["203.0.113.1", "127.0.0.2"]);
    let metadata = server.caller.get_with("/.well-known/openid-configuration", FORWARDED).await;
    assert_eq!(metadata.text("issuer"), server.issuer());
}

#[tokio::test]
async fn refusal_of_the_management_api_names_the_proxys_client() {
    let listed = |settings: &mut doorward_server::Settings| {
        settings.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    };
    let server = TestServer::start_with(listed).await;
    let request = server.caller.request(reqwest::Method::POST, "/v1/keys/verify");
    let answer = server.caller.send(request.header("x-forwarded-for", "203.0.113.1")).await;
    assert_eq!(answer.problem(), (401, "credential_missing".into()));
    assert_eq!(server.explain(&answer.text("trace_id")).await[0].address.as_deref(), Some("203.0.113.1"));
}
