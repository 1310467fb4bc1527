//! The client credentials grant (RFC 6749 section 4.4) and what an access token says (RFC 9068 section 2.2).

use std::collections::BTreeSet;

use doorward_core::{
    api::{ApiMetadata, ResourceIdentifier},
    jwk::Algorithm,
};
use doorward_server::manage::roles;
use serde_json::json;

use crate::harness::*;

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

#[tokio::test]
async fn response_is_a_bearer_token_that_is_not_cacheable() {
    let server = TestServer::start().await;
    let answer = server.caller.client_credentials(&server.world.web, "notes:write notes:read").await.expect(200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("pragma"), Some("no-cache"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let body = answer.json();
    let members: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    // Never a refresh token (RFC 6749 section 4.4.3).
    assert_eq!(members, ["access_token", "expires_in", "scope", "token_type"]);
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(300)));
    assert_eq!(body["scope"], "notes:read notes:write");
}

#[tokio::test]
async fn the_token_is_an_rfc_9068_jwt_for_one_api() {
    let server = TestServer::start().await;
    let web = &server.world.web;
    let token = server.caller.client_credentials(web, "notes:read").await.expect(200).text("access_token");
    let (header, claims) = (header(&token), claims(&token));
    assert_eq!((&header["typ"], &header["alg"]), (&json!("at+jwt"), &json!("ES256")));
    assert_eq!(claims["iss"], server.issuer());
    assert_eq!(claims["aud"], "https://notes.example");
    assert_eq!((&claims["sub"], &claims["client_id"]), (&json!(web.id), &json!(web.id)));
    assert_eq!((&claims["iat"], &claims["exp"]), (&json!(server.now()), &json!(server.now() + 300)));
    assert_eq!(claims["scope"], "notes:read");
    let names: BTreeSet<&str> = claims.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["iss", "aud", "sub", "client_id", "iat", "exp", "jti", "scope"].into());
    let jwks = server.caller.get("/jwks").await.expect(200).json();
    let key = jwks["keys"].as_array().unwrap().iter().find(|key| key["kid"] == header["kid"]).unwrap();
    assert_eq!(key["alg"], "ES256");
}

#[tokio::test]
async fn missing_scope_uses_the_clients_default_or_is_invalid() {
    let server = TestServer::start().await;
    let answer = server.caller.token(&server.world.web, &[GRANT]).await.expect(200);
    assert_eq!(answer.text("scope"), "notes:read");
    let without = doorward_core::client_metadata::ClientMetadata {
        grant_types: grants([doorward_core::client::GrantType::ClientCredentials]),
        redirect_uris: vec![],
        ..client("Robot", doorward_core::client::AuthenticationMethod::ClientSecret, "https://robot.example/cb")
    };
    let without = register(&server.app, without).await;
    let answer = server.caller.token(&without, &[GRANT]).await;
    assert_eq!(answer.oauth_error(), (400, "invalid_scope".into(), "scope_missing".into()));
}

#[tokio::test]
async fn scopes_that_can_not_be_had_are_invalid() {
    let server = TestServer::start().await;
    // The scope, and its error.
    for (scope, code, named) in [
        ("openid", "scope_not_allowed", ": openid."),
        ("notes:read openid", "scope_not_allowed", ": openid."),
        ("offline_access notes:read", "scope_not_allowed", ": offline_access."),
        ("notes:read mails:read", "scope_of_several_apis", ": mails:read notes:read."),
        ("notes:delete", "scope_invalid", "No API has this scope: notes:delete."),
        ("notes:read notes:\u{e4}", "scope_malformed", "quotes and backslashes."),
        ("notes:read \"", "scope_malformed", "quotes and backslashes."),
        ("keys:verify", "scope_not_allowed", ": keys:verify."),
    ] {
        let answer = server.caller.client_credentials(&server.world.web, scope).await;
        assert_eq!(answer.oauth_error(), (400, "invalid_scope".into(), code.into()), "{scope}");
        assert!(answer.text("error_description").ends_with(named), "{}", answer.body);
    }
}

#[tokio::test]
async fn resource_matches_without_the_trailing_slash_of_an_origin() {
    let server = TestServer::start().await;
    let ask = async |resources: &[&str]| {
        let scope = [GRANT, ("scope", "notes:read")].into_iter();
        let form: Vec<_> = scope.chain(resources.iter().map(|resource| ("resource", *resource))).collect();
        server.caller.token(&server.world.web, &form).await
    };
    for resource in ["https://notes.example", "https://notes.example/"] {
        let token = ask(&[resource]).await.expect(200).text("access_token");
        assert_eq!(claims(&token)["aud"], "https://notes.example", "{resource}");
    }
    for resource in ["https://other.example", "notes", "https://notes.example/x", "https://notes.example#x"] {
        let answer = ask(&[resource]).await;
        assert_eq!(answer.oauth_error(), (400, "invalid_target".into(), "resource_unknown".into()), "{resource}");
    }
    let two = ask(&["https://notes.example", "https://mails.example/v1"]).await;
    assert_eq!(two.oauth_error(), (400, "invalid_request".into(), "parameter_repeated".into()));
    // The scopes of an API that was not named.
    let other = ask(&["https://mails.example/v1"]).await;
    assert_eq!(other.oauth_error().1, "invalid_scope");
    // An identifier with a path is matched exactly.
    let form = [GRANT, ("scope", "mails:read"), ("resource", "https://mails.example/v1/")];
    assert_eq!(server.caller.token(&server.world.web, &form).await.oauth_error().1, "invalid_target");
}

#[tokio::test]
async fn an_api_with_opaque_tokens_gets_opaque_tokens() {
    let server = TestServer::start().await;
    let token = server.caller.client_credentials(&server.world.web, "mails:read").await.expect(200);
    let token = token.text("access_token");
    assert!(doorward_core::checksummed::is_well_formed(&token, "dw_at_"), "{token}");
    assert!(server.caller.is_active(&server.world.mails, &token).await);
    server.advance_secs(300);
    assert!(!server.caller.is_active(&server.world.mails, &token).await);
}

#[tokio::test]
async fn a_token_is_signed_with_the_algorithm_of_its_api() {
    let server = TestServer::start().await;
    for algorithm in [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256] {
        let name = algorithm.to_string().to_lowercase();
        let identifier = ResourceIdentifier::parse(&format!("https://{name}.example")).unwrap();
        let mut new = ApiMetadata::new(&name, identifier);
        new.signing_algorithm = algorithm;
        let scope = doorward_core::scope::Scope::parse(&format!("{name}:use")).unwrap();
        new.scopes = vec![doorward_core::api::DescribedScope { scope, description: "Use it".into() }];
        doorward_server::manage::apis::create(&server.app, &operator(), new).await.unwrap();
        let scope = doorward_core::scope::ScopeSet::parse(&format!("{name}:use")).unwrap();
        let robot = doorward_core::client_metadata::ClientMetadata {
            grant_types: grants([doorward_core::client::GrantType::ClientCredentials]),
            redirect_uris: vec![],
            scope: scope.clone(),
            default_scope: scope,
            ..client("Robot", doorward_core::client::AuthenticationMethod::ClientSecret, "https://robot.example/cb")
        };
        let robot = register(&server.app, robot).await;
        let token = server.caller.token(&robot, &[GRANT]).await.expect(200).text("access_token");
        assert_eq!(header(&token)["alg"], algorithm.to_string());
        assert!(server.caller.is_active(&robot, &token).await, "{algorithm}");
    }
}

#[tokio::test]
async fn token_has_the_roles_of_its_audience_and_no_wider_scope() {
    let server = TestServer::start().await;
    let web = &server.world.web;
    roles::grant(&server.app, &operator(), &web.id, "notes", "admin").await.unwrap();
    let notes = server.caller.client_credentials(web, "notes:read").await.expect(200).text("access_token");
    assert_eq!(claims(&notes)["roles"], json!(["admin"]));
    assert_eq!(claims(&notes)["scope"], "notes:read");
    let mails = server.caller.client_credentials(web, "mails:read").await.expect(200).text("access_token");
    let state = server.caller.post_as(&server.world.mails, "/introspect", &[("token", &mails)]).await.json();
    assert_eq!((&state["active"], &state["roles"]), (&json!(true), &json!(null)));
}

#[tokio::test]
async fn a_client_without_the_grant_type_is_not_authorized_for_it() {
    let server = TestServer::start().await;
    for grant_type in ["client_credentials", "refresh_token", "authorization_code"] {
        let answer = server.caller.token(&server.world.notes, &[("grant_type", grant_type)]).await;
        assert_eq!(answer.oauth_error(), (400, "unauthorized_client".into(), "grant_type_not_allowed".into()));
    }
}

#[tokio::test]
async fn disabled_client_gets_no_token_and_loses_its_tokens() {
    let server = TestServer::start().await;
    let web = &server.world.web;
    let token = server.caller.client_credentials(web, "notes:read").await.expect(200).text("access_token");
    assert!(server.caller.is_active(&server.world.notes, &token).await);
    doorward_server::manage::clients::disable(&server.app, &operator(), &web.id, true, |_| Ok(())).await.unwrap();
    assert_eq!(server.caller.client_credentials(web, "notes:read").await.oauth_error().0, 401);
    assert!(!server.caller.is_active(&server.world.notes, &token).await);
}
