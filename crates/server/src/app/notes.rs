//! Notes for the audit that change no state: refusals, and tokens that have no row.

use doorward_core::{
    access_token::Claims,
    api::Api,
    denial::Denial,
    event::RefusalEvent,
    id::{ClientId, UserId},
    network::Network,
    refusal::{PRINCIPAL, Refusal},
};
use doorward_store::{
    StoreError,
    audit::{AppendAudit, AuditAction, AuditEvent},
    tokens::StoreAccessToken,
};

use super::App;
use crate::{
    audit::{Fold, Taken, refusal_row},
    origin::Origin,
    spans,
};

/// Events in one transaction.
const BATCH: usize = 1_000;

impl App {
    /// Notes a refusal: for the audit, and for the log. In a flood both get counts.
    pub(crate) fn note_refusal(&self, origin: &Origin, refusal: &Refusal) {
        self.metrics.refused(refusal.denial);
        spans::refused(refusal.denial);
        let fold = Fold {
            action: AuditAction::RequestRefused,
            code: Some(refusal.denial.code()),
            network: Some(Network::of(origin.address)),
            actor: None,
            subject: refusal.subject.as_deref().map(UserId::to_string),
        };
        let taken = self.audit_queue.push(fold, self.now(), 1, || {
            let mut event = RefusalEvent::new(
                origin.trace_id(),
                self.now(),
                refusal,
                &self.settings.issuer,
                origin.method(),
                origin.path(),
            );
            event.address = Some(origin.address.to_string());
            event.principal = refusal.known_fact(PRINCIPAL).map(str::to_owned);
            let subject = refusal.subject.as_deref().map(UserId::to_string);
            AuditEvent { subject, ..refusal_row(self.audit_id(), event) }
        });
        let (trace_id, code, address) = (origin.trace_id(), refusal.denial.code(), origin.address);
        let method = || RefusalEvent::loggable_method(origin.method());
        let path = || RefusalEvent::loggable_path(origin.path());
        if taken == Taken::Single {
            tracing::info!(%trace_id, code, method = %method(), path = %path(), %address, "refused");
        } else if refusal.denial == Denial::NotFound {
            tracing::debug!(%trace_id, code, method = %method(), path = %path(), %address, "refused");
        }
    }

    /// Notes refusals that the guards of APIs delivered.
    pub(crate) fn note_delivered(&self, events: Vec<RefusalEvent>) {
        for event in events {
            let Some(denial) = event.denial() else { continue };
            self.metrics.reported(denial, event.count);
            self.note_event(denial, event);
        }
    }

    /// Notes a refusal of the guard that protects the management API.
    pub(crate) fn note_own(&self, event: RefusalEvent) {
        let Some(denial) = event.denial() else { return };
        self.metrics.refused(denial);
        self.note_event(denial, event);
    }

    fn note_event(&self, denial: Denial, event: RefusalEvent) {
        let address = event.address.as_deref().and_then(|address| address.parse().ok());
        let network = address.map(Network::of);
        let fold = Fold {
            action: AuditAction::RequestRefused,
            code: Some(denial.code()),
            network,
            actor: Some(event.at.clone()),
            subject: None,
        };
        self.audit_queue.push(fold, self.now(), event.count, || refusal_row(self.audit_id(), event));
    }

    /// Notes a token that has no row of its own.
    pub(crate) fn note_issued(&self, origin: &Origin, client_id: &ClientId, claims: &Claims, api: &Api) {
        let (network, actor) = (Some(Network::of(origin.address)), Some(client_id.to_string()));
        let fold = Fold { action: AuditAction::AccessTokenIssued, code: None, network, actor, subject: None };
        self.audit_queue.push(fold, self.now(), 1, || {
            let audit = self.audit(&origin.actor(client_id.as_str()));
            StoreAccessToken::event(&audit, api, claims)
        });
    }

    /// Writes everything that waits, also what is still counted: the server ends.
    pub(crate) async fn end_audit(&self) -> Result<(), StoreError> {
        self.audit_queue.end();
        self.flush_audit().await
    }

    /// Writes what waits. What can't be written now waits on, as far as there is room. Once it returns, what another call
    /// took before is written too.
    pub async fn flush_audit(&self) -> Result<(), StoreError> {
        let _turn = self.audit_flush.lock().await;
        let mut events = self.audit_queue.take(self.now(), |actor| self.audit(actor));
        while !events.is_empty() {
            let rest = events.split_off(events.len().min(BATCH));
            if let Err(error) = self.store.write(AppendAudit { events: events.clone() }).await {
                events.extend(rest);
                self.audit_queue.put_back(events);
                return Err(error);
            }
            events = rest;
        }
        Ok(())
    }
}
