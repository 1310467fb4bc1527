//! `POST /introspect` (RFC 7662): an API sees access tokens for itself, a client its own; everything else is inactive.

use doorward_server::manage::clients;
use serde_json::{Value, json};

use crate::harness::*;

async fn introspect(server: &TestServer, asker: &Registered, token: &str) -> Value {
    let answer = server.caller.post_as(asker, "/introspect", &[("token", token)]).await.expect(200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    answer.json()
}

#[tokio::test]
async fn an_api_sees_what_it_needs_of_a_token_for_it() {
    let server = TestServer::start().await;
    let tokens = server.tokens(&server.world.web).await;
    let token = tokens["access_token"].as_str().unwrap();
    let said = claims(token);
    let state = introspect(&server, &server.world.notes, token).await;
    for name in ["iss", "sub", "aud", "client_id", "scope", "exp", "iat", "jti", "grant_id"] {
        assert_eq!(state[name], said[name], "{name}");
    }
    assert_eq!((&state["active"], &state["token_type"]), (&json!(true), &json!("Bearer")));
}

#[tokio::test]
async fn a_client_sees_its_own_tokens_and_refresh_tokens() {
    let server = TestServer::start().await;
    let web = &server.world.web;
    let tokens = server.tokens(web).await;
    let state = introspect(&server, web, tokens["access_token"].as_str().unwrap()).await;
    assert_eq!(state["active"], true);
    let state = introspect(&server, web, tokens["refresh_token"].as_str().unwrap()).await;
    assert_eq!((&state["active"], &state["client_id"]), (&json!(true), &json!(web.id)));
    assert_eq!(state["exp"], server.now() + 30 * 86_400);
    assert_eq!(state.get("token_type"), None);
}

#[tokio::test]
async fn everything_else_is_inactive_with_no_other_member() {
    let server = TestServer::start().await;
    let world = &server.world;
    let tokens = server.tokens(&world.web).await;
    let of_web = |name: &str| tokens[name].as_str().unwrap().to_owned();
    let opaque = server.caller.client_credentials(&world.web, "mails:read").await.text("access_token");
    let mut forged = of_web("access_token");
    forged.replace_range(forged.len() - 4.., "AAAA");
    let other = doorward_core::client::AuthenticationMethod::ClientSecret;
    let other = register(&server.app, client("Other", other, "https://other.example/cb")).await;
    for (asker, token) in [
        (&world.mails, of_web("access_token")),
        (&world.notes, of_web("refresh_token")),
        (&world.notes, opaque.clone()),
        (&other, of_web("access_token")),
        (&other, of_web("refresh_token")),
        (&other, opaque),
        (&world.web, of_web("id_token")),
        (&world.web, forged),
        (&world.web, world.key.clone()),
        (&world.web, "nonsense".into()),
        (&world.web, format!("dw_at_{}", "a".repeat(38))),
        (&world.web, "a.b.c".into()),
        (&world.web, "x".repeat(20_000)),
    ] {
        assert!(!server.caller.is_active(asker, &token).await, "{} {token}", asker.id);
    }
    for name in ["access_token", "refresh_token"] {
        assert!(server.caller.is_active(&world.web, &of_web(name)).await, "{name}");
    }
    server.advance_secs(300);
    assert!(!server.caller.is_active(&world.web, &of_web("access_token")).await, "without any skew");
}

#[tokio::test]
async fn bound_token_is_introspected_only_by_this_server() {
    let server = TestServer::start().await;
    let key = server.signing_key(doorward_core::jwk::Algorithm::ES256).await;
    let good = claims(&server.caller.client_credentials(&server.world.web, "notes:read").await.text("access_token"));
    let mut foreign = good.clone();
    foreign["iss"] = "https://other.example".into();
    let sign = |claims: &Value, typ: &str| doorward_core::jws::sign(&key, typ, claims.to_string().as_bytes()).unwrap();
    assert!(server.caller.is_active(&server.world.notes, &sign(&good, "at+jwt")).await);
    assert!(!server.caller.is_active(&server.world.notes, &sign(&foreign, "at+jwt")).await);
    assert!(!server.caller.is_active(&server.world.notes, &sign(&good, "JWT")).await);
}

#[tokio::test]
async fn public_and_unknown_clients_can_not_introspect() {
    let server = TestServer::start().await;
    let tokens = server.tokens(&server.world.spa).await;
    let token = tokens["access_token"].as_str().unwrap();
    let by_public = server.caller.post_as(&server.world.spa, "/introspect", &[("token", token)]).await;
    assert_eq!(by_public.oauth_error().1, "invalid_client");
    let by_nobody = server.caller.post("/introspect", &[("token", token)]).await;
    assert_eq!(by_nobody.oauth_error(), (401, "invalid_client".into(), "client_authentication_missing".into()));
    let wrong = Registered { secret: Some("dw_cs_wrong".into()), ..server.world.notes.clone() };
    let by_wrong = server.caller.post_as(&wrong, "/introspect", &[("token", token)]).await;
    assert_eq!(by_wrong.oauth_error().0, 401);
    assert!(by_wrong.header("www-authenticate").unwrap().starts_with("Basic "));
}

#[tokio::test]
async fn what_can_not_be_read_is_an_invalid_request() {
    let server = TestServer::start().await;
    let web = &server.world.web;
    for form in [&[][..], &[("token", "")], &[("token", "a"), ("token", "b")]] {
        let answer = server.caller.post_as(web, "/introspect", form).await;
        assert_eq!(answer.oauth_error().1, "invalid_request", "{form:?}");
    }
    server.caller.post_bytes("/introspect", "application/json", "{}").await.expect(415);
    // A hint is a hint (RFC 7662 section 2.1).
    let token = server.caller.client_credentials(web, "notes:read").await.text("access_token");
    let hinted = [("token", token.as_str()), ("token_type_hint", "refresh_token")];
    assert_eq!(server.caller.post_as(web, "/introspect", &hinted).await.json()["active"], true);
}

#[tokio::test]
async fn enabling_a_client_again_does_not_revive_its_tokens() {
    on_each_engine(async |server| {
        let world = &server.world;
        let jwt = server.caller.client_credentials(&world.web, "notes:read").await.text("access_token");
        let opaque = server.caller.client_credentials(&world.web, "mails:read").await.text("access_token");
        server.advance_secs(1);
        clients::disable(&server.app, &operator(), &world.web.id).await.unwrap();
        assert!(!server.caller.is_active(&world.notes, &jwt).await);
        clients::enable(&server.app, &operator(), &world.web.id).await.unwrap();
        assert!(!server.caller.is_active(&world.notes, &jwt).await);
        assert!(!server.caller.is_active(&world.mails, &opaque).await);
        let new = server.caller.client_credentials(&world.web, "notes:read").await.text("access_token");
        assert!(server.caller.is_active(&world.notes, &new).await);
    })
    .await;
}
