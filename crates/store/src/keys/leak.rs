//! A key that leaked.
//!
//! Easy to get wrong: the reporter of a key must not learn by the time of the answer whether it exists. So each report
//! counts as an attempt in the same transaction, and a report of an unknown key is committed like any other.

use doorward_core::{clock::Timestamp, holder::Owner, id::KeyId, leaks::LeakPolicy, webhook_event::EventType};

use super::{FindKey, KeyRevocation, RevokeKey, SHOWN, ShownKey, events, shown_key};

use crate::{
    ChangeKind, append_change,
    audit::{AuditAction, AuditContext},
    failures::{Reservation, ReserveAttempt},
    sql::sql,
    tx::{Operation, Tx, TxError},
    webhooks::enqueue,
};

/// Takes in a report about a key, unless its reporter has to wait.
#[derive(Clone, Debug)]
pub struct ReportLeak {
    /// The counter of the reporter.
    pub attempt: ReserveAttempt,
    /// What is to be noted; `None` if there is no such key.
    pub leak: Option<Leak>,
}

/// A key that leaked.
#[derive(Clone, Debug)]
pub struct Leak {
    /// The key; reporting it again changes nothing.
    pub id: KeyId,
    /// What becomes of it.
    pub policy: LeakPolicy,
    /// Where it was found, as the first reporter said.
    pub source: Option<String>,
    /// The current time by the caller's clock.
    pub now: Timestamp,
    /// The reporter's origin for the audit row of this change.
    pub audit: AuditContext,
    /// The same for that of the revocation.
    pub audit_of_revocation: AuditContext,
}

impl Operation for ReportLeak {
    type Output = Reservation;

    async fn run(&self, tx: &mut impl Tx) -> Result<Reservation, TxError> {
        let reservation = self.attempt.run(tx).await?;
        if let (Reservation::Go, Some(leak)) = (reservation, &self.leak) {
            leak.run(tx).await?;
        }
        Ok(reservation)
    }
}

impl Operation for Leak {
    type Output = ();

    async fn run(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        let id = self.id.as_str();
        let sql = "UPDATE api_keys SET leaked_at = $2, leak_source = $3 WHERE id = $1 AND leaked_at IS NULL";
        let is_new = tx.execute(sql, &[id.into(), self.now.into(), self.source.clone().into()]).await? > 0;
        let revokes = self.policy == LeakPolicy::Revoke;
        let audit = self.audit_of_revocation.clone().with("because", "leaked");
        let revoke = RevokeKey { id: self.id.clone(), now: self.now, audit };
        let is_revoked = revokes && revoke.run(tx).await? == KeyRevocation::Now;
        if !is_new && !is_revoked {
            return Ok(());
        }
        let outcome = match (is_revoked, revokes) {
            (true, _) => "revoked",
            (false, true) => "revoked before",
            (false, false) => "flagged",
        };
        let mut event = self.audit.event(AuditAction::KeyLeaked).about(id).with("outcome", outcome);
        if let Some(source) = &self.source {
            event = event.with("source", source);
        }
        event.append(tx).await?;
        if let Some(key) = (FindKey { id: self.id.clone() }).run(tx).await? {
            let event = events::event(&key, &self.audit, EventType::KeyLeaked);
            enqueue(tx, &event.with("outcome", outcome).with("source", self.source.as_deref())).await?;
        }
        append_change(tx, ChangeKind::Key, id, self.now).await?;
        Ok(())
    }
}

/// The keys of an owner that leaked and have not ended, or that leaked lately, the latest first.
#[derive(Clone, Debug)]
pub struct ListLeakedKeys {
    /// The owner.
    pub owner: Owner,
    /// The current time by the caller's clock.
    pub now: Timestamp,
    /// Since when a key leaked lately: it is listed though it has ended.
    pub since: Timestamp,
    /// Maximum number of keys.
    pub limit: i64,
}

impl Operation for ListLeakedKeys {
    type Output = Vec<ShownKey>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Vec<ShownKey>, TxError> {
        let sql = sql!(
            "{} WHERE owner = $1 AND leaked_at IS NOT NULL
             AND (leaked_at >= $2 OR revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $3))
             ORDER BY leaked_at DESC LIMIT $4",
            SHOWN
        );
        let params = [self.owner.as_str().into(), self.since.into(), self.now.into(), self.limit.into()];
        let rows = tx.query(sql, &params).await?;
        rows.into_iter().map(|mut row| shown_key(&mut row)).collect()
    }
}
