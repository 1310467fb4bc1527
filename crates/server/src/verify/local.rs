//! The server as its own first user: a guard whose verifier looks into the store instead of asking over HTTP.
//!
//! It protects the management API here, and the API of a program that embeds server and guard in one process.

use std::{net::IpAddr, sync::Arc};

use doorward_core::{
    api::ResourceIdentifier,
    credential::Credential,
    denial::Denial,
    principal::{CredentialKind, Principal},
    refusal::Refusal,
};
use doorward_guard::{BoxFuture, RequestContext, Verifier};

use super::{access_token, api_key};
use crate::app::App;

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

    /// The principal of a credential that came from `address`, if that is known.
    pub(super) async fn principal(
        &self,
        credential: &Credential<'_>,
        address: Option<IpAddr>,
    ) -> Result<Principal, Refusal> {
        let app = &self.app;
        app.ensure_fresh()?;
        if let Credential::ApiKey(key) = credential {
            let apis = app.snapshots.apis();
            let api = apis.by_resource(self.audience.as_str()).ok_or(Denial::KeyOfAnotherApi)?;
            return Ok(api_key::verify(app, api, key.expose_secret(), address).await?.principal);
        }
        let token = access_token::read(app, credential).await?;
        access_token::check_use(app, &token, self.audience.as_str()).await?;
        let is_opaque = matches!(credential, Credential::Opaque(_));
        let principal = token.into_principal(self.audience.clone());
        let credential = if is_opaque { CredentialKind::AccessTokenOpaque } else { CredentialKind::AccessTokenJwt };
        Ok(Principal { credential, ..principal })
    }
}

impl Verifier for LocalVerifier {
    fn verify<'a>(
        &'a self,
        credential: &'a Credential<'a>,
        request: &'a RequestContext<'a>,
    ) -> BoxFuture<'a, Result<Arc<Principal>, Refusal>> {
        Box::pin(async move { self.principal(credential, request.client).await.map(Arc::new) })
    }
}
