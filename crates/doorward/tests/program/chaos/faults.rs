//! What must not happen in any scenario.

use std::{fmt, time::Duration};

use super::tally::Kind;

/// A note to the outcome of a 503.
pub(crate) const WITHOUT_RETRY_AFTER: &str = " without Retry-After";

/// Whether no honest caller may be answered so, whatever is broken: errors of the server, a 503 that does not say when to
/// come again, a good key or secret that is refused. By a clock that is ahead a key has expired.
pub(crate) fn is_unexpected(kind: Kind, outcome: &str, _: Duration) -> bool {
    let is_refused = outcome.starts_with("200 ") && outcome != "200 key_expired";
    let is_error = outcome.starts_with('5') && outcome != "503";
    !kind.starts_with(STRANGER) && (is_refused || is_error || outcome.starts_with("401") || outcome.starts_with("404"))
}

/// The prefix of the kinds of hostile requests.
pub(crate) const STRANGER: &str = "hostile";

/// What was lost, and what was redeemed twice.
#[derive(Default)]
pub(crate) struct Faults {
    pub(crate) lost: Vec<String>,
    pub(crate) doubled: Vec<String>,
}

impl Faults {
    pub(crate) fn is_empty(&self) -> bool {
        self.lost.is_empty() && self.doubled.is_empty()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lost: {}, redeemed twice: {}", self.lost.len(), self.doubled.len())?;
        for fault in self.lost.iter().chain(&self.doubled).take(20) {
            write!(f, "\n    {fault}")?;
        }
        Ok(())
    }
}
