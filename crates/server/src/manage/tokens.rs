//! Looking at access tokens, for the operator.

use doorward_core::credential::Credential;
use serde_json::{Value, json};

use super::ManageError;
use crate::{app::App, verify::access_token};

/// Verifies an access token of this server, whatever API it is for: signature, type, issuer, times, revocation.
pub async fn verify(app: &App, token: &str) -> Result<Value, ManageError> {
    let credential = Credential::classify(token).map_err(doorward_core::refusal::Refusal::from)?;
    let token = access_token::read(app, &credential).await?;
    access_token::check_alive(app, &token).await?;
    Ok(json!({
        "iss": &*app.settings.issuer,
        "sub": token.subject,
        "aud": token.audience,
        "client_id": token.client_id,
        "scope": token.scopes,
        "roles": token.roles,
        "jti": token.id,
        "grant_id": token.grant_id,
        "iat": token.issued_at.as_secs(),
        "exp": token.expires_at.as_secs(),
    }))
}
