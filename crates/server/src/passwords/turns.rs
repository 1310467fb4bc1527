//! Decides whose password is hashed next.
//!
//! Each attempt belongs to parties: an account and a network. Every party has one turn in each round, so a party that
//! signs in a lot, successfully or not, waits behind itself. As long as anyone waits, the attempts of a network are
//! remembered, even refused ones: asking again at once gains nothing. Browsers that signed in before wait in a lane of
//! their own and get at most every other turn, so that neither lane shuts the other out.
//!
//! Easy to get wrong: a full queue must not refuse newcomers. The attempt that would come last gives way. Within a
//! round, that is the last one of the party that asked most, together with the networks around it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use doorward_core::network::Network;
use tokio::sync::oneshot;

/// The most networks that are remembered while none of their attempts is present.
const MAX_REMEMBERED: usize = 10_000;

/// Whose an attempt is.
#[derive(Clone, Debug, Default)]
pub struct Parties {
    /// The account, in whatever form names it.
    account: Option<String>,
    /// The network of a browser that has not signed in to this account before.
    network: Option<Network>,
}

impl Parties {
    /// Those of somebody who is not known.
    pub(crate) fn stranger(account: String, network: Network) -> Self {
        Self { account: Some(account), network: Some(network) }
    }

    /// Those of a browser that proved to be the account's, or of its session.
    pub(crate) fn known(account: String) -> Self {
        Self { account: Some(account), network: None }
    }

    /// The parties of an operator: no account and no network.
    pub fn operator() -> Self {
        Self::default()
    }

    fn lane(&self) -> usize {
        usize::from(self.network.is_some())
    }

    fn each(&self) -> impl Iterator<Item = Party> {
        self.account.clone().map(Party::Account).into_iter().chain(self.network.map(Party::Network))
    }
}

/// One account, or one network.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Party {
    Account(String),
    Network(Network),
}

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
    lanes: [Lane; 2],
}

/// Those that wait for each other's turn.
struct Lane {
    longest: usize,
    /// The round of the last one that had its turn.
    round: u64,
    /// Of those that wait or have their turn, and of networks that are remembered.
    parties: HashMap<Party, Standing>,
    /// The networks that are remembered, by their attempts.
    remembered: BTreeSet<(u64, Party)>,
    waiting: BTreeMap<Place, Waiting>,
}

/// A party's place: in which round its next attempt comes, how many there were, and how many wait or have their turn.
#[derive(Default)]
struct Standing {
    next_round: u64,
    attempts: u64,
    present: usize,
}

/// The order of those that wait: by round, then as they came.
type Place = (u64, u64);

struct Waiting {
    parties: Parties,
    call: oneshot::Sender<Turn>,
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
            lane.waiting.insert(place, Waiting { parties: parties.clone(), call });
            if lane.waiting.len() > lane.longest {
                lane.refuse_one();
            }
            Ticket { turns: self.clone(), lane: at, place }
        };
        let turn = called.await.ok();
        drop(ticket);
        turn
    }

    pub(super) fn waiting(&self) -> usize {
        self.lock().lanes.iter().map(|lane| lane.waiting.len()).sum()
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
    fn next(&mut self) -> Option<Waiting> {
        let other = 1 - self.called;
        let (called, next) = match self.lanes[other].next() {
            Some(next) => (other, Some(next)),
            None => (self.called, self.lanes[self.called].next()),
        };
        self.called = called;
        next
    }
}

impl Lane {
    fn new(longest: usize) -> Self {
        let (parties, remembered, waiting) = (HashMap::new(), BTreeSet::new(), BTreeMap::new());
        Self { longest, round: 0, parties, remembered, waiting }
    }

    /// Notes one more attempt of these parties; gives its round.
    fn enter(&mut self, parties: &Parties) -> u64 {
        let mut round = self.round;
        for party in parties.each() {
            self.remembered_no_more(&party);
            let standing = self.parties.entry(party).or_default();
            let own = standing.next_round.max(self.round);
            // Counted for itself: a stranger's many attempts do not move the account that one of them is about.
            standing.next_round = own + 1;
            standing.attempts += 1;
            standing.present += 1;
            round = round.max(own);
        }
        round
    }

    /// Forgets accounts of which nothing is left; remembers networks.
    fn leave(&mut self, parties: &Parties) {
        for party in parties.each() {
            let Some(standing) = self.parties.get_mut(&party) else { continue };
            standing.present -= 1;
            match &party {
                _ if standing.present > 0 => {}
                Party::Account(_) => {
                    self.parties.remove(&party);
                }
                Party::Network(_) => {
                    self.remembered.insert((standing.attempts, party));
                }
            }
        }
        if self.remembered.len() > MAX_REMEMBERED {
            self.forget_first();
        }
    }

    fn remembered_no_more(&mut self, party: &Party) {
        if let Some(standing) = self.parties.get(party).filter(|standing| standing.present == 0) {
            self.remembered.remove(&(standing.attempts, party.clone()));
        }
    }

    /// Forgets the network that asked for the least.
    fn forget_first(&mut self) {
        if let Some((_, party)) = self.remembered.pop_first() {
            self.parties.remove(&party);
        }
    }

    /// The first of those that wait.
    fn next(&mut self) -> Option<Waiting> {
        let Some(((round, _), next)) = self.waiting.pop_first() else {
            // There is room for everybody.
            while !self.remembered.is_empty() {
                self.forget_first();
            }
            return None;
        };
        self.round = round;
        Some(next)
    }

    /// Refuses the latest attempt of the last round from the party that asked most, counted together with the networks
    /// around it.
    fn refuse_one(&mut self) {
        let Some((&(last, _), _)) = self.waiting.last_key_value() else { return };
        let mut sizes: HashMap<(usize, Network), u64> = HashMap::new();
        for around in self.waiting.values().filter_map(|waiting| waiting.parties.network).map(levels) {
            around.into_iter().for_each(|level| *sizes.entry(level).or_default() += 1);
        }
        let weight = |waiting: &Waiting| {
            let network = waiting.parties.network?;
            let attempts = self.parties.get(&Party::Network(network)).map_or(1, |standing| standing.attempts);
            let [widest, wide, own] = levels(network).map(|level| sizes.get(&level).copied().unwrap_or(1));
            Some((widest.saturating_mul(attempts), wide, own))
        };
        let of_last = self.waiting.range((last, 0)..);
        let refused = of_last.max_by_key(|(place, waiting)| (weight(waiting), **place)).map(|(place, _)| *place);
        if let Some(refused) = refused.and_then(|place| self.waiting.remove(&place)) {
            self.leave(&refused.parties);
        }
    }
}

/// A network and those around it, the widest first.
fn levels(network: Network) -> [(usize, Network); 3] {
    let [widest, wide] = network.around();
    [(0, widest), (1, wide), (2, network)]
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
        let lane = &mut state.lanes[self.lane];
        if let Some(given_up) = lane.waiting.remove(&self.place) {
            lane.leave(&given_up.parties);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::Pin, task::Poll};

    use super::*;

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
    async fn remembered_networks_are_bounded() {
        let turns = Turns::new(1, 1);
        let running = first(&turns).await;
        let _waits = enter(&turns, "waits", "192.0.2.1");
        for at in 0..MAX_REMEMBERED + 500 {
            let address = Network::of(std::net::Ipv4Addr::from_bits(0x0a00_0000 + at as u32).into());
            drop(poll(&mut taking(&turns, Parties::stranger("b".to_owned(), address))));
        }
        assert!(turns.lock().lanes[1].parties.len() <= MAX_REMEMBERED + 4);
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
        assert!(state.lanes.iter().all(|lane| lane.parties.is_empty() && lane.remembered.is_empty()));
        assert_eq!(state.free, 1);
    }
}
