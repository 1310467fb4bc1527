//! `authorization_code`: redeems a code (OAuth 2.1 section 4.1.3).

use std::sync::Arc;

use doorward_core::{
    checksummed::{self, CODE_PREFIX, REFRESH_TOKEN_PREFIX},
    client::Client,
    denial::Denial,
    form::Parameters,
    grant::{audience::RequestedAccess, code::CodeRedemption},
    id::FamilyId,
    refusal::Refusal,
    secret::ExposeSecret,
};
use doorward_store::codes::{NewFamily, RedeemCode};

use super::issue::{self, TokenResponse};
use crate::{app::App, origin::Origin};

pub(super) async fn grant(
    app: &App,
    origin: &Origin,
    client: Arc<Client>,
    form: &Parameters<'_>,
) -> Result<TokenResponse, Refusal> {
    let code = form.required("code")?;
    let redemption = CodeRedemption {
        client: client.clone(),
        code_verifier: match client.may_leave_out_pkce() {
            true => form.optional("code_verifier")?.map(str::to_owned),
            false => Some(form.required("code_verifier")?.to_owned()),
        },
        redirect_uri: form.optional("redirect_uri")?.map(str::to_owned),
    };
    if !checksummed::is_well_formed(code, CODE_PREFIX) {
        return Err(Denial::CodeUnknown.into());
    }
    let now = app.now();
    let apis = app.snapshots.apis();
    let (access_token, opaque) = issue::new_access_token(app, apis.any_opaque());
    let refresh_token = checksummed::generate(REFRESH_TOKEN_PREFIX, &*app.rng);
    let operation = RedeemCode {
        candidates: app.candidates(code),
        redemption,
        apis,
        asked: RequestedAccess::with_code(form),
        access_token,
        family: NewFamily {
            id: FamilyId::new(now, &*app.rng),
            token: app.peppers.digest(refresh_token.expose_secret()),
            expires_at: now.plus(app.settings.tokens.refresh.absolute),
        },
        audit: app.audit(&origin.actor(client.id.as_str())),
        now,
    };
    let issued = app.write(operation).await??;
    let refresh_token = issued.has_refresh_token.then_some(refresh_token);
    let nonce = issued.grant.nonce.clone();
    issue::respond(app, &client, issued, opaque, refresh_token, nonce)
}
