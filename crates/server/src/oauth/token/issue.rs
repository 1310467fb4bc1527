//! The answer of the token endpoint: the access token, and for a user's grant the refresh token and the ID token.

use doorward_core::{
    access_token::Claims,
    api::{Api, TokenFormat},
    checksummed::{self, ACCESS_TOKEN_PREFIX},
    client::Client,
    client_metadata::IdTokenClaims,
    denial::Denial,
    id::TokenId,
    id_token::{self, UserClaims},
    jwk::InvalidSigningKey,
    new_access_token::NewAccessToken,
    refusal::Refusal,
    scope::{self, ScopeSet},
    secret::{ExposeSecret, SecretString},
};
use doorward_store::codes::Issued;
use serde::Serialize;

use crate::app::{App, signing_keys};

/// What is answered (RFC 6749 section 5.1).
#[derive(Serialize)]
pub(crate) struct TokenResponse {
    access_token: String,
    token_type: &'static str,
    expires_in: i64,
    scope: ScopeSet,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
}

impl TokenResponse {
    /// The answer that has an access token and nothing else.
    pub(super) fn new(access_token: String, claims: &Claims, scope: ScopeSet) -> Self {
        Self {
            access_token,
            token_type: "Bearer",
            expires_in: claims.expires_at.as_secs() - claims.issued_at.as_secs(),
            scope,
            refresh_token: None,
            id_token: None,
        }
    }
}

/// The answer to a client that acts for a user.
pub(super) fn respond(
    app: &App,
    client: &Client,
    issued: Issued,
    opaque: SecretString,
    refresh_token: Option<SecretString>,
    nonce: Option<String>,
) -> Result<TokenResponse, Refusal> {
    let is_opaque = issued.api.as_ref().is_some_and(|api| api.metadata.token_format == TokenFormat::Opaque);
    let access_token = match &issued.api {
        _ if is_opaque => opaque.expose_secret().to_owned(),
        Some(api) => sign(app, api, &issued.claims)?,
        None => sign_for_issuer(app, &issued.claims)?,
    };
    let id_token = match issued.scopes.contains(scope::OPENID) {
        false => None,
        true => {
            let key = app.signing_keys().active(client.metadata.id_token_signed_response_alg, app.now())?;
            let claims = id_token::Claims {
                issuer: app.settings.issuer.to_string(),
                subject: issued.grant.user_id.to_string(),
                audience: client.id.to_string(),
                expires_at: app.now().plus(app.settings.tokens.id_token_ttl),
                issued_at: app.now(),
                auth_time: Some(issued.grant.auth_time),
                nonce,
                at_hash: Some(id_token::at_hash(&access_token, key.algorithm())),
                sid: Some(issued.grant.session_id.to_string()),
                acr: id_token::acr(&issued.grant.sign_in_methods),
                amr: id_token::amr(&issued.grant.sign_in_methods),
                user: match client.metadata.id_token_claims {
                    IdTokenClaims::Minimal => UserClaims::default(),
                    IdTokenClaims::Scopes => {
                        UserClaims::of(&issued.user.metadata, issued.user.updated_at, &issued.scopes)
                    }
                },
            };
            Some(claims.sign(&key).map_err(signing_failed)?)
        }
    };
    Ok(TokenResponse {
        refresh_token: refresh_token.map(|token| token.expose_secret().to_owned()),
        id_token,
        ..TokenResponse::new(access_token, &issued.claims, issued.scopes)
    })
}

/// The names of a new access token, and its opaque form if it may have that.
pub(super) fn new_access_token(app: &App, may_be_opaque: bool) -> (NewAccessToken, SecretString) {
    let now = app.now();
    let (opaque, digest) = match may_be_opaque {
        false => (SecretString::default(), None),
        true => {
            let opaque = checksummed::generate(ACCESS_TOKEN_PREFIX, &*app.rng);
            let digest = app.peppers.digest(opaque.expose_secret());
            (opaque, Some(digest))
        }
    };
    let token = NewAccessToken {
        issuer: app.settings.issuer.clone(),
        id: TokenId::new(now, &*app.rng),
        opaque: digest,
        default_ttl: app.settings.tokens.access_token_ttl,
        now,
    };
    (token, opaque)
}

/// An access token for one API.
pub(super) fn sign(app: &App, api: &Api, claims: &Claims) -> Result<String, Refusal> {
    let key = app.signing_keys().active(api.metadata.signing_algorithm, claims.issued_at)?;
    claims.sign(&key).map_err(signing_failed)
}

/// A token for `/userinfo` alone.
fn sign_for_issuer(app: &App, claims: &Claims) -> Result<String, Refusal> {
    let key = app.signing_keys().active(signing_keys::OF_ISSUER, claims.issued_at)?;
    claims.sign(&key).map_err(signing_failed)
}

fn signing_failed(error: InvalidSigningKey) -> Refusal {
    Refusal::new(Denial::Unavailable).fact("signing", error)
}
