//! How often a key may be used: a rate limit, a quota per day or month, and a number of uses.
//!
//! The rate limit is a token bucket that is refilled evenly. What is kept of it is when it is full again (the
//! generic cell rate algorithm). A quota counts in the calendar of UTC.
//!
//! Easy to get wrong: rounding. The time for one use is rounded up, so a bucket never gives more than it says.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{clock::Timestamp, refusal::Mistake};

/// What limits the use of a key; without any of the three, nothing does.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct KeyLimits {
    /// At most so many uses at once, and later as many as are refilled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// At most so many uses in a day or month.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
    /// At most so many uses from a time on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<Uses>,
}

/// A token bucket: it holds `requests` uses, and an empty one is full again after `seconds`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RateLimit {
    /// The most uses at once: 1 to 1,000,000.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 1_000_000))]
    pub requests: u32,
    /// The seconds in which an empty bucket is filled: 1 to 86,400.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 86_400))]
    pub seconds: u32,
}

/// A number of uses in each day or month of UTC.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Quota {
    /// The most uses: 1 to 1,000,000,000,000.
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 1_000_000_000_000_i64))]
    pub requests: u64,
    /// In what time.
    pub per: Per,
}

/// What a quota is counted by.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Per {
    /// A day of UTC.
    Day,
    /// A month of UTC.
    Month,
}

/// A number of uses that was set at a time. Setting it again begins a new count.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Uses {
    /// How many.
    pub granted: u64,
    /// When it was set.
    pub since: Timestamp,
}

/// The largest quota and number of uses: every JSON parser reads it exactly.
pub const MAX_USES: u64 = 1_000_000_000_000;

/// The most uses that a server takes from the store at once.
pub const MAX_BLOCK: u64 = 1_000;

impl KeyLimits {
    /// Whether nothing limits the use.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Where the limits can't be so.
    pub fn mistakes(&self) -> Vec<Mistake> {
        let rate = self.rate_limit.into_iter().flat_map(|RateLimit { requests, seconds }| {
            let requests = (!(1..=1_000_000).contains(&requests)).then_some(("requests", "from 1 to 1000000"));
            let seconds = (!(1..=86_400).contains(&seconds)).then_some(("seconds", "from 1 to 86400"));
            let both = [requests, seconds].into_iter().flatten();
            both.map(|(member, why)| Mistake::at(member, why).within("rate_limit")).collect::<Vec<_>>()
        });
        let quota = self.quota.filter(|quota| !(1..=MAX_USES).contains(&quota.requests));
        let quota = quota.map(|_| Mistake::at("requests", format!("from 1 to {MAX_USES}")).within("quota"));
        let uses = self.uses.filter(|uses| uses.granted > MAX_USES);
        rate.chain(quota).chain(uses.map(|_| Mistake::at("uses", format!("at most {MAX_USES}")))).collect()
    }
}

impl RateLimit {
    /// The time in which one use is refilled, in nanoseconds, rounded up.
    fn interval(self) -> u64 {
        (u64::from(self.seconds) * NANOS).div_ceil(u64::from(self.requests.max(1)))
    }

    fn capacity(self) -> u64 {
        self.interval() * u64::from(self.requests.max(1))
    }
}

/// Nanoseconds in a second.
const NANOS: u64 = 1_000_000_000;

/// A token bucket, as the time at which it is full again, in nanoseconds. The default is full. Its clock should be one that nobody
/// sets: one that was set back closes it until it has caught up.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Bucket(u64);

impl Bucket {
    /// Whether it is full, so that it is the same as one that was never used.
    pub fn is_full(self, now: Timestamp) -> bool {
        self.0 <= nanos(now)
    }

    /// Takes a use out of it, or says how long to wait for one.
    pub fn take(self, limit: RateLimit, now: Timestamp) -> Result<Self, Duration> {
        let (missing, interval) = (self.missing(limit, now), limit.interval());
        match (missing + interval).checked_sub(limit.capacity()) {
            None | Some(0) => Ok(Self(nanos(now) + missing + interval)),
            Some(wait) => Err(Duration::from_nanos(wait)),
        }
    }

    /// Puts a use back that was taken and not made.
    pub fn put_back(self, limit: RateLimit) -> Self {
        Self(self.0.saturating_sub(limit.interval()))
    }

    /// How many uses it holds, and when it is full; of an empty one, when it holds a use again. A client that waits until then
    /// waits no longer than it must, and as long as `Retry-After` says.
    pub fn state(self, limit: RateLimit, now: Timestamp) -> LimitState {
        let (missing, interval) = (self.missing(limit, now), limit.interval());
        let left = (limit.capacity() - missing) / interval;
        let wait = if left == 0 { missing + interval - limit.capacity() } else { missing };
        let resets_in = Duration::from_nanos(wait);
        LimitState { left, resets_in: Some(whole_seconds(resets_in)) }
    }

    /// The time until it is full, in nanoseconds. A clock that was set back leaves it empty at most.
    fn missing(self, limit: RateLimit, now: Timestamp) -> u64 {
        self.0.saturating_sub(nanos(now)).min(limit.capacity())
    }
}

fn nanos(time: Timestamp) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(0).saturating_mul(1_000_000)
}

fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// A time in which uses are counted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Period {
    /// Its first moment.
    pub from: Timestamp,
    /// The first moment behind it.
    pub until: Timestamp,
}

impl Per {
    /// The day or month that `now` is in.
    pub fn period(self, now: Timestamp) -> Period {
        let day = now.as_secs().div_euclid(DAY);
        let (first, last) = match self {
            Self::Day => (day, day + 1),
            Self::Month => month(day),
        };
        Period { from: Timestamp::from_secs(first * DAY), until: Timestamp::from_secs(last * DAY) }
    }
}

/// Seconds in a day of UTC, as Unix counts them.
const DAY: i64 = 86_400;

/// The first day of the month that a day is in, and the first behind that month, as days since 1970-01-01 in the Gregorian calendar.
fn month(day: i64) -> (i64, i64) {
    let year_of = |day: i64| {
        // 400 years have 146,097 days, so this is at most one year off.
        let guess = 1970 + (day * 400).div_euclid(146_097);
        (guess - 1..=guess + 1).rev().find(|year| first_of_year(*year) <= day).unwrap_or(guess - 1)
    };
    let year = year_of(day);
    let mut first = first_of_year(year);
    for length in lengths(year) {
        if day < first + length {
            return (first, first + length);
        }
        first += length;
    }
    (first, first)
}

fn first_of_year(year: i64) -> i64 {
    let leap_days = |year: i64| year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    (year - 1970) * 365 + leap_days(year - 1) - leap_days(1969)
}

fn lengths(year: i64) -> [i64; 12] {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    [31, if is_leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

/// How many of the uses that are left a server takes at once: fewer and fewer, and one at a time in the end, so that little is
/// missing where a server ends without giving its rest back.
pub fn block(left: u64) -> u64 {
    (left / 20).clamp(1, MAX_BLOCK).min(left)
}

/// How much of one limit is left.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LimitState {
    /// How many uses.
    pub left: u64,
    /// In how many seconds nothing of it counts as used any more; never if it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resets_in: Option<u64>,
}

/// A limit with what is left of it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Limited {
    /// The most uses.
    pub requests: u64,
    /// In how many seconds; not limited to a time if it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    /// How much of it is left.
    #[serde(flatten)]
    pub state: LimitState,
}

/// The limits of a key after a use, with what is left of each.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LimitStates {
    /// The rate limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<Limited>,
    /// The quota of the day or month.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<Limited>,
    /// The number of uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<Limited>,
}

impl LimitStates {
    /// The header fields that tell a caller (draft-ietf-httpapi-ratelimit-headers-10, sections 3 and 4), each with its name.
    /// None without a limit.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let named = [("rate", self.rate_limit), ("quota", self.quota), ("uses", self.uses)];
        let all: Vec<_> = named.into_iter().filter_map(|(name, limit)| Some((name, limit?))).collect();
        if all.is_empty() {
            return Vec::new();
        }
        let optional =
            |name: &str, value: Option<u64>| value.map(|value| format!(";{name}={value}")).unwrap_or_default();
        let policy = |(name, limit): &(&str, Limited)| {
            format!("\"{name}\";q={}{}", limit.requests, optional("w", limit.seconds))
        };
        let state = |(name, limit): &(&str, Limited)| {
            format!("\"{name}\";r={}{}", limit.state.left, optional("t", limit.state.resets_in))
        };
        let list = |item: &dyn Fn(&(&str, Limited)) -> String| all.iter().map(item).collect::<Vec<_>>().join(", ");
        vec![("ratelimit-policy", list(&policy)), ("ratelimit", list(&state))]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn limit(requests: u32, seconds: u32) -> RateLimit {
        RateLimit { requests, seconds }
    }

    #[test]
    fn bucket_gives_what_it_holds_and_then_what_is_refilled() {
        let limit = limit(3, 60);
        let mut bucket = Bucket::default();
        for left in [2, 1, 0] {
            bucket = bucket.take(limit, NOW).unwrap();
            assert_eq!(bucket.state(limit, NOW).left, left);
        }
        assert_eq!(bucket.take(limit, NOW), Err(Duration::from_secs(20)));
        assert_eq!(bucket.state(limit, NOW).resets_in, Some(20), "an empty one has a use again");
        let later = NOW.plus(Duration::from_millis(19_999));
        assert_eq!(bucket.take(limit, later), Err(Duration::from_millis(1)));
        assert!(bucket.take(limit, NOW.plus(Duration::from_secs(20))).is_ok());
        assert!(!bucket.is_full(NOW.plus(Duration::from_millis(59_999))));
        assert!(bucket.is_full(NOW.plus(Duration::from_secs(60))));
        assert_eq!(bucket.put_back(limit).state(limit, NOW).left, 1);
    }

    #[test]
    fn clock_that_was_set_back_empties_a_bucket_at_most() {
        let limit = limit(2, 10);
        let ahead = Bucket::default().take(limit, NOW.plus(Duration::from_secs(1_000_000))).unwrap();
        assert_eq!(ahead.take(limit, NOW), Err(Duration::from_secs(5)));
        assert_eq!(ahead.state(limit, NOW).left, 0);
    }

    #[test]
    fn day_and_month_are_those_of_utc() {
        let at = |secs| Timestamp::from_secs(secs);
        // 2024-02-29T23:59:59Z and one second later.
        let day = Per::Day.period(at(1_709_251_199));
        assert_eq!(day, Period { from: at(1_709_164_800), until: at(1_709_251_200) });
        let leap = Per::Month.period(at(1_709_251_199));
        assert_eq!(leap, Period { from: at(1_706_745_600), until: at(1_709_251_200) });
        assert_eq!(Per::Month.period(at(1_709_251_200)).from, at(1_709_251_200));
        // The last month of 1969, and of 2100, which has no leap day.
        assert_eq!(Per::Month.period(at(-1)), Period { from: at(-31 * DAY), until: at(0) });
        assert_eq!(Per::Month.period(at(4_107_542_400 - 1)).until, at(4_107_542_400));
    }

    #[test]
    fn limits_out_of_bounds_are_named() {
        let pointers = |limits: KeyLimits| {
            let mistakes = limits.mistakes().into_iter().map(|mistake| mistake.pointer);
            mistakes.collect::<Vec<_>>()
        };
        let none = KeyLimits {
            rate_limit: Some(limit(0, 0)),
            quota: Some(Quota { requests: 0, per: Per::Day }),
            uses: Some(Uses { granted: MAX_USES + 1, since: NOW }),
        };
        assert_eq!(pointers(none), ["/rate_limit/requests", "/rate_limit/seconds", "/quota/requests", "/uses"]);
        let most = KeyLimits {
            rate_limit: Some(limit(1_000_000, 86_400)),
            quota: Some(Quota { requests: MAX_USES, per: Per::Month }),
            uses: Some(Uses { granted: MAX_USES, since: NOW }),
        };
        assert_eq!(pointers(most), [""; 0]);
        let beyond = KeyLimits {
            rate_limit: Some(limit(1_000_001, 86_401)),
            quota: Some(Quota { requests: MAX_USES + 1, per: Per::Day }),
            uses: Some(Uses { granted: 0, since: NOW }),
        };
        assert_eq!(pointers(beyond), ["/rate_limit/requests", "/rate_limit/seconds", "/quota/requests"]);
        assert!(KeyLimits::default().is_empty() && !most.is_empty());
    }

    #[test]
    fn blocks_shrink_to_one() {
        for (left, taken) in [(0, 0), (1, 1), (10, 1), (39, 1), (40, 2), (10_000, 500), (MAX_USES, MAX_BLOCK)] {
            assert_eq!(block(left), taken, "{left}");
        }
    }

    #[test]
    fn headers_name_each_limit_with_its_window() {
        let state = |left, resets_in| LimitState { left, resets_in };
        let states = LimitStates {
            rate_limit: Some(Limited { requests: 100, seconds: Some(60), state: state(99, Some(1)) }),
            quota: Some(Limited { requests: 10_000, seconds: Some(86_400), state: state(0, Some(3_600)) }),
            uses: Some(Limited { requests: 5, seconds: None, state: state(4, None) }),
        };
        let headers = [
            ("ratelimit-policy", r#""rate";q=100;w=60, "quota";q=10000;w=86400, "uses";q=5"#.to_owned()),
            ("ratelimit", r#""rate";r=99;t=1, "quota";r=0;t=3600, "uses";r=4"#.to_owned()),
        ];
        assert_eq!(states.headers(), headers);
        assert!(LimitStates::default().headers().is_empty());
        let written = serde_json::to_string(&states).unwrap();
        assert_eq!(serde_json::from_str::<LimitStates>(&written).unwrap(), states);
    }

    proptest! {
        /// Over any time of length `w`, a bucket gives at most what it holds and what is refilled in `w`.
        #[test]
        fn bucket_never_gives_more_than_it_says(
            requests in 1_u32..50, seconds in 1_u32..100, pauses in prop::collection::vec(0_u64..4_000, 1..200),
        ) {
            let limit = limit(requests, seconds);
            let (mut bucket, mut now, mut given) = (Bucket::default(), NOW, Vec::new());
            for pause in pauses {
                now = now.plus(Duration::from_millis(pause));
                if let Ok(taken) = bucket.take(limit, now) {
                    bucket = taken;
                    given.push(now);
                }
            }
            for (index, from) in given.iter().enumerate() {
                for (further, until) in given[index..].iter().enumerate() {
                    let window = until.since(*from).as_millis();
                    let refilled = window * u128::from(requests) / (u128::from(seconds) * 1_000);
                    prop_assert!(u128::try_from(further + 1).unwrap() <= u128::from(requests) + refilled);
                }
            }
        }

        /// A caller who waits for the time of the refusal is accepted then, and not before.
        #[test]
        fn wait_is_exact(requests in 1_u32..50, seconds in 1_u32..100) {
            let limit = limit(requests, seconds);
            let mut bucket = Bucket::default();
            for _ in 0..requests {
                bucket = bucket.take(limit, NOW).unwrap();
            }
            let wait = bucket.take(limit, NOW).unwrap_err();
            prop_assert!(bucket.take(limit, NOW.plus(wait + Duration::from_millis(1))).is_ok());
            let shorter = wait.saturating_sub(Duration::from_millis(2));
            prop_assert!(bucket.take(limit, NOW.plus(shorter)).is_err());
        }

        #[test]
        fn periods_follow_each_other(secs in -100_000_000_000_i64..100_000_000_000) {
            for per in [Per::Day, Per::Month] {
                let now = Timestamp::from_secs(secs);
                let period = per.period(now);
                prop_assert!(period.from <= now && now < period.until);
                prop_assert_eq!(per.period(period.until).from, period.until);
                prop_assert_eq!(per.period(period.from), period);
                let days = (period.until.as_secs() - period.from.as_secs()) / DAY;
                let lengths = if per == Per::Day { 1..=1 } else { 28..=31 };
                prop_assert!(lengths.contains(&days));
            }
        }

        /// However many servers take blocks, they never take more than there is.
        #[test]
        fn blocks_add_up_to_what_there_was(granted in 0_u64..100_000) {
            let (mut left, mut taken) = (granted, 0);
            while left > 0 {
                let next = block(left);
                prop_assert!((1..=left).contains(&next) && next <= left.div_ceil(20).max(1));
                (left, taken) = (left - next, taken + next);
            }
            prop_assert_eq!(taken, granted);
        }
    }
}
