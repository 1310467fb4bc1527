//! The server as its own first user: a guard whose verifier looks into the store instead of asking over HTTP.
//!
//! It protects the management API here, and the API of a program that embeds server and guard in one process.

use std::sync::Arc;

use doorward_core::{
    allowed_origins,
    api::ResourceIdentifier,
    credential::Credential,
    denial::Denial,
    policy,
    principal::{CredentialKind, Principal, PrincipalKind},
    refusal::Refusal,
};
use doorward_guard::{BoxFuture, RequestContext, Requirement, Verified, Verifier};
use http::{
    HeaderValue,
    header::{ORIGIN, USER_AGENT},
};

use super::{
    access_token,
    api_key::{self, Sender, Use},
};
use crate::app::App;

/// Verifies keys and tokens for one API of this server.
pub struct LocalVerifier {
    app: Arc<App>,
    audience: ResourceIdentifier,
}

/// A credential that is valid, and whether that holds for its next use too.
pub(crate) struct Found {
    pub(crate) verified: Verified,
    pub(crate) is_reusable: bool,
}

impl LocalVerifier {
    /// A verifier for the API with this identifier.
    pub fn new(app: Arc<App>, audience: ResourceIdentifier) -> Self {
        Self { app, audience }
    }

    /// Verifies a credential for one use. The requirement is not compared for tokens, whose uses nobody counts.
    pub(super) async fn find(&self, credential: &Credential<'_>, asked: Use<'_>) -> Result<Found, Refusal> {
        let app = &self.app;
        app.ensure_fresh()?;
        if let Credential::ApiKey(key) = credential {
            let apis = app.snapshots.apis();
            let api = apis.by_resource(self.audience.as_str()).ok_or(Denial::KeyOfAnotherApi)?;
            let found = api_key::verify(app, api, key.expose_secret(), asked).await?;
            let verified = Verified::from(Arc::new(found.principal)).with_limits(found.limits);
            return Ok(Found { verified, is_reusable: found.key.metadata.is_reusable() });
        }
        let token = access_token::read(app, credential).await?;
        access_token::check_use(app, &token, self.audience.as_str()).await?;
        let is_opaque = matches!(credential, Credential::Opaque(_));
        let principal = token.into_principal(self.audience.clone());
        let credential = if is_opaque { CredentialKind::AccessTokenOpaque } else { CredentialKind::AccessTokenJwt };
        Ok(Found { verified: Arc::new(Principal { credential, ..principal }).into(), is_reusable: true })
    }
}

impl Verifier for LocalVerifier {
    fn verify<'a>(
        &'a self,
        credential: &'a Credential<'a>,
        request: &'a RequestContext<'a>,
    ) -> BoxFuture<'a, Result<Verified, Refusal>> {
        Box::pin(async move {
            let anything = policy::Requirement::authenticated();
            let requirement = request.requirement.map_or(&anything, Requirement::policy);
            let origin = allowed_origins::sent(request.headers.get_all(ORIGIN).iter().map(HeaderValue::as_bytes));
            let values = |name| request.headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
            let sender = Sender { origin: values(ORIGIN), user_agent: values(USER_AGENT) };
            let sender = Some(sender).filter(|_| !request.keys_in_browsers);
            let used = Use { address: request.client, origin, sender, requirement, further_uses: 0 };
            let found = self.find(credential, used).await?;
            let principal = &found.verified.principal;
            if principal.kind == PrincipalKind::Key {
                let user_agent = request.headers.get(USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()));
                self.app.note_caller(&principal.subject, request.client, user_agent.as_deref());
            }
            Ok(found.verified)
        })
    }
}
