//! What has ended is removed in small steps; what still means something stays.

use std::time::Duration;

use doorward_core::{
    checksummed,
    clock::Timestamp,
    denial::Denial,
    id::{AuditId, TokenId},
};
use doorward_store::{
    Operation, Urgency,
    apis::DeleteApi,
    assertions::UseAssertion,
    audit::AuditContext,
    grants::{DisconnectClient, EndGrants},
    sessions::{BeginSession, EndSessions, WhichSessions},
    sweep::{Sweep, Swept},
    tokens::{IsTokenRevoked, RevokeAccessToken},
    users::DeleteUser,
};

use crate::{
    harness::{Ask, Plan, Recorded, on_each_engine},
    world::World,
};

const DAY: u64 = 86_400;

/// A step takes hundreds of statements. What is cut off after as long as a request may take is never done where each
/// statement is slow.
#[test]
fn sweeping_and_ending_have_no_deadline_of_a_request() {
    assert_eq!(Sweep::URGENCY, Urgency::Patient);
    assert_eq!(EndGrants::URGENCY, Urgency::Patient);
}

async fn swept(world: &World) -> u64 {
    world.sweep(Duration::from_secs(10 * DAY)).await
}

async fn rows(world: &World, sql: &'static str) -> usize {
    world.read(Ask::new(sql, [])).await.len()
}

#[tokio::test]
async fn nothing_that_lives_is_removed() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (token, issued) = world.sign_in(&world.public).await;
        let open = world.give(&world.public).await;
        let id = TokenId::new(world.now(), &world.rng).to_string();
        let expires_at = world.now().plus(Duration::from_secs(300));
        let audit = world.audit();
        world.write(RevokeAccessToken { id: id.clone(), expires_at, now: world.now(), audit }).await;

        // The end of the revoked token, with all the skew that a verifier may allow.
        world.advance(50);
        assert_eq!(swept(&world).await, 0);
        assert!(world.write(world.redeem(&open).0).await.is_ok());
        world.advance(250 + 60);
        assert_eq!(swept(&world).await, 0);
        assert!(world.read(IsTokenRevoked { id, grant_id: Some(issued.grant.id.to_string()) }).await);
        assert!(world.refreshes(&token, &world.public).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn everything_that_has_ended_is_gone_in_the_end() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        for client in [&world.public, &world.confidential] {
            let (mut token, _) = world.sign_in(client).await;
            for _ in 0..3 {
                token = world.refreshes(&token, client).await.unwrap();
            }
        }
        let expires_at = world.now();
        let id = TokenId::new(world.now(), &world.rng).to_string();
        let audit = world.audit();
        world.write(RevokeAccessToken { id, expires_at, now: world.now(), audit }).await;
        let client_id = world.confidential.id.clone();
        world.write(UseAssertion { client_id, id: "jti".to_owned(), expires_at }).await;
        let (left_open, _) = crate::sessions::begin(&world, None);
        world.write(left_open).await.unwrap();
        let session = world.session();
        let digest = world.digest(&checksummed::random_text(32, &world.rng));
        let (within, which) = (session.id.clone(), WhichSessions::Own);
        let audit = world.audit();
        let password_hash = world.user.password_hash.clone();
        world.write(BeginSession { session, digest, password_hash, replaces: None, most: 10, audit }).await.unwrap();
        let (user_id, audit) = (world.user.id.clone(), world.audit());
        assert_eq!(world.write(EndSessions { user_id, within, which, now: world.now(), audit }).await, Ok(1));

        world.advance(182 * DAY);
        while swept(&world).await > 0 {}

        for sql in [
            "SELECT id FROM revoked_tokens",
            "SELECT id FROM assertion_ids",
            "SELECT digest FROM codes",
            "SELECT digest FROM refresh_tokens",
            "SELECT id FROM refresh_families",
            "SELECT id FROM grants",
            "SELECT id FROM sessions",
            "SELECT id FROM audit",
            "SELECT position FROM changes",
        ] {
            assert_eq!(rows(&world, sql).await, 0, "{sql}");
        }
        assert_eq!(rows(&world, "SELECT id FROM users").await, 1);
        assert!(world.store.position().await.unwrap() > 0);
    })
    .await;
}

#[tokio::test]
async fn tokens_of_an_ended_family_are_swept_and_stay_refused() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (token, issued) = world.sign_in(&world.public).await;
        let (kept, _) = world.sign_in(&world.confidential).await;
        let (user_id, client_id) = (world.user.id.clone(), world.public.id.clone());
        let audit = world.audit();
        let within = world.session().id;
        world.write(DisconnectClient { user_id, within, client_id, now: world.now(), audit }).await.unwrap();

        swept(&world).await;
        assert_eq!(world.refreshes(&token, &world.public).await.err(), Some(Denial::GrantEnded));
        world.advance(DAY + 1);
        swept(&world).await;

        assert_eq!(world.refreshes(&token, &world.public).await.err(), Some(Denial::RefreshTokenUnknown));
        let (id, grant_id) = (issued.claims.id.to_string(), Some(issued.grant.id.to_string()));
        assert!(world.read(IsTokenRevoked { id, grant_id }).await);
        assert!(world.refreshes(&kept, &world.confidential).await.is_ok());
    })
    .await;
}

/// All families of a disabled client end at the same time, so an order among those would be computed again in each
/// step.
#[tokio::test]
async fn sweeping_sorts_no_rows() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        world.sign_in(&world.confidential).await;
        let gone = World::seeded(&database, 2).await;
        let (now, audit) = (gone.now(), gone.audit());
        gone.write(DeleteApi { id: gone.api.id.clone(), now, audit: audit.clone() }).await;
        let audit = AuditContext { id: AuditId::new(now, &gone.rng), ..audit };
        gone.write(DeleteUser { id: gone.user.id.clone(), now, audit }).await;
        while !world.write(EndGrants).await {}
        world.advance(10 * DAY);
        for what in Swept::ALL {
            let (_, statements) = world.write(Recorded(world.sweep_of(what))).await;
            assert!(!statements.is_empty(), "{what:?}");
            for of in statements {
                let sql = of.0;
                let plan = world.write(Plan { of, is_sqlite: database.sqlite_file().is_some() }).await;
                let sorts = plan.iter().any(|step| step.contains("ORDER BY") || step.contains("Sort"));
                assert!(!sorts, "{sql}\n{plan:#?}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_family_of_more_tokens_than_a_step_goes_in_several() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let tokens = usize::try_from(Sweep::STEP).unwrap() + 20;
        let (mut token, _) = world.sign_in(&world.confidential).await;
        let oldest = token.clone();
        for _ in 1..tokens {
            token = world.refreshes(&token, &world.confidential).await.unwrap();
        }
        let (user_id, client_id) = (world.user.id.clone(), world.confidential.id.clone());
        let audit = world.audit();
        let within = world.session().id;
        world.write(DisconnectClient { user_id, within, client_id, now: world.now(), audit }).await.unwrap();
        world.advance(DAY + 1);

        assert_eq!(rows(&world, "SELECT digest FROM refresh_tokens").await, tokens);
        assert!(swept(&world).await >= Sweep::STEP as u64);
        assert_eq!(rows(&world, "SELECT digest FROM refresh_tokens").await, 20);
        assert_eq!(world.refreshes(&token, &world.confidential).await.err(), Some(Denial::RefreshTokenUnknown));
        assert_eq!(world.refreshes(&oldest, &world.confidential).await.err(), Some(Denial::GrantEnded));
        assert!(swept(&world).await > 20);
        for sql in ["SELECT digest FROM refresh_tokens", "SELECT id FROM refresh_families"] {
            assert_eq!(rows(&world, sql).await, 0, "{sql}");
        }
    })
    .await;
}

#[tokio::test]
async fn one_sweep_takes_a_step_and_no_more() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let step = usize::try_from(Sweep::STEP).unwrap();
        for number in 0..step + 10 {
            let operation = UseAssertion {
                client_id: world.public.id.clone(),
                id: number.to_string(),
                expires_at: Timestamp::from_millis(0),
            };
            assert!(world.write(operation).await);
        }
        assert_eq!(swept(&world).await, Sweep::STEP as u64);
        assert_eq!(swept(&world).await, 10);
        assert_eq!(swept(&world).await, 0);
    })
    .await;
}
