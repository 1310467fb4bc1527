//! Sessions: found by the digest of their cookie, bounded in number, ended by their user.

use doorward_core::{denial::Denial, digest::KeyedDigest, id::SessionId, secret::SecretString};
use doorward_store::{
    sessions::{BeginSession, EndSessions, FindSession, ListSessions, SessionRecord, TouchSession, WhichSessions},
    users::{ChangeUser, UserChange},
};

use crate::{harness::on_each_engine, world::World};

pub(crate) fn begin(world: &World, replaces: Option<SessionId>) -> (BeginSession, KeyedDigest) {
    let cookie = doorward_core::checksummed::random_text(32, &world.rng);
    let digest = world.digest(&cookie);
    let audit = world.audit();
    let (session, password_hash) = (world.session(), world.user.password_hash.clone());
    (BeginSession { session, digest: digest.clone(), password_hash, replaces, most: 3, audit }, digest)
}

async fn begun(world: &World, replaces: Option<SessionId>) -> (SessionId, KeyedDigest) {
    let (operation, digest) = begin(world, replaces);
    world.write(operation.clone()).await.unwrap();
    (operation.session.id, digest)
}

async fn find(world: &World, digest: &KeyedDigest) -> Option<SessionRecord> {
    world.read(FindSession { candidates: vec![digest.clone()] }).await.map(|(session, user)| {
        assert_eq!(user.id, world.user.id);
        session
    })
}

async fn live(world: &World) -> Vec<SessionId> {
    let sessions = world.read(ListSessions { user_id: world.user.id.clone(), after: None, limit: 100 }).await;
    sessions.into_iter().map(|session| session.id).collect()
}

#[tokio::test]
async fn a_session_is_found_by_its_digest_and_takes_the_place_of_the_one_before() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (first, first_digest) = begun(&world, None).await;
        assert_eq!(find(&world, &first_digest).await.unwrap().id, first);
        assert!(find(&world, &world.digest(&SecretString::from("unknown"))).await.is_none());

        world.advance(60);
        let (second, _) = begun(&world, Some(first)).await;

        assert_eq!(live(&world).await, [second]);
        assert_eq!(find(&world, &first_digest).await.unwrap().times.ended_at, Some(world.now()));
    })
    .await;
}

#[tokio::test]
async fn beyond_the_most_those_unused_longest_are_ended() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(begun(&world, None).await.0);
            world.advance(60);
        }
        world.write(TouchSession { id: ids[0].clone(), now: world.now() }).await;
        world.advance(60);

        let (fourth, _) = begun(&world, None).await;

        assert_eq!(live(&world).await, [fourth, ids[0].clone(), ids[2].clone()]);
    })
    .await;
}

#[tokio::test]
async fn a_use_moves_a_session_forward_only() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (id, digest) = begun(&world, None).await;
        let began = world.now();
        world.advance(60);
        world.write(TouchSession { id: id.clone(), now: world.now() }).await;
        world.write(TouchSession { id, now: began }).await;
        let times = find(&world, &digest).await.unwrap().times;
        assert_eq!((times.created_at, times.last_seen_at), (began, world.now()));
    })
    .await;
}

#[tokio::test]
async fn a_user_ends_one_session_or_all_but_one_and_never_another_users() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (first, _) = begun(&world, None).await;
        begun(&world, None).await;
        let (third, _) = begun(&world, None).await;
        let stranger = world.fresh_user("Eve").id;
        let end = |user_id, which| EndSessions { user_id, which, now: world.now(), audit: world.audit() };
        let own = || world.user.id.clone();

        assert_eq!(world.write(end(stranger, WhichSessions::One(first.clone()))).await, 0);
        assert_eq!(world.write(end(own(), WhichSessions::One(first.clone()))).await, 1);
        assert_eq!(world.write(end(own(), WhichSessions::One(first))).await, 0);
        assert_eq!(world.write(end(own(), WhichSessions::AllBut(third.clone()))).await, 1);
        assert_eq!(live(&world).await, [third]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disabled_user_has_no_live_session_also_when_one_begins_at_that_moment() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let change = |change| ChangeUser { id: world.user.id.clone(), change, now: world.now(), audit: world.audit() };
        for _ in 0..20 {
            let (operation, _) = begin(&world, None);
            let (begun, disabled) =
                tokio::join!(world.store.write(operation), world.other.write(change(UserChange::Disable)));
            assert!(matches!(begun.unwrap(), Ok(()) | Err(Denial::UserDisabled)));
            assert!(disabled.unwrap());
            assert!(live(&world).await.is_empty());
            world.write(change(UserChange::Enable)).await;
            assert!(live(&world).await.is_empty());
        }
    })
    .await;
}

#[tokio::test]
async fn a_new_password_ends_every_session_and_the_old_one_begins_none() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        begun(&world, None).await;
        // Checked before the change, and written after it.
        let (late, _) = begin(&world, None);
        let change = UserChange::Password { hash: "$argon2id$new".into(), keep: None, forget_failures: vec![] };
        let audit = world.audit();
        assert!(world.write(ChangeUser { id: world.user.id.clone(), change, now: world.now(), audit }).await);
        assert!(live(&world).await.is_empty());
        assert_eq!(world.write(late).await, Err(Denial::PasswordWrong));
        assert!(live(&world).await.is_empty());
    })
    .await;
}
