//! Removing what was sent to deleted endpoints, step by step, and then the endpoints.

use crate::{
    sweep::Sweep,
    tx::{Operation, Tx, TxError, Urgency},
};

/// Removes the deliveries of deleted endpoints, and then the endpoints: at most [`Sweep::STEP`] rows. Returns how many.
#[derive(Clone)]
pub(crate) struct RemoveDeletedWebhooks;

impl Operation for RemoveDeletedWebhooks {
    type Output = u64;

    const URGENCY: Urgency = Urgency::Patient;

    async fn run(&self, tx: &mut impl Tx) -> Result<u64, TxError> {
        let sql = "SELECT id FROM webhooks WHERE deleted_at IS NOT NULL ORDER BY id LIMIT 1";
        let Some(mut webhook) = tx.query_opt(sql, &[]).await? else { return Ok(0) };
        let id = webhook.text()?;
        let sql = "DELETE FROM webhook_deliveries WHERE webhook_id = $1 AND event_id IN
                     (SELECT event_id FROM webhook_deliveries WHERE webhook_id = $1 ORDER BY event_id LIMIT $2)";
        let removed = tx.execute(sql, &[id.as_str().into(), Sweep::STEP.into()]).await?;
        if removed >= Sweep::STEP.unsigned_abs() {
            return Ok(removed);
        }
        Ok(removed + tx.execute("DELETE FROM webhooks WHERE id = $1 AND deleted_at IS NOT NULL", &[id.into()]).await?)
    }
}
