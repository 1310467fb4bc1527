//! `/v1/apis`: the APIs that take our credentials.

use std::sync::Arc;

use axum::{body::Body, extract::State};
use doorward_core::{
    api::ApiMetadata,
    denial::Denial,
    id::{ApiId, ClientId},
    secret::ExposeSecret,
};
use http::Response;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::Caller,
    creation::{Creation, IdempotencyKeyHeader, Keeper},
    entity::{Id, IfMatch, IfMatchHeader, Patch, WouldEnd, answer, gone, would_be, would_end},
    list::{Ending, List, ListQuery, NoFilter, NoQuery, PageParameters},
};
use crate::{
    app::App,
    manage::apis::{self, ApiView, CreatedApi},
    web::{refused::ProblemError, respond},
};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, update, delete))
        .routes(routes!(rotate_secret))
}

/// An API with the secret of its credential, which is shown once.
#[derive(Serialize, ToSchema)]
struct ApiWithSecret {
    #[serde(flatten)]
    api: ApiView,
    /// The secret of its credential.
    client_secret: String,
}

/// The credential of an API with its new secret, which is shown once.
#[derive(Serialize, ToSchema)]
struct ApiCredential {
    /// The credential.
    client_id: ClientId,
    /// Its secret from now on; the one before stopped working.
    client_secret: String,
}

/// Refuses what is not an id: names and identifiers are for people.
fn checked(Id(id): Id) -> Result<String, Denial> {
    ApiId::parse(&id).map(|_| id).map_err(|_| Denial::IdUnknown)
}

/// List APIs
#[utoipa::path(get, path = "/v1/apis", tag = "apis", params(PageParameters), security(("bearer" = ["apis:read"])),
    responses((status = 200, description = "A page of them, without `client_id`", body = List<ApiView>)))]
async fn list(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    query: ListQuery<NoFilter>,
) -> Result<Response<Body>, ProblemError> {
    query.answer(&app, |after, limit| apis::list(&app, &actor, after, limit)).await
}

/// Create an API with its credential
#[utoipa::path(post, path = "/v1/apis", tag = "apis", params(IdempotencyKeyHeader), security(("bearer" = ["apis:write"])),
    request_body = ApiMetadata,
    responses((status = 201, description = "It was created; the secret is shown once", body = ApiWithSecret)))]
async fn create(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    _: NoQuery,
    creation: Creation,
) -> Result<Response<Body>, ProblemError> {
    let (server, caller) = (&app, &actor);
    let create = |metadata, keeper: Keeper| async move {
        let keep = |created: &CreatedApi| {
            let client_secret = created.client_secret.expose_secret().to_owned();
            let path = format!("/v1/apis/{}", created.api.id);
            keeper.keep(path, &created.api, &ApiWithSecret { api: created.api.clone(), client_secret })
        };
        apis::create_shown(server, caller, metadata, keep).await.map(drop)
    };
    creation.answer(&app, &actor, create).await
}

/// Show an API
#[utoipa::path(get, path = "/v1/apis/{api_id}", tag = "apis", params(("api_id" = String, Path)),
    security(("bearer" = ["apis:read"])), responses((status = 200, description = "The API", body = ApiView)))]
async fn show(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    id: Id,
    _: NoQuery,
) -> Result<Response<Body>, ProblemError> {
    answer(&apis::show(&app, &actor, &checked(id)?).await?)
}

/// Change an API
///
/// A scope or a role that is in use ends only after a confirmation. What was issued stays verifiable when the algorithm or
/// the form of tokens changes.
#[utoipa::path(patch, path = "/v1/apis/{api_id}", tag = "apis", params(("api_id" = String, Path), Ending, IfMatchHeader),
    security(("bearer" = ["apis:write"])),
    request_body(content = ApiMetadata, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The API as it is now", body = ApiView)))]
async fn update(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    id: Id,
    ending: Ending,
    patch: Patch,
) -> Result<Response<Body>, ProblemError> {
    let edit = |api: &ApiView| patch.apply(api, &api.metadata);
    let id = checked(id)?;
    if ending.dry_run {
        return would_be(&apis::preview_update(&app, &actor, &id, edit).await?);
    }
    answer(&apis::update(&app, &actor, &id, ending.confirm, edit).await?)
}

/// Delete an API with its credential, and end its scopes and roles
#[utoipa::path(delete, path = "/v1/apis/{api_id}", tag = "apis", params(("api_id" = String, Path), Ending, IfMatchHeader),
    security(("bearer" = ["apis:write"])), responses((status = 200, description = "What would end, with `dry_run`", body = WouldEnd),
        (status = 204, description = "It is gone")))]
async fn delete(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    id: Id,
    ending: Ending,
    if_match: IfMatch,
) -> Result<Response<Body>, ProblemError> {
    let id = checked(id)?;
    if ending.dry_run {
        if_match.check(&apis::show(&app, &actor, &id).await?)?;
        return would_end(apis::ends_of_deletion(&app, &actor, &id).await?);
    }
    apis::delete(&app, &actor, &id, ending.confirm, |api| if_match.check(api)).await?;
    Ok(gone())
}

/// Replace the secret of an API's credential
#[utoipa::path(post, path = "/v1/apis/{api_id}/rotate-secret", tag = "apis", params(("api_id" = String, Path), IfMatchHeader),
    security(("bearer" = ["apis:write"])),
    responses((status = 200, description = "The credential with its new secret, shown once", body = ApiCredential)))]
async fn rotate_secret(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    id: Id,
    _: NoQuery,
    if_match: IfMatch,
) -> Result<Response<Body>, ProblemError> {
    let check = |api: &ApiView| if_match.check(api);
    let (client_id, secret) = apis::rotate_secret(&app, &actor, &checked(id)?, check).await?;
    Ok(respond::json_no_store(&ApiCredential { client_id, client_secret: secret.expose_secret().to_owned() })?)
}
