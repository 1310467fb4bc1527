//! Rotating refresh tokens (RFC 9700 section 4.14): idempotent for honest clients, while reuse ends the family.
//!
//! A family is a chain of generations with one live token. The predecessor of the live token, presented again, is a
//! **repeat** (a lost answer, a second tab): it gets the same successor. Anything older is **reuse**: its successor was
//! used, so two parties hold the chain.

mod family;

use std::net::IpAddr;

pub use self::family::{FamilyTimes, OtherRepeats, RefreshLimits, Rotation, expires_at, successor_key};
use super::{
    audience::{Access, AccessRequest},
    binding::Binding,
};
use crate::{clock::Timestamp, denial::Denial, id::ClientId, network::Network, refusal::Refusal};

/// How many repeats a day may come from other addresses than the one that rotated.
pub const OTHER_ADDRESS_REPEATS_A_DAY: u32 = 5;

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
    /// Whether the user is disabled or gone.
    pub user_is_unavailable: bool,
    /// The generation of the live token.
    pub live_generation: i64,
    /// The generation of the presented token.
    pub generation: i64,
    /// When the presented token was issued.
    pub issued_at: Timestamp,
    /// When and from where the live token was issued, unless it is the first.
    pub last_rotation: Option<Rotation>,
    /// The repeats that came from other addresses.
    pub other_repeats: OtherRepeats,
}

/// The client and the address that present a refresh token.
#[derive(Clone, Debug)]
pub struct RefreshRequest {
    /// The client, already authenticated.
    pub client_id: ClientId,
    /// The address that presents the token.
    pub address: IpAddr,
}

/// What happens to a presented refresh token.
#[derive(Clone, Debug)]
pub enum RefreshDecision {
    /// Refuse the request, maybe with a consequence.
    Refuse {
        /// The refusal for the caller.
        why: Refusal,
        /// What also happens to the family.
        and: Consequence,
    },
    /// Answer with the successor that was issued before.
    Repeat {
        /// What the access token is for.
        access: Access,
        /// The count to remember, if the repeat came from another address.
        counted: Option<OtherRepeats>,
    },
    /// Issue a successor. Holds what the access token is for.
    Rotate(Access),
}

/// What happens when a refresh token is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Consequence {
    /// The grant ends, with the family and all tokens.
    EndGrant,
    /// The family stays as it is.
    Nothing,
    /// The audit gets a warning; the family lives.
    Warn,
}

/// Decides what happens to a presented refresh token. The requested access is checked last.
pub fn decide(
    request: &RefreshRequest,
    facts: &RefreshFacts,
    asked: &AccessRequest<'_>,
    limits: &RefreshLimits,
    now: Timestamp,
) -> RefreshDecision {
    let refuse = |why: Refusal, and| RefreshDecision::Refuse { why, and };
    if request.client_id != facts.client_id {
        let why = Refusal::new(Denial::RefreshTokenOfAnotherClient)
            .fact("presented_by", &request.client_id)
            .fact("given_to", &facts.client_id);
        return refuse(why, Consequence::Warn);
    }
    if facts.has_ended {
        return refuse(Denial::GrantEnded.into(), Consequence::Nothing);
    }
    if facts.user_is_unavailable {
        return refuse(Denial::UserUnavailable.into(), Consequence::Nothing);
    }
    if facts.generation < facts.live_generation - 1 {
        return refuse(reused(request, facts, now), Consequence::EndGrant);
    }
    if now >= expires_at(facts.issued_at, facts.family, limits) {
        return refuse(Denial::RefreshTokenExpired.into(), Consequence::Nothing);
    }
    let repeat = facts.last_rotation.filter(|_| facts.generation < facts.live_generation);
    let repeat = match repeat.map(|rotation| check_repeat(request, facts, rotation, limits, now)).transpose() {
        Ok(repeat) => repeat,
        Err(why) => return refuse(why, Consequence::Warn),
    };
    match (asked.narrow(), repeat) {
        (Err(why), _) => refuse(why, Consequence::Nothing),
        (Ok(access), None) => RefreshDecision::Rotate(access),
        (Ok(access), Some(counted)) => RefreshDecision::Repeat { access, counted },
    }
}

/// Whether a repeat is answered; gives the count to remember, if it came from another address.
fn check_repeat(
    request: &RefreshRequest,
    facts: &RefreshFacts,
    rotation: Rotation,
    limits: &RefreshLimits,
    now: Timestamp,
) -> Result<Option<OtherRepeats>, Refusal> {
    let age = now.since(rotation.at);
    let is_same_address = Network::of(request.address) == Network::of(rotation.address);
    if facts.binding.is_bound() || (is_same_address && age < limits.grace_same_address) {
        return Ok(None);
    }
    let refuse = |why: &'static str| {
        let refusal = Refusal::new(Denial::RefreshTokenGraceOver)
            .fact("why", why)
            .fact("rotated_at", rotation.at.as_secs())
            .fact("rotated_from", rotation.address)
            .fact("repeated_from", request.address);
        Err(refusal)
    };
    if age >= limits.grace_other_address {
        return refuse("the grace is over");
    }
    let today = facts.other_repeats.at(now);
    if today.count >= OTHER_ADDRESS_REPEATS_A_DAY {
        return refuse("too many repeats from other addresses");
    }
    Ok(Some(OtherRepeats { count: today.count + 1, ..today }))
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{
        super::audience::{Apis, RequestedAccess},
        family::DAY,
        *,
    };
    use crate::{random::SeededRng, scope::ScopeSet};

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

    type Asked = Result<RequestedAccess, Refusal>;

    fn decision(facts: &RefreshFacts, asked: &Asked, from: IpAddr, now: Timestamp) -> RefreshDecision {
        let (apis, granted) = (Apis::default(), ScopeSet::parse("openid").unwrap());
        let (granted, granted_resources) = (&granted, &[]);
        let asked = AccessRequest {
            apis: &apis,
            granted,
            granted_at: START,
            registered: granted,
            requested: granted,
            granted_resources,
            asked,
        };
        let request = RefreshRequest { client_id: client(1), address: from };
        decide(&request, facts, &asked, &RefreshLimits::default(), now)
    }

    #[derive(Debug, Eq, PartialEq)]
    enum Decided {
        Refused(Denial, Consequence),
        Repeated(Option<OtherRepeats>),
        Rotated,
    }
    use Decided::{Refused, Repeated, Rotated};

    fn decided(facts: &RefreshFacts, from: IpAddr, after: u64) -> Decided {
        match decision(facts, &Ok(RequestedAccess::default()), from, START.plus(Duration::from_secs(after))) {
            RefreshDecision::Refuse { why, and } => Refused(why.denial, and),
            RefreshDecision::Repeat { counted, .. } => Repeated(counted),
            RefreshDecision::Rotate(_) => Rotated,
        }
    }

    #[test]
    fn unbound_repeat_has_a_minute_or_ten_seconds_elsewhere() {
        let over = || Refused(Denial::RefreshTokenGraceOver, Consequence::Warn);
        assert_eq!(decided(&predecessor(), address(1), 59), Repeated(None));
        assert_eq!(decided(&predecessor(), address(1), 60), over());
        let counted = OtherRepeats { count: 1, since: START };
        assert_eq!(decided(&predecessor(), address(2), 9), Repeated(Some(counted)));
        assert_eq!(decided(&predecessor(), address(2), 10), over());
    }

    #[test]
    fn bound_repeat_is_answered_until_the_successor_is_used() {
        let bound = RefreshFacts { binding: Binding::Client, ..predecessor() };
        assert_eq!(decided(&bound, address(2), 86_400), Repeated(None));
        let used = RefreshFacts { live_generation: 4, ..bound };
        assert_eq!(decided(&used, address(1), 1), Refused(Denial::RefreshTokenReused, Consequence::EndGrant));
    }

    #[test]
    fn repeats_from_other_addresses_are_counted_by_the_day() {
        let of_day = |count, since| RefreshFacts { other_repeats: OtherRepeats { count, since }, ..predecessor() };
        let spent = of_day(5, START);
        let over = Refused(Denial::RefreshTokenGraceOver, Consequence::Warn);
        assert_eq!(decided(&spent, address(2), 1), over);
        assert_eq!(decided(&spent, address(1), 1), Repeated(None));
        let first = OtherRepeats { count: 1, since: START.plus(Duration::from_secs(1)) };
        let yesterday = of_day(5, START.minus(DAY));
        assert_eq!(decided(&yesterday, address(2), 1), Repeated(Some(first)));
        let day_ago = of_day(5, START.plus(Duration::from_secs(1)).minus(DAY));
        assert_eq!(decided(&day_ago, address(2), 1), Repeated(Some(first)));
    }

    #[test]
    fn another_client_and_an_ended_family_change_nothing() {
        let foreign = RefreshFacts { client_id: client(2), ..live() };
        let refused = || Refused(Denial::RefreshTokenOfAnotherClient, Consequence::Warn);
        assert_eq!(decided(&foreign, address(1), 1), refused());
        let foreign_reuse = RefreshFacts { generation: 1, ..foreign };
        assert_eq!(decided(&foreign_reuse, address(1), 1), refused());
        let ended = RefreshFacts { has_ended: true, ..live() };
        assert_eq!(decided(&ended, address(1), 1), Refused(Denial::GrantEnded, Consequence::Nothing));
    }

    #[test]
    fn idle_and_absolute_ends_are_kept() {
        let expired = || Refused(Denial::RefreshTokenExpired, Consequence::Nothing);
        assert_eq!(decided(&live(), address(1), 30 * 86_400), expired());
        let young = RefreshFacts { issued_at: START.plus(Duration::from_secs(179 * 86_400)), ..live() };
        assert_eq!(decided(&young, address(1), 180 * 86_400 - 1), Rotated);
        assert_eq!(decided(&young, address(1), 180 * 86_400), expired());
        let ends_early = FamilyTimes { created_at: START, expires_at: START.plus(DAY) };
        assert_eq!(decided(&RefreshFacts { family: ends_early, ..live() }, address(1), 86_400), expired());
        let ends_late = FamilyTimes { created_at: START, expires_at: START.plus(DAY * 400) };
        assert_eq!(decided(&RefreshFacts { family: ends_late, ..young }, address(1), 180 * 86_400), expired());
    }

    #[test]
    fn requested_access_does_not_hide_reuse() {
        let unknown = RequestedAccess { resource: Some("https://other.example".into()), ..Default::default() };
        for (asked, denial) in [
            (Ok(unknown), Denial::ResourceUnknown),
            (Err(Denial::ScopeMalformed.into()), Denial::ScopeMalformed),
            (Err(Denial::ParameterRepeated.into()), Denial::ParameterRepeated),
        ] {
            let refused = |facts: &RefreshFacts| match decision(facts, &asked, address(2), START) {
                RefreshDecision::Refuse { why, and } => (why.denial, and),
                allowed => panic!("{allowed:?}"),
            };
            let nothing = (denial, Consequence::Nothing);
            assert_eq!(refused(&live()), nothing);
            assert_eq!(refused(&predecessor()), nothing);
            let reused = RefreshFacts { generation: 1, ..live() };
            assert_eq!(refused(&reused), (Denial::RefreshTokenReused, Consequence::EndGrant));
        }
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

    #[test]
    fn user_who_is_unavailable_gets_no_tokens() {
        let facts = RefreshFacts { user_is_unavailable: true, ..live() };
        assert_eq!(decided(&facts, address(1), 1), Refused(Denial::UserUnavailable, Consequence::Nothing));
    }

    #[test]
    fn fourth_repeat_from_elsewhere_is_the_fifth_of_the_day() {
        let four = RefreshFacts { other_repeats: OtherRepeats { count: 4, since: START }, ..predecessor() };
        assert_eq!(decided(&four, address(2), 1), Repeated(Some(OtherRepeats { count: 5, since: START })));
    }

    #[test]
    fn key_of_a_successor_depends_on_token_family_and_generation() {
        let key = |token, family, generation| *successor_key(token, family, generation);
        assert_eq!(key("a", "fam_1", 1), key("a", "fam_1", 1));
        for other in [key("b", "fam_1", 1), key("a", "fam_2", 1), key("a", "fam_1", 2)] {
            assert_ne!(other, key("a", "fam_1", 1));
        }
    }

    proptest! {
        /// No schedule made only of first uses and repeats ends a family or gives two successors of one token; every
        /// reuse ends it.
        #[test]
        fn repeats_never_end_a_family_and_every_reuse_does(is_bound: bool, steps in prop::collection::vec(step(), 1..60)) {
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
                let was_ended = model.ended;
                match decision(&facts, &Ok(RequestedAccess::default()), from, now) {
                    RefreshDecision::Rotate(_) => {
                        prop_assert_eq!(presented, newest, "only the live token gets a successor");
                        model.last_rotation = Some(Rotation { at: now, address: from });
                        model.facts.push(RefreshFacts {
                            generation: newest as i64 + 1,
                            issued_at: now,
                            ..facts.clone()
                        });
                    }
                    RefreshDecision::Repeat { counted, .. } => {
                        prop_assert_eq!(presented + 1, newest, "only the predecessor is repeated");
                        model.other_repeats = counted.unwrap_or(model.other_repeats);
                        prop_assert!(model.other_repeats.count <= OTHER_ADDRESS_REPEATS_A_DAY);
                    }
                    RefreshDecision::Refuse { and, .. } => model.ended |= and == Consequence::EndGrant,
                }
                let is_reuse = presented + 1 < newest;
                prop_assert_eq!(model.ended, was_ended || is_reuse);
            }
        }
    }
}
