//! Ending a grant ends everything that came from it, even in a race.

use std::{sync::Arc, time::Duration};

use doorward_core::{
    client::{Client, GrantType},
    client_metadata::ClientMetadata,
    denial::Denial,
    id::{ClientId, GrantId},
    scope::ScopeSet,
    secret::SecretString,
};
use doorward_store::{
    ChangeKind,
    authorization::{Answer, MAX_UNREDEEMED_CODES},
    clients::{ChangeClient, ClientChange, CreateClient, FindClient},
    codes::Issued,
    grants::{ClientAccess, DisconnectClient, EndGrants, FindConsent, ListClientAccess},
    tokens::IsTokenRevoked,
    users::{ChangeUser, CreateUser, UserChange},
};

use crate::{
    harness::{Ask, Recorded, Run, on_each_engine},
    world::{Given, World, outcome},
};

fn disconnect(world: &World) -> DisconnectClient {
    DisconnectClient {
        user_id: world.user.id.clone(),
        within: world.session().id,
        client_id: world.public.id.clone(),
        now: world.now(),
        audit: world.audit(),
    }
}

fn change_client(world: &World, change: ClientChange) -> ChangeClient {
    ChangeClient { id: world.public.id.clone(), change, now: world.now(), audit: world.audit() }
}

fn change_user(world: &World, change: UserChange) -> ChangeUser {
    ChangeUser { id: world.user.id.clone(), change, now: world.now(), audit: world.audit() }
}

pub(crate) async fn assert_ended(world: &World, token: &SecretString, issued: &Issued) {
    assert_eq!(world.refreshes(token, &world.public).await.err(), Some(Denial::GrantEnded));
    let (id, grant_id) = (issued.claims.id.to_string(), Some(issued.grant.id.to_string()));
    assert!(world.read(IsTokenRevoked { id, grant_id }).await);
    assert!(!world.live_grants().await.iter().any(|grant| grant.id == issued.grant.id));
}

/// The grants that the log of changes names after a position.
pub(crate) async fn announced(world: &World, position: i64) -> Vec<String> {
    let changes = world.store.changes_after(position, 100).await.unwrap();
    changes.into_iter().filter(|change| change.kind == Some(ChangeKind::Grant)).map(|change| change.subject).collect()
}

#[tokio::test]
async fn disconnecting_a_client_ends_the_users_grants_and_consent() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (first, first_issued) = world.sign_in(&world.public).await;
        let (second, second_issued) = world.sign_in(&world.public).await;
        let (kept, _) = world.sign_in(&world.confidential).await;
        let consent = async |client: &doorward_core::client::Client| {
            world.read(FindConsent { user_id: world.user.id.clone(), client_id: client.id.clone() }).await
        };
        assert_eq!(consent(&world.public).await, Some(world.public.metadata.scope.clone()));
        let position = world.store.position().await.unwrap();

        assert_eq!(world.write(disconnect(&world)).await, Ok(2));

        assert_ended(&world, &first, &first_issued).await;
        assert_ended(&world, &second, &second_issued).await;
        assert_eq!(consent(&world.public).await, None);
        assert_eq!(consent(&world.confidential).await, Some(world.confidential.metadata.scope.clone()));
        assert!(world.refreshes(&kept, &world.confidential).await.is_ok());
        let mut named = announced(&world, position).await;
        named.sort();
        let mut expected = [first_issued.grant.id.to_string(), second_issued.grant.id.to_string()];
        expected.sort();
        assert_eq!(named, expected);
        assert_eq!(world.write(disconnect(&world)).await, Ok(0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_refreshed_once_a_disconnection_was_answered() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        for _ in 0..20 {
            let (token, issued) = world.sign_in(&world.public).await;
            let (refreshed, ended) = tokio::join!(
                world.store.write(world.refresh(&token, &world.public, 1)),
                world.other.write(disconnect(&world))
            );
            assert_eq!(ended.unwrap(), Ok(1));
            match outcome(refreshed.unwrap()) {
                Ok(successor) => assert_ended(&world, &successor, &issued).await,
                Err(denial) => assert_eq!(denial, Denial::GrantEnded),
            }
            assert_ended(&world, &token, &issued).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consent_during_a_disconnection_keeps_no_earlier_scopes() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        for _ in 0..10 {
            world.give(&world.public).await;
            let (mut answer, _) = world.allow(&world.public);
            let narrow = ScopeSet::parse("notes1:read").unwrap();
            if let Answer::Allow { grant, remember, .. } = &mut answer.answer {
                (grant.scopes, *remember) = (narrow.clone(), Some(narrow.clone()));
            }
            let (answered, ended) = tokio::join!(world.store.write(answer), world.other.write(disconnect(&world)));
            assert!(answered.unwrap());
            let consent = FindConsent { user_id: world.user.id.clone(), client_id: world.public.id.clone() };
            match world.read(consent).await {
                // The disconnection came last, and ended both grants, or first, and only the new one is there.
                None => assert_eq!(ended.unwrap(), Ok(2)),
                Some(scopes) => assert_eq!((scopes, ended.unwrap()), (narrow, Ok(1))),
            }
            world.write(disconnect(&world)).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn disabling_a_client_ends_its_grants_for_good() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (token, issued) = world.sign_in(&world.public).await;
        let find = FindClient { id: world.public.id.clone() };

        assert!(world.write(change_client(&world, ClientChange::Disable)).await);
        assert_eq!(world.read(find.clone()).await.unwrap().disabled_at, Some(world.now()));
        assert_ended(&world, &token, &issued).await;

        assert!(world.write(change_client(&world, ClientChange::Enable)).await);
        assert_eq!(world.read(find).await.unwrap().disabled_at, None);
        assert_ended(&world, &token, &issued).await;
    })
    .await;
}

#[tokio::test]
async fn grants_of_a_disabled_client_end_by_one_row_then_in_steps() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let step = usize::try_from(EndGrants::STEP).unwrap();
        let (token, issued) = world.sign_in(&world.public).await;
        for _ in 0..step {
            world.sign_in(&world.public).await;
        }
        let (kept, _) = world.sign_in(&world.confidential).await;
        let open = async |sql| world.read(Ask::new(sql, [])).await.len();
        let grants = "SELECT id FROM grants WHERE ended_at IS NULL";
        let families = "SELECT id FROM refresh_families WHERE ended_at IS NULL";
        assert_eq!((open(grants).await, open(families).await), (step + 2, step + 2));

        let (changed, statements) = world.write(Recorded(change_client(&world, ClientChange::Disable))).await;
        assert!(changed);
        assert!(statements.iter().all(|(sql, _)| !sql.contains("UPDATE grants")), "{statements:?}");
        assert_ended(&world, &token, &issued).await;
        world.write(change_client(&world, ClientChange::Enable)).await;
        world.advance(1);
        let (new, _) = world.sign_in(&world.public).await;

        assert!(!world.write(EndGrants).await);
        assert_eq!(open(grants).await, 3, "a step, of all but the new one and the other client's");
        assert!(!world.write(EndGrants).await);
        assert_eq!((open(grants).await, open(families).await), (2, 2));
        assert!(world.write(EndGrants).await, "nothing is left");

        assert_ended(&world, &token, &issued).await;
        assert!(world.refreshes(&kept, &world.confidential).await.is_ok());
        assert!(world.refreshes(&new, &world.public).await.is_ok());
    })
    .await;
}

/// Of two servers that end the same grants, the second finds them ended. That says nothing of those that are left.
#[tokio::test]
async fn servers_that_end_grants_at_the_same_time_leave_none() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        for _ in 0..2 * EndGrants::STEP {
            world.sign_in(&world.public).await;
        }
        world.write(change_client(&world, ClientChange::Delete)).await;
        // A consent of each of many users.
        for number in 0..2 * EndGrants::STEP {
            let user = world.fresh_user(&format!("user {number}"));
            let consent = Run::new(
                "INSERT INTO consents (user_id, client_id, scopes, given_at) VALUES ($1, $2, 'openid', 0)",
                [user.id.as_str().into(), world.public.id.as_str().into()],
            );
            world.write(CreateUser { user, audit: world.audit() }).await;
            world.write(consent).await;
        }

        let end = async || world.write(EndGrants).await;
        while let (false, ..) | (_, false, ..) = tokio::join!(end(), end(), end(), end()) {}

        for sql in [
            "SELECT id FROM grants WHERE ended_at IS NULL",
            "SELECT id FROM refresh_families WHERE ended_at IS NULL",
            "SELECT user_id FROM consents",
        ] {
            assert_eq!(world.read(Ask::new(sql, [])).await.len(), 0, "{sql}");
        }
    })
    .await;
}

/// The clocks of nodes differ, and of commands.
#[tokio::test]
async fn grant_with_a_future_time_ends_with_client_and_user() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        world.advance(3_600);
        let (token, issued) = world.sign_in(&world.public).await;
        let earlier = world.now().minus(Duration::from_secs(3_600));
        let of_client = |change| ChangeClient { now: earlier, ..change_client(&world, change) };
        world.write(of_client(ClientChange::Disable)).await;
        world.write(of_client(ClientChange::Enable)).await;
        assert_ended(&world, &token, &issued).await;
        while !world.write(EndGrants).await {}
        assert_ended(&world, &token, &issued).await;

        world.advance(1);
        let (token, issued) = world.sign_in(&world.public).await;
        let of_user = |change| ChangeUser { now: earlier, ..change_user(&world, change) };
        world.write(of_user(UserChange::Disable)).await;
        world.write(of_user(UserChange::Enable)).await;
        assert_ended(&world, &token, &issued).await;
    })
    .await;
}

#[tokio::test]
async fn consents_of_a_deleted_client_go_with_its_grants() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        world.sign_in(&world.public).await;
        world.write(change_client(&world, ClientChange::Delete)).await;
        while !world.write(EndGrants).await {}
        let consent = FindConsent { user_id: world.user.id.clone(), client_id: world.public.id.clone() };
        assert_eq!(world.read(consent).await, None);
    })
    .await;
}

/// `apply` creates a client with the id of one that was deleted, maybe on a node whose clock is behind.
#[tokio::test]
async fn consent_given_to_a_deleted_client_is_not_its_successors() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        world.sign_in(&world.public).await;
        world.write(change_client(&world, ClientChange::Delete)).await;
        let created_at = world.now().minus(Duration::from_secs(3_600));
        let client = Client { created_at, ..Client::clone(&world.public) };
        world.write(CreateClient { client, audit: world.audit() }).await;
        let consent = async || {
            let consent = FindConsent { user_id: world.user.id.clone(), client_id: world.public.id.clone() };
            let list = ListClientAccess { user_id: world.user.id.clone(), now: world.now(), limit: 100 };
            (world.read(consent).await, world.read(list).await.iter().filter(|one| one.last_used_at.is_none()).count())
        };
        assert_eq!(consent().await, (None, 0));
        while !world.write(EndGrants).await {}
        assert_eq!(consent().await, (None, 0));

        world.advance(1);
        world.sign_in(&world.public).await;
        assert_eq!(consent().await, (Some(world.public.metadata.scope.clone()), 1));
    })
    .await;
}

/// A client can have a consent of each of a million users.
#[tokio::test]
async fn ending_grants_of_a_disabled_client_reads_no_consents() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        world.sign_in(&world.public).await;
        world.write(change_client(&world, ClientChange::Disable)).await;

        let (nothing_left, statements) = world.write(Recorded(EndGrants)).await;

        assert!(!nothing_left);
        assert!(statements.iter().all(|(sql, _)| !sql.contains("consents")), "{statements:?}");
        let consent = FindConsent { user_id: world.user.id.clone(), client_id: world.public.id.clone() };
        assert!(world.read(consent).await.is_some());
    })
    .await;
}

#[tokio::test]
async fn deleting_a_client_ends_its_grants_and_is_done_once() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (token, issued) = world.sign_in(&world.public).await;

        assert!(world.write(change_client(&world, ClientChange::Delete)).await);

        assert!(world.read(FindClient { id: world.public.id.clone() }).await.is_none());
        assert_ended(&world, &token, &issued).await;
        assert!(!world.write(change_client(&world, ClientChange::Delete)).await);
    })
    .await;
}

#[tokio::test]
async fn disabling_a_user_ends_every_grant_of_the_user() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (token, issued) = world.sign_in(&world.public).await;
        let (other, _) = world.sign_in(&world.confidential).await;

        assert!(world.write(change_user(&world, UserChange::Disable)).await);

        assert_ended(&world, &token, &issued).await;
        assert_eq!(world.refreshes(&other, &world.confidential).await.err(), Some(Denial::GrantEnded));
        assert!(world.live_grants().await.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_to_end_a_grant_at_once_ends_it_once() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        for _ in 0..5 {
            let position = world.store.position().await.unwrap();
            let mut given: Vec<GrantId> = Vec::new();
            for _ in 0..3 {
                given.push(world.sign_in(&world.public).await.1.grant.id);
            }
            let (a, b, c) = tokio::join!(
                world.store.write(disconnect(&world)),
                world.other.write(change_client(&world, ClientChange::Disable)),
                world.store.write(change_user(&world, UserChange::Disable))
            );
            assert!(a.is_ok() && b.unwrap() && c.unwrap());
            let mut named = announced(&world, position).await;
            named.sort();
            let mut expected: Vec<_> = given.iter().map(ToString::to_string).collect();
            expected.sort();
            assert_eq!(named, expected);
            world.write(change_user(&world, UserChange::Enable)).await;
            world.write(change_client(&world, ClientChange::Enable)).await;
            world.advance(1);
        }
    })
    .await;
}

#[tokio::test]
async fn codes_beyond_the_bound_end_the_oldest_that_wait() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (kept, _) = world.sign_in(&world.public).await;
        let other = world.give(&world.confidential).await;
        let mut given = Vec::new();
        for _ in 0..=MAX_UNREDEEMED_CODES {
            world.advance(1);
            given.push(world.give(&world.public).await);
        }
        let position = world.store.position().await.unwrap();
        let redeemed = async |given: &Given| {
            world.write(world.redeem(given).0).await.map(|_| ()).map_err(|refusal| refusal.denial)
        };
        assert_eq!(redeemed(&given[0]).await, Err(Denial::GrantEnded));
        assert_eq!(redeemed(&given[1]).await, Ok(()));
        assert_eq!(redeemed(&other).await, Ok(()), "another client's codes are counted for themselves");
        assert!(world.refreshes(&kept, &world.public).await.is_ok(), "what was redeemed is not counted");
        assert!(announced(&world, position).await.is_empty(), "nobody holds anything of a code that waits");
    })
    .await;
}

#[tokio::test]
async fn grant_lives_on_from_its_redemption() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let once = Client {
            id: ClientId::new(world.now(), &world.rng),
            metadata: ClientMetadata {
                grant_types: [GrantType::AuthorizationCode].into(),
                ..world.public.metadata.clone()
            },
            ..(*world.public).clone()
        };
        let once = Arc::new(once);
        world.write(CreateClient { client: (*once).clone(), audit: world.audit() }).await;
        let give = async |client: &Arc<Client>| {
            let (mut operation, given) = world.allow(client);
            if let Answer::Allow { grant, code, .. } = &mut operation.answer {
                grant.expires_at = code.expires_at;
            }
            assert!(world.write(operation).await);
            given
        };
        let [unredeemed, refreshing, at_once] =
            [give(&world.public).await, give(&world.public).await, give(&once).await];
        for given in [&refreshing, &at_once] {
            world.write(world.redeem(given).0).await.unwrap();
        }
        let live = async || world.live_grants().await.into_iter().map(|grant| grant.id).collect::<Vec<_>>();
        world.advance(60);
        let alive = live().await;
        assert!(!alive.contains(&unredeemed.grant), "it ended with its code");
        assert!(alive.contains(&refreshing.grant) && alive.contains(&at_once.grant));
        // Five minutes, as its access token.
        world.advance(240);
        assert_eq!(live().await, [refreshing.grant]);
    })
    .await;
}

#[tokio::test]
async fn access_list_has_clients_with_live_grants_or_consents() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let list = async || {
            let list = ListClientAccess { user_id: world.user.id.clone(), now: world.now(), limit: 100 };
            world.read(list).await
        };
        assert!(list().await.is_empty());
        let began = world.now();
        world.sign_in(&world.public).await;
        world.advance(5);
        world.sign_in(&world.public).await;
        let scopes = world.public.metadata.scope.clone();
        let by = |last_used_at, since| ClientAccess {
            client_id: world.public.id.clone(),
            scopes: scopes.clone(),
            since,
            newest: began.plus(std::time::Duration::from_secs(5)),
            last_used_at,
        };
        let of_grants = by(Some(world.now()), began);
        let of_consent = by(None, world.now());
        assert_eq!(list().await, [of_grants, of_consent.clone()], "one entry for all grants of the same scopes");
        world.advance(200 * 86_400);
        assert_eq!(list().await, [of_consent], "the consent outlives them");
        world.write(disconnect(&world)).await.unwrap();
        assert!(list().await.is_empty());
    })
    .await;
}
