//! What is counted of the use of keys: outcomes by day, and how long they took; and how much of an address is kept.

use std::{net::IpAddr, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{clock::Timestamp, network::Network};

/// A day of UTC, in days since 1970-01-01.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Day(pub i64);

impl Day {
    /// The day that a time is in.
    pub fn of(time: Timestamp) -> Self {
        Self(time.as_secs().div_euclid(86_400))
    }
}

/// How often a key was used on a day.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DailyUse {
    /// The day.
    pub day: Day,
    /// Uses that were allowed.
    pub allowed: u64,
    /// Uses that were refused, for whatever reason.
    pub refused: u64,
}

impl DailyUse {
    /// The outcome of a use that is allowed. Every other one is the code of a denial.
    pub const ALLOWED: &str = "valid";

    /// The days up to `last`, the first one first, from counts by day and outcome.
    pub fn of_days<'a>(last: Day, number: u16, counts: impl IntoIterator<Item = (Day, &'a str, u64)>) -> Vec<Self> {
        let first = last.0 - i64::from(number) + 1;
        let mut days: Vec<_> = (first..=last.0).map(|day| Self { day: Day(day), allowed: 0, refused: 0 }).collect();
        for (day, outcome, count) in counts {
            let place = usize::try_from(day.0 - first).ok();
            let Some(of_day) = place.and_then(|place| days.get_mut(place)) else { continue };
            let sum = if outcome == Self::ALLOWED { &mut of_day.allowed } else { &mut of_day.refused };
            *sum = sum.saturating_add(count);
        }
        days
    }

    /// Uses in all.
    pub fn total(&self) -> u64 {
        self.allowed.saturating_add(self.refused)
    }
}

/// How many took at most a millisecond, at most 10, at most 100, and longer. Counts of several servers add up.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Latencies(pub [u64; 4]);

impl Latencies {
    /// Counts one more.
    pub fn count(&mut self, took: Duration) {
        let bounds = [1, 10, 100].map(Duration::from_millis);
        let place = bounds.iter().position(|bound| took <= *bound).unwrap_or(bounds.len());
        self.0[place] += 1;
    }

    /// Adds the counts of others.
    pub fn add(&mut self, others: Self) {
        for (count, other) in self.0.iter_mut().zip(others.0) {
            *count += other;
        }
    }

    /// How many in all.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// How much is kept of the address that a key was last used from.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeptAddress {
    /// All of it.
    #[default]
    Full,
    /// Its network: an IPv4 /24, an IPv6 /48.
    Network,
    /// Nothing.
    None,
}

impl KeptAddress {
    /// What is kept of an address.
    pub fn of(self, address: IpAddr) -> Option<String> {
        let address = address.to_canonical();
        match (self, address) {
            (Self::Full, address) => Some(address.to_string()),
            (Self::Network, IpAddr::V4(_)) => Some(format!("{}/24", Network::of(address).of_customer())),
            (Self::Network, IpAddr::V6(_)) => Some(format!("{}/48", Network::of(address).of_customer())),
            (Self::None, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_counted_by_their_bounds() {
        let mut latencies = Latencies::default();
        for micros in [0, 1_000, 1_001, 10_000, 10_001, 100_000, 100_001, 9_000_000] {
            latencies.count(Duration::from_micros(micros));
        }
        assert_eq!((latencies.0, latencies.total()), ([2, 2, 2, 2], 8));
        latencies.add(Latencies([1, 0, 0, 5]));
        assert_eq!(latencies.0, [3, 2, 2, 7]);
    }

    #[test]
    fn uses_of_a_day_are_allowed_or_refused() {
        let counts = [
            (Day(97), "valid", 9),
            (Day(98), "valid", 4),
            (Day(100), "key_revoked", 2),
            (Day(100), "scope_missing", 3),
            (Day(100), "valid", 1),
            (Day(101), "valid", 9),
        ];
        let use_of = |day, allowed, refused| DailyUse { day: Day(day), allowed, refused };
        let days = DailyUse::of_days(Day(100), 3, counts);
        assert_eq!(days, [use_of(98, 4, 0), use_of(99, 0, 0), use_of(100, 1, 5)]);
        assert_eq!(days[2].total(), 6);
    }

    #[test]
    fn day_is_that_of_utc() {
        for (secs, day) in [(0, 0), (86_399, 0), (86_400, 1), (-1, -1)] {
            assert_eq!(Day::of(Timestamp::from_secs(secs)), Day(day));
        }
    }

    #[test]
    fn address_is_kept_whole_by_its_network_or_not_at_all() {
        let of = |kept: KeptAddress, address: &str| kept.of(address.parse().unwrap());
        assert_eq!(of(KeptAddress::Full, "::ffff:192.0.2.7").as_deref(), Some("192.0.2.7"));
        assert_eq!(of(KeptAddress::Network, "192.0.2.7").as_deref(), Some("192.0.2.0/24"));
        assert_eq!(of(KeptAddress::Network, "2001:db8:1:2::3").as_deref(), Some("2001:db8:1::/48"));
        assert_eq!(of(KeptAddress::None, "192.0.2.7"), None);
    }
}
