//! `/v1/legacy`: which keys still come by a legacy way.

use std::sync::Arc;

use axum::{body::Body, extract::State};
use http::Response;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::Caller,
    document::Document,
    list::{List, ListQuery, PageParameters},
};
use crate::{
    app::App,
    manage::legacy::{self, LegacyUseView},
    web::refused::ProblemError,
};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Which uses are listed.
#[derive(Debug, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only uses at this API: its name, id or identifier.
    api: Option<String>,
}

impl Document for Filter {}

/// List the keys that still come by a legacy way
#[utoipa::path(get, path = "/v1/legacy", tag = "legacy", params(Filter, PageParameters), security(("bearer" = ["audit:read"])),
    responses((status = 200, description = "A page of the uses, by key; empty for a credential with limits", body = List<LegacyUseView>)))]
async fn list(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    query: ListQuery<Filter>,
) -> Result<Response<Body>, ProblemError> {
    let api = query.filter.api.as_deref();
    query.answer(&app, |after, limit| legacy::list(&app, &actor, api, after, limit)).await
}
