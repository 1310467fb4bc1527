//! Lists: page by page, in one statement whatever they show; and every statement by its index.

use doorward_core::{
    api::{Api, ApiMetadata, Role},
    client::Client,
    denial::Denial,
    holder::Owner,
    id::{ApiId, SessionId},
};
use doorward_store::{
    Operation,
    apis::{CreateApi, ListApis},
    audit::{AuditAction, AuditFilter, AuditOfUser, SearchAudit, read_address},
    clients::{ChangeClient, ClientChange, CreateClient, FindClient, FindClientName, ListClients},
    grants::{DisconnectClient, ListGrants},
    keys::{FindKeyByDigest, KeyRecord, ListKeys},
    passwords::{ChangePassword, NewPassword},
    roles::{ChangeRole, ListRoleGrants, RoleGrant},
    sessions::{EndSessions, FindSession, ListRecentSessions, SessionRecord, TouchSession, WhichSessions},
    users::{ChangeUser, CreateUser, ListUsers, UserChange},
};

use crate::{
    harness::{Database, Plan, Recorded, Run, Statement, on_each_engine},
    keys, sessions,
    world::World,
};

/// Reads a list two items at a time.
pub(crate) async fn pages<O: Operation<Output = Vec<T>>, T>(world: &World, list: impl Fn(Option<&T>) -> O) -> Vec<T> {
    let mut all = Vec::new();
    loop {
        let page = world.read(list(all.last())).await;
        assert!(page.len() <= 2);
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

pub(crate) async fn new_client(world: &World) -> Client {
    world.advance(1);
    let id = doorward_core::id::ClientId::new(world.now(), &world.rng);
    let client = Client { id, ..world.fresh_client() };
    world.write(CreateClient { client: client.clone(), audit: world.audit() }).await;
    client
}

pub(crate) async fn new_api(world: &World, name: &str) -> Api {
    world.advance(1);
    let api = Api {
        id: ApiId::new(world.now(), &world.rng),
        metadata: ApiMetadata {
            name: name.to_owned(),
            identifier: doorward_core::api::ResourceIdentifier::parse(&format!("urn:example:{name}")).unwrap(),
            scopes: vec![],
            ..(*world.api).clone().metadata
        },
        ..(*world.api).clone()
    };
    let credential = Client { api: Some(api.id.clone()), ..world.fresh_client() };
    world.write(CreateApi { api: api.clone(), credential, audit: world.audit() }).await;
    api
}

async fn new_session(world: &World) -> SessionId {
    let (begin, _) = sessions::begin(world, None);
    let id = begin.session.id.clone();
    world.write(doorward_store::sessions::BeginSession { most: 100, ..begin }).await.unwrap();
    id
}

#[tokio::test]
async fn clients_are_listed_page_by_page_without_credentials() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let mut ids = vec![world.confidential.id.clone(), world.public.id.clone()];
        ids.sort();
        for _ in 0..3 {
            ids.push(new_client(&world).await.id);
        }
        new_api(&world, "another").await;

        let after = |client: &Client| client.id.clone();
        let listed =
            pages(&world, |last| ListClients { filter: Default::default(), after: last.map(after), limit: 2 }).await;

        assert_eq!(listed.iter().map(after).collect::<Vec<_>>(), ids);
    })
    .await;
}

#[tokio::test]
async fn apis_are_listed_page_by_page() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let mut apis = vec![(*world.api).clone()];
        for name in ["a", "b", "c", "d"] {
            apis.push(new_api(&world, name).await);
        }

        let after = |api: &Api| api.id.clone();
        assert_eq!(pages(&world, |last| ListApis { after: last.map(after), limit: 2 }).await, apis);
        assert_eq!(world.read(ListApis::ALL).await, apis);
    })
    .await;
}

#[tokio::test]
async fn roles_are_listed_page_by_page_with_the_names_of_users() {
    on_each_engine(async |database| {
        let world = full_world(&database).await;
        let place = |grant: &RoleGrant| (grant.holder.clone(), grant.api.clone(), grant.role.clone());
        let listed =
            pages(&world, |last| ListRoleGrants { filter: Default::default(), after: last.map(place), limit: 2 }).await;

        assert_eq!(listed.len(), 4);
        assert!(listed.is_sorted_by_key(|grant| grant.holder.as_str().to_owned()));
        let named: Vec<_> = listed.iter().filter_map(|grant| grant.username.as_deref()).collect();
        assert_eq!(named, [world.user.metadata.username.as_str()]);
    })
    .await;
}

#[tokio::test]
async fn row_of_a_newer_program_is_passed_over_and_hides_no_other() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let mut clients = vec![world.confidential.id.clone(), world.public.id.clone()];
        clients.sort();
        // More than a page of them, one after the other.
        for _ in 0..5 {
            let newer = new_client(&world).await;
            let sql = "UPDATE clients SET metadata =
                         replace(metadata, 'id_token_signed_response_alg\":\"', 'id_token_signed_response_alg\":\"NEWER-')
                       WHERE id = $1";
            assert_eq!(world.write(Run::new(sql, [newer.id.as_str().into()])).await, 1);
            let read = world.store.read(FindClient { id: newer.id.clone() }).await;
            assert!(read.is_err(), "nobody takes it for a client that does not exist");
            assert_eq!(world.read(FindClientName { id: newer.id }).await, Some(newer.metadata.client_name));
        }
        clients.push(new_client(&world).await.id);
        let after = |client: &Client| client.id.clone();
        let listed = pages(&world, |last| ListClients { filter: Default::default(), after: last.map(after), limit: 2 }).await;
        assert_eq!(listed.iter().map(after).collect::<Vec<_>>(), clients);

        let newer = new_api(&world, "newer").await;
        let sql = "UPDATE apis SET metadata =
                     replace(metadata, 'signing_algorithm\":\"', 'signing_algorithm\":\"NEWER-') WHERE id = $1";
        assert_eq!(world.write(Run::new(sql, [newer.id.as_str().into()])).await, 1);
        assert_eq!(world.read(ListApis::ALL).await, [(*world.api).clone()]);
    })
    .await;
}

#[tokio::test]
async fn sessions_are_listed_page_by_page_last_used_first() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        // Three that were used at the same time, one before, one after them.
        let first = new_session(&world).await;
        world.advance(1);
        let mut ids = vec![new_session(&world).await, new_session(&world).await, new_session(&world).await];
        world.advance(1);
        let used = new_session(&world).await;
        world.advance(1);
        world.write(TouchSession { id: used.clone(), now: world.now() }).await;
        ids.sort();
        ids.reverse();
        ids.insert(0, used);
        ids.push(first);

        let user_id = world.user.id.clone();
        let after = |session: &SessionRecord| (session.times.last_seen_at, session.id.clone());
        let page = |last: Option<&_>| ListRecentSessions { user_id: user_id.clone(), after: last.map(after), limit: 2 };

        assert_eq!(pages(&world, page).await.into_iter().map(|session| session.id).collect::<Vec<_>>(), ids);
    })
    .await;
}

/// A world in which each list has several items, those with all that is looked up for them.
pub(crate) async fn full_world(database: &Database) -> World {
    let world = World::new(database).await;
    let owners = [Owner::User(world.user.id.clone()), Owner::Client(world.public.id.clone())];
    let role = Role::parse("admin").unwrap();
    for (number, owner) in owners.iter().enumerate() {
        new_client(&world).await;
        new_api(&world, &format!("api{number}")).await;
        new_session(&world).await;
        world.sign_in(&world.public).await;
        let user = world.fresh_user(&format!("user {number}"));
        world.write(CreateUser { user, audit: world.audit() }).await;
        let (api, roles) = (world.api.id.clone(), vec![(world.api.id.clone(), role.clone())]);
        let key = keys::key(&world, &format!("key {number}"));
        keys::created(&world, KeyRecord { owner: Some(owner.clone()), roles, ..key }).await;
        let (holder, now, audit) = (owner.to_string().parse().unwrap(), world.now(), world.audit());
        world.write(ChangeRole { holder, api, role: role.clone(), is_granted: true, now, audit }).await;
    }
    world
}

/// Reads, and asserts that it was one statement, which finds its rows by an index.
async fn read_at_once<O: Operation>(world: &World, database: &Database, operation: O) -> O::Output {
    let (output, statements) = world.read(Recorded(operation)).await;
    assert_eq!(statements.len(), 1, "{statements:?}");
    assert_no_scan(world, database, statements).await;
    output
}

/// Writes, and asserts that each statement finds its rows by an index.
async fn write_by_index<O: Operation>(world: &World, database: &Database, operation: O) -> O::Output {
    let (output, statements) = world.write(Recorded(operation)).await;
    assert_no_scan(world, database, statements).await;
    output
}

/// Each statement with how it is run.
pub(crate) async fn plans(
    world: &World,
    database: &Database,
    statements: Vec<Statement>,
) -> Vec<(&'static str, Vec<String>)> {
    let is_sqlite = database.sqlite_file().is_some();
    let mut plans = Vec::new();
    for of in statements {
        plans.push((of.0, world.write(Plan { of, is_sqlite }).await));
    }
    plans
}

async fn assert_no_scan(world: &World, database: &Database, statements: Vec<Statement>) {
    for (sql, plan) in plans(world, database, statements).await {
        // PostgreSQL may walk an index from end to end where a table is small; SQLite calls that a scan.
        let scans = plan.iter().any(|step| step.starts_with("SCAN") || step.contains("Seq Scan"));
        assert!(!scans, "{sql}\n{plan:#?}");
    }
}

#[tokio::test]
async fn list_is_one_statement_whatever_it_shows() {
    on_each_engine(async |database| {
        let world = full_world(&database).await;
        let (user_id, now, limit) = (world.user.id.clone(), world.now(), 100);
        let keys = read_at_once(&world, &database, ListKeys { filter: Default::default(), after: None, limit }).await;
        assert!(keys.len() > 1 && keys.iter().all(|key| key.roles.len() == 1 && !key.owner_is_disabled));
        let clients =
            read_at_once(&world, &database, ListClients { filter: Default::default(), after: None, limit }).await;
        assert!(clients.len() > 1 && clients.iter().any(|client| client.roles.len() == 1));
        assert!(read_at_once(&world, &database, ListApis { after: None, limit }).await.len() > 1);
        assert!(
            read_at_once(&world, &database, ListUsers { filter: Default::default(), after: None, limit }).await.len()
                > 1
        );
        assert!(
            read_at_once(&world, &database, ListRoleGrants { filter: Default::default(), after: None, limit })
                .await
                .len()
                > 1
        );
        let grants = ListGrants { filter: Default::default(), now, after: None, limit };
        assert!(read_at_once(&world, &database, grants).await.grants.len() > 1);
        assert!(read_at_once(&world, &database, ListRecentSessions { user_id, after: None, limit }).await.len() > 1);
    })
    .await;
}

#[tokio::test]
async fn search_of_the_audit_reads_by_the_index_of_its_filter() {
    on_each_engine(async |database| {
        let world = full_world(&database).await;
        let text = || Some("cli_1".to_owned());
        let action = || Some(AuditAction::RequestRefused);
        let code = Some(Denial::PasswordWrong);
        let [address, host] = ["192.0.2.0/24", "192.0.2.7"].map(|text| Some(read_address(text).unwrap()));
        let (actor, subject, by_action) = ("audit_of_actor", "audit_of_subject", "audit_of_action");
        for (filter, indexes) in [
            (AuditFilter { action: action(), ..Default::default() }, vec![by_action]),
            (AuditFilter { code, ..Default::default() }, vec!["audit_of_code"]),
            (AuditFilter { code, action: action(), ..Default::default() }, vec!["audit_of_code"]),
            (AuditFilter { code, address: host, ..Default::default() }, vec!["audit_refusals_of_address"]),
            (AuditFilter { action: action(), address: host, ..Default::default() }, vec!["audit_refusals_of_address"]),
            (AuditFilter { action: action(), address, ..Default::default() }, vec![by_action]),
            (AuditFilter { actor: text(), action: action(), ..Default::default() }, vec![actor]),
            (AuditFilter { about: text(), action: action(), ..Default::default() }, vec![actor, subject]),
            (AuditFilter { subject: text(), action: action(), ..Default::default() }, vec![subject]),
            (AuditFilter { address, ..Default::default() }, vec!["audit_pkey|sqlite_autoindex_audit_1"]),
            (
                AuditFilter { since: Some(world.now()), until: Some(world.now()), ..Default::default() },
                vec!["audit_pkey|sqlite_autoindex_audit_1"],
            ),
        ] {
            let search = SearchAudit { filter: filter.clone(), after: None, before: None, limit: 20 };
            let (_, statements) = world.read(Recorded(search)).await;
            assert_eq!(statements.len(), 1, "{statements:?}");
            let plan = plans(&world, &database, statements).await.remove(0).1;
            for index in indexes {
                let names =
                    |step: &String| step.split([' ', '(']).any(|word| index.split('|').any(|name| word == name));
                assert!(plan.iter().any(names), "{filter:?} {index}\n{plan:#?}");
            }
            let scans = |step: &String| step.starts_with("SCAN audit") || step.contains("Seq Scan");
            assert!(!plan.iter().any(scans), "{plan:#?}");
        }
        let shown = AuditOfUser { user_id: world.user.id.clone(), limit: 20 };
        let (_, statements) = world.read(Recorded(shown)).await;
        let plan = plans(&world, &database, statements).await.remove(0).1.join("\n");
        for index in [actor, "audit_shown_of_subject"] {
            assert!(plan.contains(index), "{index}\n{plan}");
        }
    })
    .await;
}

#[tokio::test]
async fn look_up_of_a_credential_is_one_statement() {
    on_each_engine(async |database| {
        let world = full_world(&database).await;
        let candidates = world.peppers.candidates("key 0").collect();
        assert!(read_at_once(&world, &database, FindKeyByDigest { candidates }).await.is_some());
        assert!(read_at_once(&world, &database, FindClient { id: world.public.id.clone() }).await.is_some());
        let (begin, digest) = sessions::begin(&world, None);
        world.write(begin).await.unwrap();
        assert!(read_at_once(&world, &database, FindSession { candidates: vec![digest] }).await.is_some());
    })
    .await;
}

#[tokio::test]
async fn statements_that_change_or_end_find_their_index() {
    on_each_engine(async |database| {
        let world = full_world(&database).await;
        let given = world.give(&world.public).await;
        let (redeem, token) = world.redeem(&given);
        write_by_index(&world, &database, redeem).await.unwrap();
        assert!(write_by_index(&world, &database, world.refresh(&token, &world.public, 1)).await.is_ok());
        // It was rotated before, and its family ends.
        world.advance(3600);
        assert!(write_by_index(&world, &database, world.refresh(&token, &world.public, 1)).await.is_err());

        let (user_id, client_id, now) = (world.user.id.clone(), world.public.id.clone(), world.now());
        let kept = SessionId::new(now, &world.rng);
        for which in [WhichSessions::One(kept.clone()), WhichSessions::Others, WhichSessions::Own] {
            let (user_id, within, audit) = (user_id.clone(), kept.clone(), world.audit());
            let end = EndSessions { user_id, within, which, now, audit };
            write_by_index(&world, &database, end).await.unwrap();
        }
        let change = ChangePassword {
            user_id: user_id.clone(),
            checked_hash: world.user.password_hash.clone(),
            within: kept.clone(),
            new: NewPassword { hash: world.user.password_hash.clone(), forget_failures: vec!["name/ada".into()] },
            now,
            audit: world.audit(),
        };
        write_by_index(&world, &database, change).await.unwrap();
        let (begin, _) = sessions::begin(&world, Some(SessionId::new(now, &world.rng)));
        write_by_index(&world, &database, begin).await.unwrap();
        let audit = world.audit();
        let (user, client) = (user_id.clone(), client_id.clone());
        let disconnect = DisconnectClient { user_id: user, within: kept, client_id: client, now, audit };
        write_by_index(&world, &database, disconnect).await.unwrap();
        for change in [UserChange::Disable, UserChange::Enable] {
            let (id, audit) = (user_id.clone(), world.audit());
            assert!(write_by_index(&world, &database, ChangeUser { id, change, now, audit }).await);
        }
        for change in [ClientChange::Disable, ClientChange::Enable] {
            let (id, audit) = (client_id.clone(), world.audit());
            assert!(write_by_index(&world, &database, ChangeClient { id, change, now, audit }).await);
        }
    })
    .await;
}
