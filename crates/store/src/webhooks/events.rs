//! Events to be sent (a transactional outbox): an event is written in the transaction of the change that it reports, once
//! for each endpoint that receives it. So no event is lost, and none reports what did not happen.

use doorward_core::{
    clock::Timestamp,
    id::{ApiId, EventId, WebhookId},
    rights::Belongs,
    webhook_event::EventType,
};
use serde_json::{Map, Value as Json};

use super::{SELECT, SeenWebhook, webhook};
use crate::{
    ChangesOne,
    audit::{AuditAction, AuditContext},
    record::{json, readable},
    tx::{Operation, Tx, TxError},
};

/// An event for endpoints. It contains no secret, since receivers may store it anywhere.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its id, by which receivers know what they have seen.
    pub id: EventId,
    /// What happened.
    pub event_type: EventType,
    /// When.
    pub at: Timestamp,
    /// The APIs that it is about, for the limits of endpoints.
    pub apis: Vec<ApiId>,
    /// The id of the owner whom it is about, for the same.
    pub owner: Option<String>,
    /// What is sent as `data`.
    pub data: Map<String, Json>,
}

impl Event {
    /// The event of an operation: what happened to `subject`, the id of a thing. It belongs to no API and no owner yet.
    pub fn new(audit: &AuditContext, event_type: EventType, subject: &str) -> Self {
        let id = EventId::derived(&audit.id, event_type.as_str(), subject);
        Self { id, event_type, at: audit.at, apis: Vec::new(), owner: None, data: Map::new() }
    }

    /// Says whose it is: an endpoint with limits gets only what they admit.
    pub fn belonging(self, apis: &[ApiId], owner: Option<&str>) -> Self {
        Self { apis: apis.to_vec(), owner: owner.map(str::to_owned), ..self }
    }

    /// Adds a member of `data`.
    pub fn with(mut self, member: &str, value: impl Into<Json>) -> Self {
        self.data.insert(member.to_owned(), value.into());
        self
    }
}

/// Writes an event for every endpoint that receives it, in the transaction of the change that it reports. Without an
/// endpoint, that is one query of an empty table.
pub async fn enqueue(tx: &mut impl Tx, event: &Event) -> Result<(), TxError> {
    // An error here would roll the change back, so an endpoint that this program can't read is skipped.
    let endpoints = readable("webhook", tx.query(ENABLED, &[]).await?, webhook)?;
    let belongs = Belongs { apis: event.apis.clone(), owner: event.owner.as_deref() };
    for endpoint in endpoints.iter().filter(|endpoint| endpoint.metadata.gets(&event.event_type, &belongs)) {
        insert(tx, &endpoint.id, event).await?;
    }
    Ok(())
}

/// Writes a delivery that is due at once, unless the endpoint was deleted or disabled meanwhile.
async fn insert(tx: &mut impl Tx, webhook: &WebhookId, event: &Event) -> Result<bool, TxError> {
    let sql = "INSERT INTO webhook_deliveries
                 (webhook_id, event_id, event_type, data, occurred_at, state, attempts, due_at)
               SELECT id, $1, $2, $3, CAST($4 AS bigint), 'waiting', 0, CAST($4 AS bigint) FROM webhooks
               WHERE id = $5 AND deleted_at IS NULL AND disabled_at IS NULL
               ON CONFLICT (webhook_id, event_id) DO NOTHING";
    let row = [
        event.id.as_str().into(),
        event.event_type.as_str().into(),
        json(&event.data),
        event.at.into(),
        webhook.as_str().into(),
    ];
    Ok(tx.execute(sql, &row).await? > 0)
}

/// Sends an event to one endpoint, whatever it is limited to: a test. Returns whether there is such an endpoint, and it is
/// enabled.
#[derive(Clone, Debug)]
pub struct SendEvent {
    /// The endpoint.
    pub webhook: WebhookId,
    /// What is sent.
    pub event: Event,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

impl Operation for SendEvent {
    type Output = bool;

    async fn run(&self, tx: &mut impl Tx) -> Result<bool, TxError> {
        let is_sent = insert(tx, &self.webhook, &self.event).await?;
        if is_sent {
            let event = self.audit.event(AuditAction::WebhookTested).about(&self.webhook);
            event.with("event", &self.event.id).append(tx).await?;
        }
        Ok(is_sent)
    }
}

impl ChangesOne for SendEvent {
    type Seen = SeenWebhook;

    async fn lock(&self, tx: &mut impl Tx) -> Result<Option<SeenWebhook>, TxError> {
        SeenWebhook::lock(tx, &self.webhook).await
    }
}

const ENABLED: &str = crate::sql::sql!("{} AND disabled_at IS NULL ORDER BY id", SELECT);
