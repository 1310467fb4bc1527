//! `/consent/{id}`: who asks, for what, and what is given (OpenID Connect Core section 3.1.2.4).

use crate::harness::*;

#[tokio::test]
async fn page_names_app_scopes_and_return_address() {
    let server = TestServer::start().await;
    for (client, host, is_assured) in
        [(&server.world.web, "app.example", true), (&server.world.native, "127.0.0.1", false)]
    {
        let browser = server.browser();
        browser.consent(&AuthorizationRequest::of(client)).await;
        let page = browser.follow(browser.get(&AuthorizationRequest::of(client).path()).await).await.expect(200);
        for text in [
            "wants to read your notes and change your notes",
            "Recognise you when you come back",
            "See your name",
            "See your email address",
            "Stay signed in until you disconnect it",
            &format!("You will return to <code>{host}</code>"),
            "Signed in as <strong>alice</strong>",
        ] {
            assert!(page.body.contains(text), "{text}: {}", page.body);
        }
        assert_eq!(page.body.contains("Did you start this?"), !is_assured);
        for id in ["allow", "deny"] {
            assert_eq!(page.body.matches(&format!(r#"id="{id}""#)).count(), 1);
        }
    }
}

#[tokio::test]
async fn that_an_app_can_go_on_later_is_shown_wherever_it_can() {
    let server = TestServer::start().await;
    let code_alone = doorward_core::client_metadata::ClientMetadata {
        grant_types: [doorward_core::client::GrantType::AuthorizationCode].into(),
        ..client("Once", doorward_core::client::AuthenticationMethod::ClientSecret, "https://once.example/cb")
    };
    let once = register(&server.app, code_alone).await;
    let line = "Stay signed in until you disconnect it";
    for (client, scope, is_shown, can_be_unticked) in [
        (&server.world.web, "openid notes:read offline_access", true, true),
        (&server.world.web, "openid notes:read", false, false),
        (&server.world.web, "notes:read", true, false),
        (&server.world.web, "notes:read offline_access", true, false),
        (&once, "openid notes:read offline_access", false, false),
        (&once, "notes:read", false, false),
    ] {
        let browser = server.browser();
        let request = AuthorizationRequest::of(client).with("scope", scope).with("prompt", "consent");
        let form = browser.consent(&request).await;
        let page = browser.follow(browser.get(&request.path()).await).await.expect(200);
        assert_eq!(page.body.contains(line), is_shown, "{scope}");
        assert_eq!(form.scopes.iter().any(|scope| scope == "offline_access"), can_be_unticked, "{scope}");
        let code = browser.allow(&form, &["notes:read"]).await.sent("code").unwrap();
        let tokens = server.redeem(client, &code).await.expect(200).json();
        assert_eq!(tokens.get("refresh_token").is_some(), is_shown && !can_be_unticked, "{scope}");
    }
}

#[tokio::test]
async fn an_unticked_scope_is_not_granted_and_openid_stays() {
    let server = TestServer::start().await;
    let browser = server.browser();
    let form = browser.consent(&AuthorizationRequest::of(&server.world.web)).await;
    assert_eq!(form.scopes, ["notes:read", "notes:write", "profile", "email", "offline_access"]);
    let code = browser.allow(&form, &["notes:read", "email"]).await.sent("code").unwrap();
    let tokens = server.redeem(&server.world.web, &code).await.expect(200);
    assert_eq!(tokens.text("scope"), "email notes:read openid");
    assert_eq!(tokens.json().get("refresh_token"), None, "offline_access was unticked");
    let info = server.caller.userinfo(&tokens.text("access_token")).await.expect(200).json();
    assert_eq!(info["email"], "alice@example.com");
    assert_eq!(info.get("name"), None, "profile was unticked");
}

#[tokio::test]
async fn denied_or_empty_consent_is_access_denied() {
    let server = TestServer::start().await;
    for fields in [&[("decision", "deny"), ("scope", "notes:read")][..], &[("decision", "allow")]] {
        let browser = server.browser();
        // Of a sign-in `openid` stays ticked.
        let request = AuthorizationRequest::of(&server.world.web).with("scope", "notes:read notes:write");
        let form = browser.consent(&request).await;
        let answer = browser.submit(&form, fields).await;
        assert_eq!(answer.sent("error").as_deref(), Some("access_denied"));
        assert_eq!(answer.sent("state").as_deref(), Some("xyz"));
        assert_eq!(answer.sent("iss").as_deref(), Some(server.issuer()));
        assert_eq!(answer.sent("code"), None);
        // The request is answered: it can't be allowed afterwards.
        assert_eq!(browser.allow(&form, &["notes:read"]).await.error_page().0, 400);
    }
    let grants = server.browser();
    grants.sign_in(ALICE, PASSWORD).await.expect(303);
    assert!(grants.get("/account").await.body.contains("No app has access yet"));
}

#[tokio::test]
async fn a_form_without_a_decision_decides_nothing() {
    let server = TestServer::start().await;
    let browser = server.browser();
    let form = browser.consent(&AuthorizationRequest::of(&server.world.web)).await;
    for decision in [&[][..], &[("decision", "")], &[("decision", "maybe")]] {
        let page = browser.submit(&form, decision).await.expect(200);
        assert_eq!(Form::of(&page).action, form.action);
    }
    assert!(browser.allow(&form, &["notes:read"]).await.sent("code").is_some());
}

#[tokio::test]
async fn partial_consent_is_remembered_partially() {
    let server = TestServer::start().await;
    let browser = server.browser();
    let request = AuthorizationRequest::of(&server.world.web);
    let form = browser.consent(&request).await;
    browser.allow(&form, &["notes:read"]).await.sent("code").unwrap();
    let part = browser.get(&request.with("scope", "openid notes:read").path()).await;
    assert!(part.sent("code").is_some(), "that much was allowed");
    let whole = browser.get(&request.path()).await;
    assert!(whole.location().starts_with("/consent/"), "the rest was not");
}
