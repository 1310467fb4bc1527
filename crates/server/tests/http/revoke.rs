//! `POST /revoke` (RFC 7009).

use crate::harness::*;

#[tokio::test]
async fn revoking_an_access_token_leaves_its_siblings_valid() {
    on_each_engine(async |server| {
        let web = &server.world.web;
        let tokens = server.tokens(web).await;
        let access_token = tokens["access_token"].as_str().unwrap();
        let opaque = server.caller.client_credentials(web, "mails:read").await.text("access_token");
        for token in [access_token, &opaque] {
            let answer = server.caller.post_as(web, "/revoke", &[("token", token)]).await.expect(200);
            assert_eq!((answer.body.as_str(), answer.header("cache-control")), ("", Some("no-store")));
            for asker in [web, &server.world.notes, &server.world.mails] {
                assert!(!server.caller.is_active(asker, token).await);
            }
            // Again is no mistake.
            server.caller.post_as(web, "/revoke", &[("token", token)]).await.expect(200);
        }
        assert_eq!(server.caller.userinfo(access_token).await.problem(), (401, "token_revoked".into()));
        server.caller.refresh(web, tokens["refresh_token"].as_str().unwrap()).await.expect(200);
    })
    .await;
}

#[tokio::test]
async fn revoking_a_refresh_token_or_predecessor_ends_the_family() {
    on_each_engine(async |server| {
        for client in [&server.world.web, &server.world.native] {
            for by_predecessor in [false, true] {
                let tokens = server.tokens(client).await;
                let first = tokens["refresh_token"].as_str().unwrap();
                let next = server.caller.refresh(client, first).await.expect(200);
                let live = next.text("refresh_token");
                let revoked = if by_predecessor { first } else { &live };
                server.caller.post_as(client, "/revoke", &[("token", revoked)]).await.expect(200);
                for token in [first, &live] {
                    let answer = server.caller.refresh(client, token).await;
                    assert_eq!(answer.oauth_error(), (400, "invalid_grant".into(), "grant_ended".into()));
                }
                assert!(!server.caller.is_active(&server.world.notes, &next.text("access_token")).await);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn somebody_else_s_token_is_400_and_lives_on() {
    let server = TestServer::start().await;
    let (web, spa) = (&server.world.web, &server.world.spa);
    let tokens = server.tokens(web).await;
    for name in ["access_token", "refresh_token"] {
        let token = tokens[name].as_str().unwrap();
        for stranger in [spa, &server.world.notes] {
            let answer = server.caller.post_as(stranger, "/revoke", &[("token", token)]).await;
            let expected = (400, "invalid_request".to_owned(), "token_of_another_client".to_owned());
            assert_eq!(answer.oauth_error(), expected, "{name}");
        }
        assert!(server.caller.is_active(web, token).await, "{name}");
    }
}

#[tokio::test]
async fn a_token_that_nobody_knows_is_200() {
    let server = TestServer::start().await;
    let web = &server.world.web;
    let id_token = server.tokens(web).await["id_token"].as_str().unwrap().to_owned();
    let other = doorward_core::jwk::SigningKey::generate(
        "sig_x".into(),
        doorward_core::jwk::Algorithm::ES256,
        &doorward_guard::SystemRng::default(),
    )
    .unwrap();
    let foreign = doorward_core::jws::sign(&other, "at+jwt", b"{}").unwrap();
    for token in ["nonsense", "dw_rt_mistyped", "dw_at_mistyped", "a.b.c", &id_token, &foreign, &server.world.key] {
        let answer = server.caller.post_as(web, "/revoke", &[("token", token)]).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{token}");
    }
    // It was no way to revoke a key.
    let notes = &server.world.notes;
    let authorization = basic(&notes.id, notes.secret.as_deref().unwrap());
    let verdict = server.caller.verify_key(("authorization", &authorization), &server.world.key, &[]).await;
    assert_eq!(verdict.json()["valid"], true);
}

#[tokio::test]
async fn expired_token_can_be_revoked_only_by_a_known_client() {
    let server = TestServer::start().await;
    let web = &server.world.web;
    let token = server.caller.client_credentials(web, "notes:read").await.text("access_token");
    server.advance_secs(301);
    server.caller.post_as(web, "/revoke", &[("token", &token)]).await.expect(200);
    let nobody = server.caller.post("/revoke", &[("token", &token)]).await;
    assert_eq!(nobody.oauth_error(), (401, "invalid_client".into(), "client_authentication_missing".into()));
    for form in [&[][..], &[("token", "")], &[("token", "a"), ("token", "b")]] {
        assert_eq!(server.caller.post_as(web, "/revoke", form).await.oauth_error().1, "invalid_request");
    }
}
