//! The authorization code grant at `/token` (OAuth 2.1 section 4.1.3, OpenID Connect Core section 3.1.3).

use serde_json::{Value, json};

use crate::harness::*;

fn refused(code: &str) -> (u16, String, String) {
    (400, "invalid_grant".into(), code.into())
}

#[tokio::test]
async fn a_code_gives_an_access_token_a_refresh_token_and_an_id_token() {
    let server = TestServer::start().await;
    let web = &server.world.web;
    let answer = server.redeem(web, &server.code(web).await).await.expect(200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let body = answer.json();
    let members: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["access_token", "expires_in", "id_token", "refresh_token", "scope", "token_type"]);
    assert_eq!(body["scope"], "email notes:read notes:write offline_access openid profile");
    let access_token = claims(body["access_token"].as_str().unwrap());
    // For the API, and for /userinfo since openid was granted.
    assert_eq!(access_token["aud"], json!(["https://notes.example", server.issuer()]));
    assert_eq!(access_token["client_id"], web.id);
    assert!(access_token["sub"].as_str().unwrap().starts_with("usr_"));
    assert!(access_token["grant_id"].is_string() && access_token["jti"].is_string());
    assert_eq!(access_token["auth_time"], server.now());
}

#[tokio::test]
async fn the_id_token_is_signed_with_rs256_and_bound_to_the_request() {
    let server = TestServer::start().await;
    let web = &server.world.web;
    let tokens = server.tokens(web).await;
    let id_token = tokens["id_token"].as_str().unwrap();
    assert_eq!(header(id_token)["alg"], "RS256");
    let claims = claims(id_token);
    assert_eq!(claims["iss"], server.issuer());
    assert_eq!(claims["aud"], web.id);
    assert_eq!(claims["nonce"], "n-0S6_WzA2Mj");
    assert_eq!((&claims["iat"], &claims["auth_time"]), (&json!(server.now()), &json!(server.now())));
    assert!(claims["exp"].as_i64().unwrap() > server.now());
    assert_eq!(claims["sub"], crate::harness::claims(tokens["access_token"].as_str().unwrap())["sub"]);
    assert!(claims["at_hash"].is_string());
}

#[tokio::test]
async fn id_token_has_the_sign_in_and_the_claims_of_its_scopes() {
    let server = TestServer::start().await;
    let web = &server.world.web;
    let id_token = async |client: &Registered, scope: &str| {
        let request = AuthorizationRequest::of(client).with("scope", scope);
        let tokens = server.tokens_of(client, &request).await;
        (claims(tokens["id_token"].as_str().unwrap()), tokens)
    };
    let (told, tokens) = id_token(web, "openid profile email offline_access").await;
    assert_eq!((&told["amr"], &told["acr"]), (&json!(["pwd"]), &json!("urn:doorward:acr:single-factor")));
    assert_eq!((&told["preferred_username"], &told["name"]), (&json!(ALICE), &json!("alice of the tests")));
    assert_eq!((&told["email"], &told["email_verified"]), (&json!("alice@example.com"), &json!(false)));
    assert!(told["updated_at"].is_i64());
    let refreshed = server.caller.refresh(web, tokens["refresh_token"].as_str().unwrap()).await.expect(200);
    let again = claims(&refreshed.text("id_token"));
    for claim in ["amr", "acr", "name", "preferred_username", "updated_at", "email", "email_verified"] {
        assert_eq!(again[claim], told[claim], "{claim}");
    }
    let (bare, _) = id_token(web, "openid notes:read").await;
    let minimal = doorward_core::client_metadata::ClientMetadata {
        id_token_claims: doorward_core::client_metadata::IdTokenClaims::Minimal,
        ..client("Minimal", doorward_core::client::AuthenticationMethod::ClientSecret, "https://minimal.example/cb")
    };
    let (minimal, _) = id_token(&register(&server.app, minimal).await, "openid profile email").await;
    for claims in [bare, minimal] {
        for claim in ["name", "preferred_username", "updated_at", "email", "email_verified"] {
            assert_eq!(claims.get(claim), None, "{claim}");
        }
    }
}

#[tokio::test]
async fn client_of_the_basic_profile_may_leave_out_pkce_and_nonce() {
    let server = TestServer::start().await;
    let basic = register(&server.app, basic_client()).await;
    let bare = AuthorizationRequest::of(&basic).without_pkce().without("nonce");
    let code = server.code_of(&bare).await;
    let form = [("grant_type", "authorization_code"), ("code", code.as_str())];
    let without = server.caller.token(&basic, &form).await.oauth_error();
    assert_eq!((without.1.as_str(), without.2.as_str()), ("invalid_request", "parameter_missing"), "redirect_uri");
    let with_redirect_uri = [form[0], form[1], ("redirect_uri", &basic.redirect_uri)];
    let with_verifier = server.redeem(&basic, &code).await.oauth_error();
    assert_eq!(with_verifier, refused("code_verifier_unexpected"));
    let tokens = server.caller.token(&basic, &with_redirect_uri).await.expect(200);
    assert_eq!(claims(&tokens.text("id_token")).get("nonce"), None);
    // With PKCE it is verified, and can't be cut out at /token.
    let code = server.code(&basic).await;
    let cut_out = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", &basic.redirect_uri)];
    assert_eq!(server.caller.token(&basic, &cut_out).await.oauth_error().2, "parameter_missing");
    let wrong = [cut_out[0], cut_out[1], ("code_verifier", CHALLENGE)];
    assert_eq!(server.caller.token(&basic, &wrong).await.oauth_error(), refused("code_verifier_mismatch"));
    server.redeem(&basic, &code).await.expect(200);
    // A method whose challenge is gone.
    let half = AuthorizationRequest::of(&basic).without("code_challenge");
    assert_eq!(server.caller.get(&half.path()).await.sent("error").as_deref(), Some("invalid_request"));
}

#[tokio::test]
async fn a_client_that_registered_an_algorithm_gets_its_id_tokens_so() {
    let server = TestServer::start().await;
    // There is no key for PS256 before somebody asks for it.
    for algorithm in doorward_core::jwk::Algorithm::ALL {
        let new = doorward_core::client_metadata::ClientMetadata {
            id_token_signed_response_alg: algorithm,
            ..client("Modern", doorward_core::client::AuthenticationMethod::None, "https://modern.example/cb")
        };
        let modern = register(&server.app, new).await;
        let tokens = server.tokens(&modern).await;
        assert_eq!(header(tokens["id_token"].as_str().unwrap())["alg"], algorithm.as_str());
    }
}

#[tokio::test]
async fn refresh_token_needs_offline_access_with_openid() {
    let server = TestServer::start().await;
    let request = AuthorizationRequest::of(&server.world.spa);
    let has = |tokens: &Value, name: &str| tokens.get(name).is_some();
    for (scope, refresh_token, id_token) in [
        ("openid notes:read", false, true),
        ("openid offline_access notes:read", true, true),
        ("notes:read", true, false),
    ] {
        let tokens = server.tokens_of(&server.world.spa, &request.with("scope", scope)).await;
        assert_eq!((has(&tokens, "refresh_token"), has(&tokens, "id_token")), (refresh_token, id_token), "{scope}");
    }
}

#[tokio::test]
async fn openid_scopes_give_a_token_for_only_the_issuer() {
    let server = TestServer::start().await;
    let request = AuthorizationRequest::of(&server.world.spa).with("scope", "openid profile");
    let tokens = server.tokens_of(&server.world.spa, &request).await;
    assert_eq!(claims(tokens["access_token"].as_str().unwrap())["aud"], server.issuer());
}

#[tokio::test]
async fn the_verifier_must_fit_and_a_wrong_one_uses_nothing_up() {
    let server = TestServer::start().await;
    let web = &server.world.web;
    let code = server.code(web).await;
    for verifier in ["a".repeat(43), CHALLENGE.into(), VERIFIER.to_lowercase(), "short".into(), "a".repeat(129)] {
        let form = [("grant_type", "authorization_code"), ("code", &code), ("code_verifier", verifier.as_str())];
        assert_eq!(server.caller.token(web, &form).await.oauth_error(), refused("code_verifier_mismatch"));
    }
    let without = [("grant_type", "authorization_code"), ("code", code.as_str())];
    assert_eq!(server.caller.token(web, &without).await.oauth_error().1, "invalid_request");
    server.redeem(web, &code).await.expect(200);
}

#[tokio::test]
async fn redirect_uri_may_be_omitted_but_must_match_if_sent() {
    let server = TestServer::start().await;
    let native = &server.world.native;
    // The port is free for a native client; /token compares with the URI that was asked.
    let asked = AuthorizationRequest::of(native).with("redirect_uri", "http://127.0.0.1:4711/cb");
    let code = server.code_of(&asked).await;
    for redirect_uri in ["http://127.0.0.1/cb", "http://127.0.0.1:4712/cb", "https://evil.example"] {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", redirect_uri),
            ("code_verifier", VERIFIER),
        ];
        assert_eq!(server.caller.token(native, &form).await.oauth_error(), refused("code_redirect_uri_mismatch"));
    }
    let without = [("grant_type", "authorization_code"), ("code", code.as_str()), ("code_verifier", VERIFIER)];
    server.caller.token(native, &without).await.expect(200);
}

#[tokio::test]
async fn a_code_lives_for_a_minute() {
    let server = TestServer::start().await;
    let web = &server.world.web;
    let code = server.code(web).await;
    server.advance_secs(60);
    assert_eq!(server.redeem(web, &code).await.oauth_error(), refused("code_expired"));
    let code = server.code(web).await;
    server.advance_secs(59);
    server.redeem(web, &code).await.expect(200);
}

#[tokio::test]
async fn a_code_that_nobody_gave_and_one_of_another_client_look_alike() {
    let server = TestServer::start().await;
    let (web, spa) = (&server.world.web, &server.world.spa);
    let code = server.code(web).await;
    let unknown = doorward_core::checksummed::generate("dw_ac_", &doorward_guard::SystemRng::default());
    let unknown = doorward_core::secret::ExposeSecret::expose_secret(&unknown).to_owned();
    let mut faces = Vec::new();
    for code in [code.as_str(), &unknown, "nonsense", "dw_ac_mistyped"] {
        let form = [("grant_type", "authorization_code"), ("code", code), ("code_verifier", VERIFIER)];
        let answer = server.caller.token(spa, &form).await;
        assert_eq!(answer.oauth_error(), refused("code_invalid"));
        faces.push(answer.body.replace(&answer.text("trace_id"), "TRACE"));
    }
    assert!(faces.iter().all(|face| *face == faces[0]), "{faces:#?}");
    // The attempt of the other client used nothing up.
    server.redeem(web, &code).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_redemptions_succeeds_and_is_then_revoked() {
    on_each_engine(async |server| {
        let web = &server.world.web;
        let beside = server.beside().await;
        let code = server.code(web).await;
        let answers = at_once(10, |at| {
            let caller = if at % 2 == 0 { &server.caller } else { &beside.caller }.clone();
            let (web, code) = (web.clone(), code.clone());
            async move { caller.token(&web, &redemption(&web, &code)).await }
        })
        .await;
        let (good, bad): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
        assert_eq!(good.len(), 1);
        assert!(bad.iter().all(|answer| answer.oauth_error() == refused("code_replayed")));
        assert_dead(server, web, &good[0].json()).await;
    })
    .await;
}

#[tokio::test]
async fn replay_revokes_the_tokens_and_an_invalid_attempt_does_not() {
    on_each_engine(async |server| {
        let (web, spa) = (&server.world.web, &server.world.spa);
        let code = server.code(web).await;
        let tokens = server.redeem(web, &code).await.expect(200).json();
        let access_token = tokens["access_token"].as_str().unwrap();
        // Someone who only saw the code can't end its grant.
        let wrong = [("grant_type", "authorization_code"), ("code", code.as_str()), ("code_verifier", CHALLENGE)];
        assert_eq!(server.caller.token(web, &wrong).await.oauth_error(), refused("code_verifier_mismatch"));
        assert_eq!(server.redeem(spa, &code).await.oauth_error(), refused("code_invalid"));
        assert!(server.caller.is_active(&server.world.notes, access_token).await);
        assert_eq!(server.redeem(web, &code).await.oauth_error(), refused("code_replayed"));
        assert_dead(server, web, &tokens).await;
        // A restart changes nothing about it.
        let beside = server.beside().await;
        assert_dead(&beside, web, &tokens).await;
        assert_eq!(beside.redeem(web, &code).await.oauth_error(), refused("code_replayed"));
    })
    .await;
}

#[tokio::test]
async fn replay_with_an_unknown_resource_revokes_the_tokens() {
    on_each_engine(async |server| {
        let web = &server.world.web;
        let code = server.code(web).await;
        let with_resource = [&redemption(web, &code)[..], &[("resource", "https://other.example")]].concat();
        assert_eq!(server.caller.token(web, &with_resource).await.oauth_error().2, "resource_unknown");
        // That request consumed nothing.
        let tokens = server.redeem(web, &code).await.expect(200).json();
        assert_eq!(server.caller.token(web, &with_resource).await.oauth_error(), refused("code_replayed"));
        assert_dead(server, web, &tokens).await;
    })
    .await;
}

#[tokio::test]
async fn replay_with_a_repeated_parameter_revokes_the_tokens() {
    on_each_engine(async |server| {
        let web = &server.world.web;
        let notes = ("resource", "https://notes.example");
        for extra in [
            &[notes, ("resource", "https://mails.example/v1")][..],
            &[("scope", "notes:read"), ("scope", "notes:read")],
            &[("made_up", "1"), ("made_up", "1")],
            &[("grant_type", "authorization_code")],
        ] {
            let code = server.code(web).await;
            let repeated = [&redemption(web, &code)[..], extra].concat();
            let answer = server.caller.token(web, &repeated).await;
            assert_eq!(answer.oauth_error(), (400, "invalid_request".into(), "parameter_repeated".into()), "{extra:?}");
            // That request consumed nothing.
            let tokens = server.redeem(web, &code).await.expect(200).json();
            assert_eq!(server.caller.token(web, &repeated).await.oauth_error(), refused("code_replayed"), "{extra:?}");
            assert_dead(server, web, &tokens).await;
        }
        // The proof of the code must be right, or someone who only saw the code could end its grant.
        let code = server.code(web).await;
        let tokens = server.redeem(web, &code).await.expect(200);
        for proof in [("code_verifier", VERIFIER), ("redirect_uri", &web.redirect_uri), ("code", &code)] {
            let repeated = [&redemption(web, &code)[..], &[proof]].concat();
            assert_eq!(server.caller.token(web, &repeated).await.oauth_error().2, "parameter_repeated", "{}", proof.0);
        }
        assert!(server.caller.is_active(&server.world.notes, &tokens.text("access_token")).await);
    })
    .await;
}

#[tokio::test]
async fn one_of_the_resources_that_were_asked_can_be_named() {
    let server = TestServer::start().await;
    let web = &server.world.web;
    let request = AuthorizationRequest::of(web)
        .with("scope", "notes:read mails:read")
        .and("resource", "https://notes.example/")
        .and("resource", "https://mails.example/v1");
    let redeem = async |resource: &[&str]| {
        let code = server.code_of(&request).await;
        let named: Vec<_> = resource.iter().map(|resource| ("resource", *resource)).collect();
        server.caller.token(web, &[&redemption(web, &code)[..], &named].concat()).await
    };
    // The first counts where none is named.
    let first = redeem(&[]).await.expect(200);
    assert_eq!(claims(&first.text("access_token"))["aud"], "https://notes.example");
    assert_eq!(first.text("scope"), "notes:read");
    let mails = redeem(&["https://mails.example/v1"]).await.expect(200);
    assert_eq!(mails.text("scope"), "mails:read");
    assert!(mails.text("access_token").starts_with("dw_at_"));
    let management = format!("{}/v1", server.issuer());
    assert_eq!(redeem(&[&management]).await.oauth_error().1, "invalid_target");
    assert_eq!(redeem(&["https://other.example"]).await.oauth_error().1, "invalid_target");
    let two = redeem(&["https://notes.example", "https://mails.example/v1"]).await;
    assert_eq!(two.oauth_error().1, "invalid_request");
}

/// Access token and refresh token are refused, each in its way.
async fn assert_dead(server: &TestServer, client: &Registered, tokens: &Value) {
    let (access_token, refresh_token) =
        (tokens["access_token"].as_str().unwrap(), tokens["refresh_token"].as_str().unwrap());
    assert!(!server.caller.is_active(&server.world.notes, access_token).await);
    assert!(!server.caller.is_active(client, refresh_token).await);
    assert_eq!(server.caller.userinfo(access_token).await.problem(), (401, "token_revoked".into()));
    assert_eq!(server.caller.refresh(client, refresh_token).await.oauth_error(), refused("grant_ended"));
}
