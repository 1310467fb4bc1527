//! What was sent to an endpoint: listed, and sent again.

use doorward_core::{
    clock::Timestamp,
    id::{EventId, WebhookId},
    webhook_event::EventType,
    webhook_retry::DeliveryState,
};

use super::SeenWebhook;
use crate::{
    ChangesOne,
    audit::{AuditAction, AuditContext},
    record::{Page, readable_page},
    sql::sql,
    tx::{Operation, Row, Tx, TxError},
};

/// An event for an endpoint, with what came of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeliveryRecord {
    /// The event, which is the delivery's id at its endpoint.
    pub event_id: EventId,
    /// What happened.
    pub event_type: EventType,
    /// What is sent as `data`, as JSON.
    pub data: String,
    /// When the event was.
    pub occurred_at: Timestamp,
    /// Whether it was delivered.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried, if it waits.
    pub due_at: Option<Timestamp>,
    /// When it was last tried.
    pub last_attempt_at: Option<Timestamp>,
    /// The status of the last answer, if there was one.
    pub last_status: Option<u16>,
    /// Why the last attempt failed, if it did.
    pub last_error: Option<String>,
    /// When it was delivered or given up.
    pub finished_at: Option<Timestamp>,
}

/// Finds what became of an event at an endpoint.
#[derive(Clone, Debug)]
pub struct FindDelivery {
    /// The endpoint.
    pub webhook: WebhookId,
    /// The event.
    pub event: EventId,
}

impl Operation for FindDelivery {
    type Output = Option<DeliveryRecord>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Option<DeliveryRecord>, TxError> {
        let sql = sql!("SELECT {} FROM webhook_deliveries WHERE webhook_id = $1 AND event_id = $2", COLUMNS);
        let key = [self.webhook.as_str().into(), self.event.as_str().into()];
        tx.query_opt(sql, &key).await?.as_mut().map(delivery).transpose()
    }
}

/// What was sent to an endpoint, the newest event first.
#[derive(Clone, Debug)]
pub struct ListDeliveries {
    /// The endpoint.
    pub webhook: WebhookId,
    /// Only those in this state.
    pub state: Option<DeliveryState>,
    /// Only events before this one.
    pub before: Option<EventId>,
    /// Maximum number of rows.
    pub limit: i64,
}

impl Operation for ListDeliveries {
    type Output = Vec<DeliveryRecord>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Vec<DeliveryRecord>, TxError> {
        let mut filter = vec![self.webhook.as_str().into()];
        let sql = match self.state {
            None => sql!("SELECT {} FROM webhook_deliveries WHERE webhook_id = $3 AND {}", COLUMNS, BEFORE),
            Some(state) => {
                filter.push(state.as_str().into());
                sql!("SELECT {} FROM webhook_deliveries WHERE webhook_id = $3 AND state = $4 AND {}", COLUMNS, BEFORE)
            }
        };
        let after = [self.before.as_ref().map_or_else(|| AFTER_ALL.to_owned(), EventId::to_string)];
        readable_page(tx, Page { kind: "delivery", sql, after, limit: self.limit, filter }, delivery).await
    }
}

/// What sorts after every id of an event.
const AFTER_ALL: &str = "evu";
const BEFORE: &str = "event_id < $1 ORDER BY event_id DESC LIMIT $2";

/// Sends an event to its endpoint again, whatever became of it. Returns whether it did: not while it waits.
#[derive(Clone, Debug)]
pub struct ReplayDelivery {
    /// The endpoint.
    pub webhook: WebhookId,
    /// The event.
    pub event: EventId,
    /// The current time by the caller's clock.
    pub now: Timestamp,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

impl Operation for ReplayDelivery {
    type Output = bool;

    async fn run(&self, tx: &mut impl Tx) -> Result<bool, TxError> {
        let sql = sql!("{} WHERE webhook_id = $2 AND event_id = $3 AND state <> 'waiting'", AGAIN);
        let row = [self.now.into(), self.webhook.as_str().into(), self.event.as_str().into()];
        let is_replayed = tx.execute(sql, &row).await? > 0;
        if is_replayed {
            let event = self.audit.event(AuditAction::WebhookReplayed).about(&self.webhook);
            event.with("event", &self.event).append(tx).await?;
        }
        Ok(is_replayed)
    }
}

impl ChangesOne for ReplayDelivery {
    type Seen = DeliveryRecord;

    async fn lock(&self, tx: &mut impl Tx) -> Result<Option<DeliveryRecord>, TxError> {
        let sql = sql!(
            "UPDATE webhook_deliveries SET attempts = attempts WHERE webhook_id = $1 AND event_id = $2 RETURNING {}",
            COLUMNS
        );
        let key = [self.webhook.as_str().into(), self.event.as_str().into()];
        tx.query_opt(sql, &key).await?.as_mut().map(delivery).transpose()
    }
}

/// Sends events to an endpoint again that were given up: a step of them, the oldest first.
#[derive(Clone, Debug)]
pub struct ReplayDead {
    /// The endpoint.
    pub webhook: WebhookId,
    /// What the caller read of it.
    pub from: SeenWebhook,
    /// Only events at this time or later.
    pub since: Option<Timestamp>,
    /// Only events after this one, where the step before ended.
    pub after: Option<EventId>,
    /// The current time by the caller's clock.
    pub now: Timestamp,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

/// A step of [`ReplayDead`].
#[derive(Clone, Debug)]
pub struct Replayed {
    /// How many events.
    pub count: u64,
    /// The last of them, if there may be more.
    pub last: Option<EventId>,
}

impl ReplayDead {
    /// Events of a step at most: no other writer waits for longer than a few milliseconds.
    pub const STEP: i64 = 100;
}

impl Operation for ReplayDead {
    /// `None`: the endpoint was changed or deleted since the caller read it. Nothing is sent.
    type Output = Option<Replayed>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Option<Replayed>, TxError> {
        if SeenWebhook::lock(tx, &self.webhook).await?.as_ref() != Some(&self.from) {
            return Ok(None);
        }
        let since = self.since.map_or_else(String::new, EventId::floor);
        let after = self.after.as_ref().map_or("", EventId::as_str);
        let sql = sql!(
            "{} WHERE webhook_id = $2 AND state = 'dead' AND event_id IN
                 (SELECT event_id FROM webhook_deliveries
                  WHERE webhook_id = $2 AND state = 'dead' AND event_id >= $3 AND event_id > $4
                  ORDER BY event_id LIMIT $5)
               RETURNING event_id",
            AGAIN
        );
        let row = [self.now.into(), self.webhook.as_str().into(), since.into(), after.into(), Self::STEP.into()];
        let mut rows = tx.query(sql, &row).await?;
        let events: Vec<EventId> = rows.iter_mut().map(Row::parsed).collect::<Result<_, _>>()?;
        let count = events.len() as u64;
        if count > 0 {
            let event = self.audit.event(AuditAction::WebhookReplayed).about(&self.webhook);
            event.with("events", count).append(tx).await?;
        }
        let last = events.into_iter().max().filter(|_| count >= Self::STEP.unsigned_abs());
        Ok(Some(Replayed { count, last }))
    }
}

const AGAIN: &str = "UPDATE webhook_deliveries SET state = 'waiting', attempts = 0, due_at = $1, finished_at = NULL";

pub(super) const COLUMNS: &str = "event_id, event_type, data, occurred_at, state, attempts, due_at, last_attempt_at, \
                                  last_status, last_error, finished_at";

pub(super) fn delivery(row: &mut Row) -> Result<DeliveryRecord, TxError> {
    Ok(DeliveryRecord {
        event_id: row.parsed()?,
        event_type: row.text()?.into(),
        data: row.text()?,
        occurred_at: row.time()?,
        state: row.word()?,
        attempts: u32::try_from(row.int()?).map_err(|_| row.unreadable())?,
        due_at: row.opt_time()?,
        last_attempt_at: row.opt_time()?,
        last_status: row.opt_int()?.map(u16::try_from).transpose().map_err(|_| row.unreadable())?,
        last_error: row.opt_text()?,
        finished_at: row.opt_time()?,
    })
}
