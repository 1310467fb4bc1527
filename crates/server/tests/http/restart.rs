//! What was ended is remembered by the store and not by the process (security.md; Keycloak's CVE-2026-9802): a server
//! that starts again on the same store refuses it, and what was good stays good.

use std::sync::Arc;

use doorward_core::{
    client::AuthenticationMethod, client_metadata::ClientMetadata, digest::MasterKey, jwk::Algorithm,
    secret::ExposeSecret,
};
use doorward_guard::SystemRng;
use doorward_server::{App, app::Components, manage::keys, metrics::Metrics};

use crate::harness::*;

#[tokio::test]
async fn revoked_and_used_credentials_stay_refused_after_a_restart() {
    let server = TestServer::start().await;
    let (web, native) = (server.world.web.clone(), server.world.native.clone());
    let revoked = server.tokens(&web).await;
    let revoked = |name: &str| revoked[name].as_str().unwrap().to_owned();
    server.caller.post_as(&web, "/revoke", &[("token", &revoked("access_token"))]).await.expect(200);
    server.caller.post_as(&web, "/revoke", &[("token", &revoked("refresh_token"))]).await.expect(200);
    let code = server.code(&web).await;
    let replayed = server.redeem(&web, &code).await.expect(200);
    let oldest = server.tokens(&native).await["refresh_token"].as_str().unwrap().to_owned();
    let middle = server.caller.refresh(&native, &oldest).await.expect(200).text("refresh_token");
    server.caller.refresh(&native, &middle).await.expect(200);
    let opaque = server.caller.client_credentials(&web, "mails:read").await.text("access_token");
    server.caller.post_as(&web, "/revoke", &[("token", &opaque)]).await.expect(200);
    let key = keys::create(&server.app, &operator(), new_key("notes", "notes:read")).await.unwrap();
    keys::revoke(&server.app, &operator(), key.view.id.as_str()).await.unwrap();
    let browser = server.browser();
    browser.sign_in(ALICE, PASSWORD).await.expect(303);
    let page = browser.get("/account").await;
    let ended = browser.copy();
    browser.submit(&Form::to(&page, "/account/sign-out", ""), &[]).await.expect(303);

    let server = server.restart().await;

    let refused = |code: &str| (400, "invalid_grant".to_owned(), code.to_owned());
    assert!(!server.caller.is_active(&server.world.notes, &revoked("access_token")).await);
    assert_eq!(server.caller.userinfo(&revoked("access_token")).await.problem(), (401, "token_revoked".into()));
    assert_eq!(server.caller.refresh(&web, &revoked("refresh_token")).await.oauth_error(), refused("grant_ended"));
    assert!(!server.caller.is_active(&server.world.mails, &opaque).await);
    assert_eq!(server.redeem(&web, &code).await.oauth_error(), refused("code_replayed"));
    assert!(!server.caller.is_active(&server.world.notes, &replayed.text("access_token")).await);
    assert_eq!(server.caller.refresh(&native, &oldest).await.oauth_error(), refused("refresh_token_reused"));
    let notes = &server.world.notes;
    let authorization = basic(&notes.id, notes.secret.as_deref().unwrap());
    let verdict = server.caller.verify_key(("authorization", &authorization), key.key.reveal(), &[]).await;
    assert_eq!(verdict.text("code"), "key_revoked");
    assert_eq!(ended.get("/account").await.location(), "/sign-in");
}

#[tokio::test]
async fn everything_that_was_given_before_a_restart_works_after_it() {
    let server = TestServer::start().await;
    let web = server.world.web.clone();
    let tokens = server.tokens(&web).await;
    let opaque = server.caller.client_credentials(&web, "mails:read").await.text("access_token");
    let code = server.code(&web).await;
    let browser = server.browser();
    let form = browser.consent(&AuthorizationRequest::of(&server.world.native)).await;

    let server = server.restart().await;

    assert!(server.caller.is_active(&server.world.notes, tokens["access_token"].as_str().unwrap()).await);
    assert!(server.caller.is_active(&server.world.mails, &opaque).await);
    server.caller.refresh(&web, tokens["refresh_token"].as_str().unwrap()).await.expect(200);
    server.redeem(&web, &code).await.expect(200);
    browser.get("/account").await.expect(200);
    assert!(browser.allow(&form, &["notes:read"]).await.sent("code").is_some(), "a page that was open continues");
}

#[tokio::test]
async fn a_repeat_after_a_restart_gets_the_same_successor() {
    let server = TestServer::start().await;
    let web = server.world.web.clone();
    let token = server.tokens(&web).await["refresh_token"].as_str().unwrap().to_owned();
    let successor = server.caller.refresh(&web, &token).await.expect(200).text("refresh_token");
    let server = server.restart().await;
    assert_eq!(server.caller.refresh(&web, &token).await.expect(200).text("refresh_token"), successor);
}

#[tokio::test]
async fn guesses_before_a_restart_are_counted_after_it() {
    let server = TestServer::start().await;
    for _ in 0..5 {
        server.browser().sign_in(ALICE, "a wrong password of mine").await.expect(401);
    }
    let server = server.restart().await;
    server.browser().sign_in(ALICE, PASSWORD).await.expect(429);
}

#[tokio::test]
async fn every_refusal_before_an_orderly_end_is_in_the_audit() {
    let server = TestServer::start().await;
    for _ in 0..50 {
        server.caller.userinfo("nonsense").await.expect(401);
    }
    server.caller.get("/nowhere").await.expect(404);
    let server = server.restart().await;
    assert_eq!(server.refusals(51).await.len(), 51, "what was counted is written too");
}

#[tokio::test]
async fn a_pepper_is_dropped_when_no_row_names_it() {
    on_each_engine(async |server| {
        let old = || MasterKey::parse(server.master_key()).unwrap();
        let newer = MasterKey::generate(&SystemRng::default()).reveal();
        let new = || MasterKey::parse(newer.expose_secret()).unwrap();
        let peppers = async |master_keys| {
            let parts = Components {
                settings: server.app.settings.clone(),
                store: server.app.store.clone(),
                clock: server.clock.clone(),
                rng: Arc::new(SystemRng::default()),
                master_keys,
                metrics: Metrics::default(),
            };
            App::open(parts).await.unwrap().peppers.candidates("x").map(|digest| digest.pepper).collect::<Vec<_>>()
        };
        assert_eq!(peppers(vec![old(), new()]).await, [old().id()], "nothing names the new one");
        assert_eq!(peppers(vec![new(), old()]).await, [new().id(), old().id()]);
        let hidden = Run { sql: "ALTER TABLE codes RENAME TO hidden", params: vec![] };
        server.app.store.write(hidden).await.unwrap();
        assert_eq!(peppers(vec![old(), new()]).await, [old().id(), new().id()], "what can't be known is kept");
    })
    .await;
}

#[tokio::test]
async fn unreadable_newer_rows_stop_nothing_else() {
    let logs = Logs::listen();
    on_each_engine(async |server| {
        let world = &server.world;
        let newer = client("Newer", AuthenticationMethod::ClientSecret, "https://newer.example/cb");
        let newer = ClientMetadata { id_token_signed_response_alg: Algorithm::EdDSA, ..newer };
        let newer = register(&server.app, newer).await;
        server.tokens(&newer).await;
        for (sql, id) in [
            (
                "UPDATE clients SET metadata = replace(metadata, '\"refresh_token\"', '\"newer\"') WHERE id = $1",
                &newer.id,
            ),
            (
                "UPDATE apis SET metadata = replace(metadata, 'signing_algorithm\":\"', 'signing_algorithm\":\"NEWER-')
                 WHERE id = (SELECT api_id FROM clients WHERE id = $1)",
                &world.mails.id,
            ),
        ] {
            assert_eq!(server.app.store.write(Run { sql, params: vec![id.as_str().into()] }).await.unwrap(), 1);
        }
        let sql = "UPDATE signing_keys SET algorithm = 'ML-DSA-44' WHERE algorithm = 'EdDSA'";
        assert_eq!(server.app.store.write(Run { sql, params: vec![] }).await.unwrap(), 1);

        let beside = server.beside().await;

        let caller = &beside.caller;
        let token = caller.client_credentials(&world.web, "notes:read").await.expect(200).text("access_token");
        assert!(caller.is_active(&world.notes, &token).await);
        // What can't be read is refused.
        assert_eq!(caller.client_credentials(&world.web, "mails:read").await.oauth_error().2, "scope_invalid");
        let code = [("grant_type", "authorization_code"), ("code", "dw_ac_x"), ("code_verifier", VERIFIER)];
        caller.token(&newer, &code).await.expect(503);
        // Pages that only name it continue.
        let browser = beside.browser();
        browser.sign_in(ALICE, PASSWORD).await.expect(303);
        let account = browser.get("/account").await.expect(200);
        assert!(account.body.contains("You gave Newer access."), "{}", account.body);
    })
    .await;
    assert!(logs.text().contains("skipped: this version can't read it"));
}
