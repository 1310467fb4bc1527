//! Uses of keys that their owners should look at: gathered in memory, and reported every second.
//!
//! Reports have a budget, as refusals have: anybody who has an old key can use it. Easy to get wrong: a use is marked as reported
//! only once it is written. What finds no room is reported when the key is used again.

use std::{
    collections::HashMap,
    hash::Hash,
    mem,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use doorward_core::{
    api::Api,
    clock::Timestamp,
    id::KeyId,
    key_policy::NewNetwork,
    key_usage::KeptAddress,
    network::Network,
    unusual_use::{REPORTED_EVERY, UnusualUse},
};
use doorward_store::{
    StoreError,
    audit::AuditContext,
    keys::{KeyNetworkUse, KeyRecord, NoteKeyNetworks, ReportUnusualUses, UnusualKeyUse},
};

use super::App;
use crate::actor::Actor;

/// The most uses that wait to be reported, and networks that wait to be noted.
const MOST_WAITING: usize = 1_000;
/// The most keys whose use is reported in a minute.
const MOST_IN_A_MINUTE: usize = 60;
/// The most keys, and pairs of a key and a network, that need not be written again for a while: about 100 bytes each.
const MOST_RECENT: usize = 50_000;
const MINUTE_MS: i64 = 60_000;

/// What waits to be reported, and what was written lately.
#[derive(Default)]
pub(crate) struct UnusualUses(Mutex<Noted>);

#[derive(Default)]
struct Noted {
    uses: HashMap<KeyId, Use>,
    networks: HashMap<(KeyId, Network), Timestamp>,
    /// What was written lately, and when.
    reported: HashMap<(KeyId, UnusualUse), Timestamp>,
    known: HashMap<(KeyId, Network), Timestamp>,
    minute: i64,
    in_minute: usize,
}

#[derive(Clone, Copy)]
struct Use {
    what: UnusualUse,
    at: Timestamp,
    address: Option<IpAddr>,
}

impl App {
    /// Notes a use of a key at an API, if there is anything unusual about it. Of a key that works, did not leak, and whose API
    /// does not ask about networks, that costs two comparisons.
    pub(crate) fn note_unusual_use(&self, api: &Api, key: &KeyRecord, address: Option<IpAddr>, is_good: bool) {
        let is_leaked = key.leaked_at.is_some();
        let policy = api.metadata.key_policy.filter(|policy| is_good && policy.new_network == NewNetwork::Report);
        let network = policy.and(address).map(|address| Network::of(address).of_customer());
        if is_good && !is_leaked && network.is_none() {
            return;
        }
        let (now, mut noted) = (self.now(), self.unusual_uses.noted());
        if let Some(what) = UnusualUse::of(&key.facts(), is_leaked, now) {
            noted.note_use(&key.id, Use { what, at: now, address });
        }
        if let Some(network) = network {
            noted.note_network(&key.id, network, now);
        }
    }

    /// Reports what was noted. What could not be written waits on.
    pub async fn flush_unusual_uses(&self) -> Result<(), StoreError> {
        let now = self.now();
        let (uses, networks) = self.unusual_uses.noted().take(now);
        if !uses.is_empty() {
            let row = |(id, used): &(KeyId, Use)| {
                let actor = Actor { address: used.address, ..Actor::default() };
                let audit = AuditContext { at: used.at, ..self.audit(&actor) };
                UnusualKeyUse { id: id.clone(), what: used.what, audit }
            };
            let report = ReportUnusualUses { uses: uses.iter().map(row).collect() };
            if let Err(error) = self.store.write(report).await {
                self.unusual_uses.noted().put_back(uses, networks);
                return Err(error);
            }
            let mut noted = self.unusual_uses.noted();
            uses.into_iter().for_each(|(id, used)| remember(&mut noted.reported, (id, used.what), used.at, now));
        }
        if networks.is_empty() {
            return Ok(());
        }
        let row = |((id, network), at): &((KeyId, Network), Timestamp)| {
            let audit = AuditContext { at: *at, ..self.audit(&Actor::default()) };
            let network = KeptAddress::Network.of(network.address()).unwrap_or_default();
            KeyNetworkUse { id: id.clone(), network, audit }
        };
        let note = NoteKeyNetworks { uses: networks.iter().map(row).collect() };
        if let Err(error) = self.store.write(note).await {
            self.unusual_uses.noted().put_back(Vec::new(), networks);
            return Err(error);
        }
        let mut noted = self.unusual_uses.noted();
        networks.into_iter().for_each(|(pair, at)| remember(&mut noted.known, pair, at, now));
        Ok(())
    }
}

impl UnusualUses {
    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Uses = Vec<(KeyId, Use)>;
type Networks = Vec<((KeyId, Network), Timestamp)>;

impl Noted {
    fn note_use(&mut self, id: &KeyId, used: Use) {
        let is_recent = is_recent(&self.reported, &(id.clone(), used.what), used.at);
        if !is_recent && (self.uses.len() < MOST_WAITING || self.uses.contains_key(id)) {
            self.uses.entry(id.clone()).or_insert(used);
        }
    }

    fn note_network(&mut self, id: &KeyId, network: Network, now: Timestamp) {
        let pair = (id.clone(), network);
        if !is_recent(&self.known, &pair, now) && self.networks.len() < MOST_WAITING {
            self.networks.entry(pair).or_insert(now);
        }
    }

    /// What is written now: of the uses, as many as the budget of the minute has room for.
    fn take(&mut self, now: Timestamp) -> (Uses, Networks) {
        let minute = now.as_millis().div_euclid(MINUTE_MS);
        if self.minute != minute {
            (self.minute, self.in_minute) = (minute, 0);
        }
        let room = MOST_IN_A_MINUTE - self.in_minute;
        let mut uses: Uses = mem::take(&mut self.uses).into_iter().collect();
        uses.sort_by_key(|(_, used)| used.at);
        self.uses.extend(uses.split_off(uses.len().min(room)));
        self.in_minute += uses.len();
        (uses, mem::take(&mut self.networks).into_iter().collect())
    }

    fn put_back(&mut self, uses: Uses, networks: Networks) {
        self.in_minute = self.in_minute.saturating_sub(uses.len());
        for (id, used) in uses {
            self.uses.entry(id).or_insert(used);
        }
        for (pair, at) in networks {
            self.networks.entry(pair).or_insert(at);
        }
    }
}

fn is_recent<K: Eq + Hash>(written: &HashMap<K, Timestamp>, what: &K, now: Timestamp) -> bool {
    // A time ahead of now is that of a clock that was set back.
    written.get(what).is_some_and(|at| *at <= now && now.since(*at) < REPORTED_EVERY)
}

/// Remembers what was written. Where there is no room, everything is forgotten, and written again when it comes again.
fn remember<K: Eq + Hash>(written: &mut HashMap<K, Timestamp>, what: K, at: Timestamp, now: Timestamp) {
    if written.len() >= MOST_RECENT {
        written.retain(|_, at| *at <= now && now.since(*at) < REPORTED_EVERY);
        if written.len() >= MOST_RECENT {
            written.clear();
        }
    }
    written.insert(what, at);
}

#[cfg(test)]
mod tests {
    use doorward_core::{denial::Denial, random::SeededRng};

    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(6_000 + secs)
    }

    fn used(secs: i64) -> Use {
        Use { what: UnusualUse::AfterEnd(Denial::KeyRevoked), at: at(secs), address: None }
    }

    fn keys(number: usize) -> Vec<KeyId> {
        let rng = SeededRng::new(1);
        (0..number).map(|_| KeyId::new(at(0), &rng)).collect()
    }

    #[test]
    fn each_key_is_reported_once_and_again_later() {
        let (mut noted, key) = (Noted::default(), &keys(1)[0]);
        noted.note_use(key, used(0));
        noted.note_use(key, used(1));
        let (uses, _) = noted.take(at(1));
        assert_eq!(uses.iter().map(|(_, used)| used.at).collect::<Vec<_>>(), [at(0)]);
        uses.into_iter().for_each(|(id, used)| remember(&mut noted.reported, (id, used.what), used.at, at(1)));
        noted.note_use(key, used(3_599));
        assert!(noted.take(at(3_599)).0.is_empty());
        noted.note_use(key, used(3_600));
        assert_eq!(noted.take(at(3_600)).0.len(), 1);
    }

    #[test]
    fn reports_of_a_minute_are_bounded_and_the_rest_waits() {
        let mut noted = Noted::default();
        for key in keys(MOST_WAITING + 10) {
            noted.note_use(&key, used(0));
        }
        assert_eq!(noted.uses.len(), MOST_WAITING);
        assert_eq!((noted.take(at(0)).0.len(), noted.take(at(1)).0.len()), (MOST_IN_A_MINUTE, 0));
        let (uses, networks) = noted.take(at(60));
        assert_eq!(uses.len(), MOST_IN_A_MINUTE);
        noted.put_back(uses, networks);
        assert_eq!(noted.take(at(61)).0.len(), MOST_IN_A_MINUTE, "what was not written is no report");
    }

    #[test]
    fn what_was_written_is_remembered_in_bounded_room() {
        let mut noted = Noted::default();
        for number in 0..=MOST_RECENT as u32 {
            let network = Network::of(std::net::Ipv4Addr::from_bits(number << 8).into());
            remember(&mut noted.known, (keys(1)[0].clone(), network), at(0), at(0));
        }
        assert_eq!(noted.known.len(), 1);
    }
}
