//! Whose question goes to the issuer next.
//!
//! Each network has a line of its own, and the lines take turns: a caller who asks a lot waits behind himself and delays
//! others by one question at most. Easy to get wrong: what is full must not refuse newcomers. It is the longest line that
//! gives way.

use std::collections::{HashMap, VecDeque};

use doorward_core::network::Network;

/// Where a question comes from; `None` where the caller's address is not known.
pub(super) type Source = Option<Network>;

/// How much is in progress at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Questions that are being asked.
    pub(super) running: usize,
    /// The places of one network among them. Callers without a known address may be many, and have no such limit.
    pub(super) places: usize,
    pub(super) waiting: usize,
}

/// The lines of all networks.
pub(super) struct Turns<T> {
    limits: Limits,
    running: usize,
    waiting: usize,
    lines: HashMap<Source, Line<T>>,
    /// The lines whose first one may go, in the order of their turns.
    order: VecDeque<Source>,
}

struct Line<T> {
    waiting: VecDeque<T>,
    places_taken: usize,
    is_in_order: bool,
}

impl<T> Turns<T> {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, running: 0, waiting: 0, lines: HashMap::new(), order: VecDeque::new() }
    }

    /// Puts something at the end of its line. Returns what gave way for it, which can be itself.
    pub(super) fn push(&mut self, from: Source, item: T) -> Option<T> {
        let line = self.lines.entry(from).or_insert_with(|| Line {
            waiting: VecDeque::new(),
            places_taken: 0,
            is_in_order: false,
        });
        line.waiting.push_back(item);
        self.waiting += 1;
        self.put_in_order(from);
        if self.waiting <= self.limits.waiting {
            return None;
        }
        // Of equally long ones, the line that grew.
        let own = self.lines.get(&from).map_or(0, |line| line.waiting.len());
        let longest = self.lines.iter().max_by_key(|(_, line)| line.waiting.len());
        let longest = longest.filter(|(_, line)| line.waiting.len() > own).map_or(from, |(from, _)| *from);
        self.waiting -= 1;
        let given_way = self.lines.get_mut(&longest).and_then(|line| line.waiting.pop_back());
        self.forget_if_idle(longest);
        given_way
    }

    /// What goes next, if anything may: it takes one of the places of its network.
    pub(super) fn next(&mut self) -> Option<(Source, T)> {
        while self.running < self.limits.running {
            let from = self.order.pop_front()?;
            let Some(line) = self.lines.get_mut(&from) else { continue };
            line.is_in_order = false;
            // The line may have given way in the meantime.
            let Some(item) = line.waiting.pop_front() else {
                self.forget_if_idle(from);
                continue;
            };
            line.places_taken += 1;
            self.waiting -= 1;
            self.running += 1;
            self.put_in_order(from);
            return Some((from, item));
        }
        None
    }

    /// One that went has ended. Its place among those of its network stays taken.
    pub(super) fn end(&mut self) {
        self.running = self.running.saturating_sub(1);
    }

    /// Frees a place of a network.
    pub(super) fn free_place(&mut self, from: Source) {
        if let Some(line) = self.lines.get_mut(&from) {
            line.places_taken = line.places_taken.saturating_sub(1);
        }
        self.put_in_order(from);
        self.forget_if_idle(from);
    }

    fn put_in_order(&mut self, from: Source) {
        let places = if from.is_some() { self.limits.places } else { self.limits.running };
        if let Some(line) = self.lines.get_mut(&from)
            && !line.is_in_order
            && !line.waiting.is_empty()
            && line.places_taken < places
        {
            line.is_in_order = true;
            self.order.push_back(from);
        }
    }

    fn forget_if_idle(&mut self, from: Source) {
        let is_idle = |line: &Line<T>| line.waiting.is_empty() && line.places_taken == 0 && !line.is_in_order;
        if self.lines.get(&from).is_some_and(is_idle) {
            self.lines.remove(&from);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    const LIMITS: Limits = Limits { running: 4, places: 2, waiting: 8 };

    fn from(last: u8) -> Source {
        Some(Network::of(IpAddr::from([192, 0, 2, last])))
    }

    /// What goes until nothing may any more.
    fn go(turns: &mut Turns<u8>) -> Vec<u8> {
        std::iter::from_fn(|| turns.next().map(|(_, item)| item)).collect()
    }

    #[test]
    fn networks_take_turns_however_many_wait_in_a_line() {
        let mut turns = Turns::new(LIMITS);
        for _ in 0..5 {
            assert!(turns.push(from(1), 1).is_none());
        }
        assert!(turns.push(from(2), 2).is_none() && turns.push(from(3), 3).is_none());
        assert_eq!(go(&mut turns), [1, 2, 3, 1], "one network has two places, and four run at a time");
        turns.end();
        assert_eq!(turns.next(), None, "the only line that waits has no place");
        turns.free_place(from(1));
        assert_eq!(turns.next(), Some((from(1), 1)));
    }

    #[test]
    fn longest_line_gives_way_when_all_is_full() {
        let mut turns = Turns::new(Limits { running: 0, ..LIMITS });
        for item in 0..8 {
            assert!(turns.push(from(1), item).is_none());
        }
        assert_eq!(turns.push(from(1), 8), Some(8), "its own");
        assert_eq!(turns.push(from(2), 100), Some(7), "the last of the longest");
        for item in 101..104 {
            assert!(turns.push(from(2), item).is_some_and(|given_way| given_way < 8));
        }
        assert_eq!(turns.push(from(2), 104), Some(104), "both are equally long");
        assert!(matches!(turns.push(from(3), 200), Some(3 | 103)), "a newcomer always gets in");
    }

    #[test]
    fn callers_without_an_address_are_not_one_network() {
        let mut turns = Turns::new(LIMITS);
        for item in 0..5 {
            turns.push(None, item);
        }
        assert_eq!(go(&mut turns), [0, 1, 2, 3]);
    }

    #[test]
    fn nothing_is_kept_of_a_network_that_has_gone() {
        let mut turns = Turns::new(Limits { waiting: 1, ..LIMITS });
        for round in 0..100 {
            turns.push(from(round), round);
            turns.push(from(round), round);
            assert_eq!(go(&mut turns), [round]);
            turns.end();
            turns.free_place(from(round));
        }
        assert!(turns.lines.is_empty() && turns.order.is_empty() && turns.waiting == 0 && turns.running == 0);
    }
}
