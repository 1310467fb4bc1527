//! The events that wait to be written, and how many of them have a row of their own.
//!
//! Anybody can be refused at any rate, so refusals have budgets: for one code of a network in a minute, for a network
//! over all codes, and in a second over all networks. What is beyond becomes one row per code and network when the
//! minute is over, with a count. Nothing here is of unbounded size: beyond its places, what is counted loses its network.
//!
//! Easy to get wrong: a caller who uses up a budget hides what else counts there. So each API that reports refusals has budgets
//! of its own, and a refusal that names a user counts for that user alone: it is shown to him.

use std::{
    borrow::Cow,
    collections::HashMap,
    hash::Hash,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use doorward_core::{clock::Timestamp, denial::Denial, network::Network};
use doorward_store::audit::{AuditAction, AuditContext, AuditEvent};

use crate::{actor::Actor, settings::Settings};

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60_000;

/// The counted rows of a minute that name their network. The rest are counted by code only.
const MAX_COUNTED: usize = 1_000;

/// The tokens of one client and network in a minute that have a row each.
const MAX_ISSUED: u32 = 1_000;

/// The refusals in a minute that name a user and have a row each.
const MAX_OF_USER: u32 = 10;

/// Events that wait to be written.
pub(crate) struct AuditQueue {
    budgets: Budgets,
    state: Mutex<Pending>,
}

/// How many events may have a row of their own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budgets {
    /// Events that wait, and networks that are distinguished.
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
    /// The client that got a token, or the API that reports a refusal.
    pub(crate) actor: Option<String>,
    /// The user that a refusal is about.
    pub(crate) subject: Option<String>,
}

/// Whose budgets an event uses up.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
enum Payer {
    /// An API that reports what it refused.
    Api(String),
    /// Known clients, which get tokens.
    Clients,
    /// Anybody who asks for an address that nothing has. Such a request is only counted: scanners ask for thousands, and
    /// the answer says all that there is to explain.
    Lost,
    /// Anybody whom this server refuses.
    Strangers,
    /// Users whom a refusal names.
    Users,
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
    /// What each spent in this minute: as many as there are kinds and APIs.
    spent: HashMap<Payer, Spent>,
    due: Vec<(Fold, i64)>,
    /// Events that were lost since the last warning.
    unreported: u64,
    /// Events that were lost since the start.
    dropped: u64,
}

/// What was spent of the budgets of one payer, and what they had no room for.
#[derive(Default)]
struct Spent {
    in_second: u32,
    of_fold: HashMap<Fold, u32>,
    of_network: HashMap<Option<Network>, u32>,
    counted: HashMap<Fold, i64>,
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
    fn payer(&self) -> Payer {
        match (&self.action, &self.subject, &self.actor) {
            (AuditAction::RequestRefused, Some(_), _) => Payer::Users,
            (AuditAction::RequestRefused, None, Some(api)) => Payer::Api(api.clone()),
            (AuditAction::RequestRefused, None, None) if self.code == Some(Denial::NotFound.code()) => Payer::Lost,
            (AuditAction::RequestRefused, None, None) => Payer::Strangers,
            _ => Payer::Clients,
        }
    }

    /// What it is counted as: an address that nothing has, as one of all, wherever it was asked for.
    fn counted_as(self, payer: &Payer) -> Self {
        match payer {
            Payer::Lost => Self { network: None, ..self },
            _ => self,
        }
    }

    /// What is left where there is no place for it: one for all who pay together.
    fn shared(&self, payer: &Payer) -> Self {
        let actor = self.actor.clone().filter(|_| matches!(payer, Payer::Api(_)));
        Self { network: None, actor, subject: None, ..self.clone() }
    }
}

impl Pending {
    /// Begins a minute or a second, if it is a new one. What the last minute counted is due.
    fn begin(&mut self, now: Timestamp) {
        let (minute, second) = (now.as_millis().div_euclid(MINUTE_MS), now.as_millis().div_euclid(SECOND_MS));
        if self.minute != minute {
            self.minute = minute;
            self.end();
            self.spent.clear();
        }
        if self.second != second {
            self.second = second;
            self.spent.values_mut().for_each(|spent| spent.in_second = 0);
        }
    }

    fn drop_events(&mut self, count: u64) {
        self.unreported += count;
        self.dropped += count;
    }

    /// Makes what is counted due.
    fn end(&mut self) {
        self.due.extend(self.spent.values_mut().flat_map(|spent| spent.counted.drain()));
    }
}

impl Spent {
    /// Whether the budgets have room for one more event, which is then taken.
    fn takes(&mut self, payer: &Payer, fold: &Fold, budgets: &Budgets) -> bool {
        let (key, most) = match payer {
            Payer::Lost => return false,
            Payer::Clients => (Cow::Borrowed(fold), MAX_ISSUED),
            // However many networks the guesses come from.
            Payer::Users => (Cow::Owned(Fold { network: None, ..fold.clone() }), MAX_OF_USER),
            Payer::Api(_) | Payer::Strangers => (Cow::Borrowed(fold), budgets.equal),
        };
        // Callers from ever new addresses share one budget, and keep nobody else from being noted.
        let equal = slot(&mut self.of_fold, &key, || fold.shared(payer), budgets.longest);
        if *equal >= most {
            return false;
        }
        if matches!(payer, Payer::Api(_) | Payer::Strangers) {
            let of_network = slot(&mut self.of_network, &fold.network, || None, budgets.longest);
            if *of_network >= budgets.of_network || self.in_second >= budgets.in_a_second {
                return false;
            }
            *of_network += 1;
            self.in_second += 1;
        }
        *equal += 1;
        true
    }

    /// Counts what the budgets have no room for.
    fn count(&mut self, payer: &Payer, fold: Fold, count: u32, budgets: &Budgets) {
        let most = if *payer == Payer::Clients { MAX_COUNTED.max(budgets.longest) } else { MAX_COUNTED };
        let fold = fold.counted_as(payer);
        *slot(&mut self.counted, &fold, || fold.shared(payer), most) += i64::from(count);
    }
}

/// The counter of a key; that of `shared` where the table is full. A key is copied only when it is new.
fn slot<'a, K: Clone + Eq + Hash, N: Default>(
    counters: &'a mut HashMap<K, N>,
    key: &K,
    shared: impl FnOnce() -> K,
    most: usize,
) -> &'a mut N {
    if counters.contains_key(key) {
        return counters.get_mut(key).expect("it was found");
    }
    let is_full = counters.len() >= most;
    counters.entry(if is_full { shared() } else { key.clone() }).or_default()
}

impl AuditQueue {
    pub(crate) fn new(budgets: Budgets) -> Self {
        Self { budgets, state: Mutex::default() }
    }

    /// Takes an event that represents `count` equal ones, or counts it where the budgets are used up.
    pub(crate) fn push(&self, fold: Fold, now: Timestamp, count: u32, event: impl FnOnce() -> AuditEvent) -> Taken {
        let mut state = self.lock();
        state.begin(now);
        let payer = fold.payer();
        let spent = state.spent.entry(payer.clone()).or_default();
        if !spent.takes(&payer, &fold, &self.budgets) {
            spent.count(&payer, fold, count, &self.budgets);
            return Taken::Counted;
        }
        if state.events.len() >= self.budgets.longest {
            state.drop_events(1);
        } else {
            state.events.push(event());
        }
        Taken::Single
    }

    /// How many events wait to be written.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().events.len()
    }

    /// How many events were lost because too many waited.
    pub(crate) fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be written now: the events, and what a minute that is over has counted, as one row each, built from what
    /// `context` gives for an actor.
    pub(crate) fn take(&self, now: Timestamp, context: impl Fn(&Actor) -> AuditContext) -> Vec<AuditEvent> {
        let mut state = self.lock();
        state.begin(now);
        let mut events = mem::take(&mut state.events);
        events.extend(mem::take(&mut state.due).into_iter().map(|(fold, count)| counted_row(&fold, count, &context)));
        if state.unreported > 0 {
            let count = mem::take(&mut state.unreported);
            tracing::warn!(count, "audit events were dropped: the queue is full");
        }
        events
    }

    /// Makes what is counted due, also in the middle of a minute: nothing comes any more.
    pub(crate) fn end(&self) {
        self.lock().end();
    }

    pub(crate) fn put_back(&self, events: Vec<AuditEvent>) {
        let mut state = self.lock();
        let room = self.budgets.longest.saturating_sub(state.events.len());
        let lost = events.len().saturating_sub(room);
        state.drop_events(lost as u64);
        let later = mem::take(&mut state.events);
        state.events = events.into_iter().take(room).chain(later).collect();
    }
}

/// The row of equal events that have none of their own, and their line in the log.
fn counted_row(fold: &Fold, count: i64, context: impl Fn(&Actor) -> AuditContext) -> AuditEvent {
    let address = fold.network.map(Network::address);
    let actor = Actor { id: fold.actor.clone(), address, ..Actor::default() };
    let mut event = context(&actor).event(fold.action.clone());
    event.code = fold.code.map(str::to_owned);
    event.subject = fold.subject.clone();
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
        refuse_of(queue, code, from, secs, None, None)
    }

    fn refuse_of(
        queue: &AuditQueue,
        code: &'static str,
        from: u32,
        secs: i64,
        api: Option<&str>,
        user: Option<&str>,
    ) -> Taken {
        let (network, actor, subject) = (Some(network(from)), api.map(str::to_owned), user.map(str::to_owned));
        let fold = Fold { action: AuditAction::RequestRefused, code: Some(code), network, actor, subject };
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
        refuse(&queue, "c0", 0, 60);
        for from in 0..5_000 {
            refuse(&queue, "c0", from, 60);
        }
        let state = queue.state.lock().unwrap();
        let spent = &state.spent[&Payer::Strangers];
        assert!(spent.of_fold.len() <= BUDGETS.longest + 1 && spent.of_network.len() <= BUDGETS.longest + 1);
    }

    #[test]
    fn api_that_reports_refusals_uses_up_its_own_budgets() {
        let queue = AuditQueue::new(Budgets { in_a_second: 7, ..BUDGETS });
        for from in 0..2_000 {
            refuse_of(&queue, "c0", from, 0, Some("https://notes.example"), None);
        }
        assert_eq!(refuse(&queue, "c0", 1, 0), Taken::Single);
        assert_eq!(refuse_of(&queue, "c0", 1, 0, Some("https://mails.example"), None), Taken::Single);
        let counted = take(&queue, 60);
        let of_notes = |event: &&AuditEvent| event.actor.as_deref() == Some("https://notes.example");
        assert_eq!(counted.iter().filter(of_notes).map(|event| event.count).sum::<i64>(), 2_000 - 7);
    }

    #[test]
    fn requests_for_unknown_addresses_are_one_row_a_minute() {
        let queue = AuditQueue::new(BUDGETS);
        let not_found = Denial::NotFound.code();
        for from in 0..2_000 {
            assert_eq!(refuse(&queue, not_found, from, 0), Taken::Counted);
        }
        assert_eq!(refuse(&queue, "c0", 1, 0), Taken::Single, "they use up no budget");
        assert_eq!(take(&queue, 59).len(), 1);
        let [row] = &take(&queue, 60)[..] else { panic!("not one row") };
        assert_eq!((row.code.as_deref(), row.count, &row.address), (Some(not_found), 2_000, &None));
    }

    #[test]
    fn refusal_that_names_a_user_has_a_budget_of_its_own() {
        let queue = AuditQueue::new(Budgets { in_a_second: 7, ..BUDGETS });
        for at in 0..2_000 {
            refuse(&queue, CODES[at % 4], 1, 0);
            refuse_of(&queue, "c0", at as u32, 0, None, Some("usr_a"));
        }
        let single = (0..50).filter(|_| refuse_of(&queue, "c0", 1, 0, None, Some("usr_b")) == Taken::Single);
        assert_eq!(single.count(), MAX_OF_USER as usize);
        take(&queue, 59);
        let counted = take(&queue, 60);
        assert!(counted.len() <= 2 * (MAX_COUNTED + 1), "{}", counted.len());
        let of_a = counted.iter().filter(|event| event.subject.as_deref() == Some("usr_a"));
        assert_eq!(of_a.map(|event| event.count).sum::<i64>(), 1_000, "those of as many networks as have a place");
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
