//! Decides whose password is hashed next.
//!
//! Browsers that signed in before wait in a lane of their own and get at most every other turn, so that neither lane
//! shuts the other out. Who is next within a lane says [`Lane`].
//!
//! Easy to get wrong: an attempt can be aborted at any moment, also between being called and noticing it. Its turn must
//! go on to the next one then.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::lane::{Lane, Parties, Place, Waiting};

/// How an attempt that waits is called.
type Call = oneshot::Sender<Turn>;

/// The turns of all parties.
#[derive(Clone)]
pub(super) struct Turns(Arc<Mutex<State>>);

/// Room for one hash, given back when dropped.
pub struct Turn {
    turns: Turns,
    parties: Parties,
}

struct State {
    free: usize,
    arrived: u64,
    /// The lane of the last one that was called.
    called: usize,
    /// Known browsers, and all others.
    lanes: [Lane<Call>; 2],
}

/// A place among those that wait, given up when dropped: also by a request that was aborted.
struct Ticket {
    turns: Turns,
    lane: usize,
    place: Place,
}

impl Turns {
    /// Turns of `at_once` hashes at the same time, and of `longest` that wait in each lane.
    pub(super) fn new(at_once: usize, longest: usize) -> Self {
        let lanes = [Lane::new(longest.max(1)), Lane::new(longest.max(1))];
        Self(Arc::new(Mutex::new(State { free: at_once.max(1), arrived: 0, called: 0, lanes })))
    }

    /// Waits for the turn of an attempt; `None` where too many wait.
    pub(super) async fn take(&self, parties: &Parties) -> Option<Turn> {
        let (call, called) = oneshot::channel();
        let ticket = {
            let mut state = self.lock();
            state.arrived += 1;
            let (arrived, is_free, at) = (state.arrived, state.free > 0, parties.lane());
            let lane = &mut state.lanes[at];
            let place = (lane.enter(parties), arrived);
            if is_free {
                state.free -= 1;
                return Some(self.turn(parties.clone()));
            }
            lane.wait(place, Waiting { parties: parties.clone(), call });
            Ticket { turns: self.clone(), lane: at, place }
        };
        let turn = called.await.ok();
        drop(ticket);
        turn
    }

    pub(super) fn waiting(&self) -> usize {
        self.lock().lanes.iter().map(Lane::len).sum()
    }

    fn turn(&self, parties: Parties) -> Turn {
        Turn { turns: self.clone(), parties }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The next one that has its turn. The lanes alternate where both wait.
    fn next(&mut self) -> Option<Waiting<Call>> {
        let other = 1 - self.called;
        let (called, next) = match self.lanes[other].next() {
            Some(next) => (other, Some(next)),
            None => (self.called, self.lanes[self.called].next()),
        };
        self.called = called;
        next
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.turns.lock();
        let lane = self.parties.lane();
        state.lanes[lane].leave(&self.parties);
        match state.next() {
            None => state.free += 1,
            Some(next) => {
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
        state.lanes[self.lane].give_up(&self.place);
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::Pin, task::Poll};

    use doorward_core::network::Network;

    use super::*;
    use crate::passwords::lane::MAX_REMEMBERED;

    fn stranger(account: &str, address: &str) -> Parties {
        Parties::stranger(account.to_owned(), Network::of(address.parse().unwrap()))
    }

    type Taking = Pin<Box<dyn Future<Output = Option<Turn>>>>;

    fn taking(turns: &Turns, parties: Parties) -> Taking {
        let turns = turns.clone();
        Box::pin(async move { turns.take(&parties).await })
    }

    fn enter(turns: &Turns, account: &str, address: &str) -> Taking {
        let mut taking = taking(turns, stranger(account, address));
        assert!(poll(&mut taking).is_none());
        taking
    }

    fn poll(taking: &mut Taking) -> Option<Option<Turn>> {
        match taking.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
            Poll::Ready(turn) => Some(turn),
            Poll::Pending => None,
        }
    }

    #[track_caller]
    fn is_refused(taking: &mut Taking) -> bool {
        poll(taking).is_some_and(|turn| turn.is_none())
    }

    async fn first(turns: &Turns) -> Turn {
        turns.take(&stranger("first", "203.0.113.1")).await.unwrap()
    }

    #[tokio::test]
    async fn newcomer_goes_before_the_second_attempt_of_an_account() {
        let turns = Turns::new(1, 10);
        let running = first(&turns).await;
        // One account from many addresses, and one address with many accounts.
        let mut greedy: Vec<_> = (0..4).map(|at| enter(&turns, "greedy", &format!("10.0.0.{at}"))).collect();
        let mut crowd: Vec<_> = (0..4).map(|at| enter(&turns, &at.to_string(), "10.1.0.1")).collect();
        let mut newcomer = enter(&turns, "newcomer", "10.2.0.1");
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
    async fn full_queue_refuses_the_last_in_order() {
        let turns = Turns::new(1, 3);
        let running = first(&turns).await;
        let mut greedy: Vec<_> = (0..3).map(|_| enter(&turns, "greedy", "10.0.0.1")).collect();
        let mut newcomer = enter(&turns, "newcomer", "10.0.0.2");
        assert!(is_refused(&mut greedy[2]), "the last of the greedy gave way");
        assert!(is_refused(&mut taking(&turns, stranger("greedy", "10.0.0.1"))), "it would come last itself");
        drop(running);
        assert!(poll(&mut greedy[0]).flatten().is_some());
        assert!(poll(&mut newcomer).flatten().is_some());
    }

    #[tokio::test]
    async fn largest_network_gives_way_in_a_full_round() {
        for crowd in ["10.0.0.AT", "10.0.AT.1", "2001:db8:1:2AT::", "2001:db8:1:AT00::"] {
            let turns = Turns::new(1, 3);
            let running = first(&turns).await;
            let address = |at: usize| crowd.replace("AT", &at.to_string());
            let mut crowd: Vec<_> = (1..=3).map(|at| enter(&turns, &at.to_string(), &address(at))).collect();
            let mut newcomer = enter(&turns, "newcomer", "192.0.2.1");
            assert!(is_refused(&mut crowd[2]), "the last of the crowd gave way");
            drop(running);
            drop(poll(&mut crowd[0]).flatten().expect("who came first"));
            drop(poll(&mut crowd[1]).flatten().expect("who came then"));
            assert!(poll(&mut newcomer).flatten().is_some());
        }
    }

    #[tokio::test]
    async fn asking_again_right_after_a_refusal_gains_nothing() {
        let turns = Turns::new(1, 3);
        let mut running = first(&turns).await;
        let address = |at: usize| format!("10.{at}.0.1");
        // Each from a network of its own, with ever new names.
        let mut bots: Vec<Option<Taking>> = (0..6).map(|_| None).collect();
        for tried in 0..10 {
            for (at, bot) in bots.iter_mut().enumerate() {
                if bot.is_none() {
                    *bot = Some(taking(&turns, stranger(&format!("{at}-{tried}"), &address(at))));
                }
                bot.take_if(|bot| is_refused(bot));
            }
        }
        // Those that wait have not asked again yet.
        for bot in bots.iter_mut().flatten().collect::<Vec<_>>() {
            drop(running);
            running = poll(bot).flatten().expect("in their order");
        }
        let mut bots: Vec<_> = (0..6).map(|at| Some(taking(&turns, stranger("again", &address(at))))).collect();
        for bot in &mut bots {
            bot.take_if(|bot| is_refused(bot));
        }
        let mut newcomer = enter(&turns, "newcomer", "192.0.2.1");
        bots.iter_mut().for_each(|bot| drop(bot.take_if(|bot| is_refused(bot))));
        for at in 0..6 {
            assert!(is_refused(&mut taking(&turns, stranger("another", &address(at)))));
        }
        let mut served = None;
        while served.is_none() {
            drop(running);
            served = poll(&mut newcomer).flatten();
            let called = |bot: &mut Option<Taking>| {
                let polled = bot.as_mut().and_then(poll);
                bot.take_if(|_| polled.is_some());
                polled.flatten()
            };
            running = match served {
                Some(_) => break,
                None => bots.iter_mut().find_map(called).expect("somebody has the turn"),
            };
        }
        assert!(served.is_some(), "the newcomer had a turn");
    }

    #[tokio::test]
    async fn known_and_unknown_browsers_do_not_shut_each_other_out() {
        let turns = Turns::new(1, 2);
        let running = first(&turns).await;
        let mut strangers: Vec<_> = (0..2).map(|at| enter(&turns, &at.to_string(), &format!("10.{at}.0.1"))).collect();
        let mut known: Vec<_> = (0..2).map(|at| taking(&turns, Parties::known(at.to_string()))).collect();
        for known in &mut known {
            assert!(poll(known).is_none());
        }
        drop(running);
        let mut order = String::new();
        for _ in 0..4 {
            for (name, waiting) in [("s", &mut strangers), ("k", &mut known)] {
                // A future that has its turn is done, and never asked again.
                let at = (0..waiting.len()).find(|at| poll(&mut waiting[*at]).flatten().is_some());
                if let Some(at) = at {
                    drop(waiting.remove(at));
                    order += name;
                }
            }
        }
        assert!(order == "ksks" || order == "sksk", "{order}");
    }

    #[tokio::test]
    async fn manager_of_many_users_waits_behind_itself() {
        let turns = Turns::new(1, 3);
        let running = first(&turns).await;
        let mut managers: Vec<_> = (0..4).map(|_| taking(&turns, Parties::manager("key_1"))).collect();
        for waiting in &mut managers[..3] {
            assert!(poll(waiting).is_none());
        }
        assert!(is_refused(&mut managers[3]), "nobody else waits, so it would come last");
        let mut known = taking(&turns, Parties::known("alice".to_owned()));
        assert!(poll(&mut known).is_none());
        assert!(is_refused(&mut managers[2]), "it makes room for one that asks less");
        drop(running);
        drop(poll(&mut managers[0]).flatten().expect("who came first"));
        assert!(poll(&mut known).flatten().is_some(), "before the second of the manager");
    }

    #[tokio::test]
    async fn remembered_networks_are_bounded() {
        let turns = Turns::new(1, 1);
        let running = first(&turns).await;
        let _waits = enter(&turns, "waits", "192.0.2.1");
        for at in 0..MAX_REMEMBERED + 500 {
            let address = Network::of(std::net::Ipv4Addr::from_bits(0x0a00_0000 + at as u32).into());
            drop(poll(&mut taking(&turns, Parties::stranger("b".to_owned(), address))));
        }
        assert!(turns.lock().lanes[1].known() <= MAX_REMEMBERED + 4);
        drop(running);
    }

    #[tokio::test]
    async fn aborted_attempts_leave_nothing() {
        let turns = Turns::new(1, 3);
        let running = first(&turns).await;
        let (given_up, mut waits) = (enter(&turns, "a", "10.0.0.1"), enter(&turns, "b", "10.0.0.2"));
        drop(given_up);
        assert_eq!(turns.waiting(), 1);
        drop(running);
        // Called, and gone before it looked.
        let late = enter(&turns, "c", "10.0.0.3");
        drop(poll(&mut waits));
        drop(late);
        assert!(turns.take(&stranger("d", "10.0.0.4")).await.is_some());
        let state = turns.lock();
        assert!(state.lanes.iter().all(|lane| lane.known() == 0));
        assert_eq!(state.free, 1);
    }
}
