//! Refreshing at `/token` (protocol.md, "Refresh tokens"): idempotent for the honest, the end of the family for reuse.

use std::collections::BTreeSet;

use doorward_core::secret::ExposeSecret;
use serde_json::Value;

use crate::harness::*;

fn refused(code: &str) -> (u16, String, String) {
    (400, "invalid_grant".into(), code.into())
}

/// A refresh token that Alice's consent gave.
async fn first(server: &TestServer, client: &Registered) -> String {
    server.tokens(client).await["refresh_token"].as_str().unwrap().to_owned()
}

/// The next refresh token.
async fn next(server: &TestServer, client: &Registered, token: &str) -> String {
    server.caller.refresh(client, token).await.expect(200).text("refresh_token")
}

#[tokio::test]
async fn a_refresh_gives_a_new_access_token_and_a_successor() {
    let server = TestServer::start().await;
    let web = &server.world.web;
    let tokens = server.tokens(web).await;
    let refreshed = server.caller.refresh(web, tokens["refresh_token"].as_str().unwrap()).await.expect(200);
    assert_eq!(refreshed.header("cache-control"), Some("no-store"));
    assert_ne!(refreshed.text("refresh_token"), tokens["refresh_token"].as_str().unwrap());
    assert_eq!(refreshed.text("scope"), tokens["scope"].as_str().unwrap());
    let (before, after) = (tokens["access_token"].as_str().unwrap(), refreshed.text("access_token"));
    assert_ne!(claims(before)["jti"], claims(&after)["jti"]);
    for name in ["sub", "aud", "client_id", "grant_id", "auth_time", "scope"] {
        assert_eq!(claims(before)[name], claims(&after)[name], "{name}");
    }
    // A refreshed ID token is about the same sign-in and has no nonce (OpenID Connect Core section 12.2).
    let id_token = claims(&refreshed.text("id_token"));
    assert_eq!(id_token["sub"], claims(before)["sub"]);
    assert_eq!(id_token["auth_time"], claims(before)["auth_time"]);
    assert_eq!(id_token["nonce"], Value::Null);
}

#[tokio::test]
async fn refresh_with_the_first_scopes_gets_the_allowed_ones() {
    let server = TestServer::start().await;
    let (web, browser) = (&server.world.web, server.browser());
    let asked = "openid offline_access notes:read notes:write";
    let form = browser.consent(&AuthorizationRequest::of(web).with("scope", asked)).await;
    let code = browser.allow(&form, &["offline_access", "notes:read"]).await.sent("code").unwrap();
    let token = server.redeem(web, &code).await.expect(200).text("refresh_token");
    let with_scope = async |token: &str, scope: &str| {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token), ("scope", scope)];
        server.caller.token(web, &form).await
    };
    let refreshed = with_scope(&token, asked).await.expect(200);
    assert_eq!(refreshed.text("scope"), "notes:read offline_access openid");
    let token = refreshed.text("refresh_token");
    for beyond in ["notes:write", "openid notes:read mails:read"] {
        assert_eq!(with_scope(&token, beyond).await.oauth_error().2, "scope_exceeds_grant", "{beyond}");
    }
    with_scope(&token, "notes:read").await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_refreshes_on_two_servers_get_one_successor() {
    on_each_engine(async |server| {
        let beside = server.beside().await;
        for client in [&server.world.web, &server.world.native] {
            let token = first(server, client).await;
            let answers = at_once(10, |at| {
                let caller = if at % 2 == 0 { &server.caller } else { &beside.caller }.clone();
                let (client, token) = (client.clone(), token.clone());
                async move { caller.refresh(&client, &token).await }
            })
            .await;
            let successors: BTreeSet<_> =
                answers.iter().map(|answer| answer.clone().expect(200).text("refresh_token")).collect();
            assert_eq!(successors.len(), 1);
            next(server, client, successors.first().unwrap()).await;
        }
    })
    .await;
}

#[tokio::test]
async fn reuse_ends_family_and_tokens_and_explain_names_both() {
    on_each_engine(async |server| {
        for client in [&server.world.web, &server.world.native] {
            let oldest = first(server, client).await;
            let middle = next(server, client, &oldest).await;
            let newest = server.caller.refresh(client, &middle).await.expect(200);
            let thief = server.caller_from([127, 0, 0, 9]);
            let answer = thief.refresh(client, &oldest).await;
            assert_eq!(answer.oauth_error(), refused("refresh_token_reused"));
            for token in [&middle, &newest.text("refresh_token")] {
                let ended = server.caller.refresh(client, token).await;
                assert_eq!(ended.oauth_error(), refused("grant_ended"));
                let story = server.explain(&ended.text("trace_id")).await;
                assert!(story[0].details["grant_id"].as_str().is_some_and(|id| id.starts_with("grt_")), "{story:?}");
            }
            assert!(!server.caller.is_active(&server.world.notes, &newest.text("access_token")).await);
            let story = server.explain(&answer.text("trace_id")).await;
            let refusal = story.iter().find(|event| event.code.as_deref() == Some("refresh_token_reused")).unwrap();
            assert_eq!(refusal.details["reused_from"], "127.0.0.9");
            assert_eq!(refusal.details["rotated_from"], "127.0.0.1");
            assert!(refusal.details.contains_key("rotated_at") && refusal.details.contains_key("reused_at"));
            // The end is remembered in the store, not in the process.
            let beside = server.beside().await;
            let again = beside.caller.refresh(client, &newest.text("refresh_token")).await;
            assert_eq!(again.oauth_error(), refused("grant_ended"));
        }
    })
    .await;
}

#[tokio::test]
async fn reuse_with_a_malformed_request_ends_the_family() {
    on_each_engine(async |server| {
        for (client, extra, mistake) in [
            (&server.world.web, &[("scope", "\"")][..], "scope_malformed"),
            (&server.world.native, &[("scope", "openid"), ("scope", "openid")], "parameter_repeated"),
            (
                &server.world.web,
                &[("resource", "https://notes.example"), ("resource", "https://mails.example/v1")],
                "parameter_repeated",
            ),
            (&server.world.native, &[("made_up", "1"), ("made_up", "1")], "parameter_repeated"),
            (&server.world.web, &[("grant_type", "refresh_token")], "parameter_repeated"),
        ] {
            let with_mistake = async |token: &str| {
                let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
                server.caller.token(client, &[&form[..], extra].concat()).await
            };
            let oldest = first(server, client).await;
            assert_eq!(with_mistake(&oldest).await.oauth_error().2, mistake, "{extra:?}");
            // That request used nothing up.
            let middle = next(server, client, &oldest).await;
            let newest = next(server, client, &middle).await;
            assert_eq!(with_mistake(&oldest).await.oauth_error(), refused("refresh_token_reused"), "{extra:?}");
            assert_eq!(server.caller.refresh(client, &newest).await.oauth_error(), refused("grant_ended"));
        }
    })
    .await;
}

#[tokio::test]
async fn a_confidential_client_repeats_until_the_successor_is_used() {
    let server = TestServer::start().await;
    let web = &server.world.web;
    let token = first(&server, web).await;
    let successor = next(&server, web, &token).await;
    server.advance_secs(7 * 86_400);
    let elsewhere = server.caller_from([127, 0, 0, 2]);
    assert_eq!(elsewhere.refresh(web, &token).await.expect(200).text("refresh_token"), successor);
    next(&server, web, &successor).await;
    assert_eq!(server.caller.refresh(web, &token).await.oauth_error(), refused("refresh_token_reused"));
}

#[tokio::test]
async fn public_client_may_repeat_for_a_minute_from_its_address() {
    on_each_engine(async |server| {
        let native = &server.world.native;
        let elsewhere = server.caller_from([127, 0, 0, 2]);
        let token = first(server, native).await;
        let successor = next(server, native, &token).await;
        server.advance_secs(9);
        assert_eq!(elsewhere.refresh(native, &token).await.expect(200).text("refresh_token"), successor);
        server.advance_secs(1);
        assert_eq!(elsewhere.refresh(native, &token).await.oauth_error(), refused("refresh_token_grace_over"));
        server.advance_secs(49);
        assert_eq!(next(server, native, &token).await, successor);
        server.advance_secs(1);
        let late = server.caller.refresh(native, &token).await;
        assert_eq!(late.oauth_error(), refused("refresh_token_grace_over"));
        // The family lives.
        next(server, native, &successor).await;
    })
    .await;
}

#[tokio::test]
async fn five_repeats_a_day_come_from_other_addresses() {
    let server = TestServer::start().await;
    let native = &server.world.native;
    let elsewhere = server.caller_from([127, 0, 0, 2]);
    let token = first(&server, native).await;
    let successor = next(&server, native, &token).await;
    for _ in 0..5 {
        assert_eq!(elsewhere.refresh(native, &token).await.expect(200).text("refresh_token"), successor);
    }
    assert_eq!(elsewhere.refresh(native, &token).await.oauth_error(), refused("refresh_token_grace_over"));
    assert_eq!(next(&server, native, &token).await, successor, "its own address is never counted");
}

#[tokio::test]
async fn scope_narrows_the_access_token_and_nothing_of_the_family() {
    let server = TestServer::start().await;
    let web = &server.world.web;
    let token = first(&server, web).await;
    let ask = async |token: &str, scope: &str| {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token), ("scope", scope)];
        server.caller.token(web, &form).await
    };
    let narrowed = ask(&token, "notes:read").await.expect(200);
    assert_eq!(narrowed.text("scope"), "notes:read");
    assert_eq!(claims(&narrowed.text("access_token"))["scope"], "notes:read");
    // The successor has all that was granted.
    let whole = server.caller.refresh(web, &narrowed.text("refresh_token")).await.expect(200);
    assert_eq!(whole.text("scope"), "email notes:read notes:write offline_access openid profile");
    let live = whole.text("refresh_token");
    let beyond = ask(&live, "notes:read mails:read").await;
    assert_eq!(beyond.oauth_error(), (400, "invalid_scope".into(), "scope_exceeds_grant".into()));
    assert_eq!(ask(&live, "\"").await.oauth_error().1, "invalid_scope");
    // What was refused used nothing up: the same token still is the live one, and has no successor yet.
    next(&server, web, &live).await;
}

#[tokio::test]
async fn scope_in_a_repeat_changes_nothing_about_the_successor() {
    let server = TestServer::start().await;
    let web = &server.world.web;
    let token = first(&server, web).await;
    let successor = next(&server, web, &token).await;
    let form = [("grant_type", "refresh_token"), ("refresh_token", token.as_str()), ("scope", "notes:read")];
    let repeat = server.caller.token(web, &form).await.expect(200);
    assert_eq!(repeat.text("refresh_token"), successor);
    assert_eq!(server.caller.refresh(web, &successor).await.expect(200).text("scope").split(' ').count(), 6);
}

#[tokio::test]
async fn foreign_and_unknown_refresh_tokens_look_alike() {
    let server = TestServer::start().await;
    let (native, spa) = (&server.world.native, &server.world.spa);
    let token = first(&server, native).await;
    let unknown = doorward_core::checksummed::generate("dw_rt_", &doorward_guard::SystemRng::default());
    let mut faces = Vec::new();
    for token in [token.as_str(), unknown.expose_secret(), "nonsense", "dw_rt_mistyped"] {
        let answer = server.caller.refresh(spa, token).await;
        assert_eq!(answer.oauth_error(), refused("refresh_token_invalid"));
        faces.push(answer.body.replace(&answer.text("trace_id"), "TRACE"));
    }
    assert!(faces.iter().all(|face| *face == faces[0]), "{faces:#?}");
    next(&server, native, &token).await;
}

#[tokio::test]
async fn a_family_ends_idle_and_at_its_greatest_age() {
    let server = TestServer::start().await;
    let web = &server.world.web;
    let mut token = first(&server, web).await;
    for _ in 0..7 {
        server.advance_secs(25 * 86_400);
        token = next(&server, web, &token).await;
    }
    server.advance_secs(5 * 86_400);
    assert_eq!(server.caller.refresh(web, &token).await.oauth_error(), refused("refresh_token_expired"));
    let token = first(&server, web).await;
    server.advance_secs(30 * 86_400);
    assert_eq!(server.caller.refresh(web, &token).await.oauth_error(), refused("refresh_token_expired"));
}

#[tokio::test]
async fn a_refresh_token_is_good_at_no_other_endpoint() {
    let server = TestServer::start().await;
    let web = &server.world.web;
    let token = first(&server, web).await;
    assert_eq!(server.caller.userinfo(&token).await.problem(), (401, "token_malformed".into()));
    assert!(!server.caller.is_active(&server.world.notes, &token).await, "an API learns nothing of it");
    assert!(server.caller.is_active(web, &token).await);
    let bearer = format!("Bearer {token}");
    let asked = server.caller.verify_key(("authorization", &bearer), &server.world.key, &[]).await;
    assert_eq!(asked.problem(), (401, "token_malformed".into()));
}

#[tokio::test]
async fn nothing_is_refreshed_for_a_disabled_user_or_client() {
    on_each_engine(async |server| {
        let token = first(server, &server.world.native).await;
        doorward_server::manage::users::disable(&server.app, &operator(), ALICE, true, |_| Ok(())).await.unwrap();
        let answer = server.caller.refresh(&server.world.native, &token).await;
        assert_eq!(answer.oauth_error(), refused("grant_ended"));
        doorward_server::manage::users::enable(&server.app, &operator(), ALICE, |_| Ok(())).await.unwrap();
        let answer = server.caller.refresh(&server.world.native, &token).await;
        assert_eq!(answer.oauth_error(), refused("grant_ended"), "what was ended stays ended");
        server.advance_secs(1);
        let token = first(server, &server.world.web).await;
        doorward_server::manage::clients::disable(&server.app, &operator(), &server.world.web.id, true, |_| Ok(()))
            .await
            .unwrap();
        assert_eq!(server.caller.refresh(&server.world.web, &token).await.oauth_error().1, "invalid_client");
    })
    .await;
}
