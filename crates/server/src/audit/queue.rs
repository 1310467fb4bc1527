//! The events that wait to be written, and how many of them have a row of their own.
//!
//! Anybody can be refused at any rate, so refusals have budgets: for one code of a network in a minute, for a network
//! over all codes, and in a second over all networks. What is beyond becomes one row per code and network when the
//! minute is over, with a count. Nothing here is of unbounded size: beyond its places, what is counted loses its network.

use std::{
    collections::HashMap,
    hash::Hash,
    mem,
    sync::{Mutex, PoisonError},
};

use doorward_core::{clock::Timestamp, network::Network};
use doorward_store::audit::{AuditAction, AuditContext, AuditEvent};

use crate::{actor::Actor, settings::Settings};

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60_000;

/// The counted rows of a minute that name their network. The rest are counted by code only.
const MAX_COUNTED: usize = 1_000;

/// The tokens of one client and network in a minute that have a row each.
const MAX_ISSUED: u32 = 1_000;

/// Events that wait to be written.
pub(crate) struct AuditQueue {
    budgets: Budgets,
    state: Mutex<Pending>,
}

/// How many events may have a row of their own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budgets {
    /// Events that wait, and networks that are told apart.
    pub(crate) longest: usize,
    /// Equal refusals of a network in a minute.
    pub(crate) equal: u32,
    /// Refusals of a network in a minute.
    pub(crate) of_network: u32,
    /// Refusals of all networks in a second.
    pub(crate) in_a_second: u32,
}

/// What equal events have in common.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Fold {
    pub(crate) action: AuditAction,
    pub(crate) code: Option<&'static str>,
    pub(crate) network: Option<Network>,
    pub(crate) actor: Option<String>,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Taken {
    /// It is counted in a row with others.
    Counted,
    /// It has a row of its own, or would have, if the queue were not full.
    Single,
}

#[derive(Default)]
struct Pending {
    events: Vec<AuditEvent>,
    minute: i64,
    second: i64,
    in_second: u32,
    of_fold: HashMap<Fold, u32>,
    of_network: HashMap<Option<Network>, u32>,
    counted: HashMap<Fold, i64>,
    due: Vec<(Fold, i64)>,
    dropped: u64,
}

impl Budgets {
    pub(crate) fn of(settings: &Settings) -> Self {
        let audit = &settings.audit;
        Self {
            longest: settings.limits.audit_queue,
            equal: audit.fold_after,
            of_network: audit.refusals_per_network,
            in_a_second: audit.refusals_per_second,
        }
    }
}

impl Fold {
    /// Whether it is of refusals, which anybody can cause. All else is of a client that is known.
    fn is_of_refusals(&self) -> bool {
        self.action == AuditAction::RequestRefused
    }
}

impl Pending {
    /// Begins a minute or a second, if it is a new one. What the last minute counted is due.
    fn begin(&mut self, now: Timestamp) {
        let (minute, second) = (now.as_millis().div_euclid(MINUTE_MS), now.as_millis().div_euclid(SECOND_MS));
        if self.minute != minute {
            self.minute = minute;
            self.of_fold.clear();
            self.of_network.clear();
            self.due.extend(self.counted.drain());
        }
        if self.second != second {
            (self.second, self.in_second) = (second, 0);
        }
    }

    /// Whether the budgets have room for one more event, which is then taken.
    fn takes(&mut self, fold: &Fold, budgets: &Budgets) -> bool {
        // Whoever comes from ever new addresses shares one budget, and keeps nobody else from being noted.
        let shared = Fold { network: None, actor: None, ..fold.clone() };
        let equal = slot(&mut self.of_fold, fold.clone(), shared, budgets.longest);
        if *equal >= if fold.is_of_refusals() { budgets.equal } else { MAX_ISSUED } {
            return false;
        }
        if fold.is_of_refusals() {
            let of_network = slot(&mut self.of_network, fold.network, None, budgets.longest);
            if *of_network >= budgets.of_network || self.in_second >= budgets.in_a_second {
                return false;
            }
            *of_network += 1;
            self.in_second += 1;
        }
        *equal += 1;
        true
    }
}

/// The counter of a key; that of `shared` where the table is full.
fn slot<K: Eq + Hash>(counters: &mut HashMap<K, u32>, key: K, shared: K, most: usize) -> &mut u32 {
    let is_full = counters.len() >= most && !counters.contains_key(&key);
    counters.entry(if is_full { shared } else { key }).or_default()
}

impl AuditQueue {
    pub(crate) fn new(budgets: Budgets) -> Self {
        Self { budgets, state: Mutex::default() }
    }

    /// Takes an event that stands for `count` equal ones, or counts it where the budgets are used up.
    pub(crate) fn push(&self, fold: Fold, now: Timestamp, count: u32, event: impl FnOnce() -> AuditEvent) -> Taken {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.begin(now);
        if !state.takes(&fold, &self.budgets) {
            let most = if fold.is_of_refusals() { MAX_COUNTED } else { MAX_COUNTED.max(self.budgets.longest) };
            let is_full = state.counted.len() >= most && !state.counted.contains_key(&fold);
            let fold = if is_full { Fold { network: None, actor: None, ..fold } } else { fold };
            *state.counted.entry(fold).or_default() += i64::from(count);
            return Taken::Counted;
        }
        if state.events.len() >= self.budgets.longest {
            state.dropped += 1;
        } else {
            state.events.push(event());
        }
        Taken::Single
    }

    /// What is to be written now: the events, and what a minute that is over has counted, as one row each, made of what
    /// `context` gives for an actor.
    pub(crate) fn take(&self, now: Timestamp, context: impl Fn(&Actor) -> AuditContext) -> Vec<AuditEvent> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.begin(now);
        let mut events = mem::take(&mut state.events);
        events.extend(mem::take(&mut state.due).into_iter().map(|(fold, count)| counted_row(&fold, count, &context)));
        if state.dropped > 0 {
            let count = mem::take(&mut state.dropped);
            tracing::warn!(count, "audit events were dropped: the queue is full");
        }
        events
    }

    /// Makes what is counted due, also in the middle of a minute: nothing comes any more.
    pub(crate) fn end(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = mem::take(&mut state.counted);
        state.due.extend(counted);
    }

    pub(crate) fn put_back(&self, events: Vec<AuditEvent>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let room = self.budgets.longest.saturating_sub(state.events.len());
        let lost = events.len().saturating_sub(room);
        state.dropped += lost as u64;
        let later = mem::take(&mut state.events);
        state.events = events.into_iter().take(room).chain(later).collect();
    }
}

/// The row of equal events that have none of their own, and their line in the log.
fn counted_row(fold: &Fold, count: i64, context: impl Fn(&Actor) -> AuditContext) -> AuditEvent {
    let address = fold.network.map(Network::address);
    let actor = Actor { id: fold.actor.clone(), address, trace_id: None };
    let mut event = context(&actor).event(fold.action.clone());
    event.code = fold.code.map(str::to_owned);
    event.count = count;
    if let Some(code) = fold.code {
        let network = address.map_or_else(|| "many".to_owned(), |address| address.to_string());
        tracing::info!(code, network, count, "more refusals like this one, counted in one line");
    }
    event
}

#[cfg(test)]
mod tests {
    use doorward_core::{id::AuditId, random::SeededRng};
    use doorward_store::audit::Details;

    use super::*;

    const BUDGETS: Budgets = Budgets { longest: 100, equal: 5, of_network: 12, in_a_second: 1_000 };
    const CODES: [&str; 4] = ["c0", "c1", "c2", "c3"];

    fn context(actor: &Actor) -> AuditContext {
        let address = actor.address.map(|address| address.to_string());
        let id = AuditId::new(Timestamp::from_secs(0), &SeededRng::new(1));
        let (at, actor) = (Timestamp::from_secs(0), actor.id.clone());
        AuditContext { id, at, trace_id: None, actor, address, details: Details::new() }
    }

    fn network(last: u32) -> Network {
        Network::of(std::net::Ipv4Addr::from_bits(0x0a00_0000 + last).into())
    }

    fn refuse(queue: &AuditQueue, code: &'static str, from: u32, secs: i64) -> Taken {
        let network = Some(network(from));
        let fold = Fold { action: AuditAction::RequestRefused, code: Some(code), network, actor: None };
        queue
            .push(fold, Timestamp::from_secs(secs), 1, || context(&Actor::default()).event(AuditAction::RequestRefused))
    }

    fn take(queue: &AuditQueue, secs: i64) -> Vec<AuditEvent> {
        queue.take(Timestamp::from_secs(secs), context)
    }

    #[test]
    fn network_has_one_budget_over_all_codes() {
        let queue = AuditQueue::new(BUDGETS);
        let single = (0..2_000).filter(|at| refuse(&queue, CODES[at % 4], 1, 0) == Taken::Single).count();
        assert_eq!(single, 12);
        assert_eq!(refuse(&queue, "c0", 2, 0), Taken::Single, "another network has its own");
        assert_eq!(take(&queue, 59).len(), 13);
        let counted = take(&queue, 60);
        assert_eq!(counted.len(), 4, "one row per code and network, once the minute is over");
        assert_eq!(counted.iter().map(|event| event.count).sum::<i64>(), 2_000 - 12);
        assert!(counted.iter().all(|event| event.address.as_deref() == Some("10.0.0.1")));
        assert_eq!(refuse(&queue, "c0", 1, 60), Taken::Single, "a new minute has a new budget");
    }

    #[test]
    fn all_networks_have_one_budget_in_a_second() {
        let queue = AuditQueue::new(Budgets { in_a_second: 7, ..BUDGETS });
        let single = |secs| (0..50).filter(|from| refuse(&queue, "c0", *from, secs) == Taken::Single).count();
        assert_eq!((single(0), single(0), single(1)), (7, 0, 7));
    }

    #[test]
    fn ever_new_networks_make_a_bounded_number_of_rows() {
        let queue = AuditQueue::new(BUDGETS);
        for from in 0..5_000 {
            for _ in 0..6 {
                refuse(&queue, "c0", from, 0);
            }
        }
        let events = take(&queue, 60);
        assert_eq!(events.iter().map(|event| event.count).sum::<i64>(), 30_000 - 405, "what had no place is dropped");
        assert!(events.len() <= BUDGETS.longest + MAX_COUNTED + 1, "{}", events.len());
        let state = queue.state.lock().unwrap();
        assert!(state.of_fold.len() <= BUDGETS.longest + 1 && state.of_network.len() <= BUDGETS.longest + 1);
    }

    #[test]
    fn end_of_the_server_writes_what_is_counted() {
        let queue = AuditQueue::new(Budgets { equal: 0, ..BUDGETS });
        refuse(&queue, "c0", 1, 0);
        assert!(take(&queue, 1).is_empty());
        queue.end();
        assert_eq!(take(&queue, 1).len(), 1);
    }
}
