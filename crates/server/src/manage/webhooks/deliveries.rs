//! What was sent to an endpoint, what came of it, and sending it again.

use doorward_core::{clock::Timestamp, id::EventId, webhook_event::EventType, webhook_retry::DeliveryState};
use doorward_store::{
    IfUnchanged,
    webhooks::{
        DeliveryRecord, Event, FindDelivery, ListDeliveries, ReplayDead, ReplayDelivery, SendEvent, WebhookRecord,
    },
};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{WebhookView, find_reached};
use crate::{
    actor::Actor,
    app::App,
    manage::{
        ManageError,
        attempts::{outcome, until_done},
        page::{Page, page},
        times,
    },
};

/// An event for an endpoint, with what came of it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = WebhookDelivery)]
pub struct DeliveryView {
    /// The id of the event: the header `webhook-id`, the same at each attempt.
    pub id: EventId,
    /// What happened.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// When it happened.
    #[serde(serialize_with = "times::serialize")]
    pub timestamp: Timestamp,
    /// What is sent about it.
    #[schema(value_type = Object)]
    pub data: Map<String, Value>,
    /// Whether it was delivered: it waits for an attempt, was `delivered`, or is `dead` and sent again only by a replay.
    pub state: DeliveryState,
    /// How many attempts there were since it was first sent, or last replayed.
    pub attempts: u32,
    /// When the next attempt is due, if it waits.
    #[serde(serialize_with = "times::optional")]
    pub next_attempt_at: Option<Timestamp>,
    /// When the last attempt began.
    #[serde(serialize_with = "times::optional")]
    pub last_attempt_at: Option<Timestamp>,
    /// The status that the last attempt was answered with, if it was yet.
    pub last_status: Option<u16>,
    /// Why the last attempt failed, if it has.
    pub last_error: Option<String>,
    /// When it was delivered or given up.
    #[serde(serialize_with = "times::optional")]
    pub finished_at: Option<Timestamp>,
}

impl From<DeliveryRecord> for DeliveryView {
    fn from(delivery: DeliveryRecord) -> Self {
        Self {
            id: delivery.event_id,
            event_type: delivery.event_type,
            timestamp: delivery.occurred_at,
            data: serde_json::from_str(&delivery.data).unwrap_or_default(),
            state: delivery.state,
            attempts: delivery.attempts,
            next_attempt_at: delivery.due_at,
            last_attempt_at: delivery.last_attempt_at,
            last_status: delivery.last_status,
            last_error: delivery.last_error,
            finished_at: delivery.finished_at,
        }
    }
}

/// A page of what was sent to an endpoint, the newest event first, of those before an event.
pub async fn deliveries(
    app: &App,
    actor: &Actor,
    id: &str,
    state: Option<DeliveryState>,
    before: Option<EventId>,
    limit: usize,
) -> Result<Page<DeliveryView, EventId>, ManageError> {
    let webhook = find_reached(app, actor, id).await?.id;
    let read = |before, limit| {
        let list = ListDeliveries { webhook: webhook.clone(), state, before, limit };
        async move { Ok(app.store.read(list).await?) }
    };
    let show = |delivery: DeliveryRecord| Some(delivery.into());
    page(before, limit, read, |delivery: &DeliveryRecord| delivery.event_id.clone(), show).await
}

/// What became of an event at an endpoint.
pub async fn delivery(app: &App, actor: &Actor, id: &str, event: &str) -> Result<DeliveryView, ManageError> {
    let webhook = find_reached(app, actor, id).await?;
    Ok(find(app, &webhook, event).await?.into())
}

async fn find(app: &App, webhook: &WebhookRecord, event: &str) -> Result<DeliveryRecord, ManageError> {
    let parsed = EventId::parse(event).map_err(|_| unknown(event))?;
    let found = app.store.read(FindDelivery { webhook: webhook.id.clone(), event: parsed }).await?;
    found.ok_or_else(|| unknown(event))
}

fn unknown(event: &str) -> ManageError {
    ManageError::NotFound { kind: "delivery", name: event.to_owned() }
}

/// Sends an event to its endpoint again, whatever became of it. One that waits is not tried any earlier. `check` may refuse
/// what is shown of the delivery.
pub async fn replay(
    app: &App,
    actor: &Actor,
    id: &str,
    event: &str,
    check: impl Fn(&DeliveryView) -> Result<(), ManageError>,
) -> Result<DeliveryView, ManageError> {
    let webhook = find_enabled(app, actor, id).await?;
    until_done("this delivery", || async {
        let from = find(app, &webhook, event).await?;
        let shown = DeliveryView::from(from.clone());
        check(&shown)?;
        if from.state == DeliveryState::Waiting {
            return Ok(Some(shown));
        }
        let (webhook, event_id) = (webhook.id.clone(), from.event_id.clone());
        let change = ReplayDelivery { webhook, event: event_id, now: app.now(), audit: app.audit(actor) };
        outcome(app.commit(IfUnchanged { from, change }).await?, shown, || unknown(event))
    })
    .await?;
    Ok(find(app, &webhook, event).await?.into())
}

/// Sends all events to an endpoint again that were given up, or those that happened at a time or later. Returns how many.
/// `check` may refuse what is shown of the endpoint.
pub async fn replay_dead(
    app: &App,
    actor: &Actor,
    id: &str,
    since: Option<Timestamp>,
    check: impl Fn(&WebhookView) -> Result<(), ManageError>,
) -> Result<u64, ManageError> {
    let (mut after, mut count) = (None, 0);
    loop {
        let after_last: &Option<EventId> = &after;
        let step = until_done("this webhook", || async {
            let found = find_enabled(app, actor, id).await?;
            check(&WebhookView::of(found.clone(), app.now()))?;
            let (from, now, audit) = (found.seen(), app.now(), app.audit(actor));
            let after = after_last.clone();
            Ok(app.commit(ReplayDead { webhook: found.id, from, since, after, now, audit }).await?)
        })
        .await?;
        count += step.count;
        match step.last {
            Some(last) => after = Some(last),
            None => return Ok(count),
        }
    }
}

/// Sends an endpoint the event `webhook.test`. `check` may refuse what is shown of the endpoint.
pub async fn test(
    app: &App,
    actor: &Actor,
    id: &str,
    check: impl Fn(&WebhookView) -> Result<(), ManageError>,
) -> Result<DeliveryView, ManageError> {
    let (webhook, event) = until_done("this webhook", || async {
        let webhook = find_enabled(app, actor, id).await?;
        check(&WebhookView::of(webhook.clone(), app.now()))?;
        let audit = app.audit(actor);
        let event = Event::new(&audit, EventType::WebhookTest, webhook.id.as_str());
        let event = event.with("webhook_id", webhook.id.as_str());
        let (from, sent) = (webhook.seen(), event.id.clone());
        let change = SendEvent { webhook: webhook.id.clone(), event, audit };
        outcome(app.commit(IfUnchanged { from, change }).await?, (webhook, sent), || super::unknown(id))
    })
    .await?;
    Ok(find(app, &webhook, event.as_str()).await?.into())
}

/// What is disabled would give up at once what it is sent.
async fn find_enabled(app: &App, actor: &Actor, id: &str) -> Result<WebhookRecord, ManageError> {
    let webhook = find_reached(app, actor, id).await?;
    match webhook.disabled_at {
        None => Ok(webhook),
        Some(_) => Err(ManageError::Conflict("the webhook is disabled; enable it first".to_owned())),
    }
}
