//! Rotation is idempotent for the honest, and reuse ends the family.

use std::{sync::Arc, time::Duration};

use doorward_core::{
    client::Client,
    denial::Denial,
    grant::{audience::RequestedAccess, refresh::successor_key},
    refusal::Refusal,
    scope::ScopeSet,
    seal,
    secret::{ExposeSecret, SecretString},
};
use doorward_store::{
    audit::AuditFilter,
    refresh::{FindRefreshToken, RefreshRevocation, RevokeRefreshToken},
    tokens::IsTokenRevoked,
};

use crate::{
    harness::{Ask, on_each_engine},
    world::{World, outcome, race},
};

fn same(left: &SecretString, right: &SecretString) -> bool {
    left.expose_secret() == right.expose_secret()
}

/// A request for some of the granted scopes.
fn asked(scopes: &str) -> Result<RequestedAccess, Refusal> {
    Ok(RequestedAccess { scopes: Some(ScopeSet::parse(scopes).unwrap()), resource: None })
}

async fn seals(world: &World) -> usize {
    let sql = "SELECT id FROM refresh_families WHERE successor_sealed IS NOT NULL AND seal_counts_from IS NULL";
    assert_eq!(world.read(Ask::new(sql, [])).await.len(), 0, "a seal that is never erased");
    let sql = "SELECT id FROM refresh_families WHERE successor_sealed IS NOT NULL";
    world.read(Ask::new(sql, [])).await.len()
}

async fn actions(world: &World) -> Vec<String> {
    let newest = world.newest_events(AuditFilter::default(), 1_000).await;
    newest.into_iter().map(|event| event.action.to_string()).collect()
}

async fn sweep(world: &World) {
    world.sweep(Duration::from_secs(400 * 86_400)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_refreshes_get_the_same_successor() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        for client in [&world.public, &world.confidential] {
            let (mut token, _) = world.sign_in(client).await;
            for _ in 0..4 {
                let operations: Vec<_> = (0..16).map(|_| world.refresh(&token, client, 1)).collect();
                let drawn: Vec<_> = operations.iter().map(|operation| operation.successor.clone()).collect();

                let outcomes = race(&world, operations).await;

                let successors: Vec<_> =
                    outcomes.into_iter().map(|refreshed| refreshed.unwrap().refresh_token).collect();
                assert!(successors.iter().all(|successor| same(successor, &successors[0])));
                // It is the random value of one of them.
                assert_eq!(drawn.iter().filter(|drawn| same(drawn, &successors[0])).count(), 1);
                token = successors[0].clone();
            }
        }
    })
    .await;
}

#[tokio::test]
async fn reuse_ends_the_family_and_every_token_of_the_grant() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        for client in [&world.public, &world.confidential] {
            let (first, issued) = world.sign_in(client).await;
            let second = world.refreshes(&first, client).await.unwrap();
            let third = world.refreshes(&second, client).await.unwrap();

            assert_eq!(world.refreshes(&first, client).await.err(), Some(Denial::RefreshTokenReused));

            for token in [&third, &second, &first] {
                assert_eq!(world.refreshes(token, client).await.err(), Some(Denial::GrantEnded));
            }
            let (id, grant_id) = (issued.claims.id.to_string(), Some(issued.grant.id.to_string()));
            assert!(world.read(IsTokenRevoked { id, grant_id }).await);
            assert!(world.live_grants().await.is_empty());
            assert_eq!(seals(&world).await, 0);
            let reuses = actions(&world).await.into_iter().filter(|action| action == "refresh_token.reused");
            assert_eq!(reuses.count(), 1 + usize::from(client.is_confidential()));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_concurrent_reuses_ends_the_family() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (first, _) = world.sign_in(&world.public).await;
        let second = world.refreshes(&first, &world.public).await.unwrap();
        world.refreshes(&second, &world.public).await.unwrap();
        let operations = (0..8).map(|_| world.refresh(&first, &world.public, 2)).collect();

        let mut denials: Vec<_> =
            race(&world, operations).await.into_iter().map(|outcome| outcome.err().unwrap().denial).collect();

        denials.retain(|denial| *denial != Denial::GrantEnded);
        assert_eq!(denials, [Denial::RefreshTokenReused]);
    })
    .await;
}

#[tokio::test]
async fn a_bound_token_is_repeated_until_its_successor_is_used() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (first, _) = world.sign_in(&world.confidential).await;
        let second = world.refreshes(&first, &world.confidential).await.unwrap();
        world.advance(7 * 86_400);
        sweep(&world).await;
        for address in 2..12 {
            let again = outcome(world.write(world.refresh(&first, &world.confidential, address)).await).unwrap();
            assert!(same(&again, &second));
        }
        world.refreshes(&second, &world.confidential).await.unwrap();
        assert_eq!(world.refreshes(&first, &world.confidential).await.err(), Some(Denial::RefreshTokenReused));
    })
    .await;
}

#[tokio::test]
async fn unbound_token_repeats_for_a_minute_from_its_address() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (first, _) = world.sign_in(&world.public).await;
        let second = world.refreshes(&first, &world.public).await.unwrap();
        let repeat = async |address| outcome(world.write(world.refresh(&first, &world.public, address)).await);

        world.advance(9);
        assert!(same(&repeat(2).await.unwrap(), &second));
        world.advance(1);
        assert_eq!(repeat(2).await.err(), Some(Denial::RefreshTokenGraceOver));
        world.advance(49);
        assert!(same(&repeat(1).await.unwrap(), &second));
        world.advance(1);
        assert_eq!(repeat(1).await.err(), Some(Denial::RefreshTokenGraceOver));

        let signals = actions(&world).await.into_iter().filter(|action| action == "refresh_token.suspicious");
        assert_eq!(signals.count(), 2);
        assert!(world.refreshes(&second, &world.public).await.is_ok());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_repeats_a_day_from_other_addresses_even_in_a_race() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (first, _) = world.sign_in(&world.public).await;
        let second = world.refreshes(&first, &world.public).await.unwrap();

        let operations = (0..12).map(|number| world.refresh(&first, &world.public, 2 + number)).collect();
        let outcomes: Vec<_> = race(&world, operations).await.into_iter().map(outcome).collect();

        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 5);
        for outcome in outcomes {
            match outcome {
                Ok(successor) => assert!(same(&successor, &second)),
                Err(denial) => assert_eq!(denial, Denial::RefreshTokenGraceOver),
            }
        }
        // The rotating address is never counted.
        assert!(same(&world.refreshes(&first, &world.public).await.unwrap(), &second));

        world.advance(86_400);
        let third = world.refreshes(&second, &world.public).await.unwrap();
        let tomorrow = outcome(world.write(world.refresh(&second, &world.public, 9)).await).unwrap();
        assert!(same(&tomorrow, &third));
    })
    .await;
}

#[tokio::test]
async fn another_client_changes_nothing() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (first, issued) = world.sign_in(&world.public).await;
        let second = world.refreshes(&first, &world.public).await.unwrap();
        let third = world.refreshes(&second, &world.public).await.unwrap();
        world.advance(5);
        for token in [&first, &second, &third] {
            let stolen = world.refreshes(token, &world.confidential).await;
            assert_eq!(stolen.err(), Some(Denial::RefreshTokenOfAnotherClient));
        }
        let used = world.live_grants().await[0].last_used_at;
        assert_eq!(used, issued.grant.last_used_at);
        assert!(world.refreshes(&third, &world.public).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_scope_beyond_the_grant_consumes_nothing() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (first, _) = world.sign_in(&world.public).await;
        let mut beyond = world.refresh(&first, &world.public, 1);
        beyond.asked = asked("openid");
        assert_eq!(outcome(world.write(beyond).await).err(), Some(Denial::ScopeExceedsGrant));

        let mut narrowed = world.refresh(&first, &world.public, 1);
        narrowed.asked = asked("notes1:read");
        let successor = narrowed.successor.clone();
        let refreshed = world.write(narrowed).await.unwrap();
        assert_eq!(refreshed.issued.scopes.to_string(), "notes1:read");
        assert!(same(&refreshed.refresh_token, &successor));

        // The successor has all of the grant again.
        let all = world.write(world.refresh(&successor, &world.public, 1)).await.unwrap();
        assert_eq!(all.issued.scopes, world.public.metadata.scope);
    })
    .await;
}

#[tokio::test]
async fn a_seal_is_erased_at_the_first_use_of_the_successor() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        for client in [&world.public, &world.confidential] {
            let before = seals(&world).await;
            let (mut token, _) = world.sign_in(client).await;
            for _ in 0..5 {
                token = world.refreshes(&token, client).await.unwrap();
                assert_eq!(seals(&world).await, before + 1);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn seal_is_swept_when_grace_or_family_ends() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (unbound, _) = world.sign_in(&world.public).await;
        let successor = world.refreshes(&unbound, &world.public).await.unwrap();
        let (bound, _) = world.sign_in(&world.confidential).await;
        world.refreshes(&bound, &world.confidential).await.unwrap();

        world.advance(59);
        sweep(&world).await;
        assert_eq!(seals(&world).await, 2);
        world.advance(1);
        sweep(&world).await;
        assert_eq!(seals(&world).await, 1);
        assert!(world.refreshes(&successor, &world.public).await.is_ok());

        world.advance(180 * 86_400 + 60);
        sweep(&world).await;
        assert_eq!(seals(&world).await, 0);
    })
    .await;
}

#[tokio::test]
async fn seal_opens_only_with_the_predecessor() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (token, _) = world.sign_in(&world.public).await;
        let successor = world.refreshes(&token, &world.public).await.unwrap();
        let mut rows = world.read(Ask::new("SELECT id, successor_sealed FROM refresh_families", [])).await;
        let (family, sealed) = (rows[0].text().unwrap(), rows[0].bytes().unwrap());
        let context = format!("refresh-successor/{family}/0");

        let opened = seal::open(&successor_key(token.expose_secret(), &family, 0), &context, &sealed).unwrap();
        assert_eq!(opened.as_slice(), successor.expose_secret().as_bytes());

        for digest in [world.digest(&token), world.digest(&successor)] {
            assert!(seal::open(digest.digest.as_bytes(), &context, &sealed).is_err());
            let text: String = digest.digest.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
            assert!(seal::open(&successor_key(&text, &family, 0), &context, &sealed).is_err());
        }
    })
    .await;
}

#[tokio::test]
async fn an_idle_or_old_token_is_refused_and_an_unknown_one_too() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (token, _) = world.sign_in(&world.public).await;
        world.advance(30 * 86_400);
        assert_eq!(world.refreshes(&token, &world.public).await.err(), Some(Denial::RefreshTokenExpired));
        let unknown = SecretString::from("dw_rt_unknown");
        assert_eq!(world.refreshes(&unknown, &world.public).await.err(), Some(Denial::RefreshTokenUnknown));
    })
    .await;
}

#[tokio::test]
async fn only_the_live_token_is_active() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let active =
            async |token: &SecretString| world.read(FindRefreshToken { candidates: vec![world.digest(token)] }).await;
        let (first, issued) = world.sign_in(&world.public).await;
        let found = active(&first).await.unwrap();
        assert_eq!((found.grant.id, found.issued_at), (issued.grant.id, world.now()));
        let second = world.refreshes(&first, &world.public).await.unwrap();
        assert!(active(&first).await.is_none());
        assert!(active(&second).await.is_some());
        let revoke = |token, client: &Arc<Client>| RevokeRefreshToken {
            candidates: vec![world.digest(token)],
            client: client.clone(),
            now: world.now(),
            audit: world.audit(),
        };

        assert_eq!(world.write(revoke(&second, &world.confidential)).await, RefreshRevocation::OfAnotherClient);
        assert!(active(&second).await.is_some());
        // A predecessor ends its family.
        assert_eq!(world.write(revoke(&first, &world.public)).await, RefreshRevocation::Ended);
        assert!(active(&second).await.is_none());
        assert_eq!(world.refreshes(&second, &world.public).await.err(), Some(Denial::GrantEnded));
        assert_eq!(world.write(revoke(&first, &world.public)).await, RefreshRevocation::Ended);
        let unknown = SecretString::from("dw_rt_unknown");
        assert_eq!(world.write(revoke(&unknown, &world.public)).await, RefreshRevocation::Unknown);
        let revocations = actions(&world).await.into_iter().filter(|action| action == "refresh_token.revoked");
        assert_eq!(revocations.count(), 1);
    })
    .await;
}
