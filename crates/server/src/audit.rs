//! The audit of what changes no state: refusals, and tokens that have no row.
//!
//! They go through a bounded queue that is flushed at least every second, so they never delay an answer and a crash
//! loses a second of them. Floods are counted instead of noted one by one. State changes are no business of this queue;
//! each writes its event in its own transaction.

use doorward_core::{clock::Timestamp, event::RefusalEvent, id::AuditId};
use doorward_store::audit::{AuditAction, AuditEvent, Details};
use serde_json::Value;

mod queue;

pub(crate) use self::queue::{AuditQueue, Budgets, Fold, Taken};

pub(crate) fn refusal_row(id: AuditId, event: RefusalEvent) -> AuditEvent {
    let details = refusal_details(&event);
    AuditEvent {
        id,
        at: Timestamp::from_millis(event.at_ms),
        trace_id: Some(event.trace_id.to_string()),
        action: AuditAction::RequestRefused,
        code: Some(event.code),
        actor: event.principal,
        subject: None,
        address: event.address,
        count: event.count.into(),
        details,
    }
}

/// What is known of a refusal beside what has a column of its own.
pub(crate) fn refusal_details(event: &RefusalEvent) -> Details {
    let request = [("method", &event.method), ("path", &event.path), ("at", &event.at)];
    let facts = event.facts.iter().map(|(name, value)| (name.as_str(), value));
    facts.chain(request).map(|(name, value)| (name.to_owned(), Value::from(value.as_str()))).collect()
}
