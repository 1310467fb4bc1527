//! Rotating refresh tokens (RFC 9700 section 4.14): idempotent for the honest, the end of the family for reuse.
//!
//! A family is a chain of generations with one live token. The predecessor of the live token, presented again, is a
//! **repeat** (a lost answer, a second tab): it gets the same successor. Anything older is **reuse**: its successor was
//! used, so two parties hold the chain.

use std::{net::IpAddr, time::Duration};

use super::binding::Binding;
use crate::{clock::Timestamp, denial::Denial, digest, id::ClientId, network::Network, refusal::Refusal};

/// How many repeats a day may come from other addresses than the one that rotated.
pub const OTHER_ADDRESS_REPEATS_A_DAY: u32 = 5;

const DAY: Duration = Duration::from_secs(86_400);

/// Bounds of refresh tokens.
#[derive(Clone, Copy, Debug)]
pub struct RefreshLimits {
    /// How long a token may lie unused.
    pub idle: Duration,
    /// How old a family may become.
    pub absolute: Duration,
    /// How long an unbound client may repeat from the address that rotated.
    pub grace_same_address: Duration,
    /// How long from any other.
    pub grace_other_address: Duration,
}

impl Default for RefreshLimits {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(30 * 86_400),
            absolute: Duration::from_secs(180 * 86_400),
            grace_same_address: Duration::from_secs(60),
            grace_other_address: Duration::from_secs(10),
        }
    }
}

/// What the store knows of the presented token and its family.
#[derive(Clone, Debug)]
pub struct RefreshFacts {
    /// The client that the family belongs to.
    pub client_id: ClientId,
    /// How its tokens are bound.
    pub binding: Binding,
    /// The times of the family.
    pub family: FamilyTimes,
    /// Whether the family, its grant or its client was ended.
    pub has_ended: bool,
    /// Whether the user can't be used any more.
    pub user_is_unavailable: bool,
    /// The generation of the live token.
    pub live_generation: i64,
    /// The generation of the presented token.
    pub generation: i64,
    /// When the presented token was made.
    pub issued_at: Timestamp,
    /// When and from where the live token was made, unless it is the first.
    pub last_rotation: Option<Rotation>,
    /// The repeats that came from other addresses.
    pub other_repeats: OtherRepeats,
}

/// Repeats from other addresses than the one that rotated, in a day that began with the first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OtherRepeats {
    /// How many.
    pub count: u32,
    /// When the day began.
    pub since: Timestamp,
}

impl OtherRepeats {
    /// What counts at `now`: nothing, if the day is over.
    fn at(self, now: Timestamp) -> Self {
        match now.since(self.since) < DAY {
            true => self,
            false => Self { count: 0, since: now },
        }
    }
}

/// When a family began, and when it ends in any case, as was said then.
#[derive(Clone, Copy, Debug)]
pub struct FamilyTimes {
    /// When it began.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// When a token ends if it is not used: by its own idle time or with its family, whichever comes first. Limits that were
/// made shorter hold for families that are there already.
pub fn expires_at(issued_at: Timestamp, family: FamilyTimes, limits: &RefreshLimits) -> Timestamp {
    let absolute = family.expires_at.min(family.created_at.plus(limits.absolute));
    issued_at.plus(limits.idle).min(absolute)
}

/// When and from where a token was rotated: its successor was made then.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rotation {
    /// When.
    pub at: Timestamp,
    /// From where.
    pub address: IpAddr,
}

/// Who presents a refresh token.
#[derive(Clone, Debug)]
pub struct RefreshRequest {
    /// The authenticated client.
    pub client_id: ClientId,
    /// Where from.
    pub address: IpAddr,
}

/// What is to be done; it is done also when the outcome is a refusal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RefreshEffect {
    /// A repeat from another address: remember this count, and answer with the successor that was made before.
    CountRepeat(OtherRepeats),
    /// End the family, the grant and its tokens.
    EndFamily,
    /// Nothing.
    None,
    /// Answer with the successor that was made before.
    Repeat,
    /// Make a successor.
    Rotate,
    /// Write a signal to the audit; the family lives.
    Signal,
}

/// Decides what happens to a presented refresh token.
pub fn decide(
    request: &RefreshRequest,
    facts: &RefreshFacts,
    limits: &RefreshLimits,
    now: Timestamp,
) -> (RefreshEffect, Result<(), Refusal>) {
    if request.client_id != facts.client_id {
        let refusal = Refusal::new(Denial::RefreshTokenOfAnotherClient)
            .fact("presented_by", &request.client_id)
            .fact("given_to", &facts.client_id);
        return (RefreshEffect::Signal, Err(refusal));
    }
    if facts.has_ended {
        return (RefreshEffect::None, Err(Denial::GrantEnded.into()));
    }
    if facts.user_is_unavailable {
        return (RefreshEffect::None, Err(Denial::UserUnavailable.into()));
    }
    if facts.generation < facts.live_generation - 1 {
        return (RefreshEffect::EndFamily, Err(reused(request, facts, now)));
    }
    if now >= expires_at(facts.issued_at, facts.family, limits) {
        return (RefreshEffect::None, Err(Denial::RefreshTokenExpired.into()));
    }
    match facts.last_rotation.filter(|_| facts.generation < facts.live_generation) {
        None => (RefreshEffect::Rotate, Ok(())),
        Some(rotation) => decide_repeat(request, facts, rotation, limits, now),
    }
}

fn decide_repeat(
    request: &RefreshRequest,
    facts: &RefreshFacts,
    rotation: Rotation,
    limits: &RefreshLimits,
    now: Timestamp,
) -> (RefreshEffect, Result<(), Refusal>) {
    let age = now.since(rotation.at);
    let is_same_address = Network::of(request.address) == Network::of(rotation.address);
    if facts.binding.is_bound() || (is_same_address && age < limits.grace_same_address) {
        return (RefreshEffect::Repeat, Ok(()));
    }
    let refuse = |why: &'static str| {
        let refusal = Refusal::new(Denial::RefreshTokenGraceOver)
            .fact("why", why)
            .fact("rotated_at", rotation.at.as_secs())
            .fact("rotated_from", rotation.address)
            .fact("repeated_from", request.address);
        (RefreshEffect::Signal, Err(refusal))
    };
    if age >= limits.grace_other_address {
        return refuse("the grace is over");
    }
    let today = facts.other_repeats.at(now);
    if today.count >= OTHER_ADDRESS_REPEATS_A_DAY {
        return refuse("too many repeats from other addresses");
    }
    (RefreshEffect::CountRepeat(OtherRepeats { count: today.count + 1, ..today }), Ok(()))
}

/// Names both parties: who presents the old token, and who holds the chain since.
fn reused(request: &RefreshRequest, facts: &RefreshFacts, now: Timestamp) -> Refusal {
    let refusal = Refusal::new(Denial::RefreshTokenReused)
        .fact("client_id", &request.client_id)
        .fact("reused_from", request.address)
        .fact("reused_at", now.as_secs());
    match facts.last_rotation {
        Some(rotation) => refusal.fact("rotated_from", rotation.address).fact("rotated_at", rotation.at.as_secs()),
        None => refusal,
    }
}

/// The key that seals a successor: derived from its predecessor, which the server does not keep. Who has the database,
/// a backup and the pepper still can't open it.
pub fn successor_key(predecessor: &str, family: &str, generation: i64) -> zeroize::Zeroizing<[u8; 32]> {
    digest::derive(predecessor.as_bytes(), &format!("doorward/refresh-successor/{family}/{generation}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::random::SeededRng;

    const START: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn client(seed: u64) -> ClientId {
        ClientId::new(START, &SeededRng::new(seed))
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn live() -> RefreshFacts {
        RefreshFacts {
            client_id: client(1),
            binding: Binding::None,
            family: FamilyTimes { created_at: START, expires_at: START.plus(RefreshLimits::default().absolute) },
            has_ended: false,
            user_is_unavailable: false,
            live_generation: 3,
            generation: 3,
            issued_at: START,
            last_rotation: None,
            other_repeats: OtherRepeats { count: 0, since: START },
        }
    }

    fn predecessor() -> RefreshFacts {
        RefreshFacts { generation: 2, last_rotation: Some(Rotation { at: START, address: address(1) }), ..live() }
    }

    fn decided(facts: &RefreshFacts, from: IpAddr, after: u64) -> (RefreshEffect, Option<Denial>) {
        let request = RefreshRequest { client_id: client(1), address: from };
        let now = START.plus(Duration::from_secs(after));
        let (effect, outcome) = decide(&request, facts, &RefreshLimits::default(), now);
        (effect, outcome.err().map(|refusal| refusal.denial))
    }

    #[test]
    fn an_unbound_repeat_has_a_minute_at_its_address_and_ten_seconds_elsewhere() {
        let over = (RefreshEffect::Signal, Some(Denial::RefreshTokenGraceOver));
        assert_eq!(decided(&predecessor(), address(1), 59), (RefreshEffect::Repeat, None));
        assert_eq!(decided(&predecessor(), address(1), 60), over);
        let counted = OtherRepeats { count: 1, since: START };
        assert_eq!(decided(&predecessor(), address(2), 9), (RefreshEffect::CountRepeat(counted), None));
        assert_eq!(decided(&predecessor(), address(2), 10), over);
    }

    #[test]
    fn a_bound_repeat_has_until_the_successor_is_used() {
        let bound = RefreshFacts { binding: Binding::Client, ..predecessor() };
        assert_eq!(decided(&bound, address(2), 86_400), (RefreshEffect::Repeat, None));
        let used = RefreshFacts { live_generation: 4, ..bound };
        assert_eq!(decided(&used, address(1), 1), (RefreshEffect::EndFamily, Some(Denial::RefreshTokenReused)));
    }

    #[test]
    fn repeats_from_other_addresses_are_counted_by_the_day() {
        let of_day = |count, since| RefreshFacts { other_repeats: OtherRepeats { count, since }, ..predecessor() };
        let spent = of_day(5, START);
        assert_eq!(decided(&spent, address(2), 1).1, Some(Denial::RefreshTokenGraceOver));
        assert_eq!(decided(&spent, address(1), 1), (RefreshEffect::Repeat, None));
        let anew = OtherRepeats { count: 1, since: START.plus(Duration::from_secs(1)) };
        let yesterday = of_day(5, START.minus(DAY));
        assert_eq!(decided(&yesterday, address(2), 1).0, RefreshEffect::CountRepeat(anew));
    }

    #[test]
    fn another_client_and_an_ended_family_change_nothing() {
        let foreign = RefreshFacts { client_id: client(2), ..live() };
        let refused = (RefreshEffect::Signal, Some(Denial::RefreshTokenOfAnotherClient));
        assert_eq!(decided(&foreign, address(1), 1), refused);
        let foreign_reuse = RefreshFacts { generation: 1, ..foreign };
        assert_eq!(decided(&foreign_reuse, address(1), 1), refused);
        let ended = RefreshFacts { has_ended: true, ..live() };
        assert_eq!(decided(&ended, address(1), 1), (RefreshEffect::None, Some(Denial::GrantEnded)));
    }

    #[test]
    fn idle_and_absolute_ends_are_kept() {
        let expired = (RefreshEffect::None, Some(Denial::RefreshTokenExpired));
        assert_eq!(decided(&live(), address(1), 30 * 86_400), expired);
        let young = RefreshFacts { issued_at: START.plus(Duration::from_secs(179 * 86_400)), ..live() };
        assert_eq!(decided(&young, address(1), 180 * 86_400 - 1).1, None);
        assert_eq!(decided(&young, address(1), 180 * 86_400), expired);
        let ends_early = FamilyTimes { created_at: START, expires_at: START.plus(DAY) };
        assert_eq!(decided(&RefreshFacts { family: ends_early, ..live() }, address(1), 86_400), expired);
        let ends_late = FamilyTimes { created_at: START, expires_at: START.plus(DAY * 400) };
        assert_eq!(decided(&RefreshFacts { family: ends_late, ..young }, address(1), 180 * 86_400), expired);
    }

    /// A family as the store keeps it, with the tokens by their generation.
    struct Model {
        facts: Vec<RefreshFacts>,
        ended: bool,
        other_repeats: OtherRepeats,
        last_rotation: Option<Rotation>,
    }

    #[derive(Clone, Debug)]
    enum Step {
        /// Present the token this many generations behind the live one.
        Present {
            behind: usize,
            address: u8,
        },
        Wait(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..4_usize, 1..4_u8).prop_map(|(behind, address)| Step::Present { behind, address }),
            1 => (0..90_u64).prop_map(Step::Wait),
        ]
    }

    proptest! {
        /// No schedule made only of first uses and repeats ends a family or gives two successors of one token; every
        /// reuse ends it.
        #[test]
        fn repeats_never_end_a_family_and_every_reuse_does(is_bound: bool, steps in prop::collection::vec(step(), 1..60)) {
            let limits = RefreshLimits::default();
            let binding = if is_bound { Binding::Client } else { Binding::None };
            let first = RefreshFacts { binding, live_generation: 0, generation: 0, ..live() };
            let other_repeats = first.other_repeats;
            let mut model = Model { facts: vec![first], ended: false, other_repeats, last_rotation: None };
            let mut now = START;
            for step in steps {
                let (behind, from) = match step {
                    Step::Wait(secs) => {
                        now = now.plus(Duration::from_secs(secs));
                        continue;
                    }
                    Step::Present { behind, address: from } => (behind, address(from)),
                };
                let newest = model.facts.len() - 1;
                let presented = newest.saturating_sub(behind);
                let facts = RefreshFacts {
                    live_generation: newest as i64,
                    has_ended: model.ended,
                    other_repeats: model.other_repeats,
                    last_rotation: model.last_rotation,
                    ..model.facts[presented].clone()
                };
                let request = RefreshRequest { client_id: client(1), address: from };
                let (effect, outcome) = decide(&request, &facts, &limits, now);
                let was_ended = model.ended;
                match effect {
                    RefreshEffect::Rotate => {
                        prop_assert_eq!(presented, newest, "only the live token gets a successor");
                        model.last_rotation = Some(Rotation { at: now, address: from });
                        model.facts.push(RefreshFacts {
                            generation: newest as i64 + 1,
                            issued_at: now,
                            ..facts.clone()
                        });
                    }
                    RefreshEffect::Repeat => {
                        prop_assert_eq!(presented + 1, newest, "only the predecessor is repeated");
                    }
                    RefreshEffect::CountRepeat(other_repeats) => {
                        prop_assert_eq!(presented + 1, newest, "only the predecessor is repeated");
                        prop_assert!(other_repeats.count <= OTHER_ADDRESS_REPEATS_A_DAY);
                        model.other_repeats = other_repeats;
                    }
                    RefreshEffect::EndFamily => model.ended = true,
                    RefreshEffect::None | RefreshEffect::Signal => {}
                }
                prop_assert_eq!(outcome.is_ok(), matches!(effect,
                    RefreshEffect::Rotate | RefreshEffect::Repeat | RefreshEffect::CountRepeat(_)));
                let is_reuse = presented + 1 < newest;
                prop_assert_eq!(model.ended, was_ended || is_reuse);
            }
        }
    }
}
