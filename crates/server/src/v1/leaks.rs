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
    manage::keys::{report_leak, report_leaks},
    origin::Origin,
    v1::members::Members,
    web::{body, refused::ProblemError, respond},
};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(report)).routes(routes!(report_of_github))
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

/// The longest message of GitHub, in bytes. One key takes about 250.
const MOST_BYTES: usize = 8 << 20;

/// A key that GitHub found.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its schema is used; the body is read once its signature holds")]
struct GithubAlert {
    /// The text that looks like a key.
    token: String,
    /// The name that was agreed on for this kind of key.
    r#type: String,
    /// Where it was found; can be empty.
    url: String,
    /// In what kind of place.
    source: String,
}

/// Report leaked API keys, as GitHub does
///
/// The message of GitHub's secret scanning partner program, on if the operator sets `leaks.github_keys_url`.
#[utoipa::path(post, path = "/v1/leaks/github", tag = "verification", security(()), request_body = Vec<GithubAlert>,
    params(("github-public-key-identifier" = String, Header, description = "Which of GitHub's keys signed"),
        ("github-public-key-signature" = String, Header, description = "ECDSA P-256 with SHA-256 over the body, in DER and base64")),
    responses((status = 202, description = "Accepted: the same for every key, known or not")))]
async fn report_of_github(State(app): State<Arc<App>>, request: Request<Body>) -> Result<Response<Body>, ProblemError> {
    let (head, body) = request.into_parts();
    let body = body::json_bytes_up_to(&app, &head, body, MOST_BYTES).await?;
    let said = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let identifier = said("github-public-key-identifier");
    let keys = app.github_keys(identifier).await?;
    let alerts = keys.verify(identifier, said("github-public-key-signature"), &body)?;
    let origin = Origin::of(&head);
    report_leaks(&app, (origin.address, origin.trace_id()), &alerts).await?;
    Ok(respond::empty(StatusCode::ACCEPTED))
}
