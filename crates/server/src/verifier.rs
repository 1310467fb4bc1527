//! The server as its own first user: a guard whose verifier looks into the store instead of asking over HTTP.
//!
//! It protects the management API here, and the API of whoever embeds server and guard in one process.

use std::sync::Arc;

use doorward_core::{
    api::ResourceIdentifier,
    clock::Timestamp,
    credential::Credential,
    denial::Denial,
    event::RefusalEvent,
    principal::{CredentialKind, Principal},
    refusal::Refusal,
    secret::ExposeSecret,
};
use doorward_guard::{AuditSink, BoxFuture, Guard, GuardError, Verifier};

use crate::{admin::apis::KEYS_VERIFY, app::App, keys::verify, oauth::own_token};

/// Verifies keys and tokens for one API of this server.
pub struct LocalVerifier {
    app: Arc<App>,
    audience: ResourceIdentifier,
}

impl LocalVerifier {
    /// A verifier for the API with this identifier.
    pub fn new(app: Arc<App>, audience: ResourceIdentifier) -> Self {
        Self { app, audience }
    }

    async fn principal(&self, credential: &Credential) -> Result<Principal, Refusal> {
        let app = &self.app;
        app.check_sight()?;
        if let Credential::ApiKey(key) = credential {
            let apis = app.snapshots.apis();
            let api = apis.by_resource(self.audience.as_str()).ok_or(Denial::KeyOfAnotherApi)?;
            return verify::check(app, api, key.expose_secret()).await;
        }
        let token = own_token::read(app, credential).await?;
        own_token::check_use(app, &token, self.audience.as_str()).await?;
        let is_opaque = matches!(credential, Credential::Opaque(_));
        let principal = token.into_principal(self.audience.clone());
        let credential = if is_opaque { CredentialKind::AccessTokenOpaque } else { CredentialKind::AccessTokenJwt };
        Ok(Principal { credential, ..principal })
    }
}

impl Verifier for LocalVerifier {
    fn verify<'a>(
        &'a self,
        credential: &'a Credential,
        _now: Timestamp,
    ) -> BoxFuture<'a, Result<Arc<Principal>, Refusal>> {
        Box::pin(async move { self.principal(credential).await.map(Arc::new) })
    }
}

/// Writes a guard's refusals into the server's own audit.
struct OwnAudit(Arc<App>);

impl AuditSink for OwnAudit {
    fn refused(&self, event: RefusalEvent) {
        self.0.note_delivered(vec![event]);
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
