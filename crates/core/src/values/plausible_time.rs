//! Whether a clock can be believed before something is removed for good because of it.
//!
//! A clock that jumps ahead makes everything look old: grants, refresh families, the audit. Refusing what looks old can be
//! taken back when the clock is right again, removing it can't. So nothing is removed by a clock that is further ahead of
//! an earlier look at it than time can have passed.

use std::time::Duration;

use crate::clock::Timestamp;

/// A look at the clock that was found plausible.
#[derive(Clone, Copy, Debug)]
pub struct TrustedTime {
    /// The time that the clock showed.
    pub at: Timestamp,
    /// How much time has passed since, by a clock that nobody can set. `None` if the process did not run all the while.
    pub passed: Option<Duration>,
}

/// How far ahead a clock may be of what passed in one process. A clock that is put right after a start without a time
/// server is further off rarely; a suspended machine may be.
const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long a server may have been stopped. Beyond that, somebody has to say that the clock is right.
const LONGEST_STOP: Duration = Duration::from_secs(30 * 24 * 3600);

/// How far `now` is ahead of what it can be at most; `None` if it is plausible. A clock that is behind removes less.
pub fn ahead_by(now: Timestamp, trusted: TrustedTime) -> Option<Duration> {
    let latest = match trusted.passed {
        Some(passed) => trusted.at.plus(passed + DAY),
        None => trusted.at.plus(LONGEST_STOP),
    };
    (now > latest).then(|| now.since(trusted.at.plus(trusted.passed.unwrap_or_default())))
}

/// Why a clock can't be right.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Implausible {
    /// It is further ahead of what was done before than servers are stopped.
    Ahead,
    /// It is behind what was done before.
    Behind,
}

/// Whether `now` can be the current time, when something was done at `earlier`, maybe on another machine.
///
/// # Errors
/// Why it can't be.
pub fn check(now: Timestamp, earlier: Timestamp) -> Result<(), Implausible> {
    match ahead_by(now, TrustedTime { at: earlier, passed: None }) {
        Some(_) => Err(Implausible::Ahead),
        None if now.plus(BETWEEN_MACHINES) < earlier => Err(Implausible::Behind),
        None => Ok(()),
    }
}

/// How far the clocks of two machines may be apart.
const BETWEEN_MACHINES: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_secs(1_700_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn clock_that_goes_on_as_time_does_is_plausible() {
        for passed in [Duration::ZERO, HOUR, 365 * DAY] {
            let trusted = TrustedTime { at: AT, passed: Some(passed) };
            assert_eq!(ahead_by(AT.plus(passed), trusted), None);
            assert_eq!(ahead_by(AT.plus(passed + DAY), trusted), None);
            assert_eq!(ahead_by(AT.minus(365 * DAY), trusted), None);
        }
    }

    #[test]
    fn clock_that_jumped_ahead_is_not() {
        let trusted = TrustedTime { at: AT, passed: Some(HOUR) };
        let jump = 200 * DAY;
        assert_eq!(ahead_by(AT.plus(HOUR + jump), trusted), Some(jump));
    }

    #[test]
    fn clock_is_plausible_after_at_most_a_month_of_downtime() {
        let trusted = TrustedTime { at: AT, passed: None };
        assert_eq!(ahead_by(AT.plus(LONGEST_STOP), trusted), None);
        assert!(ahead_by(AT.plus(LONGEST_STOP + HOUR), trusted).is_some());
    }

    #[test]
    fn clock_may_be_a_day_ahead_of_a_process_and_a_month_of_a_stop() {
        let millisecond = Duration::from_millis(1);
        for (passed, most) in
            [(Some(HOUR), Duration::from_secs(3_600 + 86_400)), (None, Duration::from_secs(30 * 86_400))]
        {
            let trusted = TrustedTime { at: AT, passed };
            assert_eq!(ahead_by(AT.plus(most), trusted), None);
            assert!(ahead_by(AT.plus(most + millisecond), trusted).is_some());
        }
    }

    #[test]
    fn clock_behind_or_far_ahead_of_the_last_event_is_implausible() {
        for passed in [Duration::ZERO, HOUR, LONGEST_STOP] {
            assert_eq!(check(AT.plus(passed), AT), Ok(()));
        }
        assert_eq!(check(AT.minus(BETWEEN_MACHINES), AT), Ok(()));
        assert_eq!(check(AT.minus(2 * HOUR), AT), Err(Implausible::Behind));
        assert_eq!(check(AT.plus(LONGEST_STOP + HOUR), AT), Err(Implausible::Ahead));
    }
}
