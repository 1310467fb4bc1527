//! When a delivery is tried again, and when it or its endpoint is given up (Standard Webhooks 1.0.0, "Deliverability and
//! reliability").

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// The pause after each failed attempt, as the specification recommends. After the last one there is no further attempt.
pub const PAUSES: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_secs(5 * MINUTE.as_secs()),
    Duration::from_secs(30 * MINUTE.as_secs()),
    Duration::from_secs(2 * HOUR.as_secs()),
    Duration::from_secs(5 * HOUR.as_secs()),
    Duration::from_secs(10 * HOUR.as_secs()),
    Duration::from_secs(14 * HOUR.as_secs()),
    Duration::from_secs(20 * HOUR.as_secs()),
    DAY,
];

/// The longest pause that a receiver can ask for by `Retry-After`.
pub const LONGEST_PAUSE: Duration = DAY;

/// How long an endpoint may fail without a success in between. Then it is disabled.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(5 * DAY.as_secs());

/// Whether an event was delivered to an endpoint.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// It was not, and is not tried again by itself.
    Dead,
    /// It was.
    Delivered,
    /// It was not yet.
    Waiting,
}

impl DeliveryState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Delivered, Self::Dead];

    /// The state in a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dead => "dead",
            Self::Delivered => "delivered",
            Self::Waiting => "waiting",
        }
    }
}

/// What an attempt came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer {
    /// The endpoint answered.
    Status {
        /// With this status.
        status: u16,
        /// When it asks to be tried again (RFC 9110 section 10.2.3).
        retry_after: Option<Duration>,
    },
    /// It did not, or it could not be asked.
    None,
}

/// What follows from an attempt for the delivery.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Next {
    /// It was delivered: a status of 2xx.
    Delivered,
    /// It is not tried again by itself.
    Dead,
    /// It is tried again after this pause.
    Retry(Duration),
}

impl Answer {
    /// Whether the endpoint wants no more messages: 410 Gone.
    pub fn is_gone(self) -> bool {
        matches!(self, Self::Status { status: 410, .. })
    }

    /// What follows, if this was the attempt number `attempt`, the first being 1. `jitter` is random: each pause is up to a
    /// tenth longer, so that what failed together is not tried again together.
    pub fn next(self, attempt: u32, jitter: u8) -> Next {
        let asked = match self {
            Self::Status { status: 200..=299, .. } => return Next::Delivered,
            Self::Status { status: 410, .. } => return Next::Dead,
            Self::Status { retry_after, .. } => retry_after.unwrap_or_default().min(LONGEST_PAUSE),
            Self::None => Duration::ZERO,
        };
        let place = usize::try_from(attempt).unwrap_or(usize::MAX).saturating_sub(1);
        match PAUSES.get(place) {
            Some(pause) => Next::Retry((*pause + *pause * u32::from(jitter) / 2_560).max(asked)),
            None => Next::Dead,
        }
    }
}

/// Whether an endpoint that fails since `failing_since` is given up.
pub fn is_given_up(failing_since: Timestamp, now: Timestamp) -> bool {
    now.since(failing_since) >= GIVE_UP_AFTER
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16) -> Answer {
        Answer::Status { status, retry_after: None }
    }

    #[test]
    fn each_success_is_delivered_and_nothing_else_is() {
        for code in 100..600 {
            assert_eq!(status(code).next(1, 0) == Next::Delivered, (200..300).contains(&code), "{code}");
        }
        assert_eq!(Answer::None.next(1, 0), Next::Retry(PAUSES[0]));
    }

    #[test]
    fn pauses_are_those_of_the_specification_and_then_it_is_dead() {
        let pauses: Vec<_> = (1..=9).map(|attempt| status(500).next(attempt, 0)).collect();
        assert_eq!(pauses, PAUSES.map(Next::Retry));
        assert_eq!(PAUSES.iter().sum::<Duration>(), Duration::from_secs(75 * 3_600 + 35 * 60 + 5));
        for attempt in [10, 11, u32::MAX] {
            assert_eq!(status(500).next(attempt, 0), Next::Dead, "{attempt}");
        }
    }

    #[test]
    fn jitter_makes_a_pause_up_to_a_tenth_longer() {
        for (attempt, pause) in (1..).zip(PAUSES) {
            let Next::Retry(longest) = status(500).next(attempt, u8::MAX) else { panic!("{attempt}") };
            assert!(longest > pause && longest < pause + pause / 10, "{longest:?}");
        }
    }

    #[test]
    fn receiver_can_ask_for_a_longer_pause_up_to_a_day() {
        let asking = |secs| Answer::Status { status: 429, retry_after: Some(Duration::from_secs(secs)) };
        assert_eq!(asking(3).next(1, 0), Next::Retry(PAUSES[0]));
        assert_eq!(asking(60).next(1, 0), Next::Retry(Duration::from_secs(60)));
        assert_eq!(asking(u64::MAX).next(1, 0), Next::Retry(LONGEST_PAUSE));
    }

    #[test]
    fn gone_is_gone_at_the_first_attempt() {
        assert!(status(410).is_gone() && !status(404).is_gone() && !Answer::None.is_gone());
        assert_eq!(status(410).next(1, 0), Next::Dead);
    }

    #[test]
    fn endpoint_is_given_up_after_five_days() {
        let since = Timestamp::from_secs(0);
        assert!(!is_given_up(since, Timestamp::from_secs(5 * 86_400 - 1)));
        assert!(is_given_up(since, Timestamp::from_secs(5 * 86_400)));
    }
}
