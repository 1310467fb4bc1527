//! The HTTP interface below `/v1`, and the guard of it: the server is its own first user.

use std::sync::Arc;

use axum::{Extension, Router, middleware, routing::get};
use bytes::Bytes;
use doorward_core::{event::RefusalEvent, rights::SCOPES};
use doorward_guard::{AuditSink, Guard, GuardError};
use http::StatusCode;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;

use self::{access::Access, reference::Reference};
use crate::{app::App, manage::document, verify::LocalVerifier, web::respond};

mod access;
mod apis;
mod audit;
mod clients;
mod creation;
mod departure;
mod entity;
mod grants;
mod key_holder;
mod keys;
mod keys_revoke;
pub(crate) mod keys_verify;
mod leaks;
mod legacy;
pub(crate) mod legacy_uses;
mod list;
mod members;
mod openapi;
mod reference;
pub(crate) mod refusals;
pub(crate) mod requests_verify;
mod roles;
mod sessions;
mod signing_keys;
mod users;
mod webhook_deliveries;
mod webhooks;

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
            .scopes_supported(&SCOPES.map(|(scope, _)| scope).join(" "))
            .audit(OwnAudit(app.clone()))
            .clock(app.clock.clone())
            .rng(app.rng.clone())
            .build()
            .map(Self)
    }
}

/// What is below `/v1`, with its description.
struct Operations {
    /// What manages; [`access`] accepts its callers.
    managing: Router<Arc<App>>,
    /// What APIs ask, which authenticate by their own credentials, and what anybody may report.
    asked: Router<Arc<App>>,
    description: Value,
}

fn operations() -> Operations {
    let managing = OpenApiRouter::with_openapi(openapi::base())
        .merge(apis::routes())
        .merge(audit::routes())
        .merge(clients::routes())
        .merge(grants::routes())
        .merge(keys::routes())
        .merge(keys_revoke::routes())
        .merge(legacy::routes())
        .merge(roles::routes())
        .merge(sessions::routes())
        .merge(signing_keys::routes())
        .merge(users::routes())
        .merge(webhook_deliveries::routes())
        .merge(webhooks::routes());
    let asked = OpenApiRouter::new()
        .merge(key_holder::routes())
        .merge(keys_verify::routes())
        .merge(leaks::routes())
        .merge(requests_verify::routes())
        .merge(refusals::routes())
        .merge(legacy_uses::routes());
    let (managing, mut description) = managing.split_for_parts();
    let (asked, described) = asked.split_for_parts();
    description.merge(described);
    Operations { managing, asked, description: openapi::complete(description) }
}

/// The description of `/v1` (OpenAPI 3.1), as `/openapi.json` has it.
pub fn description() -> Value {
    operations().description
}

pub(crate) fn routes(app: &Arc<App>, management: Management) -> Router<Arc<App>> {
    let Operations { managing, asked, description } = operations();
    let access = Arc::new(Access::new(app.clone(), management.clone(), &description));
    let managing = managing.route_layer(middleware::from_fn_with_state(access, access::authorize));
    let reference = Reference::of(&description);
    let description = Bytes::from(description.to_string());
    Router::new()
        .route("/openapi.json", get(async move || respond::with_type(StatusCode::OK, "application/json", description)))
        .route("/reference", get(async move |app| reference.page(app).await))
        .merge(asked)
        .layer(Extension(management))
        .merge(managing)
}
