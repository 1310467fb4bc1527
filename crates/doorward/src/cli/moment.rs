//! Times on the command line: RFC 3339, or how long ago.

use std::{str::FromStr, time::Duration};

use doorward_core::clock::Timestamp;

use super::durations;

/// A point in time as an operator names it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Moment {
    Ago(Duration),
    At(Timestamp),
}

impl Moment {
    pub(super) fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(duration) => now.minus(duration),
            Self::At(time) => time,
        }
    }
}

impl FromStr for Moment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let time =
            || text.parse::<jiff::Timestamp>().ok().map(|at| Self::At(Timestamp::from_millis(at.as_millisecond())));
        let ago = durations::parse(text).ok().map(Self::Ago);
        ago.or_else(time).ok_or("write a time with its zone, as in 2026-11-28T14:00:00Z, or how long ago, as in 2h")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moment_is_a_time_or_how_long_ago() {
        let now = Timestamp::from_secs(1_795_874_400);
        let at = |text: &str| text.parse::<Moment>().map(|moment| moment.at(now));
        assert_eq!(at("2h"), Ok(Timestamp::from_secs(1_795_867_200)));
        assert_eq!(at("1970-01-01T00:00:01.5Z"), Ok(Timestamp::from_millis(1_500)));
        assert_eq!(at("1970-01-01T02:00:00+02:00"), Ok(Timestamp::from_secs(0)));
        for bad in ["", "2", "yesterday", "2026-11-28", "2026-11-28T14:00:00"] {
            assert!(at(bad).is_err(), "{bad}");
        }
    }
}
