//! `/v1/roles`: who has which role. Which roles exist is a member of the API.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{FromRequestParts, Path, State},
};
use doorward_core::{
    api::Role,
    denial::Denial,
    json::{Value, json},
};
use http::{Response, request::Parts};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::Caller,
    creation::{Creation, IdempotencyKeyHeader, Keeper},
    document::Document,
    entity::{IfMatch, IfMatchHeader, answer, gone},
    list::{List, ListQuery, NoQuery, PageParameters},
};
use crate::{
    app::App,
    manage::roles::{self, RoleGrantView, WhichRoles},
    web::refused::ProblemError,
};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list, grant)).routes(routes!(show, withdraw))
}

/// A role to be given to somebody.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewRoleGrant)]
struct RoleRequest {
    /// Who gets it: the id of a user, client or key, or a user's name.
    holder: String,
    /// The API that has the role: its name, id or identifier.
    api: String,
    /// The role.
    role: Role,
}

impl Document for RoleRequest {
    fn smallest() -> Value {
        json!({"holder": "a", "api": "a", "role": "a"})
    }
}

/// Which roles are listed.
#[derive(Debug, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only roles of this holder: the id of a user, client or key, or a user's name.
    holder: Option<String>,
    /// Only roles of this API: its name, id or identifier.
    api: Option<String>,
    /// Only roles of this name.
    role: Option<Role>,
}

impl Document for Filter {}

/// A role of somebody, as a path names it: the holder, the API and the role.
struct Named(String, String, String);

impl FromRequestParts<Arc<App>> for Named {
    type Rejection = ProblemError;

    async fn from_request_parts(head: &mut Parts, app: &Arc<App>) -> Result<Self, ProblemError> {
        let path = Path::<(String, String, String)>::from_request_parts(head, app).await;
        let Path((holder, api, role)) = path.map_err(|_| Denial::IdUnknown)?;
        Ok(Self(holder, api, role))
    }
}

/// List who has which role
#[utoipa::path(get, path = "/v1/roles", tag = "roles", params(Filter, PageParameters),
    security(("bearer" = ["roles:read"])),
    responses((status = 200, description = "A page of them", body = List<RoleGrantView>)))]
async fn list(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    query: ListQuery<Filter>,
) -> Result<Response<Body>, ProblemError> {
    let Filter { holder, api, role } = &query.filter;
    let which = WhichRoles { holder: holder.clone(), api: api.clone(), role: role.clone() };
    query.answer(&app, |after, limit| roles::list(&app, &actor, which, after, limit)).await
}

/// Give somebody a role
#[utoipa::path(post, path = "/v1/roles", tag = "roles", params(IdempotencyKeyHeader),
    security(("bearer" = ["roles:write"])), request_body = RoleRequest,
    responses((status = 201, description = "The holder has it, perhaps from before", body = RoleGrantView)))]
async fn grant(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    _: NoQuery,
    creation: Creation,
) -> Result<Response<Body>, ProblemError> {
    let (server, caller) = (&app, &actor);
    let grant = |asked: RoleRequest, keeper: Keeper| async move {
        let RoleRequest { holder, api, role } = asked;
        let keep = |granted: &RoleGrantView| {
            let path = format!("/v1/roles/{}/{}/{}", granted.holder, granted.api_id, granted.role);
            keeper.keep(path, granted, granted)
        };
        roles::grant_shown(server, caller, &holder, &api, role.as_str(), keep).await.map(drop)
    };
    creation.answer(&app, &actor, grant).await
}

/// Show a role that somebody has
#[utoipa::path(get, path = "/v1/roles/{holder}/{api}/{role}", tag = "roles",
    params(("holder" = String, Path), ("api" = String, Path), ("role" = String, Path)),
    security(("bearer" = ["roles:read"])), responses((status = 200, description = "The role", body = RoleGrantView)))]
async fn show(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Named(holder, api, role): Named,
    _: NoQuery,
) -> Result<Response<Body>, ProblemError> {
    answer(&roles::show(&app, &actor, &holder, &api, &role).await?)
}

/// Take a role back
#[utoipa::path(delete, path = "/v1/roles/{holder}/{api}/{role}", tag = "roles",
    params(("holder" = String, Path), ("api" = String, Path), ("role" = String, Path), IfMatchHeader),
    security(("bearer" = ["roles:write"])), responses((status = 204, description = "The holder has it no more")))]
async fn withdraw(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Named(holder, api, role): Named,
    _: NoQuery,
    if_match: IfMatch,
) -> Result<Response<Body>, ProblemError> {
    // Nothing can change what somebody was given but its end, so nothing is lost between this and that.
    if_match.check(&roles::show(&app, &actor, &holder, &api, &role).await?)?;
    match roles::withdraw(&app, &actor, &holder, &api, &role).await? {
        true => Ok(gone()),
        false => Err(Denial::IdUnknown.into()),
    }
}
