//! The HTTP interface below `/v1`, and the guard of it: the server is its own first user.

use std::sync::Arc;

use axum::{Extension, Router, routing::post};
use doorward_core::event::RefusalEvent;
use doorward_guard::{AuditSink, Guard, GuardError};

use crate::{app::App, manage::apis::KEYS_VERIFY, verify::LocalVerifier};

pub(crate) mod keys_verify;
mod members;
pub(crate) mod refusals;
pub(crate) mod requests_verify;

/// Writes a guard's refusals into the server's own audit.
struct OwnAudit(Arc<App>);

impl AuditSink for OwnAudit {
    fn refused(&self, event: RefusalEvent) {
        self.0.note_own(event);
    }
}

/// The guard of the management API.
#[derive(Clone)]
pub(crate) struct Management(pub(crate) Guard);

impl Management {
    pub(crate) fn new(app: &Arc<App>) -> Result<Self, GuardError> {
        let audience = app.management_audience();
        let verifier = Arc::new(LocalVerifier::new(app.clone(), audience.clone()));
        Guard::with_verifier(&*app.settings.issuer, audience, verifier)
            .scopes_supported(KEYS_VERIFY)
            .audit(OwnAudit(app.clone()))
            .clock(app.clock.clone())
            .rng(app.rng.clone())
            .build()
            .map(Self)
    }
}

pub(crate) fn routes(management: Management) -> Router<Arc<App>> {
    Router::new()
        .route("/v1/keys/verify", post(keys_verify::handle))
        .route("/v1/requests/verify", post(requests_verify::handle))
        .route("/v1/audit/refusals", post(refusals::handle))
        .layer(Extension(management))
}
