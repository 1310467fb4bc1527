//! Reading from the store and committing to it, and the audit event that goes with a change.

use std::time::Duration;

use doorward_core::{denial::Denial, id::AuditId, refusal::Refusal};
use doorward_store::{
    Committed, Operation, StoreError,
    audit::{AuditContext, Details},
    idempotency::{Kept, KeptAnswer},
};

use tracing::Instrument;

use super::App;
use crate::{actor::Actor, spans};

impl App {
    /// Runs an operation that changes something. What is kept in memory follows its changes at once; other processes
    /// follow when they read the log.
    ///
    /// Boxed, as in [`read`](Self::read): else every handler's future has room for the whole transaction, and moves it
    /// about also where a cache or a signature makes it needless.
    pub async fn commit<O: Operation>(&self, operation: O) -> Result<O::Output, StoreError> {
        let Committed { output, changes } =
            Box::pin(self.store.commit(operation)).instrument(spans::store::<O>("commit")).await?;
        if let Err(error) = self.apply(&changes).await {
            // The changes are committed. The task that follows the log applies them again.
            tracing::warn!(%error, "a change could not be applied at once");
        }
        Ok(output)
    }

    /// The same, with the answer that is given again if the request is repeated.
    pub(crate) async fn commit_kept<O: Operation>(
        &self,
        operation: O,
        answer: Option<KeptAnswer>,
    ) -> Result<O::Output, StoreError> {
        self.commit(Kept { operation, answer, now: self.now() }).await
    }

    /// The same for a request: what the store can't do now is a refusal with 503.
    pub(crate) async fn write<O: Operation>(&self, operation: O) -> Result<O::Output, Refusal> {
        self.commit(operation).await.map_err(unavailable)
    }

    /// Runs an operation that only reads.
    pub(crate) async fn read<O: Operation>(&self, operation: O) -> Result<O::Output, Refusal> {
        Box::pin(self.store.read(operation)).instrument(spans::store::<O>("read")).await.map_err(unavailable)
    }

    /// The actor and the time, for the audit event of an operation.
    pub(crate) fn audit(&self, actor: &Actor) -> AuditContext {
        AuditContext {
            id: self.audit_id(),
            at: self.now(),
            trace_id: actor.trace_id.map(|id| id.to_string()),
            actor: actor.id.clone(),
            address: actor.address.map(|address| address.to_string()),
            details: Details::new(),
        }
    }

    /// The id of a new event of the audit.
    pub(super) fn audit_id(&self) -> AuditId {
        AuditId::in_order(&self.audit_ids, self.now(), &*self.rng)
    }
}

/// A failure of the store as the caller sees it; the log has the cause.
pub(crate) fn unavailable(error: StoreError) -> Refusal {
    tracing::error!(%error, "the store failed");
    Refusal::new(Denial::Unavailable).fact("store", &error).retry_after(Duration::from_secs(2))
}
