//! Keeping the audit within its bounds: events are counted, and the oldest go.
//!
//! It is a task of its own. After an upgrade there may be years of events to go through, and sweeping does not wait for it.

use std::sync::Arc;

use doorward_core::{
    audit_bounds::{AuditBounds, AuditSize},
    clock::Timestamp,
};
use doorward_store::{
    StoreError,
    audit::{CountAudit, MeasureAudit, RemoveExcess, RemoveOlder, ReportRemoved},
};
use tokio::time::{Instant, sleep};

use super::sweep::{Pace, ROUND};
use crate::{actor::Actor, app::App};

/// Steps of counting before the bounds are looked at.
const COUNTS: usize = 200;

/// Keeps the audit until the task is aborted.
pub(super) async fn keep(app: Arc<App>) {
    loop {
        if let Err(error) = round(&app, Pace::gentle()).await {
            tracing::warn!(%error, "the audit could not be kept within its bounds");
        }
        sleep(ROUND).await;
    }
}

/// Counts events, removes what is beyond the bounds, and does what is due by a clock that is plausible.
pub(super) async fn round(app: &App, pace: Pace) -> Result<(), StoreError> {
    while count(app, pace).await? {
        bound(app, pace).await?;
    }
    bound(app, pace).await?;
    if let Some(now) = app.trusted_now().await? {
        remove_older(app, pace, now).await?;
    }
    app.store.write(ReportRemoved { audit: app.audit(&Actor::default()) }).await?;
    app.metrics.audit_size(app.store.read(MeasureAudit).await?);
    Ok(())
}

/// Counts what was written since the last round. Gives whether there is more.
async fn count(app: &App, pace: Pace) -> Result<bool, StoreError> {
    for _ in 0..COUNTS {
        let began = Instant::now();
        let is_more = app.store.write(CountAudit { now: app.now() }).await?;
        pace.pause(began).await;
        if !is_more {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Removes what is beyond the bounds. Needs no clock.
async fn bound(app: &App, pace: Pace) -> Result<(), StoreError> {
    let size = app.store.read(MeasureAudit).await?;
    app.metrics.audit_size(size);
    match app.settings.audit.bounds().after_a_sweep(size) {
        Some(after) => make_room(app, pace, after, size).await,
        None => Ok(()),
    }
}

/// Removes the oldest refusals and the oldest events.
async fn make_room(app: &App, pace: Pace, after: AuditBounds, mut size: AuditSize) -> Result<(), StoreError> {
    while after.excess(size).is_some() {
        let began = Instant::now();
        let removed = app.store.write(RemoveExcess { after }).await?;
        app.metrics.swept("audit_beyond_its_bounds", removed);
        pace.pause(began).await;
        if removed == 0 {
            break;
        }
        size = app.store.read(MeasureAudit).await?;
    }
    Ok(())
}

/// Removes events that were kept for long enough.
async fn remove_older(app: &App, pace: Pace, now: Timestamp) -> Result<(), StoreError> {
    let before = now.minus(app.settings.audit.retention);
    loop {
        let began = Instant::now();
        let removed = app.store.write(RemoveOlder { before }).await?;
        app.metrics.swept("audit", removed);
        pace.pause(began).await;
        if removed == 0 {
            return Ok(());
        }
    }
}
