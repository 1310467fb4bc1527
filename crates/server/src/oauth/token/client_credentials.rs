//! `client_credentials`: the client acts for itself (RFC 6749 section 4.4). A JWT costs no write.

use doorward_core::{
    api::TokenFormat,
    client::Client,
    form::Parameters,
    grant::audience::{self, RequestedAccess},
    new_access_token::Bearer,
    refusal::Refusal,
    secret::ExposeSecret,
};
use doorward_store::tokens::StoreAccessToken;

use super::issue::{self, TokenResponse};
use crate::{app::App, origin::Origin};

pub(super) async fn grant(
    app: &App,
    origin: &Origin,
    client: &Client,
    form: &Parameters<'_>,
) -> Result<TokenResponse, Refusal> {
    let apis = app.snapshots.apis();
    let (api, scopes) = audience::client_credentials(&apis, client, RequestedAccess::parse(form)?)?;
    let (token, opaque) = issue::new_access_token(app, api.metadata.token_format == TokenFormat::Opaque);
    let bearer = Bearer {
        subject: client.id.to_string(),
        client_id: client.id.to_string(),
        scopes: scopes.clone(),
        roles: api.roles_among(&client.roles),
        grant_id: None,
        auth_time: None,
    };
    let claims = token.claims(Some(&api), bearer);
    let access_token = match api.metadata.token_format {
        TokenFormat::Jwt => {
            app.note_issued(origin, &client.id, &claims, &api);
            issue::sign(app, &api, &claims)?
        }
        TokenFormat::Opaque => {
            let actor = origin.actor(client.id.as_str());
            let (api, claims, audit) = (api.clone(), claims.clone(), app.audit(&actor));
            app.write(StoreAccessToken { token, api, claims, audit }).await?;
            opaque.expose_secret().to_owned()
        }
    };
    Ok(TokenResponse::new(access_token, &claims, scopes))
}
