//! Removing what has ended: in small steps, with pauses in which everybody else goes first, by a clock that is plausible.

use std::{sync::Arc, time::Duration};

use doorward_store::{
    StoreError,
    authorization::{OldestRequestKept, RemoveRequests},
    grants::EndGrants,
    sweep::{Retention, Sweep, Swept},
};
use tokio::time::{Instant, sleep};

use super::{audit, webhooks};
use crate::app::App;

/// How often a round begins.
pub(super) const ROUND: Duration = Duration::from_secs(10);
/// How often grants are looked for that are to be ended.
const ENDINGS: Duration = Duration::from_secs(1);
/// How many times as long as a step the pause after it is. Rows are found by digests, so that each step writes into pages
/// all over the database. With a shorter pause, others wait for the disk more often than they are used to.
const PAUSE: u32 = 24;
/// The same in a round that is behind.
const PAUSE_BEHIND: u32 = 4;
/// A round that takes longer is behind: rows may be coming faster than they go.
const BEHIND: Duration = Duration::from_secs(3600);

/// Sweeps until the task is aborted.
pub(super) async fn sweep(app: Arc<App>) {
    loop {
        if let Err(error) = round(&app, Pace::gentle()).await {
            tracing::warn!(%error, "expired data could not be deleted");
        }
        sleep(ROUND).await;
    }
}

/// Writes into grants that they have ended, until the task is aborted.
pub(super) async fn end_grants(app: Arc<App>) {
    loop {
        if let Err(error) = end_all(&app, Pace::gentle()).await {
            tracing::warn!(%error, "ended grants could not be marked as ended");
        }
        sleep(ENDINGS).await;
    }
}

/// Removes everything that has ended, without a pause. Returns whether that was done: not by a clock that is not
/// plausible.
pub async fn sweep_all(app: &App) -> Result<bool, StoreError> {
    end_all(app, Pace::Fast).await?;
    let done = round(app, Pace::Fast).await?;
    audit::round(app, Pace::Fast).await?;
    Ok(done)
}

/// How fast a round goes.
#[derive(Clone, Copy)]
pub(super) enum Pace {
    Fast,
    /// In a round that began then.
    Gentle(Instant),
}

impl Pace {
    pub(super) fn gentle() -> Self {
        Self::Gentle(Instant::now())
    }

    /// Lets the others go first after a step.
    pub(super) async fn pause(self, step: Instant) {
        match self {
            Self::Fast => tokio::task::yield_now().await,
            Self::Gentle(round) => sleep(pause(round.elapsed(), step.elapsed())).await,
        }
    }
}

/// How long to wait after a step in a round that has lasted so long.
fn pause(round: Duration, step: Duration) -> Duration {
    step * if round < BEHIND { PAUSE } else { PAUSE_BEHIND }
}

async fn round(app: &App, pace: Pace) -> Result<bool, StoreError> {
    bound_requests(app, pace).await?;
    webhooks::bound(app, pace).await?;
    let Some(now) = app.trusted_now().await? else { return Ok(false) };
    let retention = Retention {
        refresh_grace: app.settings.tokens.refresh.grace_same_address,
        session_absolute: app.settings.session.absolute,
        key_usage: app.settings.keys.usage_retention,
    };
    let mut left = Swept::ALL.to_vec();
    while !left.is_empty() {
        // In turns: nothing waits until all of what has many rows is gone.
        for what in std::mem::take(&mut left) {
            let began = Instant::now();
            let swept = app.store.write(Sweep { what, now, retention }).await?;
            app.metrics.swept(what.name(), swept);
            pace.pause(began).await;
            if swept >= Sweep::STEP as u64 {
                left.push(what);
            }
        }
    }
    Ok(true)
}

/// Removes the oldest authorization requests without a user beyond the number that is kept. Needs no clock.
async fn bound_requests(app: &App, pace: Pace) -> Result<(), StoreError> {
    let Some(before) = app.store.read(OldestRequestKept { most: app.settings.limits.open_requests }).await? else {
        return Ok(());
    };
    loop {
        let began = Instant::now();
        let removed = app.store.write(RemoveRequests { before }).await?;
        app.metrics.swept("requests_beyond_the_bound", removed);
        pace.pause(began).await;
        if removed < Sweep::STEP as u64 {
            return Ok(());
        }
    }
}

async fn end_all(app: &App, pace: Pace) -> Result<(), StoreError> {
    loop {
        let began = Instant::now();
        if app.store.write(EndGrants).await? {
            return Ok(());
        }
        pace.pause(began).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_have_nearly_all_of_the_time_until_sweeping_is_behind() {
        let step = Duration::from_millis(3);
        assert_eq!(pause(Duration::ZERO, step), Duration::from_millis(72));
        assert_eq!(pause(Duration::from_secs(3599), step), Duration::from_millis(72));
        assert_eq!(pause(BEHIND, step), Duration::from_millis(12));
    }
}
