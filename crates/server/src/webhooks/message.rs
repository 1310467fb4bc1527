//! A message to an endpoint, signed (Standard Webhooks 1.0.0).

use doorward_core::{clock::Timestamp, digest::MasterKey, webhook::WebhookUrl, webhook_secret::signatures};
use doorward_store::webhooks::{DeliveryRecord, WebhookRecord};
use serde::Serialize;
use serde_json::Value;

use super::secrets::{self, SecretUnreadable};

/// What one attempt sends.
pub(crate) struct Message {
    pub(crate) url: WebhookUrl,
    /// The header `webhook-id`.
    pub(super) id: String,
    /// The header `webhook-timestamp`: the time of this attempt.
    pub(super) attempt_at: Timestamp,
    /// The header `webhook-signature`.
    pub(super) signature: String,
    pub(super) payload: Vec<u8>,
}

/// Why a message can't be created.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoMessage {
    #[error("the event does not read back")]
    Event(#[from] serde_json::Error),
    #[error(transparent)]
    Secret(#[from] SecretUnreadable),
}

/// The body. `occurred_at` is in RFC 3339.
#[derive(Serialize)]
struct Payload<'a> {
    #[serde(rename = "type")]
    event_type: &'a str,
    timestamp: &'a str,
    data: Value,
}

impl Message {
    /// Signs an event for an endpoint, at this moment, with each of its secrets that counts now.
    pub(crate) fn new(
        webhook: &WebhookRecord,
        delivery: &DeliveryRecord,
        occurred_at: &str,
        master_keys: &[MasterKey],
        now: Timestamp,
    ) -> Result<Self, NoMessage> {
        let data = serde_json::from_str(&delivery.data)?;
        let payload = Payload { event_type: delivery.event_type.as_str(), timestamp: occurred_at, data };
        let payload = serde_json::to_vec(&payload)?;
        let open = |sealed| secrets::open(master_keys, &webhook.id, sealed);
        let mut signing = vec![open(&webhook.secret)?];
        if let Some(previous) = webhook.previous.as_ref().filter(|previous| previous.ends_at > now) {
            signing.push(open(&previous.secret)?);
        }
        let id = delivery.event_id.to_string();
        let signature = signatures(&signing, &id, now, &payload);
        Ok(Self { url: webhook.metadata.url.clone(), id, attempt_at: now, signature, payload })
    }
}
