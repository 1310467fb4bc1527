//! Attempts to deliver: a node claims what is due, sends it, and writes what came of it.
//!
//! A claim is the time until which nobody else tries: `due_at` is set ahead. A node that is killed with a claim writes
//! nothing, and the delivery is due again when that time comes. So each is delivered at least once.
//!
//! Easy to get wrong: a node that was slow may come back after its claim has ended and another node has tried. It names its
//! claim, and changes nothing then.

use doorward_core::{
    clock::Timestamp,
    id::{EventId, WebhookId},
    webhook_retry::is_given_up,
};

use super::{
    SELECT, WebhookRecord,
    deliveries::{COLUMNS, DeliveryRecord, delivery},
    webhook,
};
use crate::{
    audit::{AuditAction, AuditContext},
    record::readable,
    sql::sql,
    tx::{Operation, Tx, TxError, Urgency, Value},
};

/// The endpoints for which something is due.
#[derive(Clone, Debug)]
pub struct WebhooksWithDue {
    /// The current time by the caller's clock.
    pub now: Timestamp,
}

impl Operation for WebhooksWithDue {
    type Output = Vec<WebhookRecord>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Vec<WebhookRecord>, TxError> {
        let sql = sql!(
            "{} AND EXISTS (SELECT 1 FROM webhook_deliveries WHERE webhook_id = webhooks.id AND due_at <= $1)
               ORDER BY id",
            SELECT
        );
        readable("webhook", tx.query(sql, &[self.now.into()]).await?, webhook)
    }
}

/// Claims what is due for an endpoint, what waits for longest first.
#[derive(Clone, Debug)]
pub struct ClaimDeliveries {
    /// The endpoint.
    pub webhook: WebhookId,
    /// The current time by the caller's clock.
    pub now: Timestamp,
    /// Until when nobody else tries.
    pub until: Timestamp,
    /// At most so many.
    pub limit: i64,
}

impl Operation for ClaimDeliveries {
    type Output = Vec<DeliveryRecord>;

    const URGENCY: Urgency = Urgency::Patient;

    async fn run(&self, tx: &mut impl Tx) -> Result<Vec<DeliveryRecord>, TxError> {
        // Two nodes may find the same rows. The second waits for the first, and looks at the condition again.
        let sql = sql!(
            "UPDATE webhook_deliveries SET attempts = attempts + 1, due_at = $1, last_attempt_at = $2,
               last_status = NULL, last_error = NULL
             WHERE webhook_id = $3 AND due_at <= $2 AND event_id IN
               (SELECT event_id FROM webhook_deliveries WHERE webhook_id = $3 AND due_at <= $2
                ORDER BY due_at LIMIT $4)
             RETURNING {}",
            COLUMNS
        );
        let row = [self.until.into(), self.now.into(), self.webhook.as_str().into(), self.limit.into()];
        let rows = tx.query(sql, &row).await?;
        readable("delivery", rows, delivery)
    }
}

/// What an attempt came to, as it is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It was delivered.
    Delivered,
    /// It failed, and is not tried again by itself.
    Dead {
        /// Whether the endpoint wants no more messages.
        is_gone: bool,
        /// Whether the endpoint was asked at all: else it is not its failure.
        was_asked: bool,
    },
    /// It failed, and is tried again then.
    Retry(Timestamp),
}

/// Writes what an attempt came to, and what follows for its endpoint.
#[derive(Clone, Debug)]
pub struct FinishDelivery {
    /// The endpoint.
    pub webhook: WebhookId,
    /// The event.
    pub event: EventId,
    /// Until when it was claimed.
    pub claimed_until: Timestamp,
    /// What it came to.
    pub outcome: Outcome,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// The current time by the caller's clock.
    pub now: Timestamp,
    /// Whether that clock is plausible: by another one, no endpoint is given up.
    pub is_plausible: bool,
    /// The origin for the audit row, if the endpoint is disabled.
    pub audit: AuditContext,
}

/// What came of writing it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Finished {
    /// It was written, and the endpoint was disabled: `gone` or `failing`.
    Disabled(&'static str),
    /// The claim had ended, and somebody else tried meanwhile. Nothing was written.
    TooLate,
    /// It was written.
    Written,
}

impl Operation for FinishDelivery {
    type Output = Finished;

    const URGENCY: Urgency = Urgency::Patient;

    async fn run(&self, tx: &mut impl Tx) -> Result<Finished, TxError> {
        let (state, due_at, finished_at) = match self.outcome {
            Outcome::Delivered => ("delivered", None, Some(self.now)),
            Outcome::Dead { .. } => ("dead", None, Some(self.now)),
            Outcome::Retry(at) => ("waiting", Some(at), None),
        };
        let sql = "UPDATE webhook_deliveries
                   SET state = $1, due_at = $2, finished_at = $3, last_status = $4, last_error = $5
                   WHERE webhook_id = $6 AND event_id = $7 AND state = 'waiting' AND due_at = $8";
        let row = [
            state.into(),
            due_at.into(),
            finished_at.into(),
            self.status.map(i64::from).into(),
            self.error.clone().into(),
            self.webhook.as_str().into(),
            self.event.as_str().into(),
            self.claimed_until.into(),
        ];
        if tx.execute(sql, &row).await? == 0 {
            return Ok(Finished::TooLate);
        }
        let id = Value::from(self.webhook.as_str());
        match self.outcome {
            Outcome::Dead { was_asked: false, .. } => Ok(Finished::Written),
            Outcome::Delivered => {
                let sql = "UPDATE webhooks SET failing_since = NULL WHERE id = $1 AND failing_since IS NOT NULL";
                tx.execute(sql, &[id]).await?;
                Ok(Finished::Written)
            }
            Outcome::Dead { is_gone: true, .. } => self.disable(tx, "gone").await,
            Outcome::Dead { .. } | Outcome::Retry(_) => {
                let sql = "UPDATE webhooks SET failing_since = COALESCE(failing_since, $1) WHERE id = $2
                           RETURNING failing_since";
                let Some(mut row) = tx.query_opt(sql, &[self.now.into(), id]).await? else {
                    return Ok(Finished::Written);
                };
                match self.is_plausible && is_given_up(row.time()?, self.now) {
                    true => self.disable(tx, "failing").await,
                    false => Ok(Finished::Written),
                }
            }
        }
    }
}

impl FinishDelivery {
    /// Disables the endpoint, unless it is disabled already.
    async fn disable(&self, tx: &mut impl Tx, because: &'static str) -> Result<Finished, TxError> {
        let sql = "UPDATE webhooks SET disabled_at = $1, disabled_because = $2
                   WHERE id = $3 AND disabled_at IS NULL AND deleted_at IS NULL";
        if tx.execute(sql, &[self.now.into(), because.into(), self.webhook.as_str().into()]).await? == 0 {
            return Ok(Finished::Written);
        }
        let event = self.audit.event(AuditAction::WebhookDisabled).about(&self.webhook);
        event.with("because", because).append(tx).await?;
        Ok(Finished::Disabled(because))
    }
}
