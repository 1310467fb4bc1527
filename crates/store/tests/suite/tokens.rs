//! Access tokens that have a row, those that were revoked, and assertions that were used.

use std::sync::Arc;

use doorward_core::{
    api::{Api, ApiMetadata, TokenFormat},
    client::Client,
    id::TokenId,
    new_access_token::Bearer,
};
use doorward_store::{
    assertions::UseAssertion,
    tokens::{FindAccessToken, IsTokenRevoked, RevokeAccessToken, StoreAccessToken},
};

use crate::{
    harness::on_each_engine,
    world::{World, race},
};

fn bearer(client: &Client) -> Bearer {
    Bearer {
        subject: client.id.to_string(),
        client_id: client.id.to_string(),
        scopes: client.metadata.scope.clone(),
        roles: Default::default(),
        grant_id: None,
        auth_time: None,
    }
}

#[tokio::test]
async fn an_opaque_token_of_a_client_is_found_by_its_digest() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let api = Arc::new(Api {
            metadata: ApiMetadata { token_format: TokenFormat::Opaque, ..(*world.api).clone().metadata },
            ..(*world.api).clone()
        });
        let (token, opaque) = world.access_token();
        let claims = token.claims(Some(&api), bearer(&world.confidential));
        let audit = world.audit();
        world.write(StoreAccessToken { token, api, claims: claims.clone(), audit }).await;

        let found = world.read(FindAccessToken { candidates: vec![world.digest(&opaque)] }).await;
        assert_eq!(found, Some(serde_json::to_string(&claims).unwrap()));
        let mut other = world.digest(&opaque);
        other.pepper = "another".to_owned();
        assert_eq!(world.read(FindAccessToken { candidates: vec![other] }).await, None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_revoked_once_and_stays_so() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let id = TokenId::new(world.now(), &world.rng).to_string();
        let revoked = async || world.read(IsTokenRevoked { id: id.clone(), grant_id: None }).await;
        assert!(!revoked().await);
        let position = world.store.position().await.unwrap();
        let revoke =
            || RevokeAccessToken { id: id.clone(), expires_at: world.now(), now: world.now(), audit: world.audit() };

        race(&world, (0..8).map(|_| revoke()).collect()).await;

        assert!(revoked().await);
        assert_eq!(world.store.position().await.unwrap(), position + 1);
    })
    .await;
}

#[tokio::test]
async fn a_token_of_a_grant_that_is_not_known_is_revoked() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (_, issued) = world.sign_in(&world.public).await;
        let id = issued.claims.id.to_string();
        let of = |grant: String| IsTokenRevoked { id: id.clone(), grant_id: Some(grant) };
        assert!(!world.read(of(issued.grant.id.to_string())).await);
        assert!(world.read(of(world.grant(&world.public).id.to_string())).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_assertion_is_used_once_by_each_client_whatever_its_id_is() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let long = "x".repeat(20_000);
        for id in ["a", "", "with \0 inside", long.as_str()] {
            let use_by = |client: &Client| UseAssertion {
                client_id: client.id.clone(),
                id: id.to_owned(),
                expires_at: world.now(),
            };
            let operations = (0..8).map(|_| use_by(&world.confidential)).collect();
            assert_eq!(race(&world, operations).await.into_iter().filter(|first| *first).count(), 1);
            assert!(world.write(use_by(&world.public)).await);
        }
    })
    .await;
}
