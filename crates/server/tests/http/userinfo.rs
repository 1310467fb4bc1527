//! `/userinfo` (OpenID Connect Core section 5.3, RFC 6750).

use reqwest::Method;
use serde_json::json;

use crate::harness::*;

async fn access_token(server: &TestServer, scope: &str) -> String {
    let request = AuthorizationRequest::of(&server.world.web).with("scope", scope);
    server.tokens_of(&server.world.web, &request).await["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn claims_follow_the_scopes() {
    let server = TestServer::start().await;
    for (scope, names) in [
        ("openid", &["sub"][..]),
        ("openid email", &["sub", "email", "email_verified"]),
        ("openid profile", &["sub", "name", "preferred_username", "updated_at"]),
        (
            "openid profile email notes:read",
            &["sub", "name", "preferred_username", "updated_at", "email", "email_verified"],
        ),
    ] {
        let token = access_token(&server, scope).await;
        let answer = server.caller.userinfo(&token).await.expect(200);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let info = answer.json();
        let mut expected = names.to_vec();
        expected.sort();
        assert_eq!(info.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>(), expected, "{scope}");
        assert_eq!(info["sub"], claims(&token)["sub"]);
    }
    let info = server.caller.userinfo(&access_token(&server, "openid profile email").await).await.json();
    let (name, email) = ("alice of the tests", "alice@example.com");
    assert_eq!((&info["preferred_username"], &info["name"]), (&json!(ALICE), &json!(name)));
    assert_eq!((&info["email"], &info["email_verified"]), (&json!(email), &json!(false)));
    let created = info["updated_at"].as_i64().unwrap();
    server.advance_secs(60);
    doorward_server::manage::users::verify_email(&server.app, &operator(), ALICE).await.unwrap();
    let info = server.caller.userinfo(&access_token(&server, "openid profile email").await).await.json();
    assert_eq!((&info["email_verified"], &info["updated_at"]), (&json!(true), &json!(server.now())));
    assert!(created < server.now());
}

#[tokio::test]
async fn the_token_comes_in_the_header_or_in_a_posted_form() {
    let server = TestServer::start().await;
    let token = access_token(&server, "openid").await;
    let bearer = format!("bEARER {token}");
    server.caller.get_with("/userinfo", &[("authorization", &bearer)]).await.expect(200);
    server.caller.post_with("/userinfo", &[("authorization", &bearer)], &[]).await.expect(200);
    let without_body = server.caller.request(Method::POST, "/userinfo").header("authorization", &bearer);
    server.caller.send(without_body).await.expect(200);
    server.caller.post("/userinfo", &[("access_token", &token)]).await.expect(200);
}

#[tokio::test]
async fn two_tokens_are_400_and_a_token_in_the_url_is_ignored() {
    let server = TestServer::start().await;
    let token = access_token(&server, "openid").await;
    let bearer = format!("Bearer {token}");
    let twice = [("authorization", bearer.as_str()), ("authorization", bearer.as_str())];
    let with_key = [("authorization", bearer.as_str()), ("x-api-key", server.world.key.as_str())];
    let two = (400, "credential_multiple".to_owned());
    for answer in [
        server.caller.post_with("/userinfo", &twice[..1], &[("access_token", &token)]).await,
        server.caller.get_with("/userinfo", &twice).await,
        server.caller.get_with("/userinfo", &with_key).await,
    ] {
        assert_eq!(answer.problem(), two);
        assert!(answer.header("www-authenticate").unwrap().starts_with(r#"Bearer error="invalid_request""#));
    }
    for query in [format!("access_token={token}"), "access_token=x".into(), format!("t={token}"), "api_key=".into()] {
        for headers in [&[][..], &twice[..1]] {
            let answer = server.caller.get_with(&format!("/userinfo?{query}"), headers).await;
            assert_eq!(answer.problem(), (400, "credential_in_query".into()), "{query}");
            assert!(answer.text("detail").contains("URL"));
        }
    }
}

#[tokio::test]
async fn missing_token_gets_a_bare_challenge_and_a_bad_one_an_error() {
    let server = TestServer::start().await;
    let answer = server.caller.get("/userinfo").await;
    assert_eq!(answer.problem(), (401, "credential_missing".into()));
    assert_eq!(answer.header("www-authenticate"), Some(r#"Bearer realm="doorward""#));
    for token in ["nonsense", "a.b.c", "e30.e30.AA", &server.world.key, &"a".repeat(9_000)] {
        let answer = server.caller.userinfo(token).await;
        assert_eq!(answer.problem().0, 401, "{token}");
        assert!(answer.header("www-authenticate").unwrap().starts_with(r#"Bearer error="invalid_token""#), "{token}");
    }
    let other_scheme = server.caller.get_with("/userinfo", &[("authorization", "Basic YTpi")]).await;
    assert_eq!(other_scheme.problem(), (401, "credential_malformed".into()));
}

#[tokio::test]
async fn the_issuer_must_be_in_the_audience_and_the_grant_alive() {
    let server = TestServer::start().await;
    let robot = server.caller.client_credentials(&server.world.web, "notes:read").await.text("access_token");
    assert_eq!(server.caller.userinfo(&robot).await.problem(), (401, "token_audience_wrong".into()));
    let without_openid = access_token(&server, "notes:read").await;
    assert_eq!(server.caller.userinfo(&without_openid).await.problem(), (401, "token_audience_wrong".into()));
    let tokens = server.tokens(&server.world.web).await;
    let id_token = tokens["id_token"].as_str().unwrap();
    assert_eq!(server.caller.userinfo(id_token).await.problem(), (401, "token_type_wrong".into()));
    let token = access_token(&server, "openid").await;
    server.advance_secs(300);
    assert_eq!(server.caller.userinfo(&token).await.problem(), (401, "token_expired".into()));
    let token = access_token(&server, "openid").await;
    doorward_server::manage::users::disable(&server.app, &operator(), ALICE, true, |_| Ok(())).await.unwrap();
    assert_eq!(server.caller.userinfo(&token).await.problem(), (401, "token_revoked".into()));
}
