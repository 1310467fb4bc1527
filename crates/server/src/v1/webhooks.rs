//! `/v1/webhooks`: the endpoints that events are sent to.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{FromRequestParts, State},
};
use doorward_core::{clock::Timestamp, secret::ExposeSecret, webhook::WebhookMetadata};
use http::{Response, request::Parts};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::Caller,
    creation::{Creation, IdempotencyKeyHeader, Keeper},
    document::{Document, read_query},
    entity::{Id, IfMatch, IfMatchHeader, Patch, answer, gone},
    list::{List, ListQuery, NoFilter, NoQuery, PageParameters, pairs, query_invalid},
};
use crate::{
    app::App,
    manage::{
        times,
        webhooks::{self, CreatedWebhook, NewSecret, WebhookView},
    },
    web::{refused::ProblemError, respond},
};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, update, delete))
        .routes(routes!(disable))
        .routes(routes!(enable))
        .routes(routes!(rotate_secret))
}

/// An endpoint with its secret, which is shown once.
#[derive(Serialize, ToSchema)]
struct WebhookWithSecret {
    #[serde(flatten)]
    webhook: WebhookView,
    /// The secret that signs what is sent to it: `whsec_` and base64.
    secret: String,
}

/// The new secret of an endpoint, which is shown once.
#[derive(Serialize, ToSchema)]
struct WebhookSecret {
    /// The endpoint.
    id: String,
    /// The secret that signs from now on: `whsec_` and base64.
    secret: String,
    /// Until when the secret before it signs as well.
    #[serde(serialize_with = "times::serialize")]
    previous_secret_ends_at: Timestamp,
}

/// How an endpoint changes from one secret to the next.
#[derive(Debug, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
struct Rotation {
    /// For how many seconds the old secret signs beside the new one; a day if it is not given, and 30 days at most. 0 if the
    /// old one leaked.
    #[param(maximum = 2_592_000)]
    overlap: Option<u64>,
}

impl Document for Rotation {}

impl FromRequestParts<Arc<App>> for Rotation {
    type Rejection = ProblemError;

    async fn from_request_parts(head: &mut Parts, _: &Arc<App>) -> Result<Self, ProblemError> {
        Ok(read_query(pairs(head), &[]).map_err(|mistakes| query_invalid(&mistakes))?)
    }
}

/// List endpoints of webhooks
#[utoipa::path(get, path = "/v1/webhooks", tag = "webhooks", params(PageParameters),
    security(("bearer" = ["webhooks:read"])),
    responses((status = 200, description = "A page of them", body = List<WebhookView>)))]
async fn list(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    query: ListQuery<NoFilter>,
) -> Result<Response<Body>, ProblemError> {
    query.answer(&app, |after, limit| webhooks::list(&app, &actor, after, limit)).await
}

/// Create an endpoint of webhooks
#[utoipa::path(post, path = "/v1/webhooks", tag = "webhooks", params(IdempotencyKeyHeader),
    security(("bearer" = ["webhooks:write"])), request_body = WebhookMetadata,
    responses((status = 201, description = "It was created; the secret is shown once", body = WebhookWithSecret)))]
async fn create(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    _: NoQuery,
    creation: Creation,
) -> Result<Response<Body>, ProblemError> {
    let (server, caller) = (&app, &actor);
    let create = |metadata, keeper: Keeper| async move {
        let keep = |created: &CreatedWebhook| {
            let (webhook, secret) = (created.webhook.clone(), created.secret.expose_secret().to_owned());
            let path = format!("/v1/webhooks/{}", webhook.id);
            keeper.keep(path, &created.webhook, &WebhookWithSecret { webhook, secret })
        };
        webhooks::create_shown(server, caller, metadata, keep).await.map(drop)
    };
    creation.answer(&app, &actor, create).await
}

/// Show an endpoint of webhooks
#[utoipa::path(get, path = "/v1/webhooks/{webhook_id}", tag = "webhooks", params(("webhook_id" = String, Path)),
    security(("bearer" = ["webhooks:read"])),
    responses((status = 200, description = "The endpoint", body = WebhookView)))]
async fn show(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Id(id): Id,
    _: NoQuery,
) -> Result<Response<Body>, ProblemError> {
    answer(&webhooks::show(&app, &actor, &id).await?)
}

/// Change an endpoint of webhooks
///
/// What waits for it goes to its new URL. Events that happened before are not sent because of other `events`.
#[utoipa::path(patch, path = "/v1/webhooks/{webhook_id}", tag = "webhooks",
    params(("webhook_id" = String, Path), IfMatchHeader), security(("bearer" = ["webhooks:write"])),
    request_body(content = WebhookMetadata, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The endpoint as it is now", body = WebhookView)))]
async fn update(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Id(id): Id,
    _: NoQuery,
    patch: Patch,
) -> Result<Response<Body>, ProblemError> {
    let edit = |webhook: &WebhookView| patch.apply(webhook, &webhook.metadata);
    answer(&webhooks::update(&app, &actor, &id, edit).await?)
}

/// Delete an endpoint of webhooks with all that was sent to it
#[utoipa::path(delete, path = "/v1/webhooks/{webhook_id}", tag = "webhooks",
    params(("webhook_id" = String, Path), IfMatchHeader), security(("bearer" = ["webhooks:write"])),
    responses((status = 204, description = "It is gone")))]
async fn delete(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Id(id): Id,
    _: NoQuery,
    if_match: IfMatch,
) -> Result<Response<Body>, ProblemError> {
    webhooks::delete(&app, &actor, &id, |webhook| if_match.check(webhook)).await?;
    Ok(gone())
}

/// Disable an endpoint of webhooks
///
/// Nothing is sent to it any more. What waits for it is given up when it is due, and can be replayed later.
#[utoipa::path(post, path = "/v1/webhooks/{webhook_id}/disable", tag = "webhooks",
    params(("webhook_id" = String, Path), IfMatchHeader), security(("bearer" = ["webhooks:write"])),
    responses((status = 200, description = "The endpoint", body = WebhookView)))]
async fn disable(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Id(id): Id,
    _: NoQuery,
    if_match: IfMatch,
) -> Result<Response<Body>, ProblemError> {
    answer(&webhooks::disable(&app, &actor, &id, |webhook| if_match.check(webhook)).await?)
}

/// Enable an endpoint of webhooks again
///
/// Events of the meantime are not sent.
#[utoipa::path(post, path = "/v1/webhooks/{webhook_id}/enable", tag = "webhooks",
    params(("webhook_id" = String, Path), IfMatchHeader), security(("bearer" = ["webhooks:write"])),
    responses((status = 200, description = "The endpoint", body = WebhookView)))]
async fn enable(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Id(id): Id,
    _: NoQuery,
    if_match: IfMatch,
) -> Result<Response<Body>, ProblemError> {
    answer(&webhooks::enable(&app, &actor, &id, |webhook| if_match.check(webhook)).await?)
}

/// Replace the secret of an endpoint of webhooks
///
/// Old and new sign side by side until `previous_secret_ends_at`.
#[utoipa::path(post, path = "/v1/webhooks/{webhook_id}/rotate-secret", tag = "webhooks",
    params(("webhook_id" = String, Path), Rotation, IfMatchHeader), security(("bearer" = ["webhooks:write"])),
    responses((status = 200, description = "The new secret, shown once", body = WebhookSecret)))]
async fn rotate_secret(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Id(id): Id,
    Rotation { overlap }: Rotation,
    if_match: IfMatch,
) -> Result<Response<Body>, ProblemError> {
    let overlap = overlap.map_or(webhooks::OVERLAP, Duration::from_secs);
    let check = |webhook: &WebhookView| if_match.check(webhook);
    let NewSecret { secret, previous_ends_at } = webhooks::rotate_secret(&app, &actor, &id, overlap, check).await?;
    let secret = secret.expose_secret().to_owned();
    Ok(respond::json_no_store(&WebhookSecret { id, secret, previous_secret_ends_at: previous_ends_at })?)
}
