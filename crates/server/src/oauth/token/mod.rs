//! The token endpoint (OAuth 2.1 section 3.2): a file per grant, and one that makes the answer.

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
    parameters.refuse_repeated(&["resource", "audience"])?;
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
    let stated = form.required("grant_type")?;
    let grant_type = GrantType::parse(stated);
    let grant_type = grant_type.ok_or_else(|| Refusal::new(Denial::GrantTypeUnsupported).fact("grant_type", stated))?;
    if !client.allows(grant_type) {
        return Err(Refusal::new(Denial::GrantTypeNotAllowed).fact("client_id", &client.id).fact("grant_type", stated));
    }
    match grant_type {
        // The two that wait for a transaction are boxed: the third is answered without, and should stay small.
        GrantType::AuthorizationCode => Box::pin(authorization_code::grant(app, origin, client, form)).await,
        GrantType::ClientCredentials => client_credentials::grant(app, origin, &client, form).await,
        GrantType::RefreshToken => Box::pin(refresh_token::grant(app, origin, client, form)).await,
    }
}

/// `resource` at /token names one API (RFC 8707 section 2.2).
fn one_resource<'a>(form: &'a Parameters<'_>) -> Result<Option<&'a str>, Refusal> {
    let mut resources = form.all("resource").filter(|resource| !resource.is_empty());
    let first = resources.next();
    match resources.next() {
        None => Ok(first),
        Some(_) => Err(Refusal::new(Denial::ParameterRepeated).parameter("resource")),
    }
}
