//! Notes for the audit that change no state: refusals, and tokens that have no row.

use doorward_core::{
    event::RefusalEvent,
    id::{ClientId, TokenId},
    network::Network,
    refusal::Refusal,
};
use doorward_store::{StoreError, audit::AppendAudit};

use super::App;
use crate::{
    actor::Details,
    audit::{Fold, ISSUED, REFUSED, refusal_row},
    origin::Origin,
};

/// Events in one transaction.
const BATCH: usize = 1_000;

impl App {
    /// Notes a refusal: for the audit, and for the log.
    pub(crate) fn note_refusal(&self, origin: &Origin, refusal: &Refusal) {
        let fold = Fold {
            action: REFUSED,
            code: Some(refusal.denial.code()),
            network: Some(Network::of(origin.address)),
            actor: None,
        };
        tracing::info!(
            trace_id = %origin.trace_id(), code = refusal.denial.code(), method = %origin.method, path = %origin.path,
            address = %origin.address, "refused"
        );
        self.audit.push(fold, self.now(), || {
            let mut event = RefusalEvent::new(
                origin.trace_id(),
                self.now(),
                refusal,
                &self.settings.issuer,
                &origin.method,
                &origin.path,
            );
            event.address = Some(origin.address.to_string());
            refusal_row(self.audit_id(), event)
        });
    }

    /// Notes refusals that a guard delivered.
    pub(crate) fn note_delivered(&self, events: Vec<RefusalEvent>) {
        for event in events {
            let Some(denial) = event.denial() else { continue };
            let address = event.address.as_deref().and_then(|address| address.parse().ok());
            let network = address.map(Network::of);
            let fold = Fold { action: REFUSED, code: Some(denial.code()), network, actor: Some(event.at.clone()) };
            self.audit.push(fold, self.now(), || refusal_row(self.audit_id(), event));
        }
    }

    /// Notes a token that has no row of its own.
    pub(crate) fn note_issued(
        &self,
        origin: &Origin,
        client_id: &ClientId,
        token_id: &TokenId,
        details: impl FnOnce() -> Details,
    ) {
        let (network, actor) = (Some(Network::of(origin.address)), Some(client_id.to_string()));
        let fold = Fold { action: ISSUED, code: None, network, actor };
        self.audit.push(fold, self.now(), || {
            self.event(&origin.actor(client_id.as_str()), ISSUED, Some(token_id.to_string()), details())
        });
    }

    /// Writes what waits. What can't be written now waits on, as far as there is room.
    pub async fn flush_audit(&self) -> Result<(), StoreError> {
        let mut events = self.audit.take(|actor, action| self.event(actor, action, None, Details::none()));
        while !events.is_empty() {
            let rest = events.split_off(events.len().min(BATCH));
            if let Err(error) = self.store.write(AppendAudit { events: events.clone() }).await {
                events.extend(rest);
                self.audit.put_back(events);
                return Err(error);
            }
            events = rest;
        }
        Ok(())
    }
}
