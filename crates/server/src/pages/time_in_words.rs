//! Time as people say it: "3 weeks ago", "in 2 minutes", "12 minutes".
//!
//! Only how long ago is said, never "today" or "yesterday": the server does not know the reader's time zone.

use std::time::Duration;

use doorward_core::clock::Timestamp;

const SECOND: u64 = 1;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;
const MONTH: u64 = 30 * DAY;
const YEAR: u64 = 365 * DAY;

/// From how many seconds on which unit is used, longest first. "13 days" and "7 weeks" say more than "1 week" and
/// "1 month", so these units begin at two.
const STEPS: [(u64, u64, &str); 6] = [
    (2 * YEAR, YEAR, "year"),
    (2 * MONTH, MONTH, "month"),
    (2 * WEEK, WEEK, "week"),
    (DAY, DAY, "day"),
    (HOUR, HOUR, "hour"),
    (MINUTE, MINUTE, "minute"),
];

/// A point in time, seen from another: what a `<time>` element needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Moment {
    /// The time that is shown.
    pub(crate) at: Timestamp,
    /// The time at which the page is rendered.
    pub(crate) now: Timestamp,
}

impl Moment {
    /// For people: "3 weeks ago".
    pub(crate) fn relative(&self) -> String {
        relative(self.now, self.at)
    }

    /// The day, for what is planned: "24 November 2026". In words months ahead would be off by weeks.
    pub(crate) fn date(&self) -> String {
        calendar(self.at).strftime("%-d %B %Y").to_string()
    }

    /// For people who want to know exactly: "24 November 2026, 13:05 UTC".
    pub(crate) fn exact(&self) -> String {
        calendar(self.at).strftime("%-d %B %Y, %H:%M UTC").to_string()
    }

    /// For programs: RFC 3339 in UTC.
    pub(crate) fn rfc3339(&self) -> String {
        calendar(self.at).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }
}

/// How long before or after `now` `then` lies; less than a minute to either side is "just now".
pub(crate) fn relative(now: Timestamp, then: Timestamp) -> String {
    let (distance, ahead) = if then > now { (then.since(now), true) } else { (now.since(then), false) };
    let seconds = distance.as_secs();
    match STEPS.iter().find(|(from, ..)| seconds >= *from) {
        None => "just now".to_owned(),
        Some((_, length, unit)) if ahead => format!("in {}", count(seconds / length, unit)),
        Some((_, length, unit)) => format!("{} ago", count(seconds / length, unit)),
    }
}

/// How long to wait, rounded up so that nobody comes back too early: "40 seconds", "12 minutes".
pub(crate) fn wait(duration: Duration) -> String {
    let seconds = (duration.as_millis().div_ceil(1000) as u64).max(1);
    if seconds < MINUTE {
        count(seconds, "second")
    } else if seconds < 2 * HOUR {
        count(seconds.div_ceil(MINUTE), "minute")
    } else {
        count(seconds.div_ceil(HOUR), "hour")
    }
}

fn count(number: u64, unit: &str) -> String {
    if number == 1 { format!("1 {unit}") } else { format!("{number} {unit}s") }
}

/// The calendar ends before `i64` does; what lies outside is shown as its end.
fn calendar(at: Timestamp) -> jiff::Timestamp {
    let end = if at.as_millis() < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_795_525_500);

    #[test]
    fn the_past_is_said_in_one_unit() {
        for (seconds, words) in [
            (0, "just now"),
            (59, "just now"),
            (60, "1 minute ago"),
            (119, "1 minute ago"),
            (59 * MINUTE + 59, "59 minutes ago"),
            (HOUR, "1 hour ago"),
            (23 * HOUR, "23 hours ago"),
            (DAY, "1 day ago"),
            (13 * DAY, "13 days ago"),
            (14 * DAY, "2 weeks ago"),
            (59 * DAY, "8 weeks ago"),
            (60 * DAY, "2 months ago"),
            (YEAR, "12 months ago"),
            (2 * YEAR, "2 years ago"),
        ] {
            assert_eq!(relative(NOW, NOW.minus(Duration::from_secs(seconds))), words, "{seconds} s");
        }
    }

    #[test]
    fn the_future_is_said_too_and_a_skewed_clock_is_just_now() {
        assert_eq!(relative(NOW, NOW.plus(Duration::from_secs(30))), "just now");
        assert_eq!(relative(NOW, NOW.plus(Duration::from_secs(90 * DAY))), "in 3 months");
    }

    #[test]
    fn a_wait_is_rounded_up() {
        for (millis, words) in [
            (0, "1 second"),
            (1, "1 second"),
            (1001, "2 seconds"),
            (59_000, "59 seconds"),
            (59_001, "1 minute"),
            (60_001, "2 minutes"),
            (15 * 60_000, "15 minutes"),
            (2 * 3_600_000, "2 hours"),
        ] {
            assert_eq!(wait(Duration::from_millis(millis)), words, "{millis} ms");
        }
    }

    #[test]
    fn moment_is_exact_for_people_and_programs() {
        let moment = Moment { at: NOW, now: NOW };
        assert_eq!(moment.exact(), "24 November 2026, 13:05 UTC");
        assert_eq!(moment.rfc3339(), "2026-11-24T13:05:00Z");
    }

    #[test]
    fn times_beyond_the_calendar_do_not_panic() {
        for at in [i64::MIN, i64::MAX] {
            let moment = Moment { at: Timestamp::from_millis(at), now: NOW };
            assert!(moment.exact().ends_with("UTC"));
            assert!(moment.relative().ends_with("years") || moment.relative().ends_with("ago"));
        }
    }
}
