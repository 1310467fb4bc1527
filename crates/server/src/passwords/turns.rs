//! Whose password is hashed next.
//!
//! Each attempt belongs to parties: an account and an address. Every party has its turn once in each round, so whoever
//! signs in a lot, rightly or not, waits behind himself. Easy to get wrong: what is full must not refuse newcomers. What
//! would come last gives way.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

/// One account, or one address.
pub type Party = String;

/// The turns of all parties.
#[derive(Clone)]
pub(super) struct Turns(Arc<Mutex<State>>);

/// Room for one hash, given back when dropped.
pub(super) struct Turn {
    turns: Turns,
    parties: Vec<Party>,
}

struct State {
    free: usize,
    longest: usize,
    /// The round of the last one that had its turn.
    round: u64,
    arrived: u64,
    /// Of those that wait or have their turn.
    parties: HashMap<Party, Standing>,
    waiting: BTreeMap<Place, Waiting>,
}

/// Where a party stands: in which round its next attempt comes, and how many of its attempts wait or have their turn.
struct Standing {
    next_round: u64,
    present: usize,
}

/// The order of those that wait: by round, then as they came.
type Place = (u64, u64);

struct Waiting {
    parties: Vec<Party>,
    call: oneshot::Sender<Turn>,
}

/// A place among those that wait, given up when dropped: also by a request that was aborted.
struct Ticket {
    turns: Turns,
    place: Place,
}

impl Turns {
    /// Turns of `at_once` hashes at the same time, and of `longest` that wait.
    pub(super) fn new(at_once: usize, longest: usize) -> Self {
        let (parties, waiting) = (HashMap::new(), BTreeMap::new());
        let state = State { free: at_once.max(1), longest: longest.max(1), round: 0, arrived: 0, parties, waiting };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Waits for the turn of an attempt; `None` where too many wait.
    pub(super) async fn take(&self, parties: &[Party]) -> Option<Turn> {
        let (call, called) = oneshot::channel();
        let ticket = {
            let mut state = self.lock();
            let round = state.enter(parties);
            if state.free > 0 {
                state.free -= 1;
                return Some(self.turn(parties.to_vec()));
            }
            let place = (round, state.arrived);
            state.waiting.insert(place, Waiting { parties: parties.to_vec(), call });
            if state.waiting.len() > state.longest
                && let Some((_, last)) = state.waiting.pop_last()
            {
                state.leave(&last.parties);
            }
            Ticket { turns: self.clone(), place }
        };
        let turn = called.await.ok();
        drop(ticket);
        turn
    }

    /// How many wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    fn turn(&self, parties: Vec<Party>) -> Turn {
        Turn { turns: self.clone(), parties }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Notes one more attempt of these parties; gives its round.
    fn enter(&mut self, parties: &[Party]) -> u64 {
        self.arrived += 1;
        let next = |party| self.parties.get(party).map_or(0, |standing: &Standing| standing.next_round);
        let round = parties.iter().map(next).fold(self.round, u64::max);
        for party in parties {
            let standing = self.parties.entry(party.clone()).or_insert(Standing { next_round: 0, present: 0 });
            standing.next_round = round + 1;
            standing.present += 1;
        }
        round
    }

    /// Forgets parties of which nothing is left.
    fn leave(&mut self, parties: &[Party]) {
        for party in parties {
            if let Some(standing) = self.parties.get_mut(party) {
                standing.present -= 1;
                if standing.present == 0 {
                    self.parties.remove(party);
                }
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.turns.lock();
        state.leave(&self.parties);
        match state.waiting.pop_first() {
            None => state.free += 1,
            Some(((round, _), next)) => {
                state.round = round;
                drop(state);
                // If nobody listens any more, the turn is dropped, which calls the next one.
                let _ = next.call.send(self.turns.turn(next.parties));
            }
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.turns.lock();
        if let Some(given_up) = state.waiting.remove(&self.place) {
            state.leave(&given_up.parties);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::Pin, task::Poll};

    use super::*;

    fn parties(account: &str, address: &str) -> Vec<Party> {
        vec![format!("name/{account}"), format!("address/{address}")]
    }

    type Taking = Pin<Box<dyn Future<Output = Option<Turn>>>>;

    /// Begins to wait.
    fn enter(turns: &Turns, account: &str, address: &str) -> Taking {
        let (turns, parties) = (turns.clone(), parties(account, address));
        let mut taking: Taking = Box::pin(async move { turns.take(&parties).await });
        assert!(poll(&mut taking).is_none());
        taking
    }

    fn poll(taking: &mut Taking) -> Option<Option<Turn>> {
        match taking.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
            Poll::Ready(turn) => Some(turn),
            Poll::Pending => None,
        }
    }

    async fn first(turns: &Turns) -> Turn {
        turns.take(&parties("first", "nowhere")).await.unwrap()
    }

    #[tokio::test]
    async fn newcomer_goes_before_the_second_attempt_of_an_account() {
        let turns = Turns::new(1, 10);
        let running = first(&turns).await;
        // One account from many addresses, and one address with many accounts.
        let mut greedy: Vec<_> = (0..4).map(|at| enter(&turns, "greedy", &at.to_string())).collect();
        let mut crowd: Vec<_> = (0..4).map(|at| enter(&turns, &at.to_string(), "crowd")).collect();
        let mut newcomer = enter(&turns, "newcomer", "new");
        drop(running);
        let turn = poll(&mut greedy[0]).flatten().expect("who came first");
        drop(turn);
        let turn = poll(&mut crowd[0]).flatten().expect("the first of the crowd");
        drop(turn);
        let turn = poll(&mut newcomer).flatten().expect("the newcomer, in the first round");
        drop(turn);
        let _turn = poll(&mut greedy[1]).flatten().expect("the second round");
        assert!(poll(&mut crowd[1]).is_none());
    }

    #[tokio::test]
    async fn full_queue_refuses_whoever_comes_last_in_the_order() {
        let turns = Turns::new(1, 3);
        let running = first(&turns).await;
        let mut greedy: Vec<_> = (0..3).map(|_| enter(&turns, "greedy", "1")).collect();
        let mut newcomer = enter(&turns, "newcomer", "2");
        assert!(poll(&mut greedy[2]).is_some_and(|turn| turn.is_none()), "the last of the greedy gave way");
        let mut again = Box::pin({
            let turns = turns.clone();
            async move { turns.take(&parties("greedy", "1")).await }
        }) as Taking;
        assert!(poll(&mut again).is_some_and(|turn| turn.is_none()), "it would come last itself");
        drop(running);
        assert!(poll(&mut greedy[0]).flatten().is_some());
        assert!(poll(&mut newcomer).flatten().is_some());
    }

    #[tokio::test]
    async fn aborted_attempts_leave_nothing() {
        let turns = Turns::new(1, 3);
        let running = first(&turns).await;
        let (given_up, mut waits) = (enter(&turns, "a", "1"), enter(&turns, "b", "2"));
        drop(given_up);
        assert_eq!(turns.waiting(), 1);
        drop(running);
        // Called, and gone before it looked.
        let late = enter(&turns, "c", "3");
        drop(poll(&mut waits));
        drop(late);
        assert!(turns.take(&parties("d", "4")).await.is_some());
        assert!(turns.lock().parties.is_empty());
        assert_eq!(turns.lock().free, 1);
    }
}
