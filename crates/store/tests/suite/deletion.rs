//! Deleting APIs and users: at once for everybody who asks, and in the end without a row.

use std::time::Duration;

use doorward_core::{
    api::{ApiMetadata, Role},
    client::Client,
    denial::Denial,
    holder::{Holder, Owner},
    id::ClientId,
    user::UserMetadata,
};
use doorward_store::{
    ChangeKind, ChangesOne, IfUnchanged, Seen, Updated,
    apis::{CreateApi, DeleteApi, ListApis, ListEndedScopes, UpdateApi},
    clients::{ChangeClient, ClientChange, FindClient, FindCredential},
    grants::{EndGrants, FindConsent},
    keys::{FindKey, KeyRecord},
    roles::{ChangeRole, ListRoleGrants, RolesOf},
    sessions::BeginSession,
    sweep::{Sweep, Swept},
    tokens::IsTokenRevoked,
    users::{ChangeUser, CreateUser, DeleteUser, FindForSignIn, FindUser, ListUsers, UpdateUser, UserChange},
};

use crate::{
    harness::{Ask, Run, on_each_engine},
    keys::{created, key},
    sessions,
    world::{World, race},
};

fn delete_api(world: &World) -> DeleteApi {
    DeleteApi { id: world.api.id.clone(), now: world.now(), audit: world.audit() }
}

fn delete_user(world: &World) -> DeleteUser {
    DeleteUser { id: world.user.id.clone(), now: world.now(), audit: world.audit() }
}

fn delete_client(world: &World) -> ChangeClient {
    let (id, change) = (world.confidential.id.clone(), ClientChange::Delete);
    ChangeClient { id, change, now: world.now(), audit: world.audit() }
}

/// Makes a change that starts from what was there before something else changed, and again from what is there then.
async fn assert_guarded<O: ChangesOne>(world: &World, change: O, before: O::Seen, after: O::Seen) {
    let from = |from: &O::Seen| IfUnchanged { from: from.clone(), change: change.clone() };
    let position = world.store.position().await.unwrap();
    assert_eq!(world.write(from(&before)).await, Updated::Changed);
    assert_eq!(world.store.position().await.unwrap(), position, "nothing is changed");
    assert_eq!(world.write(from(&after)).await, Updated::Done);
    assert_eq!(world.write(from(&after)).await, Updated::Unknown);
}

async fn rows(world: &World, sql: &'static str) -> usize {
    world.read(Ask::new(sql, [])).await.len()
}

/// Gives a role of the world's API. Returns whether that changed anything.
async fn grant_role(world: &World, holder: Holder) -> bool {
    let (api, role) = (world.api.id.clone(), Role::parse("admin").unwrap());
    world.write(ChangeRole { holder, api, role, is_granted: true, now: world.now(), audit: world.audit() }).await
}

fn a_client(world: &World) -> Holder {
    Holder::Client(ClientId::new(world.now(), &world.rng))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn api_is_deleted_once_with_its_scopes_and_credential() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let credential = world.read(FindCredential { api: world.api.id.clone() }).await.unwrap();
        let position = world.store.position().await.unwrap();

        let deleted = race(&world, (0..4).map(|_| delete_api(&world)).collect()).await;

        assert_eq!(deleted.iter().filter(|deleted| **deleted).count(), 1);
        assert!(world.read(ListApis::ALL).await.is_empty());
        assert!(world.read(FindClient { id: credential.clone() }).await.is_none());
        let changes = world.store.changes_after(position, 10).await.unwrap();
        let changes: Vec<_> = changes.iter().map(|change| (change.kind, change.subject.as_str())).collect();
        let (api, client) = (Some(ChangeKind::Api), Some(ChangeKind::Client));
        assert_eq!(changes, [(api, world.api.id.as_str()), (client, credential.as_str())]);
        let described = world.api.metadata.scopes.iter();
        let ended = described.map(|described| (described.scope.clone(), world.now())).collect();
        assert_eq!(world.read(ListEndedScopes).await, ended);
        let (from, to) = (world.api.metadata.clone(), world.api.metadata.clone());
        let update = UpdateApi { id: world.api.id.clone(), from, to, now: world.now(), audit: world.audit() };
        assert_eq!(world.write(update).await, Updated::Unknown);
    })
    .await;
}

#[tokio::test]
async fn what_somebody_changed_meanwhile_is_not_deleted() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let now = world.now();

        let from = world.user.seen(Vec::new());
        let metadata = UserMetadata { name: Some("Other".to_owned()), ..from.metadata.clone() };
        let (id, to) = (world.user.id.clone(), metadata.clone());
        let update = UpdateUser { id, from: from.metadata.clone(), to, roles_from: None, now, audit: world.audit() };
        assert_eq!(world.write(update).await, Updated::Done);
        assert_guarded(&world, delete_user(&world), from.clone(), Seen { metadata, ..from }).await;

        let from = Seen { metadata: world.confidential.metadata.clone(), disabled_at: None, roles: Vec::new() };
        let disable = ChangeClient { change: ClientChange::Disable, ..delete_client(&world) };
        assert_eq!(world.write(IfUnchanged { from: from.clone(), change: disable }).await, Updated::Done);
        let disabled = Seen { disabled_at: Some(now), ..from.clone() };
        // A role that somebody has got meanwhile is seen as well.
        let held = Seen { roles: vec![(world.api.id.clone(), Role::parse("admin").unwrap())], ..disabled.clone() };
        assert!(grant_role(&world, Holder::Client(world.confidential.id.clone())).await);
        assert_eq!(world.write(IfUnchanged { from, change: delete_client(&world) }).await, Updated::Changed);
        assert_guarded(&world, delete_client(&world), disabled, held).await;

        let from = world.api.metadata.clone();
        let to = ApiMetadata { access_token_ttl: Duration::from_secs(60), ..from.clone() };
        let update =
            UpdateApi { id: world.api.id.clone(), from: from.clone(), to: to.clone(), now, audit: world.audit() };
        assert_eq!(world.write(update).await, Updated::Done);
        assert_guarded(&world, delete_api(&world), from, to).await;
    })
    .await;
}

#[tokio::test]
async fn names_and_scopes_of_a_deleted_api_are_free() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        assert!(world.write(delete_api(&world)).await);
        let id = doorward_core::id::ApiId::new(world.now(), &world.rng);
        let api = doorward_core::api::Api { id: id.clone(), ..(*world.api).clone() };
        let credential = Client { api: Some(id), ..world.fresh_client() };
        world.write(CreateApi { api: api.clone(), credential, audit: world.audit() }).await;
        assert_eq!(world.read(ListApis::ALL).await, [api]);
    })
    .await;
}

#[tokio::test]
async fn roles_of_a_deleted_api_are_left_out_and_swept_in_steps() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let user = Holder::User(world.user.id.clone());
        assert!(grant_role(&world, user.clone()).await);
        for _ in 0..Sweep::STEP {
            assert!(grant_role(&world, a_client(&world)).await);
        }
        created(&world, key(&world, "one")).await;
        assert!(world.write(delete_api(&world)).await);

        assert!(world.read(RolesOf { holder: user }).await.is_empty());
        assert!(world.read(ListRoleGrants { filter: Default::default(), after: None, limit: 100 }).await.is_empty());
        assert!(!grant_role(&world, a_client(&world)).await, "no role of an API that is gone");
        let sweep = || world.write(world.sweep_of(Swept::DeletedApis));
        assert_eq!(sweep().await, Sweep::STEP.unsigned_abs());
        assert_eq!(sweep().await, 3, "the last role, what finds the key, and the API");
        assert_eq!(sweep().await, 0);
        assert_eq!(rows(&world, "SELECT id FROM apis").await + rows(&world, "SELECT role FROM role_grants").await, 0);
        assert_eq!(rows(&world, "SELECT key_id FROM key_apis").await, 0);
    })
    .await;
}

#[tokio::test]
async fn deleted_user_is_found_nowhere_and_leaves_no_personal_data() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let position = world.store.position().await.unwrap();
        assert!(world.write(delete_user(&world)).await);
        assert!(!world.write(delete_user(&world)).await);

        assert!(world.read(FindUser::ById(world.user.id.clone())).await.is_none());
        assert!(world.read(FindUser::ByUsername(world.user.metadata.username.clone())).await.is_none());
        assert!(world.read(ListUsers { filter: Default::default(), after: None, limit: 10 }).await.is_empty());
        let facts = world.read(FindForSignIn { username: world.user.metadata.username.clone(), lot: 0 }).await;
        assert!(facts.user.is_none() && facts.stand_in.is_none(), "an erased hash costs less than any other");
        let mut row = world.read(Ask::new("SELECT username_folded, metadata, password_hash FROM users", [])).await;
        let row = [(); 3].map(|()| row[0].text().unwrap());
        assert_eq!(row, [format!(" {}", world.user.id), r#"{"username":""}"#.to_owned(), String::new()]);
        let changes = world.store.changes_after(position, 10).await.unwrap();
        let changes: Vec<_> = changes.iter().map(|change| (change.kind, change.subject.as_str())).collect();
        assert_eq!(changes, [(Some(ChangeKind::User), world.user.id.as_str())]);
        // The name is free.
        world.write(CreateUser { user: world.fresh_user(&world.user.metadata.username), audit: world.audit() }).await;
    })
    .await;
}

#[tokio::test]
async fn deleted_user_can_not_be_changed() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        assert!(world.write(delete_user(&world)).await);
        let password = doorward_store::passwords::NewPassword { hash: "x".into(), forget_failures: vec![] };
        for change in
            [UserChange::Enable, UserChange::Disable, UserChange::EmailVerified, UserChange::Password(password)]
        {
            let (now, audit) = (world.now(), world.audit());
            assert!(!world.write(ChangeUser { id: world.user.id.clone(), change, now, audit }).await);
        }
        let (from, to) = (Default::default(), world.user.metadata.clone());
        let update = UpdateUser {
            id: world.user.id.clone(),
            from,
            to,
            roles_from: None,
            now: world.now(),
            audit: world.audit(),
        };
        assert_eq!(world.write(update).await, Updated::Unknown);
        assert_eq!(rows(&world, "SELECT id FROM users WHERE password_hash = '' AND disabled_at IS NOT NULL").await, 1);
    })
    .await;
}

#[tokio::test]
async fn deletion_ends_what_a_user_has_and_granted() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (token, issued) = world.sign_in(&world.public).await;
        let given = world.give(&world.confidential).await;
        let owned = KeyRecord { owner: Some(Owner::User(world.user.id.clone())), ..key(&world, "one") };
        let owned = created(&world, owned).await;
        let (begun, _) = sessions::begin(&world, None);
        world.write(begun).await.unwrap();
        assert!(grant_role(&world, Holder::User(world.user.id.clone())).await);

        assert!(world.write(delete_user(&world)).await);

        assert_eq!(world.refreshes(&token, &world.public).await.err(), Some(Denial::GrantEnded));
        let redeemed = world.write(world.redeem(&given).0).await.map(drop);
        assert_eq!(redeemed.map_err(|refusal| refusal.denial), Err(Denial::GrantEnded));
        let (id, grant_id) = (issued.claims.id.to_string(), Some(issued.grant.id.to_string()));
        assert!(world.read(IsTokenRevoked { id, grant_id }).await);
        assert!(world.read(FindKey { id: owned.id }).await.unwrap().owner_is_disabled);
        assert_eq!(rows(&world, "SELECT id FROM sessions WHERE ended_at IS NULL").await, 0);
        assert_eq!(rows(&world, "SELECT role FROM role_grants").await, 0);
        let (operation, _) = world.allow(&world.public);
        assert!(!world.write(operation).await, "nothing is granted by a user who is gone");
        let (begun, _) = sessions::begin(&world, None);
        assert!(world.write(begun).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn rows_of_deleted_users_are_swept_in_steps() {
    on_each_engine(async |database| {
        let (world, other) = (World::new(&database).await, World::seeded(&database, 2).await);
        let mut tokens = Vec::new();
        for _ in 0..Sweep::STEP + 8 {
            tokens.push(world.sign_in(&world.public).await.0);
        }
        let kept = other.sign_in(&other.public).await.0;
        let (begun, _) = sessions::begin(&world, None);
        world.write(BeginSession { most: 100, ..begun }).await.unwrap();
        assert!(world.write(delete_user(&world)).await);
        let sweep = || world.write(world.sweep_of(Swept::DeletedUsers));

        assert_eq!(sweep().await, 0, "grants that are not ended yet stay");
        while !world.write(EndGrants).await {}
        let mut steps = Vec::new();
        while steps.last() != Some(&0) {
            steps.push(sweep().await);
        }

        // A session, 40 grants, a consent and the user.
        assert_eq!(steps, [32, 11, 0]);
        for sql in ["SELECT id FROM sessions", "SELECT client_id FROM consents"] {
            let left = rows(&world, sql).await;
            assert!(left <= 1, "{sql}: {left}");
        }
        assert_eq!(rows(&world, "SELECT id FROM users").await, 1);
        assert!(world.refreshes(&tokens[0], &world.public).await.is_err());
        assert!(other.refreshes(&kept, &other.public).await.is_ok(), "another user keeps everything");
        let (user_id, client_id) = (other.user.id.clone(), other.public.id.clone());
        assert!(world.read(FindConsent { user_id, client_id }).await.is_some());
        world.advance(2 * 86_400);
        while world.sweep(Duration::from_secs(10 * 86_400)).await > 0 {}
        assert_eq!(rows(&world, "SELECT id FROM refresh_families").await, 1);
    })
    .await;
}

#[tokio::test]
async fn deleted_user_who_is_still_ending_holds_up_no_other() {
    on_each_engine(async |database| {
        let (world, other) = (World::new(&database).await, World::seeded(&database, 2).await);
        for world in [&world, &other] {
            assert!(world.write(delete_user(world)).await);
        }
        let end = "DELETE FROM ending_grants WHERE subject = $1";
        world.write(Run::new(end, [other.user.id.as_str().into()])).await;
        assert_eq!(world.write(world.sweep_of(Swept::DeletedUsers)).await, 1);
        assert_eq!(rows(&world, "SELECT id FROM users").await, 1);
    })
    .await;
}
