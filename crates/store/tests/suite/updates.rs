//! Changing what is registered: nothing that somebody else changed meanwhile is lost, and nothing that a newer program
//! stored.

use std::time::Duration;

use doorward_core::{
    api::{Api, ApiMetadata, DescribedScope, Role},
    api_key::KeyMetadata,
    client::Client,
    client_metadata::ClientMetadata,
    clock::Timestamp,
    holder::Holder,
    id::ApiId,
    scope::{EndedScopes, Scope},
    user::UserMetadata,
};
use doorward_store::{
    ChangeKind, StoreError, Updated,
    apis::{AddApiScopes, ListApis, ListEndedScopes, UpdateApi},
    audit::{AuditAction, AuditFilter},
    clients::{FindClient, UpdateClient},
    keys::{FindKey, KeyRecord, UpdateKey},
    roles::{ChangeRole, RolesOf},
    users::{CreateUser, FindUser, UpdateUser, UserRecord},
};

use crate::{
    harness::{Ask, Run, on_each_engine},
    keys::{created, key},
    world::{World, race},
};

pub(crate) fn described(scope: &str) -> DescribedScope {
    DescribedScope { scope: Scope::parse(scope).unwrap(), description: "Do it".to_owned() }
}

fn update_api(world: &World, api: &Api, to: ApiMetadata) -> UpdateApi {
    UpdateApi { id: api.id.clone(), from: api.metadata.clone(), to, now: world.now(), audit: world.audit() }
}

pub(crate) fn scopes(world: &World, scopes: Vec<DescribedScope>) -> ApiMetadata {
    ApiMetadata { scopes, ..world.api.metadata.clone() }
}

fn update_user(world: &World, from: &UserMetadata, to: UserMetadata) -> UpdateUser {
    UpdateUser {
        id: world.user.id.clone(),
        from: from.clone(),
        to,
        roles_from: None,
        now: world.now(),
        audit: world.audit(),
    }
}

fn named(username: &str) -> UserMetadata {
    UserMetadata { username: username.to_owned(), ..UserMetadata::default() }
}

async fn stored(world: &World, sql: &'static str) -> String {
    world.read(Ask::new(sql, [])).await[0].text().unwrap()
}

/// The subject, the members that changed, and the announced kinds of the one update since `position`.
async fn recorded(world: &World, position: i64, action: AuditAction) -> (String, String, Vec<Option<ChangeKind>>) {
    let filter = AuditFilter { action: Some(action), ..AuditFilter::default() };
    let events = world.newest_events(filter, 10).await;
    assert_eq!(events.len(), 1, "{events:?}");
    let changes = world.store.changes_after(position, 10).await.unwrap();
    let changed = events[0].details["changed"].as_str().unwrap().to_owned();
    (events[0].subject.clone().unwrap(), changed, changes.iter().map(|change| change.kind).collect())
}

#[tokio::test]
async fn api_is_renamed_and_audited_without_values() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let position = world.store.position().await.unwrap();
        let to = ApiMetadata { name: "secret-name".to_owned(), ..world.api.metadata.clone() };

        assert_eq!(world.write(update_api(&world, &world.api, to.clone())).await, Updated::Done);

        assert_eq!(world.read(ListApis::ALL).await[0].metadata, to);
        assert_eq!(stored(&world, "SELECT name FROM apis").await, "secret-name");
        let (subject, changed, kinds) = recorded(&world, position, AuditAction::ApiUpdated).await;
        assert_eq!((subject, changed.as_str()), (world.api.id.to_string(), "name"));
        assert_eq!(kinds, [Some(ChangeKind::Api)]);
        assert!(!stored(&world, "SELECT details FROM audit WHERE action = 'api.updated'").await.contains("secret"));
    })
    .await;
}

#[tokio::test]
async fn update_that_changes_nothing_records_nothing() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let position = world.store.position().await.unwrap();
        let same = update_api(&world, &world.api, world.api.metadata.clone());
        assert_eq!(world.write(same).await, Updated::Done);
        let user = world.user.metadata.clone();
        assert_eq!(world.write(update_user(&world, &user, user.clone())).await, Updated::Done);
        assert_eq!(world.store.position().await.unwrap(), position);
        assert_eq!(world.read(FindUser::ById(world.user.id.clone())).await.unwrap().updated_at, None);
    })
    .await;
}

#[tokio::test]
async fn unknown_api_user_or_key_is_not_updated() {
    on_each_engine(async |database| {
        let (world, other) = (World::new(&database).await, World::seeded(&database, 2).await);
        world.write(Run::new("UPDATE apis SET deleted_at = 1 WHERE id = $1", [other.api.id.as_str().into()])).await;
        let gone = update_api(&world, &other.api, other.api.metadata.clone());
        assert_eq!(world.write(gone).await, Updated::Unknown);
        let nobody = UpdateUser { id: world.fresh_user("Eve").id, ..update_user(&world, &named("Eve"), named("Eva")) };
        assert_eq!(world.write(nobody).await, Updated::Unknown);
        let none = key(&world, "one");
        let update = update_key(&world, &none, none.metadata.clone());
        assert_eq!(world.write(update).await, Updated::Unknown);
    })
    .await;
}

#[tokio::test]
async fn taken_name_or_scope_of_an_api_is_a_conflict() {
    on_each_engine(async |database| {
        let (world, other) = (World::new(&database).await, World::seeded(&database, 2).await);
        let taken_name = ApiMetadata { name: other.api.metadata.name.clone(), ..world.api.metadata.clone() };
        for to in [taken_name, scopes(&world, other.api.metadata.scopes.clone())] {
            let outcome = world.store.write(update_api(&world, &world.api, to)).await;
            assert!(matches!(outcome, Err(StoreError::Conflict)), "{outcome:?}");
        }
        assert!(world.read(ListApis::ALL).await.contains(&world.api));
        assert_eq!(world.read(ListEndedScopes).await, EndedScopes::default());
    })
    .await;
}

#[tokio::test]
async fn removed_scope_ends_and_can_be_added_again() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (removed, kept) = (world.api.metadata.scopes[0].clone(), world.api.metadata.scopes[1].clone());
        let fresh = described("fresh");
        let without = scopes(&world, vec![kept, fresh.clone()]);
        assert_eq!(world.write(update_api(&world, &world.api, without.clone())).await, Updated::Done);

        let ended: EndedScopes = [(removed.scope.clone(), world.now())].into_iter().collect();
        assert_eq!(world.read(ListEndedScopes).await, ended);
        let rows = world.read(Ask::new("SELECT scope FROM api_scopes ORDER BY scope", [])).await;
        let rows: Vec<_> = rows.into_iter().map(|mut row| row.text().unwrap()).collect();
        assert_eq!(rows, ["fresh", "notes1:write"]);

        world.advance(60);
        let again = Api { metadata: without, ..(*world.api).clone() };
        assert_eq!(world.write(update_api(&world, &again, world.api.metadata.clone())).await, Updated::Done);
        assert_eq!(world.read(ListApis::ALL).await[0], *world.api);
        // `fresh` ended with the update, and what was given before stays ended.
        let both = [(removed.scope, world.now().minus(std::time::Duration::from_secs(60))), (fresh.scope, world.now())];
        assert_eq!(world.read(ListEndedScopes).await, both.into_iter().collect());
    })
    .await;
}

#[tokio::test]
async fn scope_that_is_removed_again_ends_at_the_later_time() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let bare = scopes(&world, vec![]);
        let emptied = Api { metadata: bare.clone(), ..(*world.api).clone() };
        let toggle = async |at: Timestamp| {
            world.write(UpdateApi { now: at, ..update_api(&world, &world.api, bare.clone()) }).await;
            world.write(update_api(&world, &emptied, world.api.metadata.clone())).await;
            let sql = "SELECT max(before) FROM ended_scopes";
            Timestamp::from_millis(world.read(Ask::new(sql, [])).await[0].int().unwrap())
        };
        let (first, later) = (world.now(), world.now().plus(std::time::Duration::from_secs(60)));
        assert_eq!(toggle(later).await, later);
        assert_eq!(toggle(first).await, later, "a clock that is behind revives nothing");
    })
    .await;
}

#[tokio::test]
async fn what_a_newer_program_stored_stays_after_updates() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let own = created(&world, key(&world, "one")).await;
        for sql in [
            "UPDATE apis SET metadata = replace(metadata, '\"name\"', '\"of_tomorrow\":1,\"name\"')",
            "UPDATE users SET metadata = replace(metadata, '\"username\"', '\"of_tomorrow\":1,\"username\"')",
            "UPDATE api_keys SET metadata = replace(metadata, '\"limited_to\"', '\"of_tomorrow\":1,\"limited_to\"')",
        ] {
            assert_eq!(world.write(Run::new(sql, [])).await, 1);
        }
        let to = ApiMetadata { name: "other".to_owned(), ..world.api.metadata.clone() };
        assert_eq!(world.write(update_api(&world, &world.api, to)).await, Updated::Done);
        let add = AddApiScopes {
            id: world.api.id.clone(),
            scopes: vec![described("fresh"), described("fresh2")],
            now: world.now(),
            audit: world.audit(),
        };
        assert!(world.write(add).await);
        assert_eq!(world.write(update_user(&world, &world.user.metadata, named("Eve"))).await, Updated::Done);
        let to = KeyMetadata { name: "another".to_owned(), ..own.metadata.clone() };
        let update = update_key(&world, &own, to);
        assert_eq!(world.write(update).await, Updated::Done);

        for sql in ["SELECT metadata FROM apis", "SELECT metadata FROM users", "SELECT metadata FROM api_keys"] {
            assert!(stored(&world, sql).await.contains("\"of_tomorrow\":1"), "{sql}");
        }
        assert_eq!(world.read(ListApis::ALL).await[0].metadata.scopes.len(), 4);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_several_updates_of_an_api_wins() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let to =
            |n: usize| ApiMetadata { name: format!("name{n}"), ..scopes(&world, vec![described(&format!("s{n}"))]) };
        let outcomes = race(&world, (0..8).map(|n| update_api(&world, &world.api, to(n))).collect()).await;
        assert_one_won(&outcomes);
        let won = outcomes.iter().position(|outcome| *outcome == Updated::Done).unwrap();
        assert_eq!(world.read(ListApis::ALL).await[0].metadata, to(won));
    })
    .await;
}

fn assert_one_won(outcomes: &[Updated]) {
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Updated::Done).count(), 1, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Updated::Changed).count(), outcomes.len() - 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_several_updates_of_a_user_wins() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let update = |n: usize| update_user(&world, &world.user.metadata, named(&format!("user{n}")));
        assert_one_won(&race(&world, (0..8).map(update).collect()).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_several_updates_of_a_key_wins() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let key = created(&world, key(&world, "one")).await;
        let position = world.store.position().await.unwrap();
        let update =
            |n: usize| update_key(&world, &key, KeyMetadata { name: format!("name{n}"), ..key.metadata.clone() });
        let outcomes = race(&world, (0..8).map(update).collect()).await;
        assert_one_won(&outcomes);
        let won = outcomes.iter().position(|outcome| *outcome == Updated::Done).unwrap();
        assert_eq!(world.read(FindKey { id: key.id.clone() }).await.unwrap().metadata.name, format!("name{won}"));
        let (subject, changed, kinds) = recorded(&world, position, AuditAction::KeyUpdated).await;
        assert_eq!((subject, changed.as_str()), (key.id.to_string(), "name"));
        assert_eq!(kinds, [Some(ChangeKind::Key)]);
    })
    .await;
}

#[tokio::test]
async fn roles_of_a_key_change_only_from_those_that_it_has() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let role = |name: &str| (world.api.id.clone(), Role::parse(name).unwrap());
        let held = vec![role("editor"), role("reader")];
        let key = created(&world, KeyRecord { roles: held.clone(), ..key(&world, "one") }).await;
        let position = world.store.position().await.unwrap();
        let update = |roles_from: &[(ApiId, Role)], roles_to: Vec<(ApiId, Role)>| UpdateKey {
            roles_from: roles_from.to_vec(),
            roles_to,
            ..update_key(&world, &key, key.metadata.clone())
        };
        let roles = async || world.read(FindKey { id: key.id.clone() }).await.unwrap().roles;
        assert_eq!(world.write(update(&held[..1], vec![])).await, Updated::Changed);
        assert_eq!(roles().await, held);
        assert_eq!(world.write(update(&held, held.clone())).await, Updated::Done);
        assert_eq!(world.store.position().await.unwrap(), position, "nothing changed");
        let after = vec![role("admin"), role("reader")];
        assert_eq!(world.write(update(&held, after.clone())).await, Updated::Done);
        assert_eq!(roles().await, after);
        let (subject, changed, kinds) = recorded(&world, position, AuditAction::KeyUpdated).await;
        assert_eq!((subject, changed.as_str()), (key.id.to_string(), "roles"));
        assert_eq!(kinds, [Some(ChangeKind::Key)]);
    })
    .await;
}

/// Changes what is registered of a key without roles.
fn update_key(world: &World, key: &KeyRecord, to: KeyMetadata) -> UpdateKey {
    UpdateKey {
        id: key.id.clone(),
        from: key.metadata.clone(),
        to,
        given_at_from: key.scope_given_at,
        given_at_to: key.scope_given_at,
        roles_from: Vec::new(),
        roles_to: Vec::new(),
        now: world.now(),
        audit: world.audit(),
    }
}

/// The same of a client.
fn update_client(world: &World, client: &Client, to: ClientMetadata) -> UpdateClient {
    UpdateClient {
        id: client.id.clone(),
        from: client.metadata.clone(),
        to,
        given_at_from: client.scope_given_at,
        given_at_to: client.scope_given_at,
        roles_from: None,
        now: world.now(),
        audit: world.audit(),
    }
}

#[tokio::test]
async fn change_that_started_from_other_roles_is_not_made() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let give = async |holder: Holder| {
            let (api, role, now, audit) =
                (world.api.id.clone(), Role::parse("admin").unwrap(), world.now(), world.audit());
            assert!(world.write(ChangeRole { holder, api, role, is_granted: true, now, audit }).await);
        };
        let user = Holder::User(world.user.id.clone());
        let before = world.read(RolesOf { holder: user.clone() }).await;
        let to = UserMetadata { name: Some("Other".to_owned()), ..world.user.metadata.clone() };
        let update =
            |roles| UpdateUser { roles_from: Some(roles), ..update_user(&world, &world.user.metadata, to.clone()) };
        give(user.clone()).await;
        assert_eq!(world.write(update(before)).await, Updated::Changed);
        let now = world.read(RolesOf { holder: user }).await;
        assert_eq!(world.write(update(now)).await, Updated::Done);

        let client = world.public.clone();
        let to = ClientMetadata { client_name: "Other".to_owned(), ..client.metadata.clone() };
        let update = |roles| UpdateClient { roles_from: Some(roles), ..update_client(&world, &client, to.clone()) };
        give(Holder::Client(client.id.clone())).await;
        assert_eq!(world.write(update(client.roles.clone())).await, Updated::Changed);
        let roles = world.read(FindClient { id: client.id.clone() }).await.unwrap().roles;
        assert_eq!(world.write(update(roles)).await, Updated::Done);
    })
    .await;
}

#[tokio::test]
async fn scopes_that_are_given_again_are_a_change_of_a_key() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let key = created(&world, key(&world, "one")).await;
        let later = key.scope_given_at.plus(Duration::from_secs(1));
        let again = UpdateKey { given_at_to: later, ..update_key(&world, &key, key.metadata.clone()) };
        let position = world.store.position().await.unwrap();
        assert_eq!(world.write(again.clone()).await, Updated::Done);
        assert_eq!(world.read(FindKey { id: key.id.clone() }).await.unwrap().scope_given_at, later);
        let (_, changed, kinds) = recorded(&world, position, AuditAction::KeyUpdated).await;
        assert_eq!((changed.as_str(), kinds), ("scope", vec![Some(ChangeKind::Key)]));
        assert_eq!(world.write(again).await, Updated::Changed, "somebody gave them meanwhile");
    })
    .await;
}

#[tokio::test]
async fn scopes_that_are_given_again_are_a_change_of_a_client() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let client = world.public.clone();
        let later = Some(world.now().plus(Duration::from_secs(1)));
        let again = UpdateClient { given_at_to: later, ..update_client(&world, &client, client.metadata.clone()) };
        let position = world.store.position().await.unwrap();
        assert_eq!(world.write(again.clone()).await, Updated::Done);
        assert_eq!(world.read(FindClient { id: client.id.clone() }).await.unwrap().scope_given_at, later);
        let (_, changed, kinds) = recorded(&world, position, AuditAction::ClientUpdated).await;
        assert_eq!((changed.as_str(), kinds), ("scope", vec![Some(ChangeKind::Client)]));
        assert_eq!(world.write(again).await, Updated::Changed, "somebody gave them meanwhile");
    })
    .await;
}

async fn by_name(world: &World, username: &str) -> Option<UserRecord> {
    world.read(FindUser::ByUsername(username.to_owned())).await
}

#[tokio::test]
async fn renamed_user_is_found_by_the_new_name_only() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let position = world.store.position().await.unwrap();
        world.advance(60);
        let to = UserMetadata { email: Some("jose@example.com".to_owned()), ..named("Jos\u{e9}") };

        assert_eq!(world.write(update_user(&world, &world.user.metadata, to.clone())).await, Updated::Done);

        let found = by_name(&world, "JOSE\u{301}").await.unwrap();
        assert_eq!((found.metadata, found.updated_at), (to, Some(world.now())));
        assert!(by_name(&world, &world.user.metadata.username).await.is_none());
        let (subject, changed, kinds) = recorded(&world, position, AuditAction::UserUpdated).await;
        assert_eq!((subject, changed.as_str()), (world.user.id.to_string(), "email username"));
        assert_eq!(kinds, [Some(ChangeKind::User)]);
        // The old name is free.
        world.write(CreateUser { user: world.fresh_user(&world.user.metadata.username), audit: world.audit() }).await;
    })
    .await;
}

#[tokio::test]
async fn name_of_another_user_in_any_form_is_a_conflict() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        world.write(CreateUser { user: world.fresh_user("Jos\u{e9}"), audit: world.audit() }).await;
        let taken = world.store.write(update_user(&world, &world.user.metadata, named("JOSE\u{301}"))).await;
        assert!(matches!(taken, Err(StoreError::Conflict)), "{taken:?}");
        let own = world.user.metadata.username.to_uppercase();
        assert_eq!(world.write(update_user(&world, &world.user.metadata, named(&own))).await, Updated::Done);
    })
    .await;
}
