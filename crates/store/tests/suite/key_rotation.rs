//! The rotation of keys: one successor, one end, and a model beside it.

use std::time::Duration;

use doorward_core::{
    id::KeyId,
    key_policy::KeyPolicy,
    key_rotation::{Overlap, RotationEnd, RotationState},
    random::{self, SeededRng},
};
use doorward_store::{
    StoreError,
    audit::AuditFilter,
    keys::{
        CreateKey, DisableKey, DueBy, DueRotations, EndRotation, FindKey, FindKeyByDigest, FindShownKey, KeyRecord,
        KeyRevocation, KeyTouch, ListDueKeys, ListKeys, ListShownKeys, MarkDue, NoticeExpiring, OwnKeyRotation,
        RevokeKey, RotateKey, RotateOwnKey, ShownKey, TouchKeys,
    },
};

use crate::{
    harness::on_each_engine,
    keys,
    world::{World, race},
};

const HOUR: u64 = 3_600;
const OVERLAP: u64 = 24;
const QUIET: u64 = 6;

/// A rotation of a key as it is now, with a successor of this secret.
pub(crate) async fn rotation(world: &World, id: &KeyId, secret: &str, replace_unused: bool) -> RotateKey {
    let from = world.read(FindShownKey { id: id.clone() }).await.unwrap();
    let fresh = keys::key(world, secret);
    let reissued =
        from.rotations.replaced.as_ref().filter(|_| replace_unused).map(|replaced| replaced.successor.clone());
    let successor = KeyRecord { id: reissued.unwrap_or(fresh.id.clone()), ..fresh };
    RotateKey {
        from: Box::new(from),
        replace_unused,
        successor: Box::new(successor),
        overlap: Overlap { at_most: Duration::from_secs(OVERLAP * HOUR), quiet_for: Duration::from_secs(QUIET * HOUR) },
        now: world.now(),
        audit: world.audit(),
        audit_of_successor: world.audit(),
    }
}

async fn shown(world: &World, id: &KeyId) -> ShownKey {
    world.read(FindShownKey { id: id.clone() }).await.unwrap()
}

async fn state(world: &World, id: &KeyId) -> Option<RotationState> {
    let ShownKey { key, rotations } = shown(world, id).await;
    rotations.replaced.map(|replaced| replaced.of(&key).state(world.now()))
}

async fn works(world: &World, id: &KeyId) -> bool {
    world.read(FindKey { id: id.clone() }).await.unwrap().facts().check(world.now()).is_ok()
}

async fn touch(world: &World, id: &KeyId) {
    world
        .write(TouchKeys { uses: vec![KeyTouch { id: id.clone(), at: world.now(), address: None, digest: None }] })
        .await;
}

/// What the task of a server does. Gives why each rotation ended.
async fn tick(world: &World) -> Vec<RotationEnd> {
    let mut ends = Vec::new();
    for id in world.read(DueRotations { now: world.now(), limit: 100 }).await {
        ends.extend(world.write(EndRotation { id, now: world.now(), audit: world.audit() }).await);
    }
    ends
}

#[tokio::test]
async fn rotation_reads_back_on_both_keys() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let old = keys::created(&world, keys::key(&world, "old")).await;
        world.advance(1);
        let rotate = rotation(&world, &old.id, "new", false).await;
        world.write(rotate.clone()).await;
        let found = shown(&world, &old.id).await;
        let replaced = found.rotations.replaced.unwrap();
        let deadline = world.now().plus(Duration::from_secs(OVERLAP * HOUR));
        assert_eq!((replaced.successor, replaced.deadline), (rotate.successor.id.clone(), deadline));
        assert_eq!((replaced.rotated_at, replaced.original_end, replaced.ended_at), (world.now(), None, None));
        assert_eq!((replaced.quiet_for, found.key.expires_at), (rotate.overlap.quiet_for, Some(deadline)));
        assert_eq!(replaced.successor_created_at, world.now());
        let listed = ListShownKeys(ListKeys { filter: Default::default(), after: None, limit: 10 });
        let listed = world.read(listed).await;
        let predecessors: Vec<_> = listed.into_iter().map(|found| found.rotations.predecessor).collect();
        assert_eq!(predecessors, [None, Some(old.id.clone())]);
        let actions = world.newest_events(AuditFilter::default(), 2).await;
        let actions: Vec<_> = actions.iter().map(|event| (event.action.as_str(), event.subject.clone())).collect();
        assert_eq!(actions.len(), 2);
        assert!(actions.contains(&("key.rotated", Some(old.id.to_string()))), "{actions:?}");
        assert!(actions.contains(&("key.created", Some(rotate.successor.id.to_string()))), "{actions:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn key_rotated_many_times_at_once_gets_one_successor() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let old = keys::created(&world, keys::key(&world, "old")).await;
        let mut tasks = Vec::new();
        for (number, store) in (0..8).zip([&world.store, &world.other].into_iter().cycle()) {
            let operation = rotation(&world, &old.id, &format!("new {number}"), false).await;
            let store = store.clone();
            tasks.push(tokio::spawn(async move { (operation.successor.id.clone(), store.write(operation).await) }));
        }
        let mut successors = Vec::new();
        for task in tasks {
            match task.await.unwrap() {
                (id, Ok(())) => successors.push(id),
                (_, Err(error)) => assert!(matches!(error, StoreError::Conflict), "{error}"),
            }
        }
        assert_eq!(successors.len(), 1);
        assert_eq!(shown(&world, &old.id).await.rotations.replaced.unwrap().successor, successors[0]);
        let keys = world.read(ListKeys { filter: Default::default(), after: None, limit: 10 }).await;
        assert_eq!(keys.len(), 2, "a successor that lost was rolled back");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotation_beside_a_revocation_is_whole_or_refused() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        for number in 0..10 {
            let old = keys::created(&world, keys::key(&world, &format!("old {number}"))).await;
            let rotate = rotation(&world, &old.id, &format!("new {number}"), false).await;
            let revoke = RevokeKey { id: old.id.clone(), now: world.now(), audit: world.audit() };
            let (one, other, successor) = (world.store.clone(), world.other.clone(), rotate.successor.id.clone());
            let rotating = tokio::spawn(async move { one.write(rotate).await });
            let revoking = tokio::spawn(async move { other.write(revoke).await });
            assert_eq!(revoking.await.unwrap().unwrap(), KeyRevocation::Now);
            assert!(!works(&world, &old.id).await);
            match rotating.await.unwrap() {
                Ok(()) => assert!(works(&world, &successor).await),
                Err(error) => {
                    assert!(matches!(error, StoreError::Conflict), "{error}");
                    assert!(world.read(FindKey { id: successor }).await.is_none());
                }
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotation_is_ended_once_over_several_servers() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let old = keys::created(&world, keys::key(&world, "old")).await;
        let rotate = rotation(&world, &old.id, "new", false).await;
        let successor = rotate.successor.id.clone();
        world.write(rotate).await;
        touch(&world, &successor).await;
        world.advance(QUIET * HOUR);
        assert_eq!(world.read(DueRotations { now: world.now(), limit: 10 }).await, std::slice::from_ref(&old.id));
        let end = || EndRotation { id: old.id.clone(), now: world.now(), audit: world.audit() };
        let ends = race(&world, (0..8).map(|_| end()).collect()).await;
        assert_eq!(ends.iter().flatten().collect::<Vec<_>>(), [&RotationEnd::Quiet]);
        assert!(!works(&world, &old.id).await && works(&world, &successor).await);
        assert_eq!(world.read(DueRotations { now: world.now(), limit: 10 }).await, []);
        let events = world.newest_events(AuditFilter::default(), 20).await;
        assert_eq!(events.iter().filter(|event| event.action.as_str() == "key.rotation_ended").count(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn form_sent_at_the_same_time_makes_one_successor() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let old = keys::created(&world, keys::key(&world, "old")).await;
        let rotate = rotation(&world, &old.id, "new", false).await;
        let successor = rotate.successor.id.clone();
        let outcomes = race(&world, vec![RotateOwnKey { rotate }; 8]).await;
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == OwnKeyRotation::Rotated).count(), 1);
        assert_eq!(shown(&world, &old.id).await.rotations.replaced.unwrap().successor, successor);
        let events = world.newest_events(AuditFilter::default(), 20).await;
        assert_eq!(events.iter().filter(|event| event.action.as_str() == "key.rotated").count(), 1);
    })
    .await;
}

#[tokio::test]
async fn reissued_successor_has_only_its_new_secret() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let old = keys::created(&world, keys::key(&world, "old")).await;
        world.write(rotation(&world, &old.id, "lost", false).await).await;
        world.write(rotation(&world, &old.id, "found", true).await).await;
        let find =
            async |secret| world.read(FindKeyByDigest { candidates: world.peppers.candidates(secret).collect() }).await;
        let successor = find("found").await.unwrap();
        assert_eq!(shown(&world, &old.id).await.rotations.replaced.unwrap().successor, successor.id);
        assert!(find("lost").await.is_none());
        // A use of the lost secret that is written only now does not bring it back.
        let (id, digest) = (successor.id.clone(), Some(world.peppers.digest("lost")));
        let stale = KeyTouch { id, at: world.now(), address: None, digest };
        world.write(TouchKeys { uses: vec![stale] }).await;
        assert!(find("lost").await.is_none() && find("found").await.is_some());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_end_soon_are_found_once_over_several_servers() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let ahead = Duration::from_secs(14 * 24 * HOUR);
        let notice = || NoticeExpiring { ahead, now: world.now(), audits: (0..8).map(|_| world.audit()).collect() };
        assert!(!world.write(notice()).await, "a search begins with the keys that end later");
        for number in 0..30 {
            let expires_at = world.now().plus(ahead + Duration::from_secs(HOUR + number % 3));
            let key = KeyRecord { expires_at: Some(expires_at), ..keys::key(&world, &format!("{number}")) };
            keys::created(&world, key).await;
        }
        assert!(!world.write(notice()).await);
        world.advance(2 * HOUR);
        for _ in 0..3 {
            race(&world, (0..4).map(|_| notice()).collect()).await;
        }
        let events = world.newest_events(AuditFilter::default(), 200).await;
        let told = events.iter().filter(|event| event.action.as_str() == "key.expiring");
        let mut subjects: Vec<_> = told.map(|event| event.subject.clone()).collect();
        assert_eq!(subjects.len(), 30);
        subjects.sort();
        subjects.dedup();
        assert_eq!(subjects.len(), 30, "each key once");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_marked_as_due_once_over_several_servers() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        let policy = KeyPolicy { rotate_after: 10 * HOUR, rotate_ahead: 5 * HOUR, ..KeyPolicy::default() };
        let mark = |by| MarkDue {
            api: world.api.id.clone(),
            policy,
            by,
            now: world.now(),
            audits: (0..8).map(|_| world.audit()).collect(),
        };
        for number in 0..30_u64 {
            // Every third is due by its end, and the others by their age.
            let expires_at = (number % 3 == 0).then(|| world.now().plus(Duration::from_secs(12 * HOUR)));
            keys::created(&world, KeyRecord { expires_at, ..keys::key(&world, &format!("{number}")) }).await;
        }
        let due = async || world.read(ListDueKeys { after: None, limit: 100 }).await.len();
        let mut counts = Vec::new();
        for hours in [6, 1, 2, 2] {
            world.advance(hours * HOUR);
            for by in [DueBy::Age, DueBy::End] {
                for _ in 0..2 {
                    race(&world, (0..4).map(|_| mark(by)).collect()).await;
                }
            }
            counts.push(due().await);
        }
        assert_eq!(counts, [0, 0, 10, 30]);
        let events = world.newest_events(AuditFilter::default(), 200).await;
        assert_eq!(events.iter().filter(|event| event.action.as_str() == "key.rotation_due").count(), 30);
    })
    .await;
}

/// What must be true of the two keys, in hours since the start.
#[derive(Default)]
struct Model {
    now: u64,
    rotated_at: Option<u64>,
    old_used_at: u64,
    new_used: bool,
    old_ended: bool,
    old_revoked: bool,
    new_revoked: bool,
    old_disabled: bool,
    new_disabled: bool,
}

impl Model {
    fn old_works(&self) -> bool {
        !self.old_ended && !self.old_revoked && !self.old_disabled
    }

    fn new_works(&self) -> bool {
        self.rotated_at.is_some() && !self.new_revoked && !self.new_disabled
    }

    /// The hours pass, and then the task runs.
    fn wait(&mut self, hours: u64) {
        self.now += hours;
        let Some(rotated_at) = self.rotated_at else { return };
        let is_quiet = self.now - self.old_used_at.max(rotated_at) >= QUIET;
        self.old_ended |= (self.new_used && self.new_works() && is_quiet) || self.now >= rotated_at + OVERLAP;
    }
}

#[tokio::test]
async fn keys_follow_the_model_in_any_order_of_events() {
    on_each_engine(async |database| {
        let world = World::new(&database).await;
        for seed in 0..8 {
            follow(&world, seed).await;
        }
    })
    .await;
}

/// Does 60 random things to a key and its successor, and compares them with the model after each.
async fn follow(world: &World, seed: u64) {
    let (rng, mut model) = (SeededRng::new(seed), Model::default());
    let old = keys::key(world, &format!("{seed} old"));
    world.write(CreateKey { key: old.clone(), audit: world.audit() }).await;
    let (old, mut new) = (old.id, None::<KeyId>);
    let disable = async |id: &KeyId, is_disabled| {
        let operation = DisableKey { id: id.clone(), is_disabled, now: world.now(), audit: world.audit() };
        world.write(operation).await;
    };
    let revoke = async |id: &KeyId| {
        world.write(RevokeKey { id: id.clone(), now: world.now(), audit: world.audit() }).await;
    };
    for number in 0..60 {
        let [what, how] = random::bytes(&rng);
        let (hours, flag) = (u64::from(how % 7) + 1, how % 2 == 0);
        match (what % 24, &new) {
            (0..4, _) if model.old_works() => {
                touch(world, &old).await;
                model.old_used_at = model.now;
            }
            (4..8, Some(new)) if model.new_works() => {
                touch(world, new).await;
                model.new_used = true;
            }
            (8..15, _) => {
                world.advance(hours * HOUR);
                model.wait(hours);
                tick(world).await;
            }
            (15..19, _) => {
                let operation = rotation(world, &old, &format!("{seed} new {number}"), flag).await;
                let mut operation = operation;
                let has_new = new.is_some() && !model.new_revoked;
                if !has_new {
                    operation.successor.id = KeyId::new(world.now(), &world.rng);
                }
                let successor = operation.successor.id.clone();
                let answer = world.store.write(operation).await;
                let is_free = !has_new || (!model.new_used && flag);
                assert_eq!(answer.is_ok(), model.old_works() && is_free, "seed {seed}, step {number}: {answer:?}");
                if answer.is_ok() {
                    model.new_disabled &= has_new;
                    (model.rotated_at, model.new_used, model.new_revoked) = (Some(model.now), false, false);
                    new = Some(successor);
                }
            }
            (19, _) if flag => {
                revoke(&old).await;
                model.old_revoked = true;
            }
            (20, Some(new)) => {
                revoke(new).await;
                model.new_revoked = true;
            }
            (21, _) if !model.old_revoked => {
                disable(&old, flag).await;
                model.old_disabled = flag;
            }
            (22, Some(new)) if !model.new_revoked => {
                disable(new, flag).await;
                model.new_disabled = flag;
            }
            _ => {}
        }
        let context = format!("seed {seed}, step {number}, hour {}", model.now);
        assert_eq!(works(world, &old).await, model.old_works(), "{context}: the old key");
        if let Some(new) = &new {
            assert_eq!(works(world, new).await, model.new_works(), "{context}: the successor");
            let is_done = state(world, &old).await == Some(RotationState::Done);
            assert_eq!(is_done, model.old_ended || model.old_revoked, "{context}");
        }
    }
}
