//! Revoking all keys of a selection, in one transaction.
//!
//! The log of changes gets one entry, at which every server forgets all keys that it caches. Webhooks get an event for each key, as
//! if it had been revoked by itself: the transaction only notes which keys they are, and a task writes the events later.

use std::sync::LazyLock;

use doorward_core::{
    clock::Timestamp,
    id::{AuditId, KeyId},
    webhook_event::EventType,
};

use super::{FoundKey, SelectKeys, Selected, events::report};
use crate::{
    ChangeKind, append_change,
    audit::{AuditAction, AuditContext, Details},
    tx::{Operation, Tx, TxError, Urgency, Value},
};

/// Revokes all keys of a selection that the caller may revoke.
#[derive(Clone, Debug)]
pub struct RevokeKeys {
    /// Which keys, and who revokes them.
    pub select: SelectKeys,
    /// The current time by the caller's clock.
    pub now: Timestamp,
    /// The actor and origin for the audit row of this change, with the selection as its details.
    pub audit: AuditContext,
}

impl Operation for RevokeKeys {
    /// What was revoked, or why nothing was.
    type Output = Selected;

    // With PostgreSQL, the most keys can take longer than other requests may.
    const URGENCY: Urgency = Urgency::Patient;

    async fn run(&self, tx: &mut impl Tx) -> Result<Selected, TxError> {
        let selected = self.select.run(tx).await?;
        if let Selected::All { keys, beyond_rights } = &selected
            && !keys.is_empty()
        {
            revoke(tx, keys, &self.audit.id, self.now).await?;
            let event = self.audit.event(AuditAction::KeysRevoked).with("keys", keys.len());
            let beyond_rights = (*beyond_rights > 0).then_some(beyond_rights);
            event.with_known("beyond_rights", beyond_rights).append(tx).await?;
            append_change(tx, ChangeKind::Keys, "", self.now).await?;
        }
        Ok(selected)
    }
}

/// Revokes keys, and notes that webhooks report them. Their audit event and their change are the caller's to append.
pub(super) async fn revoke(
    tx: &mut impl Tx,
    keys: &[FoundKey],
    operation: &AuditId,
    now: Timestamp,
) -> Result<(), TxError> {
    let endpoint = "SELECT 1 AS found FROM webhooks WHERE deleted_at IS NULL AND disabled_at IS NULL LIMIT 1";
    let has_endpoint = tx.query_opt(endpoint, &[]).await?.is_some();
    for chunk in keys.chunks(CHUNK) {
        if has_endpoint {
            let first = [now.into(), operation.as_str().into()];
            tx.execute(NOTE.as_str(), &with_ids(first, chunk)).await?;
        }
        tx.execute(REVOKE.as_str(), &with_ids([now.into()], chunk)).await?;
    }
    Ok(())
}

/// The parameters of a statement about [`CHUNK`] keys: what comes first, and the ids. A short chunk repeats its last.
pub(super) fn with_ids<const N: usize>(first: [Value; N], chunk: &[FoundKey]) -> Vec<Value> {
    let ids = chunk.iter().chain(std::iter::repeat(&chunk[chunk.len() - 1])).take(CHUNK);
    first.into_iter().chain(ids.map(|key| key.id.as_str().into())).collect()
}

/// `IN` with [`CHUNK`] ids, from this parameter on.
pub(super) fn among(first: usize) -> String {
    let places: Vec<_> = (first..first + CHUNK).map(|number| format!("${number}")).collect();
    format!("IN ({})", places.join(", "))
}

/// Keys that one statement changes: a tenth of the round trips of a small number, and no more parameters than are quick to plan.
pub(super) const CHUNK: usize = 100;

static REVOKE: LazyLock<String> =
    LazyLock::new(|| format!("UPDATE api_keys SET revoked_at = $1 WHERE id {} AND revoked_at IS NULL", among(2)));
static NOTE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "INSERT INTO revocations_to_report (audit_id, key_id, revoked_at)
         SELECT $2, id, CAST($1 AS bigint) FROM api_keys WHERE id {} AND revoked_at IS NULL",
        among(3)
    )
});

/// Whether keys that were revoked together are to be reported to webhooks now: not while so many events wait at every endpoint.
/// An endpoint that works so gets them all, however many they are, before its bound gives any up.
#[derive(Clone, Debug)]
pub struct CanReportRevocations {
    /// How many events may wait at an endpoint.
    pub waiting: i64,
}

impl Operation for CanReportRevocations {
    type Output = bool;

    async fn run(&self, tx: &mut impl Tx) -> Result<bool, TxError> {
        let noted = "SELECT 1 AS found FROM revocations_to_report LIMIT 1";
        if tx.query_opt(noted, &[]).await?.is_none() {
            return Ok(false);
        }
        let sql = "SELECT id FROM webhooks WHERE deleted_at IS NULL AND disabled_at IS NULL";
        let mut endpoints = tx.query(sql, &[]).await?;
        for endpoint in &mut endpoints {
            let sql = "SELECT count(*) FROM (SELECT 1 FROM webhook_deliveries
                         WHERE webhook_id = $1 AND state = 'waiting' LIMIT $2) AS waiting";
            if tx.query_one(sql, &[endpoint.text()?.into(), self.waiting.into()]).await?.int()? < self.waiting {
                return Ok(true);
            }
        }
        // With no endpoint left, the notes go.
        Ok(endpoints.is_empty())
    }
}

/// Writes the events of keys that were revoked together: a step of them. An event and the end of its note are one
/// transaction, so each key is reported once, whichever server does it and whenever that is killed.
#[derive(Clone, Debug)]
pub struct ReportRevocations {
    /// Maximum number of keys.
    pub limit: i64,
}

impl Operation for ReportRevocations {
    /// Whether there may be more.
    type Output = bool;

    const URGENCY: Urgency = Urgency::Patient;

    async fn run(&self, tx: &mut impl Tx) -> Result<bool, TxError> {
        let sql = "SELECT audit_id, key_id, revoked_at FROM revocations_to_report ORDER BY audit_id, key_id LIMIT $1";
        let mut rows = tx.query(sql, &[self.limit.into()]).await?;
        for row in &mut rows {
            let (id, key, at): (AuditId, KeyId, _) = (row.parsed()?, row.parsed()?, row.time()?);
            let sql = "DELETE FROM revocations_to_report WHERE audit_id = $1 AND key_id = $2";
            if tx.execute(sql, &[id.as_str().into(), key.as_str().into()]).await? > 0 {
                let details = Details::new();
                let audit = AuditContext { id, at, trace_id: None, actor: None, address: None, details };
                report(tx, &key, &audit, EventType::KeyRevoked).await?;
            }
        }
        Ok(i64::try_from(rows.len()).unwrap_or(i64::MAX) >= self.limit)
    }
}
