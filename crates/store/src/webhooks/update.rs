//! Changing what is registered of an endpoint.

use doorward_core::{clock::Timestamp, id::WebhookId, webhook::WebhookMetadata};

use super::SeenWebhook;
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
    pub from: SeenWebhook,
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
        match SeenWebhook::lock(tx, &self.id).await? {
            None => return Ok(Updated::Unknown),
            Some(present) if present != self.from => return Ok(Updated::Changed),
            Some(_) => {}
        }
        let mut row = tx.query_one("SELECT metadata FROM webhooks WHERE id = $1", &[id.into()]).await?;
        let from = &self.from.metadata;
        let Some(replaced) = replace_metadata(&mut row, from, &self.to)? else { return Ok(Updated::Changed) };
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
