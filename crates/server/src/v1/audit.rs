//! `/v1/audit` and `/v1/explain`: what happened, and why requests were refused.

use std::{fmt::Display, str::FromStr, sync::Arc};

use axum::{body::Body, extract::State};
use doorward_core::{clock::Timestamp, denial::Denial};
use doorward_store::audit::{AuditAction, AuditFilter, read_address};
use http::Response;
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de::Error};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::Caller,
    document::Document,
    entity::{Id, answer},
    list::{List, ListQuery, NoQuery, PageParameters},
};
use crate::{
    app::App,
    manage::{
        audit::{self, Explained, Story},
        times,
    },
    web::refused::ProblemError,
};

/// The most events of one trace id in a story.
const MOST_OF_A_TRACE: u32 = 100;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(explain))
}

/// Which events are listed: those that match all that is set.
#[derive(Debug, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only events whose actor or subject has this id; for a grant, also those of its tokens.
    about: Option<String>,
    /// Only this action, for example `client.created`.
    #[serde(default, deserialize_with = "action")]
    #[param(value_type = Option<String>)]
    #[schema(value_type = Option<String>)]
    action: Option<AuditAction>,
    /// Only refusals with this code, for example `password_wrong`.
    #[serde(default, deserialize_with = "code")]
    #[param(value_type = Option<String>)]
    #[schema(value_type = Option<String>)]
    code: Option<Denial>,
    /// Only what was done to this id.
    subject: Option<String>,
    /// Only what was done by this id, or by this `os:…` of a command on the server's machine.
    actor: Option<String>,
    /// Only events from this IP address or network, for example `192.0.2.7` or `2001:db8::/64`.
    #[serde(default, deserialize_with = "address")]
    #[param(value_type = Option<String>)]
    #[schema(value_type = Option<String>)]
    address: Option<IpNet>,
    /// Only events recorded at this time or later.
    #[serde(default, deserialize_with = "time")]
    since: Option<Timestamp>,
    /// Only events recorded before this time.
    #[serde(default, deserialize_with = "time")]
    until: Option<Timestamp>,
}

impl Document for Filter {}

fn action<'de, D: Deserializer<'de>>(value: D) -> Result<Option<AuditAction>, D::Error> {
    read(value, AuditAction::from_str)
}

fn code<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Denial>, D::Error> {
    read(value, |text| Denial::from_code(text).ok_or("not a code of a refusal"))
}

fn address<'de, D: Deserializer<'de>>(value: D) -> Result<Option<IpNet>, D::Error> {
    read(value, read_address)
}

pub(super) fn time<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Timestamp>, D::Error> {
    read(value, times::read)
}

/// Reads a text, where there is one.
fn read<'de, D: Deserializer<'de>, T, E: Display>(
    value: D,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<Option<T>, D::Error> {
    let text = Option::<String>::deserialize(value)?;
    text.map(|text| parse(&text).map_err(D::Error::custom)).transpose()
}

/// Search the audit log, the newest events first
#[utoipa::path(get, path = "/v1/audit", tag = "audit", params(Filter, PageParameters), security(("bearer" = ["audit:read"])),
    responses((status = 200, description = "A page of the events; empty for a credential with limits", body = List<Explained>)))]
async fn list(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    query: ListQuery<Filter>,
) -> Result<Response<Body>, ProblemError> {
    let Filter { about, action, code, subject, actor: by, address, since, until } = &query.filter;
    let filter = AuditFilter {
        about: about.clone(),
        action: action.clone(),
        code: *code,
        subject: subject.clone(),
        actor: by.clone(),
        address: *address,
        since: *since,
        until: *until,
    };
    query.answer(&app, |before, limit| audit::list(&app, &actor, filter, before, limit)).await
}

/// Explain why a request was refused
#[utoipa::path(get, path = "/v1/explain/{trace_id}", tag = "audit", params(("trace_id" = String, Path)),
    security(("bearer" = ["audit:read"])),
    responses((status = 200, description = "The events of the trace, the oldest first", body = Story)))]
async fn explain(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Id(trace_id): Id,
    _: NoQuery,
) -> Result<Response<Body>, ProblemError> {
    answer(&audit::story(&app, &actor, &trace_id, MOST_OF_A_TRACE).await?)
}
