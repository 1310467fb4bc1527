//! Keeping the audit within its bounds: events are counted, issued tokens are summed up, and the oldest events go.
//!
//! It is a task of its own. After an upgrade there may be years of events to go through, and sweeping does not wait for it.

use std::sync::Arc;

use doorward_core::{
    audit_bounds::{AuditBounds, AuditExcess, AuditSize},
    clock::Timestamp,
};
use doorward_store::{
    StoreError,
    audit::{CountAudit, FindMinute, MeasureAudit, Minute, RemoveExcess, RemoveOlder, ReportRemoved, SumUp},
};
use tokio::time::{Instant, sleep};

use super::sweep::{Pace, ROUND};
use crate::{actor::Actor, app::App};

/// Steps of counting before the bounds are looked at.
const COUNTS: usize = 200;
/// Minutes that are summed up before the bounds are looked at again.
const MINUTES: usize = 10;

/// Keeps the audit until the task is aborted.
pub(super) async fn keep(app: Arc<App>) {
    loop {
        if let Err(error) = round(&app, Pace::gentle()).await {
            tracing::warn!(%error, "the audit could not be kept within its bounds");
        }
        sleep(ROUND).await;
    }
}

/// Keeps the audit once, and reports what was removed.
pub(super) async fn round(app: &App, pace: Pace) -> Result<(), StoreError> {
    while keep_for_a_while(app, pace).await? {}
    app.store.write(ReportRemoved { audit: app.audit(&Actor::default()) }).await?;
    app.metrics.audit_size(app.store.read(MeasureAudit).await?);
    Ok(())
}

/// Counts events, removes what is beyond the bounds, and does what is due by a clock that is plausible. Gives whether more
/// is to be summed up: the bounds come first again.
async fn keep_for_a_while(app: &App, pace: Pace) -> Result<bool, StoreError> {
    while count(app, pace).await? {
        bound(app, pace).await?;
    }
    bound(app, pace).await?;
    let Some(now) = app.trusted_now().await? else { return Ok(false) };
    remove_older(app, pace, now).await?;
    sum_up(app, pace, now).await
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

/// Removes refusals, sums up issued tokens before their time, and removes the oldest events if that is not enough, or if
/// tokens are issued faster than they are summed up.
async fn make_room(app: &App, pace: Pace, after: AuditBounds, mut size: AuditSize) -> Result<(), StoreError> {
    let bounds = app.settings.audit.bounds();
    let mut may_sum_up = app.settings.audit.sums_up();
    while let Some(excess) = after.excess(size) {
        let is_of_all = matches!(excess, AuditExcess::Rows { .. });
        if is_of_all && may_sum_up && !bounds.are_far_exceeded(size) {
            may_sum_up = sum_up_minute(app, pace, None).await?;
            app.store.write(CountAudit { now: app.now() }).await?;
        } else {
            let began = Instant::now();
            let removed = app.store.write(RemoveExcess { after }).await?;
            app.metrics.swept("audit_beyond_its_bounds", removed);
            pace.pause(began).await;
            if removed == 0 {
                break;
            }
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

/// Sums up issued tokens that are old enough, those of [`MINUTES`] at most. Gives whether there may be more.
async fn sum_up(app: &App, pace: Pace, now: Timestamp) -> Result<bool, StoreError> {
    if !app.settings.audit.sums_up() {
        return Ok(false);
    }
    let before = now.minus(app.settings.audit.summarize_after);
    for _ in 0..MINUTES {
        if !sum_up_minute(app, pace, Some(before)).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Sums up the oldest minute that has something to sum up. Gives whether there was one.
async fn sum_up_minute(app: &App, pace: Pace, before: Option<Timestamp>) -> Result<bool, StoreError> {
    let Some(Minute { begins, groups }) = app.store.read(FindMinute { before }).await? else { return Ok(false) };
    let mut steps = vec![SumUp { minute: begins, groups: Vec::new(), is_last: false }];
    let mut rows = 0;
    for group in groups {
        rows += group.rows;
        match steps.last_mut() {
            Some(step) if rows <= SumUp::STEP || step.groups.is_empty() => step.groups.push(group),
            _ => {
                rows = group.rows;
                steps.push(SumUp { minute: begins, groups: vec![group], is_last: false });
            }
        }
    }
    let last = steps.len() - 1;
    for (at, mut step) in steps.into_iter().enumerate() {
        // A group of more rows than a step takes several.
        let is_large = step.groups.iter().any(|group| group.rows > SumUp::STEP);
        step.is_last = at == last && !is_large;
        while write_step(app, pace, step.clone()).await? >= SumUp::STEP as u64 && is_large {}
        if at == last && is_large {
            write_step(app, pace, SumUp { groups: Vec::new(), is_last: true, ..step }).await?;
        }
    }
    Ok(true)
}

async fn write_step(app: &App, pace: Pace, step: SumUp) -> Result<u64, StoreError> {
    let began = Instant::now();
    let replaced = app.store.write(step).await?;
    app.metrics.swept("audit_summed_up", replaced);
    pace.pause(began).await;
    Ok(replaced)
}
