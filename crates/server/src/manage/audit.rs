//! The whole story of a trace: what was refused, why, and what to do about it.

use std::{borrow::Cow, collections::BTreeSet};

use doorward_core::{
    clock::Timestamp,
    denial::Denial,
    event::RefusalEvent,
    id::{AuditId, UserId},
    trace::{ISSUER_TRACE_FACT, TraceId},
};
use doorward_store::audit::{
    AuditAction, AuditEvent, AuditFilter, AuditOfTrace, AuditOfUser, FailedSignIns, SearchAudit,
};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{ManageError, page::Page, times};
use crate::{actor::Actor, app::App, audit::refusal_details};

/// The most events that one search looks at, which takes about a second.
pub const MAX_LOOKED_AT: usize = 100_000;

/// The most other traces that are shown with one.
const MAX_NAMED: usize = 16;

/// One event, with what the list of denials says of it.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[schema(as = AuditEvent)]
pub struct Explained {
    /// Its row in the audit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<AuditId>,
    /// When it happened.
    #[serde(serialize_with = "times::serialize")]
    pub at: Timestamp,
    /// What happened.
    pub action: String,
    /// The trace id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The operator's code of the denial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The status that the caller got.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The sentence that the caller got, named as in a problem (RFC 9457 section 3.1.4).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub detail: Option<Cow<'static, str>>,
    /// The true cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub cause: Option<&'static str>,
    /// What can be done about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub remedy: Option<&'static str>,
    /// Who did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// To what it happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Where from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// How many equal events this one represents.
    pub count: i64,
    /// What else is known.
    #[schema(value_type = Object)]
    pub details: Map<String, Value>,
}

impl Explained {
    fn issuer_trace_id(&self) -> Option<String> {
        self.details.get(ISSUER_TRACE_FACT).and_then(Value::as_str).map(str::to_owned)
    }

    /// Adds what the list says of its code.
    fn with_denial(mut self) -> Self {
        let denial = self.code.as_deref().and_then(Denial::from_code);
        let fact = |name: &str| self.details.get(name).and_then(Value::as_str);
        self.detail = denial.map(|denial| denial.sentence_about(fact));
        self.status = denial.map(Denial::status);
        self.cause = denial.map(Denial::cause);
        self.remedy = denial.map(Denial::remedy);
        self
    }
}

impl From<AuditEvent> for Explained {
    fn from(event: AuditEvent) -> Self {
        let event = Self {
            id: Some(event.id),
            at: event.at,
            action: event.action.to_string(),
            trace_id: event.trace_id,
            code: event.code,
            actor: event.actor,
            subject: event.subject,
            address: event.address,
            count: event.count,
            details: event.details,
            ..Self::default()
        };
        event.with_denial()
    }
}

impl From<RefusalEvent> for Explained {
    /// A refusal that a guard logged and delivered to no server.
    fn from(event: RefusalEvent) -> Self {
        let details = refusal_details(&event);
        let event = Self {
            at: Timestamp::from_millis(event.at_ms),
            action: AuditAction::RequestRefused.to_string(),
            trace_id: Some(event.trace_id.to_string()),
            code: Some(event.code),
            actor: event.principal,
            address: event.address,
            count: event.count.into(),
            details,
            ..Self::default()
        };
        event.with_denial()
    }
}

/// The events of a trace.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct Story {
    /// The oldest ones, in their order.
    pub events: Vec<Explained>,
    /// How many more there are.
    pub more: u64,
}

/// The events of a trace, `limit` of each trace id at most. Refusals are written within a second, so a fresh trace may not
/// be there yet.
pub async fn explain(app: &App, trace_id: &str, limit: u32) -> Result<Story, ManageError> {
    let of_trace = async |trace_id: &str, story: &mut Story| -> Result<(), ManageError> {
        let operation = AuditOfTrace { trace_id: trace_id.to_owned(), limit: limit.into() };
        let (events, more) = app.store.read(operation).await?;
        story.events.extend(events.into_iter().map(Explained::from));
        story.more += more;
        Ok(())
    };
    let mut story = Story::default();
    of_trace(trace_id, &mut story).await?;
    // What the issuer had answered to the API has an id of its own.
    let named: BTreeSet<_> = story.events.iter().filter_map(Explained::issuer_trace_id).collect();
    for issuers in named.iter().filter(|issuers| *issuers != trace_id).take(MAX_NAMED) {
        of_trace(issuers, &mut story).await?;
    }
    story.events.sort_by_key(|event| event.at);
    Ok(story)
}

/// The newest events that match a filter.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The events, oldest first.
    pub events: Vec<Explained>,
    /// How many events were looked at.
    pub looked_at: usize,
    /// The oldest one that was looked at, where older ones may match: what to continue before.
    pub next: Option<AuditId>,
}

/// The newest events that match, `limit` at most: after the event with the id `after` and before the one with the id
/// `before`, if given. Looks at [`MAX_LOOKED_AT`] events at most.
pub async fn tail(
    app: &App,
    filter: &AuditFilter,
    after: Option<String>,
    before: Option<AuditId>,
    limit: usize,
) -> Result<Found, ManageError> {
    let mut found = Found { next: before, ..Found::default() };
    loop {
        let (filter, after, before) = (filter.clone(), after.clone(), found.next.take());
        let page = app.store.read(SearchAudit { filter, after, before, limit: limit - found.events.len() }).await?;
        found.events.extend(page.events.into_iter().map(Explained::from));
        found.looked_at += page.looked_at;
        found.next = page.next;
        if found.next.is_none() || found.events.len() >= limit || found.looked_at >= MAX_LOOKED_AT {
            found.events.reverse();
            return Ok(found);
        }
    }
}

/// A page of the events that match, newest first, of those before an event. One page looks at
/// [`SearchAudit::LOOK`] events at most. Who has limits finds none: an event may be about everything.
pub async fn list(
    app: &App,
    actor: &Actor,
    filter: AuditFilter,
    before: Option<AuditId>,
    limit: usize,
) -> Result<Page<Explained, AuditId>, ManageError> {
    if !actor.rights.are_unlimited() {
        return Ok(Page { items: Vec::new(), next: None });
    }
    let found = app.store.read(SearchAudit { filter, after: None, before, limit }).await?;
    Ok(Page { items: found.events.into_iter().map(Explained::from).collect(), next: found.next })
}

/// The story of a trace id, `limit` events of each trace id at most, or an error that names it. For who has limits there
/// is none.
pub async fn story(app: &App, actor: &Actor, trace_id: &str, limit: u32) -> Result<Story, ManageError> {
    let unknown = || ManageError::NotFound { kind: "trace", name: trace_id.to_owned() };
    let read = TraceId::read(trace_id).map_err(|_| unknown())?;
    if !actor.rights.are_unlimited() {
        return Err(unknown());
    }
    match explain(app, &read.to_string(), limit).await? {
        story if story.events.is_empty() => Err(unknown()),
        story => Ok(story),
    }
}

/// The newest sign-ins of a user that failed by a wrong password, newest first.
pub async fn failed_sign_ins(app: &App, user_id: &UserId, limit: i64) -> Result<Vec<AuditEvent>, ManageError> {
    Ok(app.store.read(FailedSignIns { user_id: user_id.clone(), limit }).await?)
}

/// The newest events that a user may want to know of, newest first.
pub async fn of_user(app: &App, user_id: &UserId, limit: i64) -> Result<Vec<AuditEvent>, ManageError> {
    Ok(app.store.read(AuditOfUser { user_id: user_id.clone(), limit }).await?)
}
