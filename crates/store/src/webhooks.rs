//! Webhooks: endpoints that events are sent to, and what was sent. See [`enqueue`] for how an event gets there.

use std::collections::BTreeSet;

use doorward_core::{clock::Timestamp, id::WebhookId, rights::Limits, webhook::WebhookMetadata};

mod attempts;
mod bounds;
mod deletion;
mod deliveries;
mod events;
mod update;

pub(crate) use self::deletion::RemoveDeletedWebhooks;
pub use self::{
    attempts::{ClaimDeliveries, FinishDelivery, Finished, Outcome, WebhooksWithDue},
    bounds::{BoundDeliveries, CountWaiting},
    deliveries::{DeliveryRecord, FindDelivery, ListDeliveries, ReplayDead, ReplayDelivery, Replayed},
    events::{Event, SendEvent, enqueue},
    update::UpdateWebhook,
};
use crate::{
    ChangesOne,
    audit::{AuditAction, AuditContext},
    record::{Page, json, readable_page},
    sql::sql,
    tx::{Operation, Row, Tx, TxError, Value},
};

/// An endpoint as it is remembered.
#[derive(Clone, Debug)]
pub struct WebhookRecord {
    /// Its id.
    pub id: WebhookId,
    /// What is registered of it.
    pub metadata: WebhookMetadata,
    /// The secret that signs.
    pub secret: SealedSecret,
    /// The secret before it, which signs as well until it ends.
    pub previous: Option<PreviousSecret>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When what is registered of it was last changed, or registered.
    pub updated_at: Timestamp,
    /// When it was disabled, if it is.
    pub disabled_at: Option<Timestamp>,
    /// Why, if nobody did it: `gone` or `failing`.
    pub disabled_because: Option<String>,
    /// Since when no attempt succeeded, if the last one failed.
    pub failing_since: Option<Timestamp>,
}

impl WebhookRecord {
    /// What a change of the endpoint may start from.
    pub fn seen(&self) -> SeenWebhook {
        let (metadata, sealed) = (self.metadata.clone(), self.secret.sealed.clone());
        SeenWebhook { metadata, disabled_at: self.disabled_at, sealed }
    }
}

/// What a change of an endpoint may start from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SeenWebhook {
    /// What is registered.
    pub metadata: WebhookMetadata,
    /// When it was disabled, if it is.
    pub disabled_at: Option<Timestamp>,
    /// The secret that signs, sealed: another one after each rotation.
    pub sealed: Vec<u8>,
}

impl SeenWebhook {
    /// Locks an endpoint until the end of the transaction, and reads it.
    async fn lock(tx: &mut impl Tx, id: &WebhookId) -> Result<Option<Self>, TxError> {
        let sql = "UPDATE webhooks SET created_at = created_at WHERE id = $1 AND deleted_at IS NULL
                   RETURNING metadata, disabled_at, secret_sealed";
        let Some(mut row) = tx.query_opt(sql, &[id.as_str().into()]).await? else { return Ok(None) };
        Ok(Some(Self { metadata: row.json()?, disabled_at: row.opt_time()?, sealed: row.bytes()? }))
    }
}

/// A secret that signs, sealed.
#[derive(Clone, Debug)]
pub struct SealedSecret {
    /// The secret under the master key.
    pub sealed: Vec<u8>,
    /// The id of the master key.
    pub sealed_under: String,
}

/// A secret that was replaced.
#[derive(Clone, Debug)]
pub struct PreviousSecret {
    /// The secret.
    pub secret: SealedSecret,
    /// Until when it signs.
    pub ends_at: Timestamp,
}

/// Adds an endpoint, unless there are enough.
#[derive(Clone, Debug)]
pub struct CreateWebhook {
    /// The new endpoint, with its secret sealed.
    pub webhook: WebhookRecord,
    /// The most endpoints that there may be.
    pub most: i64,
    /// Of a caller with limits: the most that those within its limits may be, so that one caller leaves places to others.
    pub share: Option<(Limits, i64)>,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

/// What became of a new endpoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WebhookCreation {
    /// It was added.
    Created,
    /// There are as many as may be.
    TooMany,
    /// There are as many as may be within the caller's limits.
    ShareUsedUp,
}

impl Operation for CreateWebhook {
    type Output = WebhookCreation;

    async fn run(&self, tx: &mut impl Tx) -> Result<WebhookCreation, TxError> {
        let count: i64 = tx.query_one("SELECT count(*) FROM webhooks WHERE deleted_at IS NULL", &[]).await?.int()?;
        if count >= self.most {
            return Ok(WebhookCreation::TooMany);
        }
        if let Some((limits, most)) = &self.share {
            let mut within = 0;
            for mut row in tx.query("SELECT metadata FROM webhooks WHERE deleted_at IS NULL", &[]).await? {
                within += i64::from(row.json::<WebhookMetadata>()?.limits().are_within(limits));
            }
            if within >= *most {
                return Ok(WebhookCreation::ShareUsedUp);
            }
        }
        let webhook = &self.webhook;
        tx.execute(
            sql!("INSERT INTO webhooks ({}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)", COLUMNS),
            &[
                webhook.id.as_str().into(),
                json(&webhook.metadata),
                webhook.secret.sealed.as_slice().into(),
                webhook.secret.sealed_under.as_str().into(),
                Value::Null,
                Value::Null,
                Value::Null,
                webhook.created_at.into(),
                webhook.updated_at.into(),
                webhook.disabled_at.into(),
                webhook.disabled_because.clone().into(),
                webhook.failing_since.into(),
            ],
        )
        .await?;
        let event = self.audit.event(AuditAction::WebhookCreated).about(&webhook.id);
        event.with("host", webhook.metadata.url.authority()).append(tx).await?;
        Ok(WebhookCreation::Created)
    }
}

/// Finds an endpoint by its id.
#[derive(Clone, Debug)]
pub struct FindWebhook {
    /// The id.
    pub id: WebhookId,
}

impl Operation for FindWebhook {
    type Output = Option<WebhookRecord>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Option<WebhookRecord>, TxError> {
        let sql = sql!("{} AND id = $1", SELECT);
        tx.query_opt(sql, &[self.id.as_str().into()]).await?.as_mut().map(webhook).transpose()
    }
}

/// Endpoints in order of creation. They are few.
#[derive(Clone, Debug)]
pub struct ListWebhooks {
    /// Only those created after this one.
    pub after: Option<WebhookId>,
    /// Maximum number of rows.
    pub limit: i64,
}

impl Operation for ListWebhooks {
    type Output = Vec<WebhookRecord>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Vec<WebhookRecord>, TxError> {
        let after = [self.after.as_ref().map_or_else(String::new, WebhookId::to_string)];
        let sql = sql!("{} AND id > $1 ORDER BY id LIMIT $2", SELECT);
        let page = Page { kind: "webhook", sql, after, limit: self.limit, filter: vec![] };
        readable_page(tx, page, webhook).await
    }
}

/// The ids of the master keys that the secrets of webhooks are sealed under.
#[derive(Clone, Debug)]
pub struct MasterKeysOfWebhooks;

impl Operation for MasterKeysOfWebhooks {
    type Output = BTreeSet<String>;

    async fn run(&self, tx: &mut impl Tx) -> Result<BTreeSet<String>, TxError> {
        let sql = "SELECT secret_sealed_under FROM webhooks WHERE deleted_at IS NULL UNION
                   SELECT previous_sealed_under FROM webhooks
                   WHERE deleted_at IS NULL AND previous_sealed_under IS NOT NULL";
        tx.query(sql, &[]).await?.iter_mut().map(Row::text).collect()
    }
}

/// What can be changed of an endpoint.
#[derive(Clone, Debug)]
pub enum WebhookChange {
    /// Delete it, with all that was sent to it.
    Delete,
    /// Send it nothing any more.
    Disable,
    /// Send to it again; what failed before counts no more.
    Enable,
    /// Replace its secret.
    Secret {
        /// The new one.
        secret: SealedSecret,
        /// Until when the old one signs as well.
        previous_ends_at: Timestamp,
    },
}

impl WebhookChange {
    fn action(&self) -> AuditAction {
        match self {
            Self::Delete => AuditAction::WebhookDeleted,
            Self::Disable => AuditAction::WebhookDisabled,
            Self::Enable => AuditAction::WebhookEnabled,
            Self::Secret { .. } => AuditAction::WebhookSecretRotated,
        }
    }
}

/// Changes an endpoint. Returns whether it exists.
#[derive(Clone, Debug)]
pub struct ChangeWebhook {
    /// The endpoint to change.
    pub id: WebhookId,
    /// The change, of which there is one at a time.
    pub change: WebhookChange,
    /// The current time by the caller's clock.
    pub now: Timestamp,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

impl Operation for ChangeWebhook {
    type Output = bool;

    async fn run(&self, tx: &mut impl Tx) -> Result<bool, TxError> {
        let (id, now) = (Value::from(self.id.as_str()), Value::from(self.now));
        let changed = match &self.change {
            WebhookChange::Delete => {
                let sql = "UPDATE webhooks SET deleted_at = $1 WHERE id = $2 AND deleted_at IS NULL";
                tx.execute(sql, &[now, id]).await?
            }
            WebhookChange::Disable => {
                let sql = "UPDATE webhooks SET disabled_at = COALESCE(disabled_at, $1)
                           WHERE id = $2 AND deleted_at IS NULL";
                tx.execute(sql, &[now, id]).await?
            }
            WebhookChange::Enable => {
                let sql = "UPDATE webhooks SET disabled_at = NULL, disabled_because = NULL, failing_since = NULL
                           WHERE id = $1 AND deleted_at IS NULL";
                tx.execute(sql, &[id]).await?
            }
            WebhookChange::Secret { secret, previous_ends_at } => {
                let sql = "UPDATE webhooks SET previous_sealed = secret_sealed,
                             previous_sealed_under = secret_sealed_under, previous_ends_at = $1,
                             secret_sealed = $2, secret_sealed_under = $3
                           WHERE id = $4 AND deleted_at IS NULL";
                let (sealed, under) = (secret.sealed.as_slice().into(), secret.sealed_under.as_str().into());
                tx.execute(sql, &[(*previous_ends_at).into(), sealed, under, id]).await?
            }
        };
        if changed == 0 {
            return Ok(false);
        }
        self.audit.event(self.change.action()).about(&self.id).append(tx).await?;
        Ok(true)
    }
}

impl ChangesOne for ChangeWebhook {
    type Seen = SeenWebhook;

    async fn lock(&self, tx: &mut impl Tx) -> Result<Option<SeenWebhook>, TxError> {
        SeenWebhook::lock(tx, &self.id).await
    }
}

const COLUMNS: &str = "id, metadata, secret_sealed, secret_sealed_under, previous_sealed, previous_sealed_under, \
                       previous_ends_at, created_at, updated_at, disabled_at, disabled_because, failing_since";

const SELECT: &str = sql!("SELECT {} FROM webhooks WHERE deleted_at IS NULL", COLUMNS);

fn webhook(row: &mut Row) -> Result<WebhookRecord, TxError> {
    let (id, metadata) = (row.parsed()?, row.json()?);
    let secret = SealedSecret { sealed: row.bytes()?, sealed_under: row.text()? };
    let (sealed, sealed_under, ends_at) = (row.opt_bytes()?, row.opt_text()?, row.opt_time()?);
    let previous = match (sealed, sealed_under, ends_at) {
        (Some(sealed), Some(sealed_under), Some(ends_at)) => {
            Some(PreviousSecret { secret: SealedSecret { sealed, sealed_under }, ends_at })
        }
        _ => None,
    };
    Ok(WebhookRecord {
        id,
        metadata,
        secret,
        previous,
        created_at: row.time()?,
        updated_at: row.time()?,
        disabled_at: row.opt_time()?,
        disabled_because: row.opt_text()?,
        failing_since: row.opt_time()?,
    })
}
