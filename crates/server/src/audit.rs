//! The audit of what changes no state: refusals, and tokens that have no row.
//!
//! They go through a bounded queue that is flushed at least every second, so they never delay an answer and a crash
//! loses a second of them. Floods are folded: beyond a number of equal events of one address in a minute, the rest
//! become one counted row. State changes are no business of this queue; each writes its event in its own transaction.

use std::{
    collections::HashMap,
    mem,
    sync::{Mutex, PoisonError},
};

use doorward_core::{clock::Timestamp, event::RefusalEvent, id::AuditId, network::Network};
use doorward_store::audit::{AuditAction, AuditContext, AuditEvent, Details};
use serde_json::Value;

use crate::actor::Actor;

const MINUTE_MS: i64 = 60_000;

/// Events that wait to be written.
pub(crate) struct AuditQueue {
    longest: usize,
    fold_after: u32,
    state: Mutex<Pending>,
}

#[derive(Default)]
struct Pending {
    events: Vec<AuditEvent>,
    minute: i64,
    counts: HashMap<Fold, Folded>,
    carried: Vec<(Fold, i64)>,
    dropped: u64,
}

impl Pending {
    /// Begins a minute: what was counted in the last one and not written yet is kept.
    fn carry_over(&mut self) {
        let counted = self.counts.drain().filter(|(_, folded)| folded.beyond > 0);
        self.carried.extend(counted.map(|(fold, folded)| (fold, folded.beyond)));
    }

    /// Takes what was counted and not written yet.
    fn counted(&mut self) -> Vec<(Fold, i64)> {
        let mut counted = mem::take(&mut self.carried);
        let live = self.counts.iter_mut().filter(|(_, folded)| folded.beyond > 0);
        counted.extend(live.map(|(fold, folded)| (fold.clone(), mem::take(&mut folded.beyond))));
        counted
    }
}

/// What equal events have in common.
#[derive(Clone, Eq, Hash, PartialEq)]
pub(crate) struct Fold {
    pub(crate) action: AuditAction,
    pub(crate) code: Option<&'static str>,
    pub(crate) network: Option<Network>,
    pub(crate) actor: Option<String>,
}

struct Folded {
    seen: u32,
    beyond: i64,
}

impl AuditQueue {
    pub(crate) fn new(longest: usize, fold_after: u32) -> Self {
        Self { longest, fold_after, state: Mutex::default() }
    }

    /// Takes an event that stands for `count` equal ones, or counts it where enough equal ones were taken in this minute.
    pub(crate) fn push(&self, fold: Fold, now: Timestamp, count: u32, event: impl FnOnce() -> AuditEvent) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let minute = now.as_millis().div_euclid(MINUTE_MS);
        if state.minute != minute {
            state.minute = minute;
            state.carry_over();
        }
        // Whoever comes from ever new addresses is counted without one, and keeps nobody else from being noted.
        let is_full = state.counts.len() >= self.longest && !state.counts.contains_key(&fold);
        let fold = if is_full { Fold { network: None, actor: None, ..fold } } else { fold };
        let folded = state.counts.entry(fold).or_insert(Folded { seen: 0, beyond: 0 });
        if folded.seen >= self.fold_after {
            folded.beyond += i64::from(count);
            return;
        }
        folded.seen += 1;
        if state.events.len() >= self.longest {
            state.dropped += 1;
            return;
        }
        state.events.push(event());
    }

    /// What is to be written now; counted events come as one row each, made of what `context` gives for an actor.
    pub(crate) fn take(&self, context: impl Fn(&Actor) -> AuditContext) -> Vec<AuditEvent> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut events = mem::take(&mut state.events);
        for (fold, count) in state.counted() {
            let address = fold.network.map(Network::address);
            let actor = Actor { id: fold.actor.clone(), address, trace_id: None };
            let mut event = context(&actor).event(fold.action);
            event.code = fold.code.map(str::to_owned);
            event.count = count;
            events.push(event);
        }
        if state.dropped > 0 {
            let count = mem::take(&mut state.dropped);
            tracing::warn!(count, "audit events were dropped: the queue is full");
        }
        events
    }

    pub(crate) fn put_back(&self, events: Vec<AuditEvent>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let room = self.longest.saturating_sub(state.events.len());
        let lost = events.len().saturating_sub(room);
        state.dropped += lost as u64;
        let later = mem::take(&mut state.events);
        state.events = events.into_iter().take(room).chain(later).collect();
    }
}

pub(crate) fn refusal_row(id: AuditId, event: RefusalEvent) -> AuditEvent {
    let details = refusal_details(&event);
    AuditEvent {
        id,
        at: Timestamp::from_millis(event.at_ms),
        trace_id: Some(event.trace_id.to_string()),
        action: AuditAction::RequestRefused,
        code: Some(event.code),
        actor: event.principal,
        subject: None,
        address: event.address,
        count: event.count.into(),
        details,
    }
}

/// What is known of a refusal beside what has a column of its own.
pub(crate) fn refusal_details(event: &RefusalEvent) -> Details {
    let request = [("method", &event.method), ("path", &event.path), ("at", &event.at)];
    let facts = event.facts.iter().map(|(name, value)| (name.as_str(), value));
    facts.chain(request).map(|(name, value)| (name.to_owned(), Value::from(value.as_str()))).collect()
}
