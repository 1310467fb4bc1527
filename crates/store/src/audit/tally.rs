//! How much the audit holds, by the hour in which its events happened.
//!
//! One row of totals would be written by every operation that appends an event, and they would wait for each other. So
//! events are counted after they were written, in the order of their ids: [`CountAudit`] adds a step of them to their hours
//! and notes how far it got, in one transaction. Whatever removes events subtracts them in its own transaction.
//!
//! Easy to get wrong: ids are ordered by the time of the event, and an event can be committed after a later one was. So the
//! last [`SETTLED`] are not counted yet. Events that wait for longer, while the database can't be reached, are counted by
//! [`AppendAudit`](super::AppendAudit), which writes them. If an event is missed anyway, the error ends with its
//! hour: hours before the oldest event are removed.

use std::{collections::BTreeMap, time::Duration};

use doorward_core::{audit_bounds::AuditSize, clock::Timestamp, id::AuditId};

use super::{AuditAction, AuditEvent};
use crate::{
    sql::sql,
    tx::{Operation, Row, Tx, TxError, Urgency, Value},
};

/// How long after its event a transaction may still append it.
const SETTLED: Duration = Duration::from_secs(120);

const HOUR_MS: i64 = 3_600_000;

/// What a row takes on the disk, estimated: measured with a million rows, its texts count twice, because indexes repeat
/// them, and 300 bytes more.
pub(super) const SIZE: &str = "CAST(300 + 2 * (octet_length(id) + octet_length(action) + octet_length(details)
    + coalesce(octet_length(trace_id), 0) + coalesce(octet_length(code), 0) + coalesce(octet_length(actor), 0)
    + coalesce(octet_length(subject), 0) + coalesce(octet_length(address), 0)) AS bigint)";

/// When the hour of a time began.
pub(super) fn hour_of(time: Timestamp) -> Timestamp {
    Timestamp::from_millis(time.as_millis().div_euclid(HOUR_MS) * HOUR_MS)
}

/// How far the audit was gone through.
pub(super) struct Progress {
    /// The last event that is counted.
    pub(super) counted_to: String,
    /// Where the first minute begins that is not summed up.
    pub(super) summarized_to: String,
}

/// Takes the lock of all that counts, removes or sums up events. Servers that share a database take turns.
pub(super) async fn lock(tx: &mut impl Tx) -> Result<Progress, TxError> {
    let sql = "INSERT INTO audit_tally (id, counted_to, summarized_to) VALUES (1, '', '')
               ON CONFLICT (id) DO UPDATE SET id = excluded.id RETURNING counted_to, summarized_to";
    progress(&mut tx.query_one(sql, &[]).await?)
}

/// The same without the lock; nothing where no server has counted yet.
pub(super) async fn find_progress(tx: &mut impl Tx) -> Result<Option<Progress>, TxError> {
    let found = tx.query_opt("SELECT counted_to, summarized_to FROM audit_tally WHERE id = 1", &[]).await?;
    found.map(|mut row| progress(&mut row)).transpose()
}

fn progress(row: &mut Row) -> Result<Progress, TxError> {
    Ok(Progress { counted_to: row.text()?, summarized_to: row.text()? })
}

/// Events by their hours.
#[derive(Default)]
pub(super) struct Hours(BTreeMap<i64, AuditSize>);

impl Hours {
    pub(super) fn add(&mut self, id: &AuditId, action: &AuditAction, bytes: i64) {
        let size = self.0.entry(hour_of(id.made_at()).as_millis()).or_default();
        size.rows += 1;
        size.bytes += bytes;
        size.refusals += i64::from(*action == AuditAction::RequestRefused);
    }

    /// Adds them to what the hours hold.
    pub(super) async fn count(self, tx: &mut impl Tx) -> Result<(), TxError> {
        self.write(
            tx,
            "INSERT INTO audit_hours (hour, events, bytes, refusals) VALUES ($1, $2, $3, $4)
             ON CONFLICT (hour) DO UPDATE SET events = audit_hours.events + excluded.events,
                 bytes = audit_hours.bytes + excluded.bytes, refusals = audit_hours.refusals + excluded.refusals",
        )
        .await
    }

    /// Takes them off.
    pub(super) async fn subtract(self, tx: &mut impl Tx) -> Result<(), TxError> {
        self.write(
            tx,
            "UPDATE audit_hours SET events = CASE WHEN events > $2 THEN events - $2 ELSE 0 END,
                 bytes = CASE WHEN bytes > $3 THEN bytes - $3 ELSE 0 END,
                 refusals = CASE WHEN refusals > $4 THEN refusals - $4 ELSE 0 END
             WHERE hour = $1",
        )
        .await
    }

    async fn write(self, tx: &mut impl Tx, sql: &'static str) -> Result<(), TxError> {
        for (hour, size) in self.0 {
            tx.execute(sql, &[hour.into(), size.rows.into(), size.bytes.into(), size.refusals.into()]).await?;
        }
        Ok(())
    }
}

/// Counts the next events, [`CountAudit::STEP`] at most. Gives whether more wait.
#[derive(Clone, Debug)]
pub struct CountAudit {
    /// The present time.
    pub now: Timestamp,
}

impl CountAudit {
    /// Events that one step counts.
    pub const STEP: usize = 1_000;
}

impl Operation for CountAudit {
    type Output = bool;

    const URGENCY: Urgency = Urgency::Patient;

    async fn run(&self, tx: &mut impl Tx) -> Result<bool, TxError> {
        let mut counted_to = lock(tx).await?.counted_to;
        if counted_to > AuditId::floor(self.now) {
            // A clock was ahead. Events of the right time would never be counted, so all are counted again, and those of
            // the right time are summed up again.
            tx.execute("DELETE FROM audit_hours", &[]).await?;
            tx.execute("UPDATE audit_tally SET summarized_to = '' WHERE id = 1", &[]).await?;
            counted_to.clear();
        }
        let settled = AuditId::floor(self.now.minus(SETTLED)).into();
        let sql = sql!("SELECT id, action, {} FROM audit WHERE id > $1 AND id < $2 ORDER BY id LIMIT $3", SIZE);
        let rows = tx.query(sql, &[counted_to.as_str().into(), settled, Value::from(Self::STEP as i64)]).await?;
        let is_step = rows.len() >= Self::STEP;
        let mut hours = Hours::default();
        for mut row in rows {
            let id: AuditId = row.parsed()?;
            hours.add(&id, &row.text()?.as_str().into(), row.int()?);
            counted_to = id.into();
        }
        hours.count(tx).await?;
        tx.execute("UPDATE audit_tally SET counted_to = $1 WHERE id = 1", &[counted_to.into()]).await?;
        Ok(is_step)
    }
}

/// Counts those of some events, just appended, that lie before what is counted.
pub(super) async fn count_late(tx: &mut impl Tx, events: &[AuditEvent]) -> Result<(), TxError> {
    let Some(Progress { counted_to, .. }) = find_progress(tx).await? else { return Ok(()) };
    let mut hours = Hours::default();
    for event in events.iter().filter(|event| *event.id.as_str() <= *counted_to) {
        let bytes =
            tx.query_one(sql!("SELECT {} FROM audit WHERE id = $1", SIZE), &[event.id.as_str().into()]).await?.int()?;
        hours.add(&event.id, &event.action, bytes);
    }
    hours.count(tx).await
}

/// What the audit holds, without the events of the last minutes.
#[derive(Clone, Debug)]
pub struct MeasureAudit;

impl Operation for MeasureAudit {
    type Output = AuditSize;

    async fn run(&self, tx: &mut impl Tx) -> Result<AuditSize, TxError> {
        let sql = "SELECT CAST(coalesce(sum(events), 0) AS bigint), CAST(coalesce(sum(bytes), 0) AS bigint),
                       CAST(coalesce(sum(refusals), 0) AS bigint) FROM audit_hours";
        let mut row = tx.query_one(sql, &[]).await?;
        Ok(AuditSize { rows: row.int()?, bytes: row.int()?, refusals: row.int()? })
    }
}
