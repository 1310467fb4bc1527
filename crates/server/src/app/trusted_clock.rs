//! The clock by which something is removed for good. While it is further ahead than time can have passed, nothing is.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use doorward_core::{
    clock::Timestamp,
    plausible_time::{self, TrustedTime},
};
use doorward_store::{
    StoreError,
    trusted_clock::{FindTrustedTime, NoteTrustedTime},
};

use super::App;

/// How often a plausible time is noted in the store.
const NOTE_EVERY: Duration = Duration::from_secs(60);

/// What this process knows of its clock.
#[derive(Debug, Default)]
pub(crate) struct TrustedClock(Mutex<Known>);

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// The last plausible time, with the monotonic time at which it was seen.
    seen: Option<(Timestamp, Duration)>,
    noted_at: Option<Duration>,
}

impl App {
    /// The current time if it is plausible. Otherwise logs an alarm.
    pub(crate) async fn trusted_now(&self) -> Result<Option<Timestamp>, StoreError> {
        let (now, monotonic) = (self.now(), self.clock.monotonic());
        let known = *self.trusted_clock.lock();
        let in_process = known.seen.map(|(at, seen)| TrustedTime { at, passed: Some(monotonic.saturating_sub(seen)) });
        let must_look = known.noted_at.is_none_or(|noted| monotonic.saturating_sub(noted) >= NOTE_EVERY);
        let ahead = match in_process.map(|trusted| plausible_time::ahead_by(now, trusted)) {
            Some(None) if !must_look => None,
            in_process => {
                let stored = self.store.read(FindTrustedTime).await?.map(|at| TrustedTime { at, passed: None });
                let beyond_stored = stored.and_then(|stored| plausible_time::ahead_by(now, stored));
                // Somebody may have said meanwhile that the clock is right: then the stored time is the current one.
                let is_vouched_for = stored.is_some_and(|stored| now.since(stored.at) < NOTE_EVERY * 60);
                in_process.flatten().filter(|_| !is_vouched_for).or(beyond_stored)
            }
        };
        if let Some(ahead) = ahead {
            tracing::error!(
                days_ahead = ahead.as_secs() / 86_400,
                "the clock has jumped ahead: nothing is removed by it. Set it right, or, if it is right, run \
                 `doorward sweep --trust-clock`"
            );
            return Ok(None);
        }
        if must_look {
            self.store.write(NoteTrustedTime { at: now }).await?;
        }
        let mut known = self.trusted_clock.lock();
        known.seen = Some((now, monotonic));
        if must_look {
            known.noted_at = Some(monotonic);
        }
        Ok(Some(now))
    }

    /// Takes the current time for right, because an operator says so.
    pub async fn trust_clock(&self) -> Result<(), StoreError> {
        self.store.write(NoteTrustedTime { at: self.now() }).await
    }
}

impl TrustedClock {
    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
