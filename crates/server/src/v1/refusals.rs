//! `POST /v1/audit/refusals`: guards deliver what they refused, so that `explain` knows the API's refusals too.
//!
//! Easy to get wrong: an API's credential must not be enough to write what the authorization server or its operator did.
//!
//! Unlike the other bodies of `/v1`, these may have unknown members. The caller is not a person who mistyped one, but a
//! guard, a library that APIs update when they like. A newer guard may know more than this server. If it were refused, every
//! refusal of its API would be lost to `explain` until the server is updated as well. So an unknown member is skipped, like
//! an unknown code, and logged by its name.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{body::Body, extract::State};
use doorward_core::{
    api::Api,
    clock::Timestamp,
    credential::loggable_line,
    denial::Denial,
    event::RefusalEvent,
    holder::Holder,
    json::{Map, Value},
    refusal::Refusal,
    trace::TraceId,
};
use http::{Request, Response, StatusCode};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    app::App,
    oauth::client_authentication,
    origin::Origin,
    v1::members::Members,
    web::{body, refused::ProblemError, respond},
};

/// The most events in one delivery.
const MOST: usize = 500;
/// The most facts of an event.
const MAX_FACTS: usize = 16;
/// The most refusals that one event represents.
const MAX_COUNT: u32 = 1_000_000;
/// How old a refusal may be.
const OLDEST: Duration = Duration::from_secs(3_600);
/// The form of the body, for the operator.
const EXPECTED: &str = r#"[{"trace_id":"…","at_ms":…,"code":"…","at":"…","method":"…","path":"…"}]"#;
/// The fact that names the API which reported a refusal.
const REPORTED_BY: &str = "reported_by";

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(report_refusals))
}

/// Report refusals
#[utoipa::path(post, path = "/v1/audit/refusals", tag = "verification", security(("api_credential" = [])),
    request_body = Vec<RefusalEvent>, responses((status = 204, description = "They are in the audit log")))]
pub(crate) async fn report_refusals(
    State(app): State<Arc<App>>,
    request: Request<Body>,
) -> Result<Response<Body>, ProblemError> {
    let (head, body) = request.into_parts();
    let api = client_authentication::api(&app, &Origin::of(&head), &head).await?;
    let reports: Vec<Map<String, Value>> = body::json(&app, &head, body, EXPECTED).await?;
    if reports.len() > MOST {
        return Err(Refusal::new(Denial::BodyMalformed).fact("refusals", "too many in one delivery").into());
    }
    let (mut events, mut unknown) = (Vec::with_capacity(reports.len()), None);
    for (index, report) in reports.into_iter().enumerate() {
        let mut members = Members::at(format!("/{index}"), report, EXPECTED);
        events.push(event(&mut members)?);
        unknown = unknown.or_else(|| members.left().map(|name| loggable_line(name, 64)));
    }
    if let Some(member) = unknown {
        tracing::warn!(api = %api.metadata.name, member, "an API reported refusals with a member that is not known here");
    }
    let reported = events.len();
    events.retain(|event| event.denial().is_some_and(Denial::is_of_a_guard));
    if events.len() < reported {
        let left_out = reported - events.len();
        tracing::warn!(api = %api.metadata.name, left_out, "an API reported refusals that no guard makes");
    }
    let events = events.into_iter().map(|event| bounded(event, &api, app.now()));
    app.note_delivered(events.collect());
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

/// A refusal as it was reported.
fn event(members: &mut Members) -> Result<RefusalEvent, Refusal> {
    let trace_id = members.required::<TraceId>("trace_id");
    let event = |trace_id| RefusalEvent {
        trace_id,
        at_ms: members.required("at_ms").unwrap_or_default(),
        code: members.text("code"),
        at: members.text("at"),
        method: members.text("method"),
        path: members.text("path"),
        address: members.optional("address"),
        principal: members.optional("principal"),
        facts: members.optional("facts").unwrap_or_default(),
        count: members.optional("count").unwrap_or(1),
    };
    let event = trace_id.map(event);
    members.check()?;
    event.ok_or_else(|| Denial::BodyMalformed.into())
}

/// An event as the audit takes it: within its bounds, without credentials, and marked with the API that reported it,
/// which speaks for itself only and for the present.
fn bounded(event: RefusalEvent, api: &Api, now: Timestamp) -> RefusalEvent {
    let path = event.path.split('?').next().unwrap_or_default();
    let mut facts: Vec<_> = event
        .facts
        .iter()
        .take(MAX_FACTS)
        .map(|(name, value)| (loggable_line(name, 64), loggable_line(value, 256)))
        .collect();
    facts.retain(|(name, _)| name != REPORTED_BY);
    facts.push((REPORTED_BY.to_owned(), api.metadata.name.clone()));
    RefusalEvent {
        trace_id: event.trace_id,
        at_ms: event.at_ms.clamp(now.minus(OLDEST).as_millis(), now.as_millis()),
        code: event.code,
        at: api.metadata.identifier.to_string(),
        method: loggable_line(&event.method, 16),
        path: loggable_line(path, RefusalEvent::MAX_PATH),
        address: event.address.and_then(|address| address.parse::<IpAddr>().ok()).map(|address| address.to_string()),
        // At an API a client, a key or a user acts; all others are this server's own to name.
        principal: event.principal.filter(|principal| principal.parse::<Holder>().is_ok()),
        facts,
        count: event.count.clamp(1, MAX_COUNT),
    }
}
