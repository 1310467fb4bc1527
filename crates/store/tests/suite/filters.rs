//! Filters of lists: each combination gives what matches, page by page, in the order of the whole list.

use std::fmt::Debug;

use doorward_core::{
    api::Role,
    holder::{Holder, Owner},
    id::{ClientId, GrantId, SessionId, UserId},
};
use doorward_store::{
    authorization::Answer,
    clients::{ChangeClient, ClientChange, ClientFilter, ListClients},
    grants::{FindGrant, GrantFilter, GrantPage, ListGrants, RevokeGrant},
    keys::{KeyFilter, KeyRecord, ListKeys},
    roles::{ChangeRole, ListRoleGrants, RoleFilter, RoleGrant},
    sessions::{BeginSession, EndSession, ListSessions, SessionFilter, SessionRecord},
    users::{ChangeUser, CreateUser, ListUsers, UserChange, UserFilter, UserRecord},
};

use crate::{
    harness::{Run, on_each_engine},
    keys,
    lists::{new_api, new_client, pages},
    sessions,
    world::World,
};

/// Every value of a filter's member, with the one that lets everything pass.
pub(crate) fn each<T, const N: usize>(values: [T; N]) -> Vec<Option<T>> {
    std::iter::once(None).chain(values.map(Some)).collect()
}

/// Asserts that a filtered list has that of the whole list which matches, and that this is something.
fn assert_list<T: PartialEq + Debug + Clone>(found: Vec<T>, all: &[T], matches: &[bool], filter: impl Debug) {
    let wanted: Vec<_> = all.iter().zip(matches).filter(|(_, matches)| **matches).map(|(id, _)| id.clone()).collect();
    assert!(!wanted.is_empty(), "{filter:?} matches nothing here");
    assert_eq!(found, wanted, "{filter:?}");
}

/// A row that a newer program wrote.
async fn spoil(world: &World, sql: &'static str, id: &str) {
    assert_eq!(world.write(Run::new(sql, [id.into()])).await, 1);
}

async fn new_user(world: &World, number: usize) -> UserRecord {
    world.advance(1);
    let id = UserId::new(world.now(), &world.rng);
    let user = UserRecord { id, created_at: world.now(), ..world.fresh_user(&format!("user {number}")) };
    world.write(CreateUser { user: user.clone(), audit: world.audit() }).await;
    user
}

async fn disable_client(world: &World, id: &ClientId) {
    let (id, now, audit) = (id.clone(), world.now(), world.audit());
    assert!(world.write(ChangeClient { id, change: ClientChange::Disable, now, audit }).await);
}

#[tokio::test]
async fn clients_are_filtered_by_whether_they_are_disabled() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (mut all, mut disabled) = (vec![world.confidential.id.clone(), world.public.id.clone()], vec![false; 2]);
        all.sort();
        for number in 0..9 {
            let client = new_client(&world).await;
            if number % 3 == 0 {
                spoil(&world, "UPDATE clients SET metadata = '1' WHERE id = $1", client.id.as_str()).await;
                continue;
            }
            if number % 2 == 0 {
                disable_client(&world, &client.id).await;
            }
            all.push(client.id);
            disabled.push(number % 2 == 0);
        }
        // The credential of an API is no client of this list, disabled or not.
        let api = new_api(&world, "another").await;
        spoil(&world, "UPDATE clients SET disabled_at = 1 WHERE api_id = $1", api.id.as_str()).await;

        for wanted in each([true, false]) {
            let filter = ClientFilter { disabled: wanted };
            let page = |last: Option<&doorward_core::client::Client>| ListClients {
                filter: filter.clone(),
                after: last.map(|client| client.id.clone()),
                limit: 2,
            };
            let found = pages(&world, page).await.into_iter().map(|client| client.id).collect();
            let matches: Vec<_> = disabled.iter().map(|is| wanted.is_none_or(|wanted| wanted == *is)).collect();
            assert_list(found, &all, &matches, &filter);
        }
    })
    .await;
}

#[tokio::test]
async fn users_are_filtered_by_whether_they_are_disabled() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (mut all, mut disabled) = (vec![world.user.id.clone()], vec![false]);
        for number in 0..9 {
            let id = new_user(&world, number).await.id;
            if number % 3 == 0 {
                spoil(&world, "UPDATE users SET metadata = '1' WHERE id = $1", id.as_str()).await;
                continue;
            }
            if number % 2 == 0 {
                let (id, now, audit) = (id.clone(), world.now(), world.audit());
                assert!(world.write(ChangeUser { id, change: UserChange::Disable, now, audit }).await);
            }
            all.push(id);
            disabled.push(number % 2 == 0);
        }
        for wanted in each([true, false]) {
            let filter = UserFilter { disabled: wanted, username: None };
            let after = |user: &UserRecord| user.id.clone();
            let page = |last: Option<&_>| ListUsers { filter: filter.clone(), after: last.map(after), limit: 2 };
            let found = pages(&world, page).await.iter().map(after).collect();
            let matches: Vec<_> = disabled.iter().map(|is| wanted.is_none_or(|wanted| wanted == *is)).collect();
            assert_list(found, &all, &matches, &filter);
        }
    })
    .await;
}

#[tokio::test]
async fn keys_are_filtered_by_owner_and_revocation() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let owners = [Owner::User(world.user.id.clone()), Owner::Client(world.public.id.clone())];
        let mut all = Vec::new();
        for number in 0..24 {
            world.advance(1);
            let owner = [None, Some(owners[0].clone()), Some(owners[1].clone())][number % 3].clone();
            let revoked_at = (number % 2 == 0).then_some(world.now());
            let key = KeyRecord { owner, revoked_at, ..keys::key(&world, &format!("key {number}")) };
            let key = keys::created(&world, key).await;
            if (6..12).contains(&number) {
                spoil(&world, "UPDATE api_keys SET metadata = '1' WHERE id = $1", key.id.as_str()).await;
            } else {
                all.push(key);
            }
        }
        let ids: Vec<_> = all.iter().map(|key| key.id.clone()).collect();
        for owner in each(owners.clone()) {
            for revoked in each([true, false]) {
                let filter = KeyFilter { owner: owner.clone(), revoked };
                let after = |key: &KeyRecord| key.id.clone();
                let page = |last: Option<&_>| ListKeys { filter: filter.clone(), after: last.map(after), limit: 2 };
                let found = pages(&world, page).await.iter().map(after).collect();
                let matches = |key: &KeyRecord| {
                    revoked.is_none_or(|revoked| revoked == key.revoked_at.is_some())
                        && (owner.is_none() || owner == key.owner)
                };
                assert_list(found, &ids, &all.iter().map(matches).collect::<Vec<_>>(), &filter);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn role_grants_are_filtered_by_holder_api_and_role() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let users = [new_user(&world, 1).await.id, new_user(&world, 2).await.id];
        let holders =
            [Holder::Client(world.public.id.clone()), Holder::User(users[0].clone()), Holder::User(users[1].clone())];
        let apis = [world.api.id.clone(), new_api(&world, "second").await.id, new_api(&world, "third").await.id];
        let roles = ["admin", "reader", "writer"].map(|role| Role::parse(role).unwrap());
        for holder in &holders {
            for api in &apis {
                for role in &roles {
                    let (holder, api, role) = (holder.clone(), api.clone(), role.clone());
                    let (now, audit) = (world.now(), world.audit());
                    world.write(ChangeRole { holder, api, role, is_granted: true, now, audit }).await;
                }
            }
        }
        // Of a kind of holder that a newer program knows, before and between the others.
        for newer in ["a_1", "cli_x", "usr_x"] {
            for api in &apis {
                let sql = "INSERT INTO role_grants (holder, api_id, role, created_at) VALUES ($1, $2, 'reader', 0)";
                world.write(Run::new(sql, [newer.into(), api.as_str().into()])).await;
            }
        }
        // A name can be read whatever else is registered.
        let sql = "UPDATE users SET metadata = '{\"username\":\"grace\",\"email\":{\"newer\":1}}' WHERE id = $1";
        spoil(&world, sql, users[1].as_str()).await;

        let place = |grant: &RoleGrant| (grant.holder.clone(), grant.api.clone(), grant.role.clone());
        let list = async |filter: &RoleFilter| {
            let page = |last: Option<&_>| ListRoleGrants { filter: filter.clone(), after: last.map(place), limit: 2 };
            pages(&world, page).await
        };
        let all = list(&RoleFilter::default()).await;
        assert_eq!(all.len(), 27);
        assert!(all.iter().any(|grant| grant.username.as_deref() == Some("grace")));
        let places: Vec<_> = all.iter().map(place).collect();
        for holder in each(holders.clone()) {
            for api in each(apis.clone()) {
                for role in each(roles.clone()) {
                    let filter = RoleFilter { holder: holder.clone(), api: api.clone(), role: role.clone() };
                    let matches = |grant: &RoleGrant| {
                        holder.as_ref().is_none_or(|holder| *holder == grant.holder)
                            && api.as_ref().is_none_or(|api| *api == grant.api)
                            && role.as_ref().is_none_or(|role| *role == grant.role)
                    };
                    let found = list(&filter).await.iter().map(place).collect();
                    assert_list(found, &places, &all.iter().map(matches).collect::<Vec<_>>(), &filter);
                }
            }
        }
        // A place in another list leads to nothing that the filter excludes.
        let filter = RoleFilter { holder: Some(holders[1].clone()), ..RoleFilter::default() };
        let after = Some((holders[0].clone(), apis[0].clone(), roles[0].clone()));
        let found = world.read(ListRoleGrants { filter, after, limit: 100 }).await;
        assert!(!found.is_empty() && found.iter().all(|grant| grant.holder == holders[1]));
    })
    .await;
}

#[tokio::test]
async fn sessions_that_were_not_ended_are_filtered_by_user() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let users = [world.user.clone(), new_user(&world, 1).await];
        let mut all = Vec::new();
        for number in 0..16 {
            world.advance(1);
            let user = &users[number % 2];
            let (mut begin, _) = sessions::begin(&world, None);
            begin.session.id = SessionId::new(world.now(), &world.rng);
            begin.session.user_id = user.id.clone();
            let session = begin.session.clone();
            world.write(BeginSession { most: 100, ..begin }).await.unwrap();
            let id = session.id.clone();
            match number / 4 {
                1 => spoil(&world, "UPDATE sessions SET authentications = '1' WHERE id = $1", id.as_str()).await,
                2 => assert!(world.write(EndSession { id, now: world.now(), audit: world.audit() }).await),
                _ => all.push(session),
            }
        }
        let ids: Vec<_> = all.iter().map(|session| session.id.clone()).collect();
        for user_id in each(users.clone().map(|user| user.id)) {
            let filter = SessionFilter { user_id: user_id.clone() };
            let after = |session: &SessionRecord| session.id.clone();
            let page = |last: Option<&_>| ListSessions { filter: filter.clone(), after: last.map(after), limit: 2 };
            let found = pages(&world, page).await.iter().map(after).collect();
            let matches = |session: &SessionRecord| user_id.as_ref().is_none_or(|user| *user == session.user_id);
            assert_list(found, &ids, &all.iter().map(matches).collect::<Vec<_>>(), &filter);
        }
    })
    .await;
}

/// Reads a list of grants two at a time, by the places that its pages name.
async fn grant_pages(world: &World, filter: &GrantFilter) -> Vec<GrantId> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let list = ListGrants { filter: filter.clone(), now: world.now(), after, limit: 2 };
        let GrantPage { grants, next } = world.read(list).await;
        assert!(grants.len() <= 2);
        all.extend(grants.into_iter().map(|grant| grant.id));
        after = next;
        if after.is_none() {
            return all;
        }
    }
}

#[tokio::test]
async fn live_grants_are_filtered_by_user_and_client() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let users = [world.user.id.clone(), new_user(&world, 1).await.id];
        let clients = [world.public.clone(), world.confidential.clone()];
        let disabled = std::sync::Arc::new(new_client(&world).await);
        let mut all = Vec::new();
        for number in 0..32 {
            // Two at a time are of the same millisecond.
            if number % 2 == 0 {
                world.advance(1);
            }
            let client = if number % 5 == 4 { &disabled } else { &clients[number / 2 % 2] };
            let (mut allow, _) = world.allow(client);
            let Answer::Allow { grant, .. } = &mut allow.answer else { unreachable!() };
            grant.user_id = users[number / 4 % 2].clone();
            let is_expired = number % 7 == 3;
            if is_expired {
                grant.expires_at = world.now();
            }
            let grant = grant.clone();
            assert!(world.write(allow).await);
            match number % 8 {
                5 => spoil(&world, "UPDATE grants SET scopes = '\"' WHERE id = $1", grant.id.as_str()).await,
                6 if !is_expired => {
                    let (id, now, audit) = (grant.id.clone(), world.now(), world.audit());
                    assert!(world.write(RevokeGrant { id, now, audit }).await);
                }
                _ if is_expired || client.id == disabled.id => {}
                _ => all.push(grant),
            }
        }
        // One row ends all of this client; theirs don't say so yet.
        disable_client(&world, &disabled.id).await;

        all.sort_by(|left, right| left.id.cmp(&right.id));
        let ids: Vec<_> = all.iter().map(|grant| grant.id.clone()).collect();
        for user_id in each(users.clone()) {
            for client_id in each(clients.clone().map(|client| client.id.clone())) {
                let filter = GrantFilter { user_id: user_id.clone(), client_id: client_id.clone() };
                let matches: Vec<_> = all
                    .iter()
                    .map(|grant| {
                        user_id.as_ref().is_none_or(|user| *user == grant.user_id)
                            && client_id.as_ref().is_none_or(|client| *client == grant.client_id)
                    })
                    .collect();
                assert_list(grant_pages(&world, &filter).await, &ids, &matches, &filter);
            }
        }
        let ended = GrantFilter { client_id: Some(disabled.id.clone()), ..GrantFilter::default() };
        assert_eq!(grant_pages(&world, &ended).await, []);
    })
    .await;
}

#[tokio::test]
async fn page_looks_at_a_bounded_number_of_ended_grants() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let template = world.give(&world.public).await.grant;
        // Each is as old as its id says, and its code was redeemed.
        let sql =
            "INSERT INTO grants (id, user_id, client_id, session_id, scopes, requested_scopes, resources, auth_time,
                     sign_in_methods, created_at, expires_at, last_used_at)
                   WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
                   SELECT $2 || '0' || CAST(1000000000000000000 + i AS text), g.user_id, g.client_id, g.session_id,
                     g.scopes, g.requested_scopes, g.resources, g.auth_time, g.sign_in_methods, g.created_at,
                     g.expires_at, g.created_at
                   FROM n, grants g WHERE g.id = $3";
        let many = ListGrants::LOOK + 100;
        let begins = GrantId::floor(world.now());
        let rows = Run::new(sql, [many.into(), begins.into(), template.as_str().into()]);
        assert_eq!(world.write(rows).await, many as u64);
        disable_client(&world, &world.public.id).await;
        world.advance(1);
        let (now, audit) = (world.now(), world.audit());
        let id = world.public.id.clone();
        world.write(ChangeClient { id, change: ClientChange::Enable, now, audit }).await;
        let live = world.give(&world.public).await.grant;

        let client_id = Some(world.public.id.clone());
        let user_id = Some(world.user.id.clone());
        for filter in [
            GrantFilter::default(),
            GrantFilter { client_id: client_id.clone(), ..GrantFilter::default() },
            GrantFilter { user_id: user_id.clone(), ..GrantFilter::default() },
            GrantFilter { user_id, client_id },
        ] {
            let first = world.read(ListGrants { filter: filter.clone(), now, after: None, limit: 2 }).await;
            assert!(first.grants.is_empty() && first.next.is_some(), "{filter:?}");
            let second = world.read(ListGrants { filter: filter.clone(), now, after: first.next, limit: 2 }).await;
            assert_eq!(
                second.grants.into_iter().map(|grant| grant.id).collect::<Vec<_>>(),
                std::slice::from_ref(&live)
            );
            assert_eq!(second.next, None);
        }
        assert!(world.read(FindGrant { id: template }).await.unwrap().ended_at.is_some());
    })
    .await;
}
