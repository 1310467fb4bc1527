//! The end of a key, for good or until it is enabled again.

use doorward_core::{clock::Timestamp, id::KeyId, webhook_event::EventType};

use super::events::report;

use crate::{
    ChangeKind, append_change,
    audit::{AuditAction, AuditContext},
    tx::{Operation, Tx, TxError, Value},
};

/// What became of a revocation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyRevocation {
    /// It had been revoked before.
    Before,
    /// It is revoked now.
    Now,
    /// There is no such key.
    Unknown,
}

/// Revokes a key for good.
#[derive(Clone, Debug)]
pub struct RevokeKey {
    /// The key to revoke; revoking it again changes nothing.
    pub id: KeyId,
    /// The current time by the caller's clock.
    pub now: Timestamp,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

impl Operation for RevokeKey {
    type Output = KeyRevocation;

    async fn run(&self, tx: &mut impl Tx) -> Result<KeyRevocation, TxError> {
        let id = self.id.as_str();
        let sql = "UPDATE api_keys SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL";
        if tx.execute(sql, &[self.now.into(), id.into()]).await? == 0 {
            let exists = tx.query("SELECT id FROM api_keys WHERE id = $1", &[id.into()]).await?;
            return Ok(if exists.is_empty() { KeyRevocation::Unknown } else { KeyRevocation::Before });
        }
        self.audit.event(AuditAction::KeyRevoked).about(id).append(tx).await?;
        report(tx, &self.id, &self.audit, EventType::KeyRevoked).await?;
        append_change(tx, ChangeKind::Key, id, self.now).await?;
        Ok(KeyRevocation::Now)
    }
}

/// Disables a key, or enables it again. A key that is revoked stays as it is.
#[derive(Clone, Debug)]
pub struct DisableKey {
    /// The key to change.
    pub id: KeyId,
    /// Whether it is disabled from now on, or enabled.
    pub is_disabled: bool,
    /// The current time by the caller's clock.
    pub now: Timestamp,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

impl Operation for DisableKey {
    /// Whether anything changed.
    type Output = bool;

    async fn run(&self, tx: &mut impl Tx) -> Result<bool, TxError> {
        let id = self.id.as_str();
        let (sql, action) = match self.is_disabled {
            true => (
                "UPDATE api_keys SET disabled_at = $2 WHERE id = $1 AND disabled_at IS NULL AND revoked_at IS NULL",
                AuditAction::KeyDisabled,
            ),
            false => (
                "UPDATE api_keys SET disabled_at = NULL WHERE id = $1 AND disabled_at IS NOT NULL AND revoked_at IS NULL",
                AuditAction::KeyEnabled,
            ),
        };
        let id_alone = [id.into()];
        let with_time = [id.into(), self.now.into()];
        let parameters: &[Value] = if self.is_disabled { &with_time } else { &id_alone };
        let is_changed = tx.execute(sql, parameters).await? > 0;
        if is_changed {
            self.audit.event(action).about(id).append(tx).await?;
            append_change(tx, ChangeKind::Key, id, self.now).await?;
        }
        Ok(is_changed)
    }
}
