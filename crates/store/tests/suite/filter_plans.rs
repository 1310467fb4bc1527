//! Every list, with every combination of its filters, reads by an index that has the whole filter, in its order. So a page
//! costs the same however many rows there are that don't match.

use doorward_core::{
    api::Role,
    holder::{Holder, Owner},
};
use doorward_store::{
    Operation,
    apis::ListApis,
    clients::{ClientFilter, ListClients},
    grants::{GrantFilter, ListGrants},
    keys::{KeyFilter, ListKeys, ListShownKeys},
    roles::{ListRoleGrants, RoleFilter},
    sessions::{ListSessions, SessionFilter},
    users::{ListUsers, UserFilter},
};

use crate::{
    filters::each,
    harness::{Database, Recorded, on_each_engine},
    lists::{full_world, plans},
    world::World,
};

/// What reads a table in the order of its primary key.
const PRIMARY: &str = "pkey";

/// Whether a step reads by an index, or by the primary key.
fn is_by(step: &str, table: &str, index: &str) -> bool {
    let names = match index {
        PRIMARY => [format!("{table}_pkey"), format!("sqlite_autoindex_{table}_1")],
        index => [index.to_owned(), index.to_owned()],
    };
    step.split([' ', '(']).any(|word| names.iter().any(|name| word == name))
}

/// Asserts how a list is read: by this index of its table, without rows that it leaves out again, and without a sort but
/// of what is equal in the index.
pub(crate) async fn assert_reads_by(
    world: &World,
    database: &Database,
    list: impl Operation,
    table: &str,
    index: &str,
) {
    let (_, statements) = world.read(Recorded(list)).await;
    for (sql, plan) in plans(world, database, statements).await {
        let context = format!("{table} by {index}: {sql}\n{plan:#?}");
        let at = plan.iter().position(|step| is_by(step, table, index)).unwrap_or_else(|| panic!("{context}"));
        // PostgreSQL says below an index which conditions it does not have.
        let node = plan[at + 1..].iter().take_while(|line| !line.contains("->") && !line.contains("SubPlan"));
        // The credentials of APIs are few, and so are the grants of one millisecond. What was deleted is swept soon.
        let few = ["(api_id IS NULL)", "(ROW(created_at, id)", "(deleted_at IS NULL)"];
        let is_of_many = |filter: &str| !few.iter().any(|few| filter.starts_with(few));
        let filters = |line: &String| line.split_once(" Filter: ").is_some_and(|(_, filter)| is_of_many(filter));
        assert!(!node.clone().any(filters) && !plan[at].contains("Bitmap"), "{context}");
        let scans = |step: &String| step.starts_with("SCAN") || step.contains("Seq Scan");
        assert!(!plan.iter().any(scans), "{context}");
        let sorts = |step: &String| {
            let of_equals = step.contains("LAST TERM OF ORDER BY") || step.contains("Incremental Sort");
            (step.contains("TEMP B-TREE") || step.contains("Sort  (")) && !(of_equals && table == "grants")
        };
        assert!(!plan.iter().any(sorts), "{context}");
        let presorted = plan.iter().filter(|step| step.contains("Presorted Key:"));
        assert!(presorted.clone().all(|step| step.contains("created_at")), "{context}");
    }
}

#[tokio::test]
async fn each_filter_of_a_list_is_in_the_index_that_it_reads_by() {
    on_each_engine(async |database| {
        let world = full_world(&database).await;
        let (limit, flags) = (100, each([true, false]));
        assert_reads_by(&world, &database, ListApis { after: None, limit }, "apis", PRIMARY).await;
        for disabled in flags.clone() {
            let index = match disabled {
                None => PRIMARY,
                Some(true) => "clients_disabled",
                Some(false) => "clients_enabled",
            };
            let list = ListClients { filter: ClientFilter { disabled }, after: None, limit };
            assert_reads_by(&world, &database, list, "clients", index).await;
            let index = match disabled {
                None => "users_left",
                Some(true) => "users_disabled",
                Some(false) => "users_enabled",
            };
            let list = ListUsers { filter: UserFilter { disabled, username: None }, after: None, limit };
            assert_reads_by(&world, &database, list, "users", index).await;
        }
        for owner in each([Owner::User(world.user.id.clone())]) {
            for revoked in flags.clone() {
                let index = match (owner.is_some(), revoked) {
                    (false, None) => PRIMARY,
                    (false, Some(true)) => "api_keys_revoked",
                    (false, Some(false)) => "api_keys_live",
                    (true, None) => "api_keys_of_owner",
                    (true, Some(true)) => "api_keys_revoked_of_owner",
                    (true, Some(false)) => "api_keys_live_of_owner",
                };
                let filter = KeyFilter { owner: owner.clone(), revoked };
                let list = ListKeys { filter, after: None, limit };
                assert_reads_by(&world, &database, ListShownKeys(list.clone()), "api_keys", index).await;
                assert_reads_by(&world, &database, list, "api_keys", index).await;
            }
        }
        for user_id in each([world.user.id.clone()]) {
            let index = if user_id.is_some() { "sessions_not_ended_of_user" } else { "sessions_not_ended" };
            let list = ListSessions { filter: SessionFilter { user_id }, after: None, limit };
            assert_reads_by(&world, &database, list, "sessions", index).await;
        }
    })
    .await;
}

#[tokio::test]
async fn each_filter_of_role_grants_is_in_the_index_they_are_read_by() {
    on_each_engine(async |database| {
        let world = full_world(&database).await;
        for holder in each([Holder::User(world.user.id.clone())]) {
            for api in each([world.api.id.clone()]) {
                for role in each([Role::parse("admin").unwrap()]) {
                    let index = match (holder.is_some(), api.is_some(), role.is_some()) {
                        (_, false, false) | (true, true, false) => PRIMARY,
                        // One row, which each of the indexes finds.
                        (true, true, true) => continue,
                        (false, true, false) => "role_grants_of_api",
                        (false, true, true) => "role_grants_of_role_at_api",
                        (_, false, true) => "role_grants_of_role",
                    };
                    let filter = RoleFilter { holder: holder.clone(), api: api.clone(), role };
                    let list = ListRoleGrants { filter, after: None, limit: 100 };
                    assert_reads_by(&world, &database, list, "role_grants", index).await;
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn grants_are_read_in_bounded_steps_by_an_index_of_their_time() {
    on_each_engine(async |database| {
        let world = full_world(&database).await;
        for user_id in each([world.user.id.clone()]) {
            for client_id in each([world.public.id.clone()]) {
                let index = match (user_id.is_some(), client_id.is_some()) {
                    (false, false) => PRIMARY,
                    (true, _) => "grants_live_by_user",
                    (false, true) => "grants_by_client",
                };
                let filter = GrantFilter { user_id: user_id.clone(), client_id };
                let list = ListGrants { filter, now: world.now(), after: None, limit: 100 };
                assert_reads_by(&world, &database, list, "grants", index).await;
            }
        }
    })
    .await;
}
