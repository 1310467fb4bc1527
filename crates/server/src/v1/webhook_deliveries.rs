//! `/v1/webhooks/{webhook_id}/deliveries`: what was sent to an endpoint; and sending it again, or a test.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{FromRequestParts, Path, State},
};
use doorward_core::{clock::Timestamp, denial::Denial, webhook_retry::DeliveryState};
use http::{Response, request::Parts};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::Caller,
    audit::time,
    document::{Document, read_query},
    entity::{Id, IfMatch, IfMatchHeader, answer},
    list::{List, ListQuery, NoQuery, PageParameters, pairs, query_invalid},
};
use crate::{
    app::App,
    manage::webhooks::{self, DeliveryView},
    web::{refused::ProblemError, respond},
};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list_deliveries))
        .routes(routes!(show_delivery))
        .routes(routes!(replay_delivery))
        .routes(routes!(replay_dead))
        .routes(routes!(test))
}

/// Which deliveries are listed.
#[derive(Debug, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only deliveries in this state.
    state: Option<DeliveryState>,
}

impl Document for Filter {}

/// Which deliveries are sent again.
#[derive(Debug, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
struct Replay {
    /// Only events that happened at this time or later.
    #[serde(default, deserialize_with = "time")]
    since: Option<Timestamp>,
}

impl Document for Replay {}

impl FromRequestParts<Arc<App>> for Replay {
    type Rejection = ProblemError;

    async fn from_request_parts(head: &mut Parts, _: &Arc<App>) -> Result<Self, ProblemError> {
        Ok(read_query(pairs(head), &[]).map_err(|mistakes| query_invalid(&mistakes))?)
    }
}

/// How many events are sent again.
#[derive(Serialize, ToSchema)]
struct Replayed {
    /// How many.
    replayed: u64,
}

/// A delivery, as a path names it: the endpoint and the event.
struct Named(String, String);

impl FromRequestParts<Arc<App>> for Named {
    type Rejection = ProblemError;

    async fn from_request_parts(head: &mut Parts, app: &Arc<App>) -> Result<Self, ProblemError> {
        let path = Path::<(String, String)>::from_request_parts(head, app).await;
        let Path((webhook, event)) = path.map_err(|_| Denial::IdUnknown)?;
        Ok(Self(webhook, event))
    }
}

/// List what was sent to an endpoint, the newest events first
///
/// What was delivered or given up is kept for 30 days.
#[utoipa::path(get, path = "/v1/webhooks/{webhook_id}/deliveries", tag = "webhooks",
    params(("webhook_id" = String, Path), Filter, PageParameters), security(("bearer" = ["webhooks:read"])),
    responses((status = 200, description = "A page of the deliveries", body = List<DeliveryView>)))]
async fn list_deliveries(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Id(id): Id,
    query: ListQuery<Filter>,
) -> Result<Response<Body>, ProblemError> {
    let state = query.filter.state;
    query.answer(&app, |before, limit| webhooks::deliveries(&app, &actor, &id, state, before, limit)).await
}

/// Show what became of an event at an endpoint
#[utoipa::path(get, path = "/v1/webhooks/{webhook_id}/deliveries/{event_id}", tag = "webhooks",
    params(("webhook_id" = String, Path), ("event_id" = String, Path)), security(("bearer" = ["webhooks:read"])),
    responses((status = 200, description = "The delivery", body = DeliveryView)))]
async fn show_delivery(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Named(id, event): Named,
    _: NoQuery,
) -> Result<Response<Body>, ProblemError> {
    answer(&webhooks::delivery(&app, &actor, &id, &event).await?)
}

/// Send an event to its endpoint again
///
/// Whatever became of it. One that waits already stays as it is.
#[utoipa::path(post, path = "/v1/webhooks/{webhook_id}/deliveries/{event_id}/replay", tag = "webhooks",
    params(("webhook_id" = String, Path), ("event_id" = String, Path), IfMatchHeader), security(("bearer" = ["webhooks:write"])),
    responses((status = 200, description = "The delivery, which waits", body = DeliveryView)))]
async fn replay_delivery(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Named(id, event): Named,
    _: NoQuery,
    if_match: IfMatch,
) -> Result<Response<Body>, ProblemError> {
    answer(&webhooks::replay(&app, &actor, &id, &event, |delivery| if_match.check(delivery)).await?)
}

/// Send all events to an endpoint again that were given up
#[utoipa::path(post, path = "/v1/webhooks/{webhook_id}/replay", tag = "webhooks",
    params(("webhook_id" = String, Path), Replay, IfMatchHeader), security(("bearer" = ["webhooks:write"])),
    responses((status = 200, description = "How many", body = Replayed)))]
async fn replay_dead(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Id(id): Id,
    Replay { since }: Replay,
    if_match: IfMatch,
) -> Result<Response<Body>, ProblemError> {
    let replayed = webhooks::replay_dead(&app, &actor, &id, since, |webhook| if_match.check(webhook)).await?;
    Ok(respond::json_no_store(&Replayed { replayed })?)
}

/// Send an endpoint the event `webhook.test`
///
/// It gets it whatever its `events` are.
#[utoipa::path(post, path = "/v1/webhooks/{webhook_id}/test", tag = "webhooks",
    params(("webhook_id" = String, Path), IfMatchHeader), security(("bearer" = ["webhooks:write"])),
    responses((status = 200, description = "The delivery, which waits", body = DeliveryView)))]
async fn test(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Id(id): Id,
    _: NoQuery,
    if_match: IfMatch,
) -> Result<Response<Body>, ProblemError> {
    answer(&webhooks::test(&app, &actor, &id, |webhook| if_match.check(webhook)).await?)
}
