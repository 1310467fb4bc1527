//! `POST /v1/audit/legacy-uses`: guards deliver which keys came by a legacy way, for `GET /v1/legacy`.
//!
//! As in the refusals that guards deliver, unknown members and ways are skipped: a guard may be newer than this server.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{body::Body, extract::State};
use doorward_core::{
    clock::Timestamp,
    credential::loggable_line,
    denial::Denial,
    id::KeyId,
    json::{Map, Value},
    legacy::{LegacyUse, LegacyWay},
    network::Network,
    query_key::MAX_ROUTE,
    refusal::Refusal,
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

/// The most counts in one delivery.
const MOST: usize = 500;
/// The most uses that one count represents.
const MAX_COUNT: u32 = 1_000_000;
/// How old a use may be: guards keep them while the server is away.
const OLDEST: Duration = Duration::from_secs(7 * 86_400);
/// The form of the body, for the operator.
const EXPECTED: &str =
    r#"[{"way":"query","key":"key_…","route":"…","network":"…","count":1,"first_at_ms":…,"last_at_ms":…}]"#;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(report_legacy_uses))
}

/// Report uses of legacy ways
#[utoipa::path(post, path = "/v1/audit/legacy-uses", tag = "verification", security(("api_credential" = [])),
    request_body = Vec<LegacyUse>, responses((status = 204, description = "They will be in the report within seconds")))]
pub(crate) async fn report_legacy_uses(
    State(app): State<Arc<App>>,
    request: Request<Body>,
) -> Result<Response<Body>, ProblemError> {
    let (head, body) = request.into_parts();
    let api = client_authentication::api(&app, &Origin::of(&head), &head).await?;
    let reports: Vec<Map<String, Value>> = body::json(&app, &head, body, EXPECTED).await?;
    if reports.len() > MOST {
        return Err(Refusal::new(Denial::BodyMalformed).fact("uses", "too many in one delivery").into());
    }
    let now = app.now();
    let uses = reports.into_iter().enumerate().map(|(index, report)| read(index, report, now));
    let uses: Vec<_> = uses.collect::<Result<_, _>>()?;
    app.note_legacy_uses(&api.id, uses.into_iter().flatten());
    Ok(respond::empty(StatusCode::NO_CONTENT))
}

/// A use as it was reported, within its bounds; `None` if this server does not know the way or the form of the key.
fn read(index: usize, report: Map<String, Value>, now: Timestamp) -> Result<Option<LegacyUse>, Refusal> {
    let mut members = Members::at(format!("/{index}"), report, EXPECTED);
    let (way, key, route) = (members.text("way"), members.text("key"), members.text("route"));
    let (first, last) = (members.required::<i64>("first_at_ms"), members.required::<i64>("last_at_ms"));
    let network: Option<String> = members.optional("network");
    let count: u32 = members.optional("count").unwrap_or(1);
    members.check()?;
    let (Ok(way), Ok(key)) = (way.parse::<LegacyWay>(), KeyId::parse(&key)) else { return Ok(None) };
    let at = |millis: Option<i64>| {
        Timestamp::from_millis(millis.unwrap_or_default().clamp(now.minus(OLDEST).as_millis(), now.as_millis()))
    };
    let network = network.and_then(|network| network.parse::<IpAddr>().ok()).map(Network::of);
    let used = LegacyUse::one(way, key.as_str(), &loggable_line(&route, MAX_ROUTE), network, at(last));
    let first_at_ms = at(first).as_millis().min(used.last_at_ms);
    Ok(Some(LegacyUse { count: count.clamp(1, MAX_COUNT), first_at_ms, ..used }))
}
