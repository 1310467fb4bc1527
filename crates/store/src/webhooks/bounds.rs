//! How much is kept of what was sent to an endpoint: beyond a number, the oldest that wait are given up, and the oldest that
//! are finished are removed.

use doorward_core::{
    clock::Timestamp,
    id::WebhookId,
    webhook_retry::DeliveryState::{self, Dead, Delivered, Waiting},
};

use crate::{
    sweep::Sweep,
    tx::{Operation, Tx, TxError, Urgency, Value},
};

/// Keeps the deliveries of an endpoint in one state within a bound: a step of at most [`Sweep::STEP`] rows.
#[derive(Clone, Debug)]
pub struct BoundDeliveries {
    /// The endpoint.
    pub webhook: WebhookId,
    /// Which of its deliveries.
    pub state: DeliveryState,
    /// How many are kept.
    pub most: i64,
    /// The current time by the caller's clock.
    pub now: Timestamp,
}

impl Operation for BoundDeliveries {
    /// How many rows were changed. As many as [`Sweep::STEP`]: more may be waiting.
    type Output = u64;

    const URGENCY: Urgency = Urgency::Patient;

    async fn run(&self, tx: &mut impl Tx) -> Result<u64, TxError> {
        let (id, state) = (Value::from(self.webhook.as_str()), Value::from(self.state.as_str()));
        let sql = "SELECT count(*) FROM
                     (SELECT 1 FROM webhook_deliveries WHERE webhook_id = $1 AND state = $2 LIMIT $3) AS kept";
        let look = (self.most + Sweep::STEP).into();
        let beyond = tx.query_one(sql, &[id.clone(), state.clone(), look]).await?.int()? - self.most;
        if beyond <= 0 {
            return Ok(0);
        }
        match self.state {
            Waiting => {
                let sql =
                    "UPDATE webhook_deliveries SET state = 'dead', due_at = NULL, finished_at = $4, last_error = $5
                           WHERE webhook_id = $1 AND state = $2 AND event_id IN
                             (SELECT event_id FROM webhook_deliveries WHERE webhook_id = $1 AND state = $2
                              ORDER BY event_id LIMIT $3)";
                tx.execute(sql, &[id, state, beyond.into(), self.now.into(), TOO_MANY.into()]).await
            }
            Dead | Delivered => {
                let sql = "DELETE FROM webhook_deliveries WHERE webhook_id = $1 AND state = $2 AND event_id IN
                             (SELECT event_id FROM webhook_deliveries WHERE webhook_id = $1 AND state = $2
                              ORDER BY event_id LIMIT $3)";
                tx.execute(sql, &[id, state, beyond.into()]).await
            }
        }
    }
}

const TOO_MANY: &str = "too many events were waiting for this endpoint";

/// How many deliveries wait, of all endpoints together.
#[derive(Clone, Debug)]
pub struct CountWaiting;

impl Operation for CountWaiting {
    type Output = i64;

    async fn run(&self, tx: &mut impl Tx) -> Result<i64, TxError> {
        tx.query_one("SELECT count(*) FROM webhook_deliveries WHERE due_at IS NOT NULL", &[]).await?.int()
    }
}
