//! Uses of the legacy ways to present a credential, counted for `doorward legacy report`.
//!
//! A use holds no secret: the key's identifier, the name that the route has in the code, and the caller's network.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{clock::Timestamp, network::Network};

/// A way to present a credential that is off unless a route allows it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum LegacyWay {
    /// An API key in the query of the URL.
    Query,
}

impl LegacyWay {
    /// Every way.
    pub const ALL: [Self; 1] = [Self::Query];

    /// Its name in JSON and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Query => "query",
        }
    }
}

/// A text that is not a legacy way.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a legacy way; known is query")]
pub struct UnknownWay;

impl FromStr for LegacyWay {
    type Err = UnknownWay;
    fn from_str(text: &str) -> Result<Self, UnknownWay> {
        Self::ALL.into_iter().find(|way| way.as_str() == text).ok_or(UnknownWay)
    }
}

impl fmt::Display for LegacyWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Uses of one key on one route from one network, counted.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LegacyUse {
    /// How the credential came.
    pub way: LegacyWay,
    /// The identifier of the key.
    pub key: String,
    /// The name of the route.
    pub route: String,
    /// The first address of the caller's network; empty where so many networks use the key that they are counted together.
    #[serde(default)]
    pub network: String,
    /// How many requests.
    pub count: u32,
    /// The first one, in milliseconds since 1970.
    pub first_at_ms: i64,
    /// The last one, in milliseconds since 1970.
    pub last_at_ms: i64,
}

impl LegacyUse {
    /// One use at `now`.
    pub fn one(way: LegacyWay, key: &str, route: &str, network: Option<Network>, now: Timestamp) -> Self {
        Self {
            way,
            key: key.to_owned(),
            route: route.to_owned(),
            network: network.map(|network| network.to_string()).unwrap_or_default(),
            count: 1,
            first_at_ms: now.as_millis(),
            last_at_ms: now.as_millis(),
        }
    }

    /// Whether both are counted together.
    fn is_like(&self, other: &Self) -> bool {
        (self.way, &self.key, &self.route, &self.network) == (other.way, &other.key, &other.route, &other.network)
    }

    fn add(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.first_at_ms = self.first_at_ms.min(other.first_at_ms);
        self.last_at_ms = self.last_at_ms.max(other.last_at_ms);
    }
}

/// Uses that wait to be written or delivered, in bounded memory. Beyond the bound those of other networks are counted
/// together, and beyond that not at all.
#[derive(Debug, Default)]
pub struct LegacyUses(Vec<LegacyUse>);

impl LegacyUses {
    /// The most counts that have a place of their own, and as many again without a network.
    pub const MOST: usize = 1_000;

    /// Adds a use.
    pub fn push(&mut self, mut new: LegacyUse) {
        if self.0.len() >= Self::MOST && !self.0.iter().any(|known| known.is_like(&new)) {
            new.network.clear();
        }
        match self.0.iter().position(|known| known.is_like(&new)) {
            Some(at) => self.0[at].add(&new),
            None if self.0.len() < 2 * Self::MOST => self.0.push(new),
            None => {}
        }
    }

    /// Takes what waits, and leaves nothing.
    pub fn take(&mut self) -> Vec<LegacyUse> {
        std::mem::take(&mut self.0)
    }

    /// How many counts wait.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn one(key: &str, network: u32, now: Timestamp) -> LegacyUse {
        let network = Network::of(std::net::Ipv4Addr::from_bits(network).into());
        LegacyUse::one(LegacyWay::Query, key, "GET /export", Some(network), now)
    }

    #[test]
    fn equal_uses_are_counted_with_their_first_and_last_time() {
        let (mut uses, later) = (LegacyUses::default(), NOW.plus(std::time::Duration::from_secs(5)));
        uses.push(one("key_1", 1, later));
        uses.push(one("key_1", 1, NOW));
        uses.push(one("key_1", 2, NOW));
        uses.push(one("key_2", 1, NOW));
        let taken = uses.take();
        assert_eq!(taken.iter().map(|each| each.count).collect::<Vec<_>>(), [2, 1, 1]);
        assert_eq!((taken[0].first_at_ms, taken[0].last_at_ms), (NOW.as_millis(), later.as_millis()));
        assert!(uses.is_empty());
    }

    #[test]
    fn ever_new_networks_and_keys_take_a_bounded_place() {
        let mut uses = LegacyUses::default();
        for network in 0..3_000 {
            uses.push(one("key_1", network, NOW));
        }
        let taken = uses.take();
        assert_eq!(taken.len(), LegacyUses::MOST + 1);
        assert_eq!(taken.iter().map(|each| each.count).sum::<u32>(), 3_000);
        assert_eq!(taken.last().map(|each| &*each.network), Some(""));
        for key in 0..5_000 {
            uses.push(one(&format!("key_{key}"), 1, NOW));
        }
        assert_eq!(uses.take().len(), 2 * LegacyUses::MOST);
    }

    #[test]
    fn use_reads_back_and_ways_by_their_names() {
        let written = serde_json::to_value(one("key_1", 0xc000_0201, NOW)).unwrap();
        assert_eq!((&written["way"], &written["network"]), (&"query".into(), &"192.0.2.1".into()));
        assert_eq!(serde_json::from_value::<LegacyUse>(written).unwrap(), one("key_1", 0xc000_0201, NOW));
        for way in LegacyWay::ALL {
            assert_eq!((way.to_string().parse(), serde_json::to_value(way).unwrap()), (Ok(way), way.as_str().into()));
        }
        assert_eq!("post".parse::<LegacyWay>(), Err(UnknownWay));
    }
}
