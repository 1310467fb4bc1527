//! What a deletion will end is counted, up to a bound.

use doorward_core::{
    api::Role,
    holder::{Holder, Owner},
    id::ClientId,
    scope::ScopeSet,
};
use doorward_store::{
    keys::{KeyRecord, RevokeKey},
    roles::ChangeRole,
    users::{ChangeUser, UserChange},
    uses::{Count, MOST, Used, Uses, UsesOf},
};

use crate::{
    harness::{Plan, Recorded, Run, on_each_engine},
    keys::{created, key},
    sessions,
    world::World,
};

async fn uses(world: &World, used: Used) -> Uses {
    world.read(UsesOf { used, now: world.now() }).await
}

fn exactly(number: usize) -> Count {
    Count { number, is_more: false }
}

fn api(world: &World) -> Used {
    Used::Api { id: world.api.id.clone(), scopes: world.public.metadata.scope.clone() }
}

fn user(world: &World) -> Used {
    Used::User(world.user.id.clone())
}

async fn grant_role(world: &World, holder: Holder) {
    let (api, role) = (world.api.id.clone(), Role::parse("admin").unwrap());
    world.write(ChangeRole { holder, api, role, is_granted: true, now: world.now(), audit: world.audit() }).await;
}

/// Two users' worth of everything that lives, and what does not count any more.
async fn full_world(world: &World) {
    world.sign_in(&world.public).await;
    world.sign_in(&world.public).await;
    world.sign_in(&world.confidential).await;
    world.give(&world.confidential).await;
    let (begun, _) = sessions::begin(world, None);
    world.write(begun).await.unwrap();
    let owned = |owner: Owner, secret: &str| KeyRecord { owner: Some(owner), ..key(world, secret) };
    created(world, owned(Owner::User(world.user.id.clone()), "user's")).await;
    let revoked = created(world, owned(Owner::User(world.user.id.clone()), "revoked")).await;
    world.write(RevokeKey { id: revoked.id, now: world.now(), audit: world.audit() }).await;
    let expired = KeyRecord { expires_at: Some(world.now()), ..key(world, "expired") };
    created(world, expired).await;
    created(world, owned(Owner::Client(world.public.id.clone()), "client's")).await;
    for holder in [Holder::User(world.user.id.clone()), Holder::Client(world.public.id.clone())] {
        grant_role(world, holder).await;
    }
    // The code that nobody redeemed.
    world.advance(61);
}

#[tokio::test]
async fn what_lives_and_names_something_is_counted() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        full_world(&world).await;
        world.write(Run::new("UPDATE grants SET expires_at = 1 WHERE last_used_at IS NULL", [])).await;

        let of_user = Uses {
            grants: exactly(3),
            keys: exactly(1),
            role_grants: exactly(1),
            sessions: exactly(1),
            clients: exactly(0),
        };
        assert_eq!(uses(&world, user(&world)).await, of_user);
        let of_client = Uses { grants: exactly(2), sessions: exactly(0), ..of_user };
        assert_eq!(uses(&world, Used::Client(world.public.id.clone())).await, of_client);
        let of_api =
            Uses { clients: exactly(2), grants: exactly(3), keys: exactly(2), role_grants: exactly(2), ..of_client };
        assert_eq!(uses(&world, api(&world)).await, of_api);
        let one_scope = ScopeSet::parse("notes1:read").unwrap();
        assert_eq!(uses(&world, Used::Scopes(one_scope)).await, Uses { role_grants: exactly(0), ..of_api });
        let other = Used::Scopes(ScopeSet::parse("mails:read").unwrap());
        assert_eq!(uses(&world, other).await, Uses::default());
        assert_eq!(uses(&world, Used::Scopes(ScopeSet::default())).await, Uses::default());
    })
    .await;
}

#[tokio::test]
async fn grants_that_are_being_ended_are_not_counted() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        full_world(&world).await;
        let (change, now, audit) = (UserChange::Disable, world.now(), world.audit());
        world.write(ChangeUser { id: world.user.id.clone(), change, now, audit }).await;
        for used in [user(&world), api(&world), Used::Client(world.public.id.clone())] {
            let counted = uses(&world, used).await;
            assert_eq!((counted.grants, counted.sessions), (exactly(0), exactly(0)));
        }
    })
    .await;
}

#[tokio::test]
async fn count_stops_at_a_thousand_and_says_so() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let roles: Vec<_> = (0..=MOST).map(|n| (ClientId::new(world.now(), &world.rng), n)).collect();
        for (at, (client, _)) in roles.iter().enumerate() {
            let sql = "INSERT INTO role_grants (holder, api_id, role, created_at) VALUES ($1, $2, 'admin', 1)";
            world.write(Run::new(sql, [client.as_str().into(), world.api.id.as_str().into()])).await;
            if at + 1 == MOST {
                assert_eq!(uses(&world, api(&world)).await.role_grants, exactly(MOST));
            }
        }
        let counted = uses(&world, api(&world)).await;
        assert_eq!(counted.role_grants, Count { number: MOST, is_more: true });
        let json = serde_json::to_value(counted).unwrap();
        assert_eq!(json["role_grants"], serde_json::json!({"count": 1_000, "more": true}));
    })
    .await;
}

#[tokio::test]
async fn counting_reads_by_an_index() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        full_world(&world).await;
        let is_sqlite = database.sqlite_file().is_some();
        for used in [user(&world), api(&world), Used::Client(world.public.id.clone())] {
            let (_, statements) = world.read(Recorded(UsesOf { used, now: world.now() })).await;
            for of in statements {
                let sql = of.0;
                let plan = world.write(Plan { of, is_sqlite }).await;
                let is_bad = |step: &String| {
                    step.contains("TEMP B-TREE")
                        || step.contains("Seq Scan")
                        || step.contains("Sort")
                        || (step.starts_with("SCAN") && !step.contains("USING INDEX"))
                };
                assert!(!plan.iter().any(is_bad), "{sql}\n{plan:#?}");
            }
        }
    })
    .await;
}
