//! The rotation of an API key: a successor works beside the old key until nobody needs the old one any more.
//!
//! The old key ends when its successor has been used and it has not been used itself for a set time, or at a deadline,
//! whichever comes first. Easy to get wrong: a successor that nobody can use, since it is revoked or disabled, must not end
//! the old key before the deadline, or the holder would be left without any key.

use std::time::Duration;

use crate::{api_key::KeyFacts, clock::Timestamp, denial::Denial, refusal::Mistake};

/// For how long both keys work by default.
pub const DEFAULT_OVERLAP: Duration = Duration::from_secs(7 * 86_400);

/// For how long both keys may work.
pub const MAX_OVERLAP: Duration = Duration::from_secs(365 * 86_400);

/// For how long the old key must be unused by default.
pub const DEFAULT_QUIET: Duration = Duration::from_secs(86_400);

/// The shortest time for which the old key must be unused. Uses are recorded to the minute and written a little later, so a
/// shorter time could end a key that is in use.
pub const MIN_QUIET: Duration = Duration::from_secs(300);

/// How an old key comes to its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Overlap {
    /// For how long both keys work at most; zero ends the old key at once.
    pub at_most: Duration,
    /// For how long the old key must be unused to end earlier.
    pub quiet_for: Duration,
}

impl Default for Overlap {
    fn default() -> Self {
        Self { at_most: DEFAULT_OVERLAP, quiet_for: DEFAULT_QUIET }
    }
}

impl Overlap {
    /// The overlap with these seconds in place of its own, or why they can't be used.
    pub fn requested(self, overlap: Option<u64>, quiet_for: Option<u64>) -> Result<Self, Vec<Mistake>> {
        let at_most = overlap.map_or(self.at_most, Duration::from_secs);
        let quiet_for = quiet_for.map_or(self.quiet_for, Duration::from_secs);
        Self { at_most, quiet_for }.checked()
    }

    /// The same, if its durations can be used.
    pub fn checked(self) -> Result<Self, Vec<Mistake>> {
        let mut mistakes = Vec::new();
        if self.at_most > MAX_OVERLAP {
            mistakes.push(Mistake::at("overlap", format!("at most {} seconds", MAX_OVERLAP.as_secs())));
        }
        if !(MIN_QUIET..=MAX_OVERLAP).contains(&self.quiet_for) {
            let (least, most) = (MIN_QUIET.as_secs(), MAX_OVERLAP.as_secs());
            mistakes.push(Mistake::at("quiet_for", format!("from {least} to {most} seconds")));
        }
        Mistake::none(mistakes).map(|()| self)
    }

    /// When a key that is rotated at `now` ends at the latest: never later than it would have ended anyway.
    pub fn deadline(self, now: Timestamp, original_end: Option<Timestamp>) -> Timestamp {
        let deadline = now.plus(self.at_most);
        original_end.map_or(deadline, |end| end.min(deadline))
    }
}

/// When a successor that is issued at `now` ends: it gets the lifetime that the key had. `None`: never.
pub fn successor_end(now: Timestamp, created_at: Timestamp, original_end: Option<Timestamp>) -> Option<Timestamp> {
    original_end.map(|end| now.plus(end.since(created_at)))
}

/// Where a rotation is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RotationState {
    /// Nobody has used the successor yet.
    WaitingForFirstUse,
    /// The successor has been used, and the old key may still be in use.
    BothInUse,
    /// The old key has ended.
    Done,
}

impl RotationState {
    /// The state in JSON and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WaitingForFirstUse => "waiting_for_first_use",
            Self::BothInUse => "both_in_use",
            Self::Done => "done",
        }
    }
}

/// Why a rotation came to its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RotationEnd {
    /// The deadline passed.
    Deadline,
    /// The successor was used, and the old key was not for the set time.
    Quiet,
    /// The old key was revoked.
    Revoked,
}

impl RotationEnd {
    /// The reason in the audit.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deadline => "deadline",
            Self::Quiet => "quiet",
            Self::Revoked => "revoked",
        }
    }
}

/// One of the two keys of a rotation.
#[derive(Clone, Copy, Debug)]
pub struct RotatedKey {
    /// What decides whether it can be used.
    pub facts: KeyFacts,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
}

impl RotatedKey {
    /// Whether it has ended for good.
    fn has_ended(&self, now: Timestamp) -> bool {
        matches!(self.facts.check(now), Err(Denial::KeyRevoked | Denial::KeyExpired))
    }
}

/// A rotation that has begun.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// When the successor was issued.
    pub rotated_at: Timestamp,
    /// When the old key ends at the latest.
    pub deadline: Timestamp,
    /// For how long the old key must be unused to end earlier.
    pub quiet_for: Duration,
    /// The key that is replaced.
    pub old: RotatedKey,
    /// The key that replaces it.
    pub successor: RotatedKey,
}

impl Rotation {
    /// Where it is at `now`.
    pub fn state(&self, now: Timestamp) -> RotationState {
        if now >= self.deadline || self.old.has_ended(now) {
            return RotationState::Done;
        }
        match self.successor.last_used_at {
            None => RotationState::WaitingForFirstUse,
            Some(_) => RotationState::BothInUse,
        }
    }

    /// Why it is over at `now`, if it is. A rotation that is over because the old key was quiet ends the old key.
    pub fn end(&self, now: Timestamp) -> Option<RotationEnd> {
        if self.old.facts.revoked_at.is_some() {
            return Some(RotationEnd::Revoked);
        }
        if now >= self.deadline {
            return Some(RotationEnd::Deadline);
        }
        (self.successor_is_in_use(now) && self.is_quiet(now)).then_some(RotationEnd::Quiet)
    }

    /// When to ask again whether one that is open at `now` is over: when that can be so at the earliest, and while nobody
    /// uses the successor, about ten times in the time for which the old key must be unused.
    pub fn next_check(&self, now: Timestamp) -> Timestamp {
        let quiet_at = self.last_needed_at().plus(self.quiet_for);
        quiet_at.max(now.plus(self.quiet_for / 10)).min(self.deadline)
    }

    fn successor_is_in_use(&self, now: Timestamp) -> bool {
        self.successor.last_used_at.is_some() && self.successor.facts.check(now).is_ok()
    }

    fn is_quiet(&self, now: Timestamp) -> bool {
        now >= self.last_needed_at().plus(self.quiet_for)
    }

    /// When the old key was last used, or replaced if that was later.
    fn last_needed_at(&self) -> Timestamp {
        self.old.last_used_at.map_or(self.rotated_at, |at| at.max(self.rotated_at))
    }
}

/// What a request to rotate a key does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RotationStep {
    /// The key gets a successor.
    Begin,
    /// The successor that nobody has used gets another secret.
    Reissue,
}

/// Why a key can't be rotated.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RotationRefused {
    /// It can't be used itself, for this reason.
    NotActive(Denial),
    /// It has a successor that is in use.
    SuccessorInUse,
    /// It has a successor that nobody has used, and nobody confirmed that its secret is replaced.
    SuccessorUnused,
}

/// What a request to rotate `old` at `now` does, beside the successor that it may have already. A successor that has ended
/// counts as none.
pub fn rotate(
    old: &KeyFacts,
    successor: Option<&RotatedKey>,
    replace_unused: bool,
    now: Timestamp,
) -> Result<RotationStep, RotationRefused> {
    old.check(now).map_err(RotationRefused::NotActive)?;
    match successor.filter(|successor| !successor.has_ended(now)) {
        None => Ok(RotationStep::Begin),
        Some(RotatedKey { last_used_at: Some(_), .. }) => Err(RotationRefused::SuccessorInUse),
        Some(_) if replace_unused => Ok(RotationStep::Reissue),
        Some(_) => Err(RotationRefused::SuccessorUnused),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Timestamp = Timestamp::from_secs(1_700_000_000);
    const HOUR: u64 = 3_600;

    fn fresh(expires_at: Option<Timestamp>) -> RotatedKey {
        let facts = KeyFacts { revoked_at: None, expires_at, disabled_at: None, owner_is_disabled: false };
        RotatedKey { facts, last_used_at: None }
    }

    fn after(hours: u64) -> Timestamp {
        START.plus(Duration::from_secs(hours * HOUR))
    }

    /// A rotation with a deadline in 100 hours that ends after 10 quiet ones.
    fn begun() -> Rotation {
        Rotation {
            rotated_at: START,
            deadline: after(100),
            quiet_for: Duration::from_secs(10 * HOUR),
            old: fresh(Some(after(100))),
            successor: fresh(None),
        }
    }

    #[test]
    fn old_key_ends_once_successor_is_used_and_it_is_quiet() {
        let mut rotation = begun();
        assert_eq!((rotation.state(after(50)), rotation.end(after(50))), (RotationState::WaitingForFirstUse, None));
        rotation.successor.last_used_at = Some(after(1));
        assert_eq!((rotation.state(after(9)), rotation.end(after(9))), (RotationState::BothInUse, None));
        assert_eq!(rotation.end(after(10)), Some(RotationEnd::Quiet));
        rotation.old.last_used_at = Some(after(5));
        assert_eq!(rotation.end(after(14)), None);
        assert_eq!(rotation.end(after(15)), Some(RotationEnd::Quiet));
    }

    #[test]
    fn old_key_ends_at_the_deadline_in_any_case() {
        let rotation = begun();
        assert_eq!(rotation.end(after(99)), None);
        assert_eq!(
            (rotation.state(after(100)), rotation.end(after(100))),
            (RotationState::Done, Some(RotationEnd::Deadline))
        );
    }

    #[test]
    fn successor_that_cannot_be_used_leaves_the_old_key_alone() {
        let mut rotation = begun();
        rotation.successor.last_used_at = Some(after(1));
        rotation.successor.facts.disabled_at = Some(after(2));
        assert_eq!(rotation.end(after(50)), None);
        rotation.successor.facts = KeyFacts { revoked_at: Some(after(2)), ..rotation.successor.facts };
        assert_eq!((rotation.state(after(50)), rotation.end(after(50))), (RotationState::BothInUse, None));
    }

    #[test]
    fn open_rotation_is_looked_at_when_it_can_be_over() {
        let mut rotation = begun();
        assert_eq!(rotation.next_check(after(2)), after(10), "it must be quiet for so long");
        assert_eq!(rotation.next_check(after(20)), after(21), "the successor may be used at any time");
        rotation.old.last_used_at = Some(after(19));
        assert_eq!(rotation.next_check(after(20)), after(29));
        assert_eq!(rotation.next_check(after(99)), after(100), "the deadline comes first");
    }

    #[test]
    fn use_before_the_rotation_does_not_shorten_the_quiet_time() {
        let mut rotation = Rotation { successor: fresh(None), ..begun() };
        rotation.old.last_used_at = Some(START.minus(Duration::from_secs(20 * HOUR)));
        rotation.successor.last_used_at = Some(after(1));
        assert_eq!((rotation.end(after(9)), rotation.end(after(10))), (None, Some(RotationEnd::Quiet)));
    }

    #[test]
    fn only_an_active_key_without_a_live_successor_is_rotated() {
        let old = fresh(None);
        let revoked = KeyFacts { revoked_at: Some(START), ..old.facts };
        assert_eq!(rotate(&revoked, None, true, START), Err(RotationRefused::NotActive(Denial::KeyRevoked)));
        let disabled = KeyFacts { disabled_at: Some(START), ..old.facts };
        assert_eq!(rotate(&disabled, None, true, START), Err(RotationRefused::NotActive(Denial::KeyDisabled)));
        assert_eq!(rotate(&old.facts, None, false, START), Ok(RotationStep::Begin));
        let ended = RotatedKey { facts: revoked, last_used_at: Some(START) };
        assert_eq!(rotate(&old.facts, Some(&ended), false, START), Ok(RotationStep::Begin));
        assert_eq!(rotate(&old.facts, Some(&fresh(None)), false, START), Err(RotationRefused::SuccessorUnused));
        assert_eq!(rotate(&old.facts, Some(&fresh(None)), true, START), Ok(RotationStep::Reissue));
        let used = RotatedKey { last_used_at: Some(START), ..fresh(None) };
        assert_eq!(rotate(&old.facts, Some(&used), true, START), Err(RotationRefused::SuccessorInUse));
    }

    #[test]
    fn overlap_is_bounded_and_never_extends_a_key() {
        let places = |overlap, quiet_for| {
            let asked = Overlap::default().requested(overlap, quiet_for);
            asked.map_err(|mistakes| mistakes.into_iter().map(|mistake| mistake.pointer).collect::<Vec<_>>())
        };
        assert_eq!(places(None, None), Ok(Overlap::default()));
        assert_eq!(places(Some(0), Some(300)).map(|overlap| overlap.at_most), Ok(Duration::ZERO));
        assert!(places(Some(365 * 86_400), Some(365 * 86_400)).is_ok());
        let both = vec!["/overlap".to_owned(), "/quiet_for".to_owned()];
        assert_eq!(places(Some(365 * 86_400 + 1), Some(299)), Err(both));
        assert_eq!(places(None, Some(365 * 86_400 + 1)), Err(vec!["/quiet_for".to_owned()]));
        let day = Overlap { at_most: Duration::from_secs(24 * HOUR), ..Overlap::default() };
        assert_eq!(day.deadline(START, None), after(24));
        assert_eq!(day.deadline(START, Some(after(3))), after(3));
    }

    #[test]
    fn successor_gets_the_lifetime_that_the_key_had() {
        assert_eq!(successor_end(after(9), START, Some(after(10))), Some(after(19)));
        assert_eq!(successor_end(after(9), START, None), None);
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        UseOld,
        UseNew,
        Wait(u64),
        Rotate { replace_unused: bool },
        RevokeOld,
        RevokeNew,
        DisableOld(bool),
        DisableNew(bool),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => Just(Step::UseOld),
            4 => Just(Step::UseNew),
            6 => (1_u64..8).prop_map(Step::Wait),
            3 => any::<bool>().prop_map(|replace_unused| Step::Rotate { replace_unused }),
            1 => Just(Step::RevokeOld),
            1 => Just(Step::RevokeNew),
            1 => any::<bool>().prop_map(Step::DisableOld),
            1 => any::<bool>().prop_map(Step::DisableNew),
        ]
    }

    /// What must be true of the two keys, kept by other means than [`Rotation`]: hours, and what somebody did.
    #[derive(Default)]
    struct Model {
        now: u64,
        rotated_at: Option<u64>,
        old_used_at: Option<u64>,
        new_used_at: Option<u64>,
        old_ended: bool,
        old_revoked: bool,
        new_revoked: bool,
        old_disabled: bool,
        new_disabled: bool,
    }

    const OVERLAP: u64 = 24;
    const QUIET: u64 = 6;

    impl Model {
        fn old_works(&self) -> bool {
            !self.old_ended && !self.old_revoked && !self.old_disabled
        }

        fn new_works(&self) -> bool {
            self.rotated_at.is_some() && !self.new_revoked && !self.new_disabled
        }

        /// Ends the old key as the issue says it.
        fn tick(&mut self) {
            let Some(rotated_at) = self.rotated_at else { return };
            let silence = self.now - self.old_used_at.unwrap_or(0).max(rotated_at);
            let is_replaced = self.new_used_at.is_some() && self.new_works() && silence >= QUIET;
            self.old_ended |= is_replaced || self.now >= rotated_at + OVERLAP;
        }
    }

    proptest! {
        #[test]
        fn keys_follow_the_model_whatever_happens(steps in proptest::collection::vec(step(), 1..80)) {
            let overlap = Overlap { at_most: Duration::from_secs(OVERLAP * HOUR), quiet_for: Duration::from_secs(QUIET * HOUR) };
            let mut model = Model::default();
            let (mut old, mut rotation) = (fresh(None), None::<Rotation>);
            for step in steps {
                let now = after(model.now);
                match step {
                    Step::UseOld if old.facts.check(now).is_ok() => {
                        prop_assert!(model.old_works());
                        (old.last_used_at, model.old_used_at) = (Some(now), Some(model.now));
                    }
                    Step::UseOld => prop_assert!(!model.old_works()),
                    Step::UseNew => {
                        let new = rotation.as_mut().map(|rotation| &mut rotation.successor);
                        let new = new.filter(|new| new.facts.check(now).is_ok());
                        prop_assert_eq!(new.is_some(), model.new_works());
                        if let Some(new) = new {
                            (new.last_used_at, model.new_used_at) = (Some(now), Some(model.now));
                        }
                    }
                    Step::Wait(hours) => model.now += hours,
                    Step::Rotate { replace_unused } => {
                        let answer = rotate(&old.facts, rotation.as_ref().map(|rotation| &rotation.successor), replace_unused, now);
                        let has_new = model.rotated_at.is_some() && !model.new_revoked;
                        let is_free = !has_new || (model.new_used_at.is_none() && replace_unused);
                        prop_assert_eq!(answer.is_ok(), model.old_works() && is_free);
                        if let Ok(step) = answer {
                            let disabled_at = rotation.filter(|_| step == RotationStep::Reissue);
                            let disabled_at = disabled_at.and_then(|rotation| rotation.successor.facts.disabled_at);
                            model.new_disabled = disabled_at.is_some();
                            let mut successor = fresh(None);
                            successor.facts.disabled_at = disabled_at;
                            let deadline = overlap.deadline(now, None);
                            old.facts.expires_at = Some(deadline);
                            rotation = Some(Rotation { rotated_at: now, deadline, quiet_for: overlap.quiet_for, old, successor });
                            (model.rotated_at, model.new_used_at, model.new_revoked) = (Some(model.now), None, false);
                        }
                    }
                    Step::RevokeOld => {
                        old.facts.revoked_at = old.facts.revoked_at.or(Some(now));
                        model.old_revoked = true;
                    }
                    Step::RevokeNew => if let Some(rotation) = &mut rotation {
                        rotation.successor.facts.revoked_at = Some(now);
                        model.new_revoked = true;
                    },
                    Step::DisableOld(is_disabled) => {
                        old.facts.disabled_at = is_disabled.then_some(now);
                        model.old_disabled = is_disabled;
                    }
                    Step::DisableNew(is_disabled) => if let Some(rotation) = &mut rotation {
                        rotation.successor.facts.disabled_at = is_disabled.then_some(now);
                        model.new_disabled = is_disabled;
                    },
                }
                // The task of the server: a quiet key ends now.
                let now = after(model.now);
                if let Some(rotation) = &mut rotation {
                    rotation.old = old;
                    if rotation.end(now) == Some(RotationEnd::Quiet) {
                        let is_last = rotation.successor.facts.check(now).is_err();
                        prop_assert!(!is_last, "the holder is left without a key");
                        old.facts.expires_at = old.facts.expires_at.map(|at| at.min(now));
                        rotation.old = old;
                    }
                    model.tick();
                    let is_done = model.old_ended || model.old_revoked;
                    prop_assert_eq!(rotation.state(now) == RotationState::Done, is_done);
                }
                prop_assert_eq!(old.facts.check(now).is_ok(), model.old_works());
            }
        }
    }
}
