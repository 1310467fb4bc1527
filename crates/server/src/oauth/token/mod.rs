//! The token endpoint (OAuth 2.1 section 3.2): one file per grant, and one for the response.
//!
//! Easy to get wrong: whether a code or a refresh token is replayed is decided before what the request asks for. So
//! mistakes in `scope` and `resource`, and parameters that come twice, are reported only after the credential was looked
//! at; only what names or proves it is needed first.

use std::sync::Arc;

use axum::{body::Body, extract::State};
use doorward_core::{
    client::{Client, GrantType},
    denial::Denial,
    form::Parameters,
    refusal::Refusal,
};
use http::Response;

use self::issue::TokenResponse;
use super::client_authentication;
use crate::{
    app::App,
    origin::Origin,
    web::{body::Form, refused::OAuthError, respond},
};

mod authorization_code;
mod client_credentials;
mod issue;
mod refresh_token;

pub(crate) async fn handle(State(app): State<Arc<App>>, form: Form<OAuthError>) -> Result<Response<Body>, OAuthError> {
    let parameters = form.parameters()?;
    let client = client_authentication::client(&app, &form.origin, &form.head, &parameters).await?;
    Ok(respond::json_no_store(&grant(&app, &form.origin, client, &parameters).await?)?)
}

async fn grant(
    app: &App,
    origin: &Origin,
    client: Arc<Client>,
    form: &Parameters<'_>,
) -> Result<TokenResponse, Refusal> {
    app.ensure_fresh()?;
    // One that comes twice is refused with the other parameters that do.
    let stated = form.all("grant_type").next().filter(|stated| !stated.is_empty());
    let stated = stated.ok_or_else(|| Refusal::new(Denial::ParameterMissing).parameter("grant_type"))?;
    let grant_type = GrantType::parse(stated);
    let grant_type = grant_type.ok_or_else(|| Refusal::new(Denial::GrantTypeUnsupported).fact("grant_type", stated))?;
    if !client.allows(grant_type) {
        return Err(Refusal::new(Denial::GrantTypeNotAllowed).fact("client_id", &client.id).fact("grant_type", stated));
    }
    let issued = match grant_type {
        // The two that wait for a transaction are boxed: the third is answered without, and should stay small.
        GrantType::AuthorizationCode => Box::pin(authorization_code::grant(app, origin, client, form)).await,
        GrantType::ClientCredentials => client_credentials::grant(app, origin, &client, form).await,
        GrantType::RefreshToken => Box::pin(refresh_token::grant(app, origin, client, form)).await,
    }?;
    app.metrics.issued(grant_type);
    Ok(issued)
}
