//! `/v1/sessions`: who is signed in where.

use std::sync::Arc;

use axum::{body::Body, extract::State};
use doorward_core::id::UserId;
use doorward_store::sessions::SessionFilter;
use http::Response;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::Caller,
    document::Document,
    entity::{Id, IfMatch, IfMatchHeader, answer, gone},
    list::{List, ListQuery, NoQuery, PageParameters},
    users::User,
};
use crate::{
    app::App,
    manage::{
        sessions::{self, SessionView},
        users,
    },
    web::refused::ProblemError,
};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show, end)).routes(routes!(end_all))
}

/// Which sessions are listed.
#[derive(Debug, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only sessions of this user.
    user_id: Option<UserId>,
}

impl Document for Filter {}

/// List live sessions
#[utoipa::path(get, path = "/v1/sessions", tag = "sessions", params(Filter, PageParameters),
    security(("bearer" = ["sessions:read"])),
    responses((status = 200, description = "A page of them", body = List<SessionView>)))]
async fn list(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    query: ListQuery<Filter>,
) -> Result<Response<Body>, ProblemError> {
    let filter = SessionFilter { user_id: query.filter.user_id.clone() };
    query.answer(&app, |after, limit| sessions::list(&app, &actor, filter, after, limit)).await
}

/// Show a live session
#[utoipa::path(get, path = "/v1/sessions/{session_id}", tag = "sessions", params(("session_id" = String, Path)),
    security(("bearer" = ["sessions:read"])),
    responses((status = 200, description = "The session", body = SessionView)))]
async fn show(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Id(id): Id,
    _: NoQuery,
) -> Result<Response<Body>, ProblemError> {
    answer(&sessions::show(&app, &actor, &id).await?)
}

/// End a session
#[utoipa::path(delete, path = "/v1/sessions/{session_id}", tag = "sessions", params(("session_id" = String, Path), IfMatchHeader),
    security(("bearer" = ["sessions:write"])), responses((status = 204, description = "It has ended")))]
async fn end(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Id(id): Id,
    _: NoQuery,
    if_match: IfMatch,
) -> Result<Response<Body>, ProblemError> {
    // Nothing of it changes but its end and when it was last used, so nothing is lost between this and that.
    if_match.check(&sessions::show(&app, &actor, &id).await?)?;
    sessions::end(&app, &actor, &id).await?;
    Ok(gone())
}

/// End all sessions of a user
///
/// The browsers that the user signed in with before no longer count as known.
#[utoipa::path(delete, path = "/v1/users/{user_id}/sessions", tag = "sessions", params(("user_id" = String, Path), IfMatchHeader),
    security(("bearer" = ["sessions:write"])),
    responses((status = 204, description = "The user is signed out everywhere")))]
async fn end_all(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    User(id): User,
    _: NoQuery,
    if_match: IfMatch,
) -> Result<Response<Body>, ProblemError> {
    // Sessions are no part of what is compared, so that nothing is lost between this and that.
    if_match.check(&users::show(&app, &actor, id.as_str()).await?)?;
    sessions::end_all(&app, &actor, id.as_str()).await?;
    Ok(gone())
}
