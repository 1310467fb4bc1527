//! The whole story of a trace: what was refused, why, and what to do about it.

use std::{borrow::Cow, collections::BTreeSet};

use doorward_core::{
    clock::Timestamp,
    denial::Denial,
    event::RefusalEvent,
    id::{AuditId, UserId},
    trace::ISSUER_TRACE_FACT,
};
use doorward_store::audit::{
    AuditAction, AuditEvent, AuditFilter, AuditOfTrace, AuditOfUser, FailedSignIns, SearchAudit,
};
use serde::Serialize;
use serde_json::{Map, Value};

use super::ManageError;
use crate::{app::App, audit::refusal_details};

/// The most events that one search looks at, which takes about a second.
pub const MAX_LOOKED_AT: usize = 100_000;

/// The most other traces that are shown with one.
const MAX_NAMED: usize = 16;

/// One event, with what the list of denials says of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Explained {
    /// Its row in the audit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<AuditId>,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
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
    pub detail: Option<Cow<'static, str>>,
    /// The true cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<&'static str>,
    /// What can be done about it.
    #[serde(skip_serializing_if = "Option::is_none")]
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
    pub details: Map<String, Value>,
}

impl Explained {
    /// When it happened.
    pub fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.at_ms)
    }

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
            at_ms: event.at.as_millis(),
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
            at_ms: event.at_ms,
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
#[derive(Clone, Debug, Default)]
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
    story.events.sort_by_key(|event| event.at_ms);
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

/// The newest sign-ins of a user that failed by a wrong password, newest first.
pub async fn failed_sign_ins(app: &App, user_id: &UserId, limit: i64) -> Result<Vec<AuditEvent>, ManageError> {
    Ok(app.store.read(FailedSignIns { user_id: user_id.clone(), limit }).await?)
}

/// The newest events that a user may want to know of, newest first.
pub async fn of_user(app: &App, user_id: &UserId, limit: i64) -> Result<Vec<AuditEvent>, ManageError> {
    Ok(app.store.read(AuditOfUser { user_id: user_id.clone(), limit }).await?)
}
