//! Points in time, and the clock that gives them.
//!
//! Milliseconds since 1970 in one type; JOSE and OAuth speak of whole seconds (RFC 7519 section 2, NumericDate),
//! and the conversion rounds down on purpose: a token never lives longer than was said.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since 1970.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From seconds since 1970; saturates.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds since 1970.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, rounded down (NumericDate, RFC 7519 section 2).
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The time that lies `duration` later; saturates.
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// The time that lies `duration` earlier; saturates.
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// Gives the time. It is passed in everywhere, so that each expiry is tested without sleeping.
pub trait Clock: Send + Sync + 'static {
    /// The current time. Somebody may set it, ahead and back.
    fn now(&self) -> Timestamp;

    /// How much time has passed since a beginning that is the same for the whole process. Nobody can set it.
    fn monotonic(&self) -> Duration;
}

/// A clock that changes only when it is moved.
#[derive(Debug)]
pub struct ManualClock {
    now: AtomicI64,
    passed: AtomicI64,
}

impl ManualClock {
    /// A clock that shows `now`.
    pub const fn at(now: Timestamp) -> Self {
        Self { now: AtomicI64::new(now.0), passed: AtomicI64::new(0) }
    }

    /// Moves both the clock and the elapsed time ahead.
    pub fn advance(&self, by: Duration) {
        self.set(self.now().plus(by));
        let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.passed.fetch_add(millis, Ordering::SeqCst);
    }

    /// Sets the clock, as an operator or a broken time server does: no time passes.
    pub fn set(&self, now: Timestamp) {
        self.now.store(now.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.passed.load(Ordering::SeqCst)).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_round_down_also_before_1970() {
        assert_eq!(Timestamp::from_millis(1_999).as_secs(), 1);
        assert_eq!(Timestamp::from_millis(-1).as_secs(), -1);
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Timestamp::from_millis(i64::MAX).plus(Duration::from_secs(1)).as_millis(), i64::MAX);
        assert_eq!(Timestamp::from_millis(1).since(Timestamp::from_millis(5)), Duration::ZERO);
    }

    #[test]
    fn clock_that_is_set_lets_no_time_pass() {
        let clock = ManualClock::at(Timestamp::from_secs(10));
        clock.advance(Duration::from_secs(5));
        assert_eq!((clock.now(), clock.monotonic()), (Timestamp::from_secs(15), Duration::from_secs(5)));
        clock.set(Timestamp::from_secs(1));
        assert_eq!((clock.now(), clock.monotonic()), (Timestamp::from_secs(1), Duration::from_secs(5)));
    }
}
