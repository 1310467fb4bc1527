//! `POST /v1/leaks`: somebody found an API key, and hands it in. The answer says nothing about the key.

use std::sync::Arc;

use axum::{body::Body, extract::State};
use doorward_core::{
    json::{Map, Value},
    refusal::Refusal,
};
use http::{Request, Response, StatusCode};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    manage::keys::report_leak,
    origin::Origin,
    v1::members::Members,
    web::{body, refused::ProblemError, respond},
};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(report))
}

/// A key that was found.
#[derive(ToSchema)]
#[schema(as = LeakReport)]
struct LeakReport {
    /// The key.
    key: String,
    /// Where it was found, for the key's owner: a URL, for example. At most 256 characters are kept.
    #[schema(value_type = Option<String>)]
    source: String,
}

impl LeakReport {
    fn read(body: Map<String, Value>) -> Result<Self, Refusal> {
        let mut members = Members::of(body, EXPECTED);
        let (key, source) = (members.text("key"), members.optional("source").unwrap_or_default());
        members.finish()?;
        Ok(Self { key, source })
    }
}

const EXPECTED: &str = r#"{"key":"…","source":"https://…"}"#;

/// Report a leaked API key
#[utoipa::path(post, path = "/v1/leaks", tag = "verification", security(()), request_body = LeakReport,
    responses((status = 202, description = "Accepted: the same for every key, known or not")))]
async fn report(State(app): State<Arc<App>>, request: Request<Body>) -> Result<Response<Body>, ProblemError> {
    let (head, body) = request.into_parts();
    let origin = Origin::of(&head);
    let LeakReport { key, source } = LeakReport::read(body::json(&app, &head, body, EXPECTED).await?)?;
    report_leak(&app, (origin.address, origin.trace_id()), &key, &source).await?;
    Ok(respond::empty(StatusCode::ACCEPTED))
}
