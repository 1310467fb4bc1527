//! `refresh_token`: continues what a user allowed (RFC 6749 section 6).

use std::sync::Arc;

use doorward_core::{
    checksummed::{self, REFRESH_TOKEN_PREFIX},
    client::Client,
    denial::Denial,
    form::Parameters,
    grant::{audience::RequestedAccess, refresh::RefreshRequest},
    refusal::Refusal,
    secret::ExposeSecret,
};
use doorward_store::refresh::Refresh;

use super::issue::{self, TokenResponse};
use crate::{app::App, origin::Origin};

pub(super) async fn grant(
    app: &App,
    origin: &Origin,
    client: Arc<Client>,
    form: &Parameters<'_>,
) -> Result<TokenResponse, Refusal> {
    let token = form.required("refresh_token")?;
    if !checksummed::is_well_formed(token, REFRESH_TOKEN_PREFIX) {
        return Err(Denial::RefreshTokenUnknown.into());
    }
    let now = app.now();
    let apis = app.snapshots.apis();
    let (access_token, opaque) = issue::new_access_token(app, apis.any_opaque());
    let successor = checksummed::generate(REFRESH_TOKEN_PREFIX, &*app.rng);
    let operation = Refresh {
        token: token.into(),
        candidates: app.candidates(token),
        request: RefreshRequest { client_id: client.id.clone(), address: origin.address },
        registered: client.registered_scope(&apis),
        apis,
        asked: RequestedAccess::parse(form),
        successor_digest: app.peppers.digest(successor.expose_secret()),
        successor,
        seal_nonce: app.random(),
        access_token,
        limits: app.settings.tokens.refresh,
        audit: app.audit(&origin.actor(client.id.as_str())),
        now,
    };
    let refreshed = app.write(operation).await??;
    // A refreshed ID token has no nonce (OpenID Connect Core section 12.2).
    issue::respond(app, &client, refreshed.issued, opaque, Some(refreshed.refresh_token), None)
}
