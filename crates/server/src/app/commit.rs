//! Reading from the store and committing to it, and the audit event that goes with a change.

use std::time::Duration;

use doorward_core::{denial::Denial, id::AuditId, refusal::Refusal};
use doorward_store::{Operation, StoreError, audit::AuditEvent};
use serde_json::Value;

use super::App;
use crate::actor::{Actor, Details};

impl App {
    /// Runs an operation that changes something. What the store can't do now is a refusal with 503.
    ///
    /// Boxed, as in [`read`](Self::read): else every handler's future has room for the whole transaction, and moves it
    /// about also where a cache or a signature makes it needless.
    pub(crate) async fn write<O: Operation>(&self, operation: O) -> Result<O::Output, Refusal> {
        Box::pin(self.store.write(operation)).await.map_err(unavailable)
    }

    /// Runs an operation that only reads.
    pub(crate) async fn read<O: Operation>(&self, operation: O) -> Result<O::Output, Refusal> {
        Box::pin(self.store.read(operation)).await.map_err(unavailable)
    }

    /// The id of a new event of the audit.
    pub(crate) fn audit_id(&self) -> AuditId {
        AuditId::in_order(&self.audit_ids, self.now(), &*self.rng)
    }

    /// An event of the audit, done by `actor`.
    pub(crate) fn event(&self, actor: &Actor, action: &str, subject: Option<String>, details: Details) -> AuditEvent {
        AuditEvent {
            id: self.audit_id(),
            at: self.now(),
            trace_id: actor.trace_id.map(|id| id.to_string()),
            action: action.to_owned(),
            code: None,
            actor: actor.id.clone(),
            subject,
            address: actor.address.map(|address| address.to_string()),
            count: 1,
            details: Value::Object(details.0).to_string(),
        }
    }
}

/// A failure of the store as the caller sees it; the log has the cause.
pub(crate) fn unavailable(error: StoreError) -> Refusal {
    tracing::error!(%error, "the store failed");
    Refusal::new(Denial::Unavailable).fact("store", &error).retry_after(Duration::from_secs(2))
}
