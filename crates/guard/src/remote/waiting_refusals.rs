//! Refusals that wait to be delivered: each one while there are few, a count of equal ones in a flood.
//!
//! Equal are those for one reason from one network. Nothing is dropped: what has no place of its own is counted.

use std::collections::{HashMap, VecDeque};

use doorward_core::{denial::Denial, event::RefusalEvent, network::Network};

/// The most refusals that wait with a place of their own.
pub(super) const MAX_WAITING: usize = 2_000;
/// The most equal refusals in a minute that have a place of their own.
pub(super) const OWN_PLACES: u32 = 200;
/// The most kinds that are counted apart. Beyond them refusals are counted without the caller's address.
const MAX_KINDS: usize = 1_000;

const MINUTE_MS: i64 = 60_000;

#[derive(Default)]
pub(super) struct WaitingRefusals {
    events: VecDeque<RefusalEvent>,
    minute: i64,
    seen: HashMap<Kind, u32>,
    counted: HashMap<Kind, RefusalEvent>,
}

/// What equal refusals have in common.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
struct Kind {
    denial: Option<Denial>,
    network: Option<Network>,
}

impl WaitingRefusals {
    pub(super) fn push(&mut self, mut event: RefusalEvent) {
        let minute = event.at_ms.div_euclid(MINUTE_MS);
        if self.minute != minute {
            self.minute = minute;
            self.seen.clear();
        }
        let address = event.address.as_deref().and_then(|address| address.parse().ok());
        let mut kind = Kind { denial: event.denial(), network: address.map(Network::of) };
        if self.seen.len() >= MAX_KINDS && !self.seen.contains_key(&kind) {
            kind.network = None;
        }
        let seen = self.seen.entry(kind).or_default();
        if *seen < OWN_PLACES && self.events.len() < MAX_WAITING {
            *seen += 1;
            self.events.push_back(event);
            return;
        }
        if self.counted.len() >= MAX_KINDS && !self.counted.contains_key(&kind) {
            kind.network = None;
        }
        if kind.network.is_none() {
            event.address = None;
        }
        match self.counted.get_mut(&kind) {
            Some(counted) => counted.count = counted.count.saturating_add(event.count),
            None => drop(self.counted.insert(kind, event)),
        }
    }

    /// The first ones, which wait on until they are [delivered](Self::delivered). Counts come when nothing else is left.
    pub(super) fn first(&mut self, most: usize) -> Vec<RefusalEvent> {
        if self.events.is_empty() {
            self.events.extend(self.counted.drain().map(|(_, event)| event));
        }
        self.events.iter().take(most).cloned().collect()
    }

    /// Forgets the first ones.
    pub(super) fn delivered(&mut self, count: usize) {
        self.events.drain(..count.min(self.events.len()));
    }

    pub(super) fn len(&self) -> usize {
        self.events.len() + self.counted.len()
    }
}

#[cfg(test)]
mod tests {
    use doorward_core::{clock::Timestamp, random::SeededRng, refusal::Refusal, trace::TraceId};

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn event(denial: Denial, address: Option<String>) -> RefusalEvent {
        let trace_id = TraceId::new(NOW, &SeededRng::new(1));
        RefusalEvent { address, ..RefusalEvent::new(trace_id, NOW, &Refusal::new(denial), "api", "GET", "/") }
    }

    fn all(waiting: &mut WaitingRefusals) -> Vec<RefusalEvent> {
        let mut all = Vec::new();
        loop {
            let batch = waiting.first(50);
            if batch.is_empty() {
                return all;
            }
            waiting.delivered(batch.len());
            all.extend(batch);
        }
    }

    #[test]
    fn equal_refusals_beyond_their_places_are_counted() {
        let mut waiting = WaitingRefusals::default();
        let own = usize::try_from(OWN_PLACES).unwrap();
        for _ in 0..own + 3_000 {
            waiting.push(event(Denial::KeyUnknown, Some("192.0.2.1".into())));
        }
        // Neighbours, and other reasons.
        waiting.push(event(Denial::KeyUnknown, Some("192.0.2.2".into())));
        waiting.push(event(Denial::KeyRevoked, Some("192.0.2.1".into())));
        let told = all(&mut waiting);
        assert_eq!(told.len(), own + 3);
        assert_eq!(told.last().unwrap().count, 3_000);
        assert_eq!(told.iter().filter(|event| event.count == 1).count(), own + 2);
        // In the same minute no more of them have a place of their own.
        waiting.push(event(Denial::KeyUnknown, Some("192.0.2.1".into())));
        waiting.push(event(Denial::KeyUnknown, Some("192.0.2.1".into())));
        assert_eq!(all(&mut waiting).iter().map(|event| event.count).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn ever_new_addresses_are_counted_and_take_a_bounded_place() {
        let mut waiting = WaitingRefusals::default();
        for n in 0..20_000_u32 {
            let address = std::net::Ipv4Addr::from_bits(n).to_string();
            waiting.push(event(Denial::KeyUnknown, Some(address)));
        }
        assert!(waiting.len() <= MAX_WAITING + MAX_KINDS + Denial::ALL.len());
        assert_eq!(all(&mut waiting).iter().map(|event| event.count).sum::<u32>(), 20_000);
    }
}
