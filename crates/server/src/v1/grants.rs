//! `/v1/grants`: what users granted to clients.

use std::sync::Arc;

use axum::{body::Body, extract::State};
use doorward_core::id::{ClientId, UserId};
use doorward_store::grants::GrantFilter;
use http::Response;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::Caller,
    document::Document,
    entity::{Id, IfMatch, IfMatchHeader, answer, gone},
    list::{List, ListQuery, NoQuery, PageParameters},
};
use crate::{
    app::App,
    manage::grants::{self, GrantView},
    web::refused::ProblemError,
};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show, revoke))
}

/// Which grants are listed.
#[derive(Debug, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only grants of this user.
    user_id: Option<UserId>,
    /// Only grants of this client.
    client_id: Option<ClientId>,
}

impl Document for Filter {}

/// List live grants
#[utoipa::path(get, path = "/v1/grants", tag = "grants", params(Filter, PageParameters), security(("bearer" = ["grants:read"])),
    responses((status = 200, description = "A page of them", body = List<GrantView>)))]
async fn list(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    query: ListQuery<Filter>,
) -> Result<Response<Body>, ProblemError> {
    let Filter { user_id, client_id } = &query.filter;
    let filter = GrantFilter { user_id: user_id.clone(), client_id: client_id.clone() };
    query.answer(&app, |after, limit| grants::list(&app, &actor, filter, after, limit)).await
}

/// Show a live grant
#[utoipa::path(get, path = "/v1/grants/{grant_id}", tag = "grants", params(("grant_id" = String, Path)),
    security(("bearer" = ["grants:read"])), responses((status = 200, description = "The grant", body = GrantView)))]
async fn show(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Id(id): Id,
    _: NoQuery,
) -> Result<Response<Body>, ProblemError> {
    answer(&grants::show(&app, &actor, &id).await?)
}

/// Revoke a grant, and all tokens that came from it
#[utoipa::path(delete, path = "/v1/grants/{grant_id}", tag = "grants", params(("grant_id" = String, Path), IfMatchHeader),
    security(("bearer" = ["grants:write"])), responses((status = 204, description = "It is revoked")))]
async fn revoke(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Id(id): Id,
    _: NoQuery,
    if_match: IfMatch,
) -> Result<Response<Body>, ProblemError> {
    // Nothing can change a grant but its end, so nothing is lost between this and that.
    if_match.check(&grants::show(&app, &actor, &id).await?)?;
    grants::revoke(&app, &actor, &id).await?;
    Ok(gone())
}
