//! Changing what is registered of an endpoint.

use doorward_core::{clock::Timestamp, id::WebhookId, webhook::WebhookMetadata};

use crate::{
    audit::{AuditAction, AuditContext},
    record::{Updated, replace_metadata},
    tx::{Operation, Tx, TxError},
};

/// Changes what is registered of an endpoint. What waits goes to its new URL.
#[derive(Clone, Debug)]
pub struct UpdateWebhook {
    /// The endpoint to change.
    pub id: WebhookId,
    /// What the change started from.
    pub from: WebhookMetadata,
    /// What is registered from now on.
    pub to: WebhookMetadata,
    /// The current time by the caller's clock.
    pub now: Timestamp,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

impl Operation for UpdateWebhook {
    type Output = Updated;

    async fn run(&self, tx: &mut impl Tx) -> Result<Updated, TxError> {
        let id = self.id.as_str();
        let lock =
            "UPDATE webhooks SET created_at = created_at WHERE id = $1 AND deleted_at IS NULL RETURNING metadata";
        let Some(mut row) = tx.query_opt(lock, &[id.into()]).await? else { return Ok(Updated::Unknown) };
        let Some(replaced) = replace_metadata(&mut row, &self.from, &self.to)? else { return Ok(Updated::Changed) };
        if replaced.members.is_empty() {
            return Ok(Updated::Done);
        }
        let row = [replaced.metadata, self.now.into(), id.into()];
        tx.execute("UPDATE webhooks SET metadata = $1, updated_at = $2 WHERE id = $3", &row).await?;
        let event = self.audit.event(AuditAction::WebhookUpdated).about(id);
        event.with("changed", replaced.members).append(tx).await?;
        Ok(Updated::Done)
    }
}
