//! Whether this machine's clock can be right, before it decides what a restore ends.

use std::time::Duration;

use doorward_core::{
    clock::Timestamp,
    plausible_time::{self, Implausible},
};

use crate::{failure::Failure, output::time};

/// Refuses a clock that is behind what was done before, or too far ahead of it.
pub(super) fn ensure_plausible(now: Timestamp, what: &str, at: Timestamp) -> Result<(), Failure> {
    let why = match plausible_time::check(now, at) {
        Ok(()) => return Ok(()),
        Err(Implausible::Behind) => "before",
        Err(Implausible::Ahead) => "more than 30 days after",
    };
    Err(Failure::NotDone(format!(
        "this machine's clock shows {}. That is {why} {what}, at {}, and decides what is ended. Set the clock, or use \
         --trust-clock if it is right",
        time(now),
        time(at)
    )))
}

/// How long ago, in the largest unit that it fills.
pub(super) fn ago(passed: Duration) -> String {
    let secs = passed.as_secs();
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute")];
    let (number, unit) = units
        .into_iter()
        .find_map(|(unit, name)| (secs >= unit).then_some((secs / unit, name)))
        .unwrap_or((secs, "second"));
    format!("{number} {unit}{} ago", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_names_both_times() {
        let made = Timestamp::from_secs(1_700_000_000);
        let refused = |now| ensure_plausible(now, "the backup", made).unwrap_err().to_string();
        let behind = refused(made.minus(Duration::from_secs(7_200)));
        assert!(behind.contains("2023-11-14T20:13:20") && behind.contains("2023-11-14T22:13:20"), "{behind}");
        assert!(behind.contains("before the backup") && behind.contains("--trust-clock"), "{behind}");
        assert!(refused(made.plus(Duration::from_secs(31 * 86_400))).contains("30 days after"));
        ensure_plausible(made.plus(Duration::from_secs(3_600)), "the backup", made).unwrap();
    }

    #[test]
    fn age_has_one_unit() {
        let told = [0, 1, 59, 60, 7_199, 7_200, 90_000, 864_000].map(|secs| ago(Duration::from_secs(secs)));
        assert_eq!(told[..4], ["0 seconds ago", "1 second ago", "59 seconds ago", "1 minute ago"]);
        assert_eq!(told[4..], ["1 hour ago", "2 hours ago", "1 day ago", "10 days ago"]);
    }
}
