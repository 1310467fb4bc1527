//! The order in which attempts are called.
//!
//! Each attempt belongs to parties: an account and a network. Every party has one turn in each round, so a party that
//! signs in a lot, successfully or not, waits behind itself. As long as anyone waits, the attempts of a network are
//! remembered, even refused ones: asking again at once gains nothing.
//!
//! Easy to get wrong: a full lane must not refuse newcomers. The attempt that would come last gives way. Within a
//! round, that is the last one of the party that asked most, together with the networks around it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use doorward_core::network::Network;

/// The most networks that are remembered while none of their attempts is present.
pub(super) const MAX_REMEMBERED: usize = 10_000;

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

    /// Those of a caller of the management API: its requests wait behind each other, and nobody behind all of them.
    pub(crate) fn manager(id: &str) -> Self {
        Self { account: Some(format!("managers/{id}")), network: None }
    }

    /// Which lane they wait in: 0 for known browsers, managers and operators, 1 for all others.
    pub(super) fn lane(&self) -> usize {
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

/// Those that wait for each other's turn, each with `Call`, by which it is called.
pub(super) struct Lane<Call> {
    longest: usize,
    /// The round of the last one that had its turn.
    round: u64,
    /// Of those that wait or have their turn, and of networks that are remembered.
    parties: HashMap<Party, Standing>,
    /// The networks that are remembered, by their attempts.
    remembered: BTreeSet<(u64, Party)>,
    waiting: BTreeMap<Place, Waiting<Call>>,
}

/// A party's place: in which round its next attempt comes, how many there were, and how many wait or have their turn.
#[derive(Default)]
struct Standing {
    next_round: u64,
    attempts: u64,
    present: usize,
}

/// The order of those that wait: by round, then as they came.
pub(super) type Place = (u64, u64);

/// An attempt that waits.
pub(super) struct Waiting<Call> {
    pub(super) parties: Parties,
    pub(super) call: Call,
}

impl<Call> Lane<Call> {
    /// A lane in which `longest` attempts can wait.
    pub(super) fn new(longest: usize) -> Self {
        let (parties, remembered, waiting) = (HashMap::new(), BTreeSet::new(), BTreeMap::new());
        Self { longest, round: 0, parties, remembered, waiting }
    }

    /// Notes one more attempt of these parties; gives its round.
    pub(super) fn enter(&mut self, parties: &Parties) -> u64 {
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

    /// Lets an attempt that entered wait at its place; a full lane refuses one.
    pub(super) fn wait(&mut self, place: Place, waiting: Waiting<Call>) {
        self.waiting.insert(place, waiting);
        if self.waiting.len() > self.longest {
            self.refuse_one();
        }
    }

    /// Takes an attempt out that doesn't wait any longer, if it still did.
    pub(super) fn give_up(&mut self, place: &Place) {
        if let Some(given_up) = self.waiting.remove(place) {
            self.leave(&given_up.parties);
        }
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// How many parties it knows of.
    #[cfg(test)]
    pub(super) fn known(&self) -> usize {
        self.parties.len()
    }

    /// Forgets accounts of which nothing is left; remembers networks.
    pub(super) fn leave(&mut self, parties: &Parties) {
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
    pub(super) fn next(&mut self) -> Option<Waiting<Call>> {
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
        let weight = |waiting: &Waiting<Call>| {
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
