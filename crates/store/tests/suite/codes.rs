//! A code is redeemed once, and only by a request that is right in every part.

use std::{sync::Arc, time::Duration};

use doorward_core::{api::TokenFormat, client::GrantType, denial::Denial, grant::audience::RequestedAccess};
use doorward_store::{
    codes::RedeemCode,
    grants::DisconnectClient,
    tokens::{FindAccessToken, IsTokenRevoked},
    users::{ChangeUser, UserChange},
};

use crate::{
    harness::on_each_engine,
    world::{World, race},
};

async fn denied(world: &World, operation: RedeemCode) -> Denial {
    world.write(operation).await.unwrap_err().denial
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_redemptions_wins_and_the_others_revoke_it() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        for _ in 0..5 {
            let given = world.give(&world.public).await;
            let (operations, tokens): (Vec<_>, Vec<_>) = (0..16).map(|_| world.redeem(&given)).unzip();

            let outcomes = race(&world, operations).await;

            let mut winners = Vec::new();
            for (outcome, token) in outcomes.into_iter().zip(tokens) {
                match outcome {
                    Ok(issued) => winners.push((issued, token)),
                    Err(refusal) => assert_eq!(refusal.denial, Denial::CodeReplayed),
                }
            }
            assert_eq!(winners.len(), 1);
            let (issued, token) = winners.remove(0);
            assert_eq!(issued.grant.id, given.grant);
            assert_eq!(world.refreshes(&token, &world.public).await.err(), Some(Denial::GrantEnded));
            let (id, grant_id) = (issued.claims.id.to_string(), Some(issued.grant.id.to_string()));
            assert!(world.read(IsTokenRevoked { id, grant_id }).await);
            assert!(world.live_grants().await.is_empty());
        }
    })
    .await;
}

#[tokio::test]
async fn an_invalid_attempt_consumes_nothing_and_revokes_nothing() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let given = world.give(&world.public).await;
        let attempts = || {
            let (mut verifier, _) = world.redeem(&given);
            verifier.redemption.code_verifier = Some("x".repeat(43));
            let (mut uri, _) = world.redeem(&given);
            uri.redemption.redirect_uri = Some("https://app.example/other".to_owned());
            let (mut client, _) = world.redeem(&given);
            client.redemption.client = world.confidential.clone();
            let (mut late, _) = world.redeem(&given);
            late.now = world.now().plus(Duration::from_secs(60));
            [
                (verifier, Denial::CodeVerifierMismatch),
                (uri, Denial::CodeRedirectUriMismatch),
                (client, Denial::CodeOfAnotherClient),
                (late, Denial::CodeExpired),
            ]
        };
        for (attempt, denial) in attempts() {
            assert_eq!(denied(&world, attempt).await, denial);
        }
        let (mut resource, _) = world.redeem(&given);
        resource.asked = Ok(RequestedAccess { scopes: None, resource: Some("https://other.example".to_owned()) });
        assert_eq!(denied(&world, resource).await, Denial::ResourceUnknown);
        assert_eq!(world.live_grants().await[0].last_used_at, Some(world.now()));

        let (operation, token) = world.redeem(&given);
        assert!(world.write(operation).await.is_ok());
        for (attempt, denial) in attempts() {
            assert_eq!(denied(&world, attempt).await, denial);
        }
        assert!(world.refreshes(&token, &world.public).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn code_is_found_only_by_its_digest_and_pepper() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let given = world.give(&world.public).await;
        let (mut unknown, _) = world.redeem(&given);
        unknown.candidates[0].pepper = "another".to_owned();
        assert_eq!(denied(&world, unknown).await, Denial::CodeUnknown);

        let (mut operation, _) = world.redeem(&given);
        let retired =
            doorward_core::digest::KeyedDigest { pepper: "another".to_owned(), ..operation.candidates[0].clone() };
        operation.candidates.insert(0, retired);
        assert!(world.write(operation).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_code_of_an_ended_grant_gives_nothing() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let given = world.give(&world.public).await;
        let (user_id, client_id) = (world.user.id.clone(), world.public.id.clone());
        let audit = world.audit();
        let within = world.session().id;
        let disconnect = DisconnectClient { user_id, within, client_id, now: world.now(), audit };
        assert_eq!(world.write(disconnect).await, Ok(1));
        assert_eq!(denied(&world, world.redeem(&given).0).await, Denial::GrantEnded);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redemption_while_its_user_is_disabled_leaves_nothing_alive() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let change = |change| ChangeUser { id: world.user.id.clone(), change, now: world.now(), audit: world.audit() };
        for _ in 0..20 {
            let given = world.give(&world.public).await;
            let (operation, token) = world.redeem(&given);
            let (redeemed, disabled) =
                tokio::join!(world.store.write(operation), world.other.write(change(UserChange::Disable)));
            assert!(disabled.unwrap());
            if let Err(refusal) = redeemed.unwrap() {
                assert!(matches!(refusal.denial, Denial::GrantEnded | Denial::UserUnavailable), "{refusal}");
            }
            // Enabling the user brings nothing back.
            assert!(world.write(change(UserChange::Enable)).await);
            assert!(world.live_grants().await.is_empty());
            let again = world.refreshes(&token, &world.public).await.err();
            assert!(matches!(again, Some(Denial::GrantEnded | Denial::RefreshTokenUnknown)), "{again:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_opaque_access_token_is_stored_and_a_jwt_is_not() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        for format in [TokenFormat::Jwt, TokenFormat::Opaque] {
            let given = world.give(&world.public).await;
            let (mut operation, _) = world.redeem(&given);
            let mut api = (*world.api).clone();
            api.metadata.token_format = format;
            operation.apis = Arc::new(doorward_core::grant::audience::Apis::new(vec![Arc::new(api)]));
            let (access_token, opaque) = world.access_token();
            operation.access_token = access_token;

            let issued = world.write(operation).await.unwrap();

            let found = world.read(FindAccessToken { candidates: vec![world.digest(&opaque)] }).await;
            let expected = (format == TokenFormat::Opaque).then(|| serde_json::to_string(&issued.claims).unwrap());
            assert_eq!(found, expected);
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_without_the_grant_type_gets_no_refresh_token() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let mut given = world.give(&world.public).await;
        let mut client = (*world.public).clone();
        client.metadata.grant_types = [GrantType::AuthorizationCode].into();
        given.client = Arc::new(client);
        let (operation, token) = world.redeem(&given);
        assert!(!world.write(operation).await.unwrap().has_refresh_token);
        assert_eq!(world.refreshes(&token, &world.public).await.err(), Some(Denial::RefreshTokenUnknown));
    })
    .await;
}
