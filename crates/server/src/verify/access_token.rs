//! Our own access tokens, looked at by the issuer itself: for introspection, revocation and /userinfo.
//!
//! Signature and times are not enough here: a token is also dead when it was revoked, when its grant was ended, or
//! when its client is gone or disabled.

use doorward_core::{
    access_token::{self, AccessToken, Leeway},
    credential::Credential,
    denial::Denial,
    json,
    jwk::Algorithm,
    refusal::Refusal,
};
use doorward_store::tokens::{FindAccessToken, IsTokenRevoked};

use crate::app::App;

/// Reads a token that we issued, in either form, whether or not it is still good. Scopes that were removed from their API
/// since then are left out.
pub(crate) async fn read(app: &App, credential: &Credential<'_>) -> Result<AccessToken, Refusal> {
    let token = read_as_issued(app, credential).await?;
    let scopes = app.snapshots.apis().living(&token.scopes, token.issued_at);
    Ok(AccessToken { scopes, ..token })
}

async fn read_as_issued(app: &App, credential: &Credential<'_>) -> Result<AccessToken, Refusal> {
    match credential {
        Credential::ApiKey(_) => Err(Denial::TokenMalformed.into()),
        Credential::Jwt(token) => {
            let keys = app.signing_keys().verifying().clone();
            access_token::verify_issued(token.expose_secret(), &keys, &app.settings.issuer, &Algorithm::ALL)
        }
        Credential::Opaque(token) => {
            let found = app.read(FindAccessToken { candidates: app.candidates(token.expose_secret()) }).await?;
            let claims = found.ok_or(Denial::TokenUnknown)?;
            let claims = json::parse_object(claims.as_bytes()).map_err(|_| Denial::TokenClaimsInvalid)?;
            AccessToken::from_claims(&claims)
        }
    }
}

/// Refuses a token that may not be used at `audience`, one of the issuer's own endpoints.
pub(crate) async fn check_use(app: &App, token: &AccessToken, audience: &str) -> Result<(), Refusal> {
    token.check_use(audience, leeway(app), app.now())?;
    check_not_revoked(app, token).await
}

/// Refuses a token that is not good any more, wherever it may be used.
pub(crate) async fn check_alive(app: &App, token: &AccessToken) -> Result<(), Refusal> {
    token.check_times(leeway(app), app.now())?;
    check_not_revoked(app, token).await
}

fn leeway(app: &App) -> Leeway {
    Leeway::between_nodes(app.settings.tokens.clock_skew)
}

async fn check_not_revoked(app: &App, token: &AccessToken) -> Result<(), Refusal> {
    let revoked = || {
        let refusal = Refusal::new(Denial::TokenRevoked).fact("jti", &token.id);
        match &token.grant_id {
            Some(grant_id) => refusal.fact("grant_id", grant_id),
            None => refusal,
        }
    };
    if app.read(IsTokenRevoked { id: token.id.clone(), grant_id: token.grant_id.clone() }).await? {
        return Err(revoked());
    }
    for audience in &token.audience {
        if **audience != *app.settings.issuer && !app.accepts(audience, token.issued_at).await? {
            return Err(revoked().fact("api_was_deleted", audience));
        }
    }
    match app.client(&token.client_id).await? {
        Some(client) if client.allows_token_issued_at(token.issued_at) => Ok(()),
        _ => Err(revoked().fact("client_id", &token.client_id)),
    }
}
