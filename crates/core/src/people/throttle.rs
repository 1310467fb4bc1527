//! Slowing down guesses (OWASP ASVS V6.3.1, NIST SP 800-63B-4 section 3.2.2) without locking anyone out permanently.
//!
//! An attempt is counted before the password is checked and given back on success, so that parallel guesses all count.
//! Nothing sleeps: callers that must wait learn how long.

use std::time::Duration;

use crate::clock::Timestamp;

/// The failures in a row after which a name gets a slow pace, until a success (NIST SP 800-63B-4 section 3.2.2).
pub const SLOW_AFTER: u32 = 100;
/// The slow pace of a name over all networks. In addition each network has one attempt per longest wait, so that a
/// guesser uses up only the guesser's own attempts and does not keep the owner out.
pub const SLOW_PACE: Duration = Duration::from_secs(60);
/// Over how many browsers that signed in before an account's failures are free. More of them share one counter.
pub const FREE_BROWSERS: u32 = 3;
/// How long a counter lasts without a failure before it starts again.
pub const DECAY: Duration = Duration::from_secs(15 * 60);

/// The failures counted under one subject: a name, an address or a browser.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Failures {
    /// Failures since the counter started again.
    pub recent: u32,
    /// Failures since the last success, however long ago.
    pub in_a_row: u32,
    /// When the last failure was.
    pub last_at: Timestamp,
}

impl Failures {
    /// The counter with one more failure.
    pub fn plus_one(self, now: Timestamp) -> Self {
        Self { recent: self.decayed(now).saturating_add(1), in_a_row: self.in_a_row.saturating_add(1), last_at: now }
    }

    /// How long to wait before the next attempt: nothing for the first `free` failures, then 2, 4, 8 … seconds, at
    /// most `max_wait`.
    pub fn wait(&self, free: u32, max_wait: Duration, now: Timestamp) -> Option<Duration> {
        let excess = self.decayed(now).checked_sub(free)?;
        let wait = Duration::from_secs(2_u64.saturating_pow(excess.saturating_add(1).min(32))).min(max_wait);
        let rest = wait.saturating_sub(now.since(self.last_at));
        (!rest.is_zero()).then_some(rest)
    }

    /// How long to wait where one attempt is free in each `pace`.
    pub fn rest(&self, pace: Duration, now: Timestamp) -> Option<Duration> {
        let rest = pace.saturating_sub(now.since(self.last_at));
        (!rest.is_zero()).then_some(rest)
    }

    fn decayed(&self, now: Timestamp) -> u32 {
        if now.since(self.last_at) >= DECAY { 0 } else { self.recent }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: Duration = Duration::from_secs(15 * 60);

    fn after(failures: u32) -> Failures {
        (0..failures).fold(Failures::default(), |counter, _| counter.plus_one(Timestamp::from_secs(1_000)))
    }

    #[test]
    fn waits_grow_to_a_quarter_of_an_hour_after_free_failures() {
        let wait = |failures, now| after(failures).wait(5, MAX, Timestamp::from_secs(now));
        assert_eq!(wait(4, 1_000), None);
        assert_eq!(wait(5, 1_000), Some(Duration::from_secs(2)));
        assert_eq!(wait(6, 1_000), Some(Duration::from_secs(4)));
        assert_eq!(wait(6, 1_003), Some(Duration::from_secs(1)));
        assert_eq!(wait(6, 1_004), None);
        assert_eq!(wait(60, 1_000), Some(MAX));
    }

    #[test]
    fn pace_frees_one_attempt_at_a_time() {
        let rest = |now| after(200).rest(SLOW_PACE, Timestamp::from_secs(now));
        assert_eq!(rest(1_000), Some(SLOW_PACE));
        assert_eq!(rest(1_059), Some(Duration::from_secs(1)));
        assert_eq!(rest(1_060), None);
        assert_eq!(Failures::default().rest(SLOW_PACE, Timestamp::from_secs(1_000)), None);
    }

    #[test]
    fn counter_starts_again_after_a_quarter_of_an_hour() {
        let later = Timestamp::from_secs(1_000).plus(DECAY);
        assert_eq!(after(60).wait(5, MAX, later), None);
        let next = after(60).plus_one(later);
        assert_eq!((next.recent, next.in_a_row), (1, 61));
    }

    #[test]
    fn counter_is_kept_for_a_quarter_of_an_hour() {
        let just_before = Timestamp::from_millis(1_000_000 + 900_000 - 1);
        assert_eq!(after(7).plus_one(just_before).recent, 8);
        assert_eq!((DECAY.as_secs(), SLOW_PACE.as_secs()), (900, 60));
    }
}
