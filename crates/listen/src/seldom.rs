//! A warning that others can cause as often as they like, and that is logged once a minute.

use std::sync::{Mutex, PoisonError};

use tokio::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(60);

/// When a warning was last given.
#[derive(Default)]
pub(crate) struct Seldom(Mutex<Option<Instant>>);

impl Seldom {
    /// Whether the warning is to be given now.
    pub(crate) fn is_due(&self) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| last.elapsed() >= EVERY);
        if is_due {
            *last = Some(Instant::now());
        }
        is_due
    }
}
