//! `/v1/clients`: the clients of the authorization server.

use std::sync::Arc;

use axum::{body::Body, extract::State};
use doorward_core::{client_settings::ClientSettings, secret::ExposeSecret};
use doorward_store::clients::ClientFilter;
use http::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::Caller,
    creation::{Creation, IdempotencyKeyHeader, Keeper},
    departure::{Disable, Leaving},
    document::Document,
    entity::{Id, IfMatch, IfMatchHeader, Patch, WouldEnd, answer, gone, would_be, would_end, would_leave},
    list::{Ending, List, ListQuery, NoQuery, PageParameters},
};
use crate::{
    app::App,
    manage::clients::{self, ClientView, CreatedClient},
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

/// A client with its secret, which is shown once.
#[derive(Serialize, ToSchema)]
struct ClientWithSecret {
    #[serde(flatten)]
    client: ClientView,
    /// The secret; absent for a client without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
}

/// The new secret of a client, which is shown once.
#[derive(Serialize, ToSchema)]
struct ClientSecret {
    /// The client.
    client_id: String,
    /// Its secret from now on; the one before stopped working.
    client_secret: String,
}

/// Which clients are listed.
#[derive(Debug, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only clients that are disabled, or only others.
    disabled: Option<bool>,
}

impl Document for Filter {}

/// List clients
#[utoipa::path(get, path = "/v1/clients", tag = "clients", params(Filter, PageParameters), security(("bearer" = ["clients:read"])),
    responses((status = 200, description = "A page of them", body = List<ClientView>)))]
async fn list(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    query: ListQuery<Filter>,
) -> Result<Response<Body>, ProblemError> {
    let filter = ClientFilter { disabled: query.filter.disabled };
    query.answer(&app, |after, limit| clients::list(&app, &actor, filter, after, limit)).await
}

/// Create a client
#[utoipa::path(post, path = "/v1/clients", tag = "clients", params(IdempotencyKeyHeader),
    security(("bearer" = ["clients:write"])), request_body = ClientSettings,
    responses((status = 201, description = "It was created; the secret is shown once", body = ClientWithSecret)))]
async fn create(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    _: NoQuery,
    creation: Creation,
) -> Result<Response<Body>, ProblemError> {
    let (server, caller) = (&app, &actor);
    let create = |metadata, keeper: Keeper| async move {
        let keep = |created: &CreatedClient| {
            let client_secret = created.secret.as_ref().map(|secret| secret.expose_secret().to_owned());
            let client = created.client.clone();
            let path = format!("/v1/clients/{}", client.client_id);
            keeper.keep(path, &created.client, &ClientWithSecret { client, client_secret })
        };
        clients::create_shown(server, caller, metadata, keep).await.map(drop)
    };
    creation.answer(&app, &actor, create).await
}

/// Show a client
#[utoipa::path(get, path = "/v1/clients/{client_id}", tag = "clients", params(("client_id" = String, Path)),
    security(("bearer" = ["clients:read"])), responses((status = 200, description = "The client", body = ClientView)))]
async fn show(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Id(id): Id,
    _: NoQuery,
) -> Result<Response<Body>, ProblemError> {
    answer(&clients::show(&app, &actor, &id).await?)
}

/// Change a client
#[utoipa::path(patch, path = "/v1/clients/{client_id}", tag = "clients", params(("client_id" = String, Path), IfMatchHeader, Ending),
    security(("bearer" = ["clients:write"])),
    request_body(content = ClientSettings, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The client as it is now", body = ClientView)))]
async fn update(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Id(id): Id,
    ending: Ending,
    patch: Patch,
) -> Result<Response<Body>, ProblemError> {
    let edit = |client: &ClientView| patch.apply(client, &client.settings());
    if ending.dry_run {
        return would_be(&clients::preview_update(&app, &actor, &id, edit).await?);
    }
    answer(&clients::update(&app, &actor, &id, ending.confirm, edit).await?)
}

/// Delete a client, and end what users granted it
#[utoipa::path(delete, path = "/v1/clients/{client_id}", tag = "clients", params(("client_id" = String, Path), IfMatchHeader, Ending),
    security(("bearer" = ["clients:write"])), responses((status = 200, description = "What would end, with `dry_run`", body = WouldEnd),
        (status = 204, description = "It is gone")))]
async fn delete(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Id(id): Id,
    ending: Ending,
    if_match: IfMatch,
) -> Result<Response<Body>, ProblemError> {
    if ending.dry_run {
        if_match.check(&clients::show(&app, &actor, &id).await?)?;
        return would_end(clients::ends_of_deletion(&app, &actor, &id).await?);
    }
    clients::delete(&app, &actor, &id, ending.confirm, |client| if_match.check(client)).await?;
    Ok(gone())
}

/// Disable a client, and end what users granted it
///
/// If it is in use, the answer is 409 without `confirm`. Its own keys are refused until it is enabled again; `keys` in the body revokes
/// them or hands them over, in the same transaction. With `dry_run` the answer has what would end, as `ends`, and all that the client
/// holds, as `holds`.
#[utoipa::path(post, path = "/v1/clients/{client_id}/disable", tag = "clients", params(("client_id" = String, Path), IfMatchHeader, Ending),
    security(("bearer" = ["clients:write"])), request_body = Option<Disable>,
    responses((status = 200, description = "The client", body = ClientView)))]
async fn disable(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Id(id): Id,
    Ending { confirm, dry_run }: Ending,
    if_match: IfMatch,
    Leaving(departure): Leaving,
) -> Result<Response<Body>, ProblemError> {
    if dry_run {
        let client = clients::show(&app, &actor, &id).await?;
        if_match.check(&client)?;
        return would_leave(&client, &clients::disabling(&app, &actor, &id, &departure).await?);
    }
    clients::disable_with_keys(&app, &actor, &id, &departure, confirm, |client| if_match.check(client)).await?;
    answer(&clients::show(&app, &actor, &id).await?)
}

/// Enable a disabled client again
#[utoipa::path(post, path = "/v1/clients/{client_id}/enable", tag = "clients", params(("client_id" = String, Path), IfMatchHeader),
    security(("bearer" = ["clients:write"])), responses((status = 200, description = "The client", body = ClientView)))]
async fn enable(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Id(id): Id,
    _: NoQuery,
    if_match: IfMatch,
) -> Result<Response<Body>, ProblemError> {
    clients::enable(&app, &actor, &id, |client| if_match.check(client)).await?;
    answer(&clients::show(&app, &actor, &id).await?)
}

/// Replace a client's secret
#[utoipa::path(post, path = "/v1/clients/{client_id}/rotate-secret", tag = "clients", params(("client_id" = String, Path), IfMatchHeader),
    security(("bearer" = ["clients:write"])),
    responses((status = 200, description = "The new secret, shown once", body = ClientSecret)))]
async fn rotate_secret(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Id(id): Id,
    _: NoQuery,
    if_match: IfMatch,
) -> Result<Response<Body>, ProblemError> {
    let secret = clients::rotate_secret(&app, &actor, &id, |client| if_match.check(client)).await?;
    Ok(respond::json_no_store(&ClientSecret { client_id: id, client_secret: secret.expose_secret().to_owned() })?)
}
