//! Removing the oldest events: those beyond a bound, and those that were kept for long enough.
//!
//! Anybody can cause refusals, and any client tokens, so that age alone bounds nothing. What goes is noted beside the
//! audit in the transaction that removes it, and becomes one event at the end of a sweep. A server that was killed before
//! that reports it in its next sweep.

use std::collections::{BTreeMap, BTreeSet};

use doorward_core::{
    audit_bounds::{AuditBounds, AuditExcess},
    clock::Timestamp,
    id::AuditId,
};

use super::{
    AuditAction, AuditContext,
    tally::{Hours, MeasureAudit, SIZE, hour_of, lock},
};
use crate::{
    sql::sql,
    tx::{Operation, Row, Tx, TxError, Urgency, Value},
};

/// Removes what is beyond the bounds, [`RemoveExcess::STEP`] rows at most. Gives how many; none once nothing is beyond.
#[derive(Clone, Debug)]
pub struct RemoveExcess {
    /// What is left.
    pub after: AuditBounds,
}

impl RemoveExcess {
    /// Rows that one step removes. They are the oldest, which share their pages, so that there can be more of them than
    /// [`Sweep`](crate::sweep::Sweep) removes of other tables.
    pub const STEP: i64 = 256;
}

impl Operation for RemoveExcess {
    type Output = u64;

    const URGENCY: Urgency = Urgency::Patient;

    async fn run(&self, tx: &mut impl Tx) -> Result<u64, TxError> {
        let counted_to = lock(tx).await?.counted_to;
        loop {
            // Another server may have removed it since this one looked.
            let size = MeasureAudit.run(tx).await?;
            let Some(excess) = self.after.excess(size) else { return Ok(0) };
            let (bound, gone) = remove(tx, excess, &counted_to).await?;
            if !gone.is_empty() {
                return note_removed(tx, bound, &counted_to, gone).await;
            }
            // There are none: a server of an older version removed them and subtracted nothing.
            tx.execute(if bound == REFUSALS { NO_REFUSALS } else { NO_HOURS }, &[]).await?;
        }
    }
}

/// Removes a step of what is beyond a bound. Gives the bound and the rows.
async fn remove(tx: &mut impl Tx, excess: AuditExcess, counted_to: &str) -> Result<(&'static str, Vec<Row>), TxError> {
    match excess {
        AuditExcess::Refusals(refusals) => {
            let most = Value::from(refusals.min(RemoveExcess::STEP));
            Ok((REFUSALS, tx.query(OLDEST_REFUSALS, &[counted_to.into(), most]).await?))
        }
        AuditExcess::Rows { rows, bytes } => {
            let bound = if rows > 0 { "audit.max_rows" } else { "audit.max_bytes" };
            match last_of(tx, counted_to, rows, bytes).await? {
                Some(last) => Ok((bound, tx.query(UP_TO, &[last.as_str().into()]).await?)),
                None => Ok((bound, Vec::new())),
            }
        }
    }
}

/// The last row of a step that frees so much, of those up to an id.
async fn last_of(tx: &mut impl Tx, up_to: &str, rows: i64, bytes: i64) -> Result<Option<AuditId>, TxError> {
    let (mut freed_rows, mut freed_bytes, mut last) = (0, 0, None);
    for mut row in tx.query(OLDEST, &[up_to.into(), RemoveExcess::STEP.into()]).await? {
        if freed_rows >= rows && freed_bytes >= bytes {
            break;
        }
        last = Some(row.parsed()?);
        freed_rows += 1;
        freed_bytes += row.int()?;
    }
    Ok(last)
}

/// Removes events of the hours that ended before a time, [`RemoveExcess::STEP`] at most. Gives how many. In whole hours, so
/// that there is one event an hour about it.
#[derive(Clone, Debug)]
pub struct RemoveOlder {
    /// The time.
    pub before: Timestamp,
}

impl Operation for RemoveOlder {
    type Output = u64;

    const URGENCY: Urgency = Urgency::Patient;

    async fn run(&self, tx: &mut impl Tx) -> Result<u64, TxError> {
        let counted_to = lock(tx).await?.counted_to;
        // No event has this as its id.
        let before = AuditId::floor(hour_of(self.before));
        let Some(last) = last_of(tx, &before, RemoveExcess::STEP, 0).await? else { return Ok(0) };
        let gone = tx.query(UP_TO, &[last.as_str().into()]).await?;
        note_removed(tx, "audit.retention", &counted_to, gone).await
    }
}

/// What was removed of one action.
struct Removed {
    rows: i64,
    oldest: i64,
    newest: i64,
}

/// Subtracts removed rows from their hours, and notes them for [`ReportRemoved`].
async fn note_removed(tx: &mut impl Tx, bound: &'static str, counted_to: &str, rows: Vec<Row>) -> Result<u64, TxError> {
    let (count, mut hours, mut by_action) = (rows.len() as u64, Hours::default(), BTreeMap::<String, Removed>::new());
    for mut row in rows {
        let (id, action, bytes): (AuditId, String, i64) = (row.parsed()?, row.text()?, row.int()?);
        if id.as_str() <= counted_to {
            hours.add(&id, &AuditAction::from(action.as_str()), bytes);
        }
        let at = id.made_at().as_millis();
        let removed = by_action.entry(action).or_insert(Removed { rows: 0, oldest: at, newest: at });
        removed.rows += 1;
        removed.oldest = removed.oldest.min(at);
        removed.newest = removed.newest.max(at);
    }
    hours.subtract(tx).await?;
    for (action, Removed { rows, oldest, newest }) in by_action {
        let row = [bound.into(), action.into(), rows.into(), oldest.into(), newest.into()];
        tx.execute(NOTE, &row).await?;
    }
    Ok(count)
}

/// Writes one event about all that was removed since the last one. Gives whether there was anything.
#[derive(Clone, Debug)]
pub struct ReportRemoved {
    /// The server itself.
    pub audit: AuditContext,
}

impl Operation for ReportRemoved {
    type Output = bool;

    async fn run(&self, tx: &mut impl Tx) -> Result<bool, TxError> {
        lock(tx).await?;
        let sql = "DELETE FROM audit_removed RETURNING bound, action, events, oldest, newest";
        let rows = tx.query(sql, &[]).await?;
        if rows.is_empty() {
            return Ok(false);
        }
        let (mut bounds, mut by_action) = (BTreeSet::new(), BTreeMap::new());
        let (mut all, mut oldest, mut newest) = (0, i64::MAX, i64::MIN);
        for mut row in rows {
            bounds.insert(row.text()?);
            let (action, events) = (row.text()?, row.int()?);
            *by_action.entry(action).or_insert(0) += events;
            all += events;
            oldest = oldest.min(row.int()?);
            newest = newest.max(row.int()?);
        }
        let secs = |millis| Timestamp::from_millis(millis).as_secs();
        let event = self.audit.event(AuditAction::AuditEventsRemoved).with("events", all);
        let event = event.with("bounds", bounds.into_iter().collect::<Vec<_>>().join(", "));
        let event = event.with("oldest_at", secs(oldest)).with("newest_at", secs(newest));
        by_action.into_iter().fold(event, |event, (action, events)| event.with(&action, events)).append(tx).await?;
        remove_empty_hours(tx).await?;
        Ok(true)
    }
}

/// Removes the hours before the oldest event.
async fn remove_empty_hours(tx: &mut impl Tx) -> Result<(), TxError> {
    let oldest = tx.query_opt("SELECT id FROM audit ORDER BY id LIMIT 1", &[]).await?;
    let oldest: Option<AuditId> = oldest.map(|mut row| row.parsed()).transpose()?;
    let before = oldest.map_or(i64::MAX, |id| hour_of(id.made_at()).as_millis());
    tx.execute("DELETE FROM audit_hours WHERE hour < $1", &[before.into()]).await?;
    Ok(())
}

const REFUSALS: &str = "audit.max_refusals";

const NO_REFUSALS: &str = "UPDATE audit_hours SET refusals = 0";
const NO_HOURS: &str = "DELETE FROM audit_hours";
const OLDEST: &str = sql!("SELECT id, {} FROM audit WHERE id <= $1 ORDER BY id LIMIT $2", SIZE);
const OLDEST_REFUSALS: &str = sql!(
    "DELETE FROM audit WHERE id IN
       (SELECT id FROM audit WHERE action = 'request.refused' AND id <= $1 ORDER BY action, id LIMIT $2)
     RETURNING id, action, {}",
    SIZE
);
const UP_TO: &str = sql!("DELETE FROM audit WHERE id <= $1 RETURNING id, action, {}", SIZE);
const NOTE: &str = "INSERT INTO audit_removed (bound, action, events, oldest, newest) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (bound, action) DO UPDATE SET events = audit_removed.events + excluded.events,
        oldest = CASE WHEN excluded.oldest < audit_removed.oldest THEN excluded.oldest ELSE audit_removed.oldest END,
        newest = CASE WHEN excluded.newest > audit_removed.newest THEN excluded.newest ELSE audit_removed.newest END";
