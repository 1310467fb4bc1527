//! `POST /introspect` (RFC 7662): an API sees access tokens and keys for itself, a client its own tokens; everything else
//! is inactive.

use doorward_core::scope::ScopeSet;
use doorward_server::manage::{clients, keys, users};
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
        clients::disable(&server.app, &operator(), &world.web.id, true, |_| Ok(())).await.unwrap();
        assert!(!server.caller.is_active(&world.notes, &jwt).await);
        clients::enable(&server.app, &operator(), &world.web.id, |_| Ok(())).await.unwrap();
        assert!(!server.caller.is_active(&world.notes, &jwt).await);
        assert!(!server.caller.is_active(&world.mails, &opaque).await);
        let new = server.caller.client_credentials(&world.web, "notes:read").await.text("access_token");
        assert!(server.caller.is_active(&world.notes, &new).await);
    })
    .await;
}

#[tokio::test]
async fn an_api_sees_what_it_needs_of_a_key_that_names_it() {
    on_each_engine(async |server| {
        let world = &server.world;
        let new = keys::NewKey {
            apis: vec!["mails".into(), "notes".into()],
            scopes: ScopeSet::parse("mails:read notes:read").unwrap(),
            roles: vec!["notes:admin".into()],
            ..new_key("notes", "")
        };
        let created = keys::create(&server.app, &operator(), new).await.unwrap();
        let (id, iat) = (created.view.id.to_string(), server.now());
        server.advance_secs(5);
        let state = json!({
            "active": true,
            "iss": server.issuer(),
            "sub": id,
            "aud": "https://notes.example",
            "client_id": id,
            "scope": "notes:read",
            "token_type": "Bearer",
            "exp": iat + 90 * 86_400,
            "iat": iat,
            "jti": id,
            "roles": ["admin"],
        });
        assert_eq!(introspect(server, &world.notes, created.key.reveal()).await, state);
        let by_mails = introspect(server, &world.mails, created.key.reveal()).await;
        assert_eq!((&by_mails["scope"], &by_mails["aud"]), (&json!("mails:read"), &json!("https://mails.example/v1")));
        assert_eq!(by_mails.get("roles"), None, "a role is at one API");
        for hint in ["access_token", "refresh_token", "api_key"] {
            let hinted = [("token", created.key.reveal()), ("token_type_hint", hint)];
            assert_eq!(server.caller.post_as(&world.notes, "/introspect", &hinted).await.json(), state, "{hint}");
        }
        server.app.flush_uses().await.unwrap();
        let used_at = keys::show(&server.app, &operator(), &id).await.unwrap().last_used_at;
        assert_eq!(used_at.map(|at| at.as_secs()), Some(server.now()));
    })
    .await;
}

#[tokio::test]
async fn owner_that_is_a_client_is_the_client_of_a_key() {
    let server = TestServer::start().await;
    let (notes, web) = (&server.world.notes, &server.world.web);
    let make = async |owner: &str, expiry| {
        let new = keys::NewKey { owner: Some(owner.into()), expiry, ..new_key("notes", "notes:read") };
        keys::create(&server.app, &operator(), new).await.unwrap()
    };
    let of_client = make(&web.id, keys::Expiry::Never).await;
    let state = introspect(&server, notes, of_client.key.reveal()).await;
    assert_eq!((&state["client_id"], &state["sub"]), (&json!(web.id), &json!(of_client.view.id)));
    assert_eq!((state.get("exp"), state.get("roles")), (None, None), "{state}");
    let of_user = make(ALICE, keys::Expiry::Default).await;
    let state = introspect(&server, notes, of_user.key.reveal()).await;
    assert_eq!((&state["client_id"], &state["sub"]), (&json!(of_user.view.id), &json!(of_user.view.id)));
}

#[tokio::test]
async fn key_that_is_not_good_is_inactive_and_explained() {
    on_each_engine(async |server| {
        let (notes, mails) = (&server.world.notes, &server.world.mails);
        let make = async |new| keys::create(&server.app, &operator(), new).await.unwrap();
        let of_mails = make(new_key("mails", "mails:read")).await;
        let short = keys::Expiry::After(std::time::Duration::from_secs(60));
        let expiring = make(keys::NewKey { expiry: short, ..new_key("notes", "notes:read") }).await;
        let revoked = make(new_key("notes", "notes:read")).await;
        let owned = make(keys::NewKey { owner: Some(format!("user:{BOB}")), ..new_key("notes", "notes:read") }).await;
        for created in [&expiring, &revoked, &owned] {
            assert!(server.caller.is_active(notes, created.key.reveal()).await, "and it is cached");
        }
        assert!(server.caller.is_active(mails, of_mails.key.reveal()).await);
        keys::revoke(&server.app, &operator(), revoked.view.id.as_str()).await.unwrap();
        users::disable(&server.app, &operator(), BOB, true, |_| Ok(())).await.unwrap();
        server.advance_secs(60);
        let prefix = doorward_core::api_key::KeyPrefix::default();
        let environment = doorward_core::api_key::Environment::Live;
        let rng = doorward_guard::SystemRng::default();
        let unknown = doorward_core::api_key::ApiKey::generate(&prefix, environment, &rng);
        let mistyped = revoked.key.reveal().replace("sk_live_", "sk_test_");
        for (key, cause) in [
            (of_mails.key.reveal(), "key_of_another_api"),
            (&server.world.management_key, "key_of_another_api"),
            (expiring.key.reveal(), "key_expired"),
            (revoked.key.reveal(), "key_revoked"),
            (owned.key.reveal(), "key_owner_disabled"),
            (unknown.reveal(), "key_unknown"),
            (&mistyped, "key_mistyped"),
        ] {
            let answer = server.caller.post_as(notes, "/introspect", &[("token", key)]).await.expect(200);
            assert_eq!(answer.body, r#"{"active":false}"#, "{cause}");
            let story = server.explain(answer.header("doorward-trace-id").unwrap()).await;
            assert_eq!(story[0].code.as_deref(), Some(cause));
            assert!(!serde_json::to_string(&story).unwrap().contains(&key[12..]), "{cause}");
        }
    })
    .await;
}

#[tokio::test]
async fn client_that_is_no_api_learns_nothing_of_keys() {
    let server = TestServer::start().await;
    let web = &server.world.web;
    let new = keys::NewKey { owner: Some(web.id.clone()), ..new_key("notes", "notes:read") };
    let own = key(&server.app, new).await;
    let answer = server.caller.post_as(web, "/introspect", &[("token", &own)]).await.expect(200);
    assert_eq!((answer.body.as_str(), answer.header("doorward-trace-id")), (r#"{"active":false}"#, None));
}
