//! A doubt about client or redirect URI is shown on a page and never redirected (OAuth 2.1 section 4.1.2.1).

use crate::harness::*;

/// Shows the error on a page, whatever the method.
async fn assert_page(server: &TestServer, request: &AuthorizationRequest, code: &str) {
    for answer in [server.caller.get(&request.path()).await, server.caller.post("/authorize", &request.pairs()).await] {
        assert_eq!(answer.error_page(), (400, code.to_owned()), "{request:?}");
        assert!(answer.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"));
    }
}

#[tokio::test]
async fn a_client_that_is_not_known_here_is_shown_on_a_page() {
    let server = TestServer::start().await;
    let request = AuthorizationRequest::of(&server.world.web);
    for client_id in ["", "nonsense", "cli_00000000000000000000000000000000", server.world.notes.id.as_str()] {
        assert_page(&server, &request.with("client_id", client_id), "authorize_client_unknown").await;
    }
    assert_page(&server, &request.without("client_id"), "authorize_client_unknown").await;
    let two = request.and("client_id", &server.world.web.id);
    assert_page(&server, &two, "parameter_repeated").await;
    doorward_server::manage::clients::disable(&server.app, &operator(), &server.world.web.id, true, |_| Ok(()))
        .await
        .unwrap();
    assert_page(&server, &request, "authorize_client_unknown").await;
}

#[tokio::test]
async fn a_redirect_uri_that_is_missing_or_doubled_is_shown_on_a_page() {
    let server = TestServer::start().await;
    let request = AuthorizationRequest::of(&server.world.web);
    assert_page(&server, &request.without("redirect_uri"), "redirect_uri_missing").await;
    assert_page(&server, &request.with("redirect_uri", ""), "redirect_uri_missing").await;
    let two = request.and("redirect_uri", &server.world.web.redirect_uri);
    assert_page(&server, &two, "parameter_repeated").await;
}

#[tokio::test]
async fn odd_redirect_uris_get_a_page_and_never_a_redirect() {
    let server = TestServer::start().await;
    let request = AuthorizationRequest::of(&server.world.web);
    let odd = [
        "https://app.example/cb/",
        "https://app.example/cb/..;/evil",
        "https://app.example/..;/cb",
        "https://app.example/cb/../evil",
        "https://app.example/./cb",
        "https://app.example//cb",
        "https://app.example/cb/%2e%2e/evil",
        "https://app.example/%63b",
        "https://app.example/cb%2f",
        "https://app.example/cb%5c",
        "https://app.example/cb%00",
        "https://app.example/CB",
        "https://app.example/cb?",
        "https://app.example/cb?x=1",
        "https://app.example/cb#",
        "https://app.example/cb#fragment",
        "https://app.example/cb;x=1",
        "https://app.example\\cb",
        "https://app.example/cb\\",
        "https:\\\\app.example/cb",
        "https://app.example/cb\t",
        "https://app.example/\tcb",
        "https://app.example/cb\n",
        " https://app.example/cb",
        "https://app.example/cb ",
        "https://APP.example/cb",
        "HTTPS://app.example/cb",
        "https://app.example./cb",
        "https://app.example:443/cb",
        "https://app.example:8443/cb",
        "https://app.example@evil.example/cb",
        "https://user@app.example/cb",
        "https://user:pass@app.example/cb",
        "https://evil.example/cb",
        "https://app.example.evil.example/cb",
        "https://evil.example/https://app.example/cb",
        "https://\u{430}pp.example/cb",
        "https://xn--pp-8cd.example/cb",
        "https://*.example/cb",
        "https://app.example/*",
        "http://app.example/cb",
        "//app.example/cb",
        "app.example/cb",
        "/cb",
        "javascript:alert(1)",
        "data:text/html,x",
        "app.example:/cb",
    ];
    for redirect_uri in odd {
        assert_page(&server, &request.with("redirect_uri", redirect_uri), "redirect_uri_not_registered").await;
    }
}

#[tokio::test]
async fn loopback_port_is_free_only_for_native_public_clients() {
    let server = TestServer::start().await;
    let native = AuthorizationRequest::of(&server.world.native);
    for redirect_uri in ["http://127.0.0.1/cb", "http://127.0.0.1:1/cb", "http://127.0.0.1:65535/cb"] {
        let answer = server.caller.get(&native.with("redirect_uri", redirect_uri).path()).await;
        assert!(answer.location().starts_with("/sign-in/"), "{redirect_uri}");
    }
    for redirect_uri in [
        "http://localhost/cb",
        "http://[::1]/cb",
        "http://127.0.0.1:0/cb",
        "http://127.0.0.1:65536/cb",
        "http://127.0.0.1:/cb",
        "http://127.0.0.1:80a/cb",
        "http://127.0.0.1.evil.example/cb",
        "http://127.0.0.1@evil.example/cb",
        "http://127.0.0.1:1@evil.example/cb",
        "http://localhost.evil.example/cb",
        "http://0x7f.0.0.1/cb",
        "http://2130706433/cb",
        "http://127.1/cb",
        "http://127.0.0.2/cb",
        "http://[::ffff:127.0.0.1]/cb",
        "https://127.0.0.1/cb",
        "http://127.0.0.1:1/cb/",
        "http://127.0.0.1:1/",
    ] {
        assert_page(&server, &native.with("redirect_uri", redirect_uri), "redirect_uri_not_registered").await;
    }
    let new = client("Server", doorward_core::client::AuthenticationMethod::ClientSecret, "http://localhost:3000/cb");
    let confidential = AuthorizationRequest::of(&register(&server.app, new).await);
    assert_page(&server, &confidential.with("redirect_uri", "http://localhost:3001/cb"), "redirect_uri_not_registered")
        .await;
}

#[tokio::test]
async fn page_shows_untrusted_text_as_text() {
    let server = TestServer::start().await;
    let evil = "https://evil.example/\"><script>alert(1)</script>";
    let request = AuthorizationRequest::of(&server.world.web).with("redirect_uri", evil);
    let page = server.caller.get(&request.path()).await;
    assert!(!page.body.contains("<script>alert"), "{}", page.body);
    assert!(page.body.contains("https://evil.example/&#34;&#62;&#60;script&#62;"), "{}", page.body);
}
