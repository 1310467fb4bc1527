//! Sessions: found by the digest of their cookie, bounded in number, ended by their user.

use std::{slice, time::Duration};

use doorward_core::{
    denial::Denial,
    digest::KeyedDigest,
    id::{SessionId, UserId},
    secret::{ExposeSecret, SecretString},
};
use doorward_store::{
    audit::{AuditAction, AuditFilter},
    grants::DisconnectClient,
    passwords::{ChangePassword, NewPassword},
    sessions::{
        BeginSession, EndSession, EndSessions, FindSession, FindSessionById, ListRecentSessions, SessionRecord,
        TouchSession, WhichSessions,
    },
    users::{ChangeUser, FindUser, UserChange},
};

use crate::{harness::on_each_engine, world::World};

const MINUTE: Duration = Duration::from_secs(60);

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

fn end(world: &World, user_id: UserId, within: &SessionId, which: WhichSessions) -> EndSessions {
    EndSessions { user_id, within: within.clone(), which, now: world.now(), audit: world.audit() }
}

/// Another password, which the user gives in a session after the one that is stored now.
fn change_password(world: &World, within: &SessionId) -> ChangePassword {
    ChangePassword {
        user_id: world.user.id.clone(),
        checked_hash: world.user.password_hash.clone(),
        within: within.clone(),
        new: NewPassword { hash: format!("$argon2id$of {within}").into(), forget_failures: vec![] },
        now: world.now(),
        audit: world.audit(),
    }
}

async fn password_hash(world: &World) -> String {
    let user = world.read(FindUser::ById(world.user.id.clone())).await.unwrap();
    user.password_hash.expose_secret().to_owned()
}

async fn find(world: &World, digest: &KeyedDigest) -> Option<SessionRecord> {
    world.read(FindSession { candidates: vec![digest.clone()] }).await.map(|(session, user)| {
        assert_eq!(user.id, world.user.id);
        session
    })
}

async fn live(world: &World) -> Vec<SessionId> {
    let sessions = world.read(ListRecentSessions { user_id: world.user.id.clone(), after: None, limit: 100 }).await;
    sessions.into_iter().map(|session| session.id).collect()
}

#[tokio::test]
async fn new_session_replaces_the_browsers_previous_one() {
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
async fn user_ends_own_sessions_and_never_anothers() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (first, _) = begun(&world, None).await;
        begun(&world, None).await;
        let (third, _) = begun(&world, None).await;
        let stranger = world.fresh_user("Eve").id;
        let end = |user_id, which| end(&world, user_id, &third, which);
        let own = || world.user.id.clone();

        assert_eq!(world.write(end(stranger, WhichSessions::One(first.clone()))).await, Ok(0));
        assert_eq!(world.write(end(own(), WhichSessions::One(first.clone()))).await, Ok(1));
        assert_eq!(world.write(end(own(), WhichSessions::One(first))).await, Ok(0));
        assert_eq!(world.write(end(own(), WhichSessions::Others)).await, Ok(1));
        assert_eq!(live(&world).await, slice::from_ref(&third));
        assert_eq!(world.write(end(own(), WhichSessions::Own)).await, Ok(1));
        assert!(live(&world).await.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disabled_user_has_no_live_session_even_in_a_race() {
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
async fn new_password_ends_every_session_and_the_old_one_fails() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        begun(&world, None).await;
        // Checked before the change, and written after it.
        let (late, _) = begin(&world, None);
        let change = UserChange::Password(NewPassword { hash: "$argon2id$new".into(), forget_failures: vec![] });
        let audit = world.audit();
        assert!(world.write(ChangeUser { id: world.user.id.clone(), change, now: world.now(), audit }).await);
        assert!(live(&world).await.is_empty());
        assert_eq!(world.write(late).await, Err(Denial::PasswordWrong));
        assert!(live(&world).await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn operator_reset_or_ended_session_beats_a_password_change() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (this, _) = begun(&world, None).await;
        let (other, _) = begun(&world, None).await;
        // Checked before each of these, and written after them.
        let late = change_password(&world, &other);
        world.write(end(&world, world.user.id.clone(), &this, WhichSessions::Others)).await.unwrap();
        assert_eq!(world.write(late.clone()).await, Err(Denial::FormExpired));
        assert_eq!(live(&world).await, slice::from_ref(&this));

        assert_eq!(world.write(change_password(&world, &this)).await, Ok(()));
        assert_eq!(live(&world).await, slice::from_ref(&this), "the session of the change goes on");
        assert_eq!(password_hash(&world).await, format!("$argon2id$of {this}"));
        assert_eq!(world.write(change_password(&world, &this)).await, Err(Denial::PasswordWrong));

        let checked_hash = format!("$argon2id$of {this}").into();
        let late = ChangePassword { checked_hash, ..change_password(&world, &this) };
        let reset = UserChange::Password(NewPassword { hash: "$argon2id$reset".into(), forget_failures: vec![] });
        let (id, now, audit) = (world.user.id.clone(), world.now(), world.audit());
        assert!(world.write(ChangeUser { id, change: reset, now, audit }).await);
        assert_eq!(world.write(late).await, Err(Denial::FormExpired));
        assert_eq!(password_hash(&world).await, "$argon2id$reset");
        assert!(live(&world).await.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_changes_after_one_old_password_counts() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (this, _) = begun(&world, None).await;
        let racers: Vec<_> = (0..10)
            .map(|racer| {
                let store = if racer % 2 == 0 { &world.store } else { &world.other }.clone();
                let change = change_password(&world, &this);
                tokio::spawn(async move { store.write(change).await.unwrap() })
            })
            .collect();
        let mut changed = Vec::new();
        for racer in racers {
            changed.push(racer.await.unwrap());
        }
        assert_eq!(changed.iter().filter(|changed| changed.is_ok()).count(), 1);
        assert!(changed.iter().all(|changed| matches!(changed, Ok(()) | Err(Denial::PasswordWrong))));
    })
    .await;
}

#[tokio::test]
async fn operator_ends_a_session_of_anybody_once() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (ended, digest) = begun(&world, None).await;
        let (kept, _) = begun(&world, None).await;
        let end = |id: &SessionId| EndSession { id: id.clone(), now: world.now(), audit: world.audit() };

        assert!(world.write(end(&ended)).await);

        assert!(!world.write(end(&ended)).await, "it was before");
        assert!(!world.write(end(&SessionId::new(world.now(), &world.rng))).await);
        assert_eq!(live(&world).await, slice::from_ref(&kept));
        assert_eq!(find(&world, &digest).await.unwrap().times.ended_at, Some(world.now()));
        let by_id = async |id: SessionId| world.read(FindSessionById { id }).await;
        assert_eq!(by_id(ended.clone()).await.unwrap().times.ended_at, Some(world.now()));
        let found = by_id(kept).await.unwrap();
        assert_eq!((found.user_id, found.times.ended_at), (world.user.id.clone(), None));
        assert!(by_id(SessionId::new(world.now(), &world.rng)).await.is_none());
        let filter = AuditFilter { action: Some(AuditAction::SessionsEnded), ..AuditFilter::default() };
        let events = world.newest_events(filter, 10).await;
        assert_eq!(events.iter().map(|event| event.subject.as_deref()).collect::<Vec<_>>(), [Some(ended.as_str())]);
    })
    .await;
}

#[tokio::test]
async fn nothing_is_done_in_a_session_that_was_ended() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let (ended, digest) = begun(&world, None).await;
        let (other, _) = begun(&world, None).await;
        let own = || world.user.id.clone();
        world.write(end(&world, own(), &ended, WhichSessions::Own)).await.unwrap();
        world.advance(60);

        for which in [WhichSessions::One(other.clone()), WhichSessions::Others] {
            assert_eq!(world.write(end(&world, own(), &ended, which)).await, Err(Denial::FormExpired));
        }
        assert_eq!(world.write(end(&world, own(), &ended, WhichSessions::Own)).await, Ok(0), "again is no harm");
        assert_eq!(live(&world).await, [other]);
        assert_eq!(find(&world, &digest).await.unwrap().times.ended_at, Some(world.now().minus(MINUTE)));

        world.give(&world.public).await;
        let (user_id, client_id, audit) = (own(), world.public.id.clone(), world.audit());
        let disconnect = DisconnectClient { user_id, within: ended, client_id, now: world.now(), audit };
        assert_eq!(world.write(disconnect).await, Err(Denial::FormExpired));
        assert_eq!(world.live_grants().await.len(), 1);
    })
    .await;
}
