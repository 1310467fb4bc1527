//! Authorization server metadata (RFC 8414) and OpenID Provider metadata (OpenID Connect Discovery section 3).
//!
//! What a client would get wrong from a default is stated: `response_types_supported`, `grant_types_supported`,
//! `request_uri_parameter_supported` and the authentication methods of each endpoint.

use std::sync::Arc;

use axum::{body::Body, extract::State};
use doorward_core::{authorization_response::ResponseMode, client::GrantType, id_token, jwk::Algorithm, pkce, scope};
use http::Response;
use serde_json::{Value, json};

use crate::{
    app::App,
    web::{refused::ProblemError, respond},
};

pub(crate) async fn oauth(State(app): State<Arc<App>>) -> Result<Response<Body>, ProblemError> {
    Ok(respond::json_cacheable(&authorization_server(&app), "public, max-age=60")?)
}

pub(crate) async fn openid(State(app): State<Arc<App>>) -> Result<Response<Body>, ProblemError> {
    let mut metadata = authorization_server(&app);
    let provider = json!({
        "userinfo_endpoint": app.settings.url("/userinfo"),
        "subject_types_supported": ["public"],
        "end_session_endpoint": app.settings.url("/logout"),
        // RS256 is among them, as it must be.
        "id_token_signing_alg_values_supported": app.snapshots.algorithms_in_use(),
        "acr_values_supported": [id_token::SINGLE_FACTOR],
        "claim_types_supported": ["normal"],
        "claims_supported": [
            "sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid",
            "name", "preferred_username", "updated_at", "email", "email_verified",
        ],
        "claims_parameter_supported": false,
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
    });
    if let (Value::Object(metadata), Value::Object(provider)) = (&mut metadata, provider) {
        metadata.extend(provider);
    }
    Ok(respond::json_cacheable(&metadata, "public, max-age=60")?)
}

fn authorization_server(app: &App) -> Value {
    let settings = &app.settings;
    let apis = app.snapshots.apis();
    let api_scopes = apis.iter().flat_map(|api| api.metadata.scopes.iter().map(|described| described.scope.as_str()));
    let scopes: Vec<&str> = scope::OIDC_SCOPES.into_iter().chain(api_scopes).collect();
    let secret_methods = ["client_secret_basic", "client_secret_post", "private_key_jwt"];
    let any_method = ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"];
    json!({
        "issuer": &*settings.issuer,
        "authorization_endpoint": settings.url("/authorize"),
        "token_endpoint": settings.url("/token"),
        "revocation_endpoint": settings.url("/revoke"),
        "introspection_endpoint": settings.url("/introspect"),
        "jwks_uri": settings.url("/jwks"),
        "doorward_key_verification_endpoint": settings.url("/v1/keys/verify"),
        "doorward_key_verification_members_supported": ["address", "key", "origin", "scopes", "uses"],
        "doorward_request_verification_endpoint": settings.url("/v1/requests/verify"),
        "doorward_legacy_uses_endpoint": settings.url("/v1/audit/legacy-uses"),
        "doorward_refusals_endpoint": settings.url("/v1/audit/refusals"),
        "scopes_supported": scopes,
        "response_types_supported": ["code"],
        "response_modes_supported": ResponseMode::SUPPORTED.map(ResponseMode::as_str),
        "grant_types_supported": GrantType::ALL.map(GrantType::as_str),
        "code_challenge_methods_supported": [pkce::METHOD],
        "token_endpoint_auth_methods_supported": any_method,
        "token_endpoint_auth_signing_alg_values_supported": Algorithm::ALL,
        "revocation_endpoint_auth_methods_supported": any_method,
        "revocation_endpoint_auth_signing_alg_values_supported": Algorithm::ALL,
        "introspection_endpoint_auth_methods_supported": secret_methods,
        "introspection_endpoint_auth_signing_alg_values_supported": Algorithm::ALL,
        "authorization_response_iss_parameter_supported": true,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "protected_resources": apis.iter().map(|api| api.metadata.identifier.as_str()).collect::<Vec<_>>(),
        "ui_locales_supported": ["en"],
    })
}
