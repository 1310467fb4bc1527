//! Endpoints of webhooks: where events are sent.
//!
//! Easy to get wrong: an endpoint receives the events that its limits admit. So a caller sees, creates and changes only
//! endpoints whose limits are within its own.

mod deliveries;

use std::time::Duration;

use doorward_core::{
    clock::Timestamp,
    denial::Denial,
    holder::Owner,
    id::{ApiId, WebhookId},
    refusal::{Mistake, Refusal},
    secret::SecretString,
    webhook::WebhookMetadata,
    webhook_secret::WebhookSecret,
};
use doorward_store::{
    IfUnchanged,
    idempotency::KeptAnswer,
    webhooks::{
        ChangeWebhook, CreateWebhook, FindWebhook, ListWebhooks, SealedSecret, UpdateWebhook, WebhookChange,
        WebhookCreation, WebhookRecord,
    },
};
use serde::Serialize;
use utoipa::ToSchema;

pub use self::deliveries::{DeliveryView, deliveries, delivery, replay, replay_dead, test};
use super::{
    ManageError,
    attempts::{outcome, until_done},
    holders::Named,
    page::{Page, page},
    times,
};
use crate::{actor::Actor, app::App, webhooks::secrets};

/// The part of all endpoints that may be within the limits of one caller.
const SHARE: i64 = 10;

/// How long the old secret signs beside the new one, if nobody says otherwise.
pub const OVERLAP: Duration = Duration::from_secs(86_400);
/// How long it may.
pub const LONGEST_OVERLAP: Duration = Duration::from_secs(30 * 86_400);

/// An endpoint as it is shown: everything except its secret.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Webhook)]
pub struct WebhookView {
    /// Its id.
    pub id: WebhookId,
    /// What is registered of it.
    #[serde(flatten)]
    pub metadata: WebhookMetadata,
    /// When it was created.
    #[serde(serialize_with = "times::serialize")]
    pub created_at: Timestamp,
    /// When what is registered of it was last changed, or registered.
    #[serde(serialize_with = "times::serialize")]
    pub updated_at: Timestamp,
    /// What identifies the secret without revealing it: another text after each rotation.
    pub secret_fingerprint: String,
    /// When it was disabled, if it is: it is sent nothing.
    #[serde(serialize_with = "times::optional")]
    pub disabled_at: Option<Timestamp>,
    /// Why, if nobody did it: `gone` if it answered 410, or `failing` if nothing was delivered for days.
    pub disabled_because: Option<String>,
    /// Since when no attempt succeeded, if the last one failed.
    #[serde(serialize_with = "times::optional")]
    pub failing_since: Option<Timestamp>,
    /// Until when the secret before this one signs as well, if it does.
    #[serde(serialize_with = "times::optional")]
    pub previous_secret_ends_at: Option<Timestamp>,
}

impl WebhookView {
    fn of(webhook: WebhookRecord, now: Timestamp) -> Self {
        Self {
            id: webhook.id,
            metadata: webhook.metadata,
            created_at: webhook.created_at,
            updated_at: webhook.updated_at,
            secret_fingerprint: secrets::fingerprint(&webhook.secret),
            disabled_at: webhook.disabled_at,
            disabled_because: webhook.disabled_because,
            failing_since: webhook.failing_since,
            previous_secret_ends_at: webhook.previous.map(|previous| previous.ends_at).filter(|ends_at| *ends_at > now),
        }
    }
}

/// An endpoint with its secret, which is shown once.
pub struct CreatedWebhook {
    /// The endpoint as it was created.
    pub webhook: WebhookView,
    /// Its secret, shown only now.
    pub secret: SecretString,
}

/// Creates an endpoint.
pub async fn create(app: &App, actor: &Actor, metadata: WebhookMetadata) -> Result<CreatedWebhook, ManageError> {
    create_shown(app, actor, metadata, |_| Ok(None)).await
}

/// Creates an endpoint after `show` has printed it, and keeps the answer that it returns. If that fails, nothing was
/// changed.
pub async fn create_shown<E: From<ManageError>>(
    app: &App,
    actor: &Actor,
    metadata: WebhookMetadata,
    show: impl FnOnce(&CreatedWebhook) -> Result<Option<KeptAnswer>, E>,
) -> Result<CreatedWebhook, E> {
    let metadata = checked(app, actor, metadata, None).await?;
    let now = app.now();
    let id = WebhookId::new(now, &*app.rng);
    let (secret, sealed) = new_secret(app, &id);
    let webhook = WebhookRecord {
        id,
        metadata,
        secret: sealed,
        previous: None,
        created_at: now,
        updated_at: now,
        disabled_at: None,
        disabled_because: None,
        failing_since: None,
    };
    let created = CreatedWebhook { webhook: WebhookView::of(webhook.clone(), now), secret };
    let answer = show(&created)?;
    let most = app.settings.limits.webhooks;
    let share = actor.rights.limits().map(|limits| (limits.clone(), (most / SHARE).max(1)));
    let operation = CreateWebhook { webhook, most, share, audit: app.audit(actor) };
    let why = match app.commit_kept(operation, answer).await.map_err(ManageError::from)? {
        WebhookCreation::Created => return Ok(created),
        WebhookCreation::TooMany => format!("there are {most} endpoints already (limits.webhooks); delete one first"),
        WebhookCreation::ShareUsedUp => {
            let share = (most / SHARE).max(1);
            format!(
                "there are {share} endpoints within your limits already, a tenth of limits.webhooks; delete one first"
            )
        }
    };
    Err(ManageError::Conflict(why).into())
}

fn new_secret(app: &App, id: &WebhookId) -> (SecretString, SealedSecret) {
    let secret = WebhookSecret::generate(&*app.rng);
    (secret.reveal(), secrets::seal(&app.master_keys[0], id, &secret, &*app.rng))
}

/// Checks what is to be registered by the rules and by the caller's rights. APIs and owners that the endpoint already has
/// are not looked up again: they may be gone by now.
async fn checked(
    app: &App,
    actor: &Actor,
    metadata: WebhookMetadata,
    before: Option<&WebhookMetadata>,
) -> Result<WebhookMetadata, ManageError> {
    let mut named = Named::new(app, actor).await?;
    let had_api = |api: &ApiId| before.is_some_and(|before| before.apis.contains(api));
    for (index, api) in metadata.apis.iter().enumerate().filter(|(_, api)| !had_api(api)) {
        named.api_at(api.as_str(), |why| Mistake::at_element("apis", index, why));
    }
    let had_owner = |owner: &Owner| before.is_some_and(|before| before.owners.contains(owner));
    for (index, owner) in metadata.owners.iter().enumerate().filter(|(_, owner)| !had_owner(owner)) {
        named.owner(owner.as_str(), |why| Mistake::at_element("owners", index, why)).await?;
    }
    let checked = metadata.checked(app.settings.webhooks.allow_loopback);
    let (metadata, _) = Mistake::none_in_both(checked, named.finish())?;
    match actor.rights.reach_within(&metadata.limits()) {
        true => Ok(metadata),
        false => Err(Refusal::new(Denial::RightsExceeded).fact("limits", "wider than the caller's").into()),
    }
}

/// A page of the endpoints, in the order of their creation.
pub async fn list(
    app: &App,
    actor: &Actor,
    after: Option<WebhookId>,
    limit: usize,
) -> Result<Page<WebhookView, WebhookId>, ManageError> {
    let read = |after, limit| async move { Ok(app.store.read(ListWebhooks { after, limit }).await?) };
    let show = |webhook: WebhookRecord| reaches(actor, &webhook).then(|| WebhookView::of(webhook, app.now()));
    page(after, limit, read, |webhook: &WebhookRecord| webhook.id.clone(), show).await
}

fn reaches(actor: &Actor, webhook: &WebhookRecord) -> bool {
    actor.rights.reach_within(&webhook.metadata.limits())
}

/// The endpoint with this id.
pub async fn show(app: &App, actor: &Actor, id: &str) -> Result<WebhookView, ManageError> {
    Ok(WebhookView::of(find_reached(app, actor, id).await?, app.now()))
}

async fn find_reached(app: &App, actor: &Actor, id: &str) -> Result<WebhookRecord, ManageError> {
    let parsed = WebhookId::parse(id).map_err(|_| unknown(id))?;
    let found = app.store.read(FindWebhook { id: parsed }).await?;
    found.filter(|webhook| reaches(actor, webhook)).ok_or_else(|| unknown(id))
}

fn unknown(id: &str) -> ManageError {
    ManageError::NotFound { kind: "webhook", name: id.to_owned() }
}

/// Changes what is registered of an endpoint: `edit` makes it from what is shown. It is called again if somebody else
/// changed the endpoint meanwhile.
pub async fn update(
    app: &App,
    actor: &Actor,
    id: &str,
    edit: impl Fn(&WebhookView) -> Result<WebhookMetadata, ManageError>,
) -> Result<WebhookView, ManageError> {
    until_done("this webhook", || async {
        let webhook = find_reached(app, actor, id).await?;
        let (webhook_id, from, now) = (webhook.id.clone(), webhook.seen(), app.now());
        let before = WebhookView::of(webhook, now);
        let to = checked(app, actor, edit(&before)?, Some(&from.metadata)).await?;
        if to == from.metadata {
            return Ok(Some(before));
        }
        let after = WebhookView { metadata: to.clone(), updated_at: now, ..before };
        let operation = UpdateWebhook { id: webhook_id, from, to, now, audit: app.audit(actor) };
        outcome(app.commit(operation).await?, after, || unknown(id))
    })
    .await
}

/// Stops sending to an endpoint. `check` may refuse what is shown of it.
pub async fn disable(
    app: &App,
    actor: &Actor,
    id: &str,
    check: impl Fn(&WebhookView) -> Result<(), ManageError>,
) -> Result<WebhookView, ManageError> {
    change(app, actor, id, check, || WebhookChange::Disable).await?;
    show(app, actor, id).await
}

/// Resumes sending to an endpoint. `check` may refuse what is shown of it.
pub async fn enable(
    app: &App,
    actor: &Actor,
    id: &str,
    check: impl Fn(&WebhookView) -> Result<(), ManageError>,
) -> Result<WebhookView, ManageError> {
    change(app, actor, id, check, || WebhookChange::Enable).await?;
    show(app, actor, id).await
}

/// Deletes an endpoint with all that was sent to it. `check` may refuse what is shown of it; it is called again if somebody
/// else changed the endpoint meanwhile.
pub async fn delete(
    app: &App,
    actor: &Actor,
    id: &str,
    check: impl Fn(&WebhookView) -> Result<(), ManageError>,
) -> Result<(), ManageError> {
    change(app, actor, id, check, || WebhookChange::Delete).await
}

/// A new secret, and until when the old one signs as well.
pub struct NewSecret {
    /// The secret.
    pub secret: SecretString,
    /// Until when the old one signs beside it.
    pub previous_ends_at: Timestamp,
}

/// Replaces the secret of an endpoint. The old one signs as well for `overlap`, in which the receiver can change over.
/// `check` may refuse what is shown of it.
pub async fn rotate_secret(
    app: &App,
    actor: &Actor,
    id: &str,
    overlap: Duration,
    check: impl Fn(&WebhookView) -> Result<(), ManageError>,
) -> Result<NewSecret, ManageError> {
    rotate_secret_shown(app, actor, id, overlap, check, |_| Ok(())).await
}

/// The same, after `show` has printed the new secret. If that fails, nothing was changed.
pub async fn rotate_secret_shown<E: From<ManageError>>(
    app: &App,
    actor: &Actor,
    id: &str,
    overlap: Duration,
    check: impl Fn(&WebhookView) -> Result<(), ManageError>,
    show: impl FnOnce(&NewSecret) -> Result<(), E>,
) -> Result<NewSecret, E> {
    if overlap > LONGEST_OVERLAP {
        let why = format!("at most {} seconds", LONGEST_OVERLAP.as_secs());
        let refusal = Refusal::new(Denial::QueryInvalid).mistakes(&[Mistake::in_query("overlap", why)]);
        return Err(ManageError::from(refusal).into());
    }
    let webhook = find_reached(app, actor, id).await?;
    check(&WebhookView::of(webhook.clone(), app.now()))?;
    let (secret, sealed) = new_secret(app, &webhook.id);
    let new = NewSecret { secret, previous_ends_at: app.now().plus(overlap) };
    show(&new)?;
    let previous_ends_at = new.previous_ends_at;
    let rotation = || WebhookChange::Secret { secret: sealed.clone(), previous_ends_at };
    change(app, actor, id, check, rotation).await?;
    Ok(new)
}

async fn change(
    app: &App,
    actor: &Actor,
    id: &str,
    check: impl Fn(&WebhookView) -> Result<(), ManageError>,
    change: impl Fn() -> WebhookChange,
) -> Result<(), ManageError> {
    until_done("this webhook", || async {
        let webhook = find_reached(app, actor, id).await?;
        check(&WebhookView::of(webhook.clone(), app.now()))?;
        let from = webhook.seen();
        let change = ChangeWebhook { id: webhook.id, change: change(), now: app.now(), audit: app.audit(actor) };
        outcome(app.commit(IfUnchanged { from, change }).await?, (), || unknown(id))
    })
    .await
}
