//! `client_credentials`: the client acts for itself (RFC 6749 section 4.4). A JWT costs no write.

use doorward_core::{
    api::TokenFormat, client::Client, form::Parameters, grant::audience, new_access_token::Bearer, refusal::Refusal,
    secret::ExposeSecret,
};
use doorward_store::tokens::StoreAccessToken;

use super::{
    issue::{self, TokenResponse},
    one_resource,
};
use crate::{actor::Details, app::App, audit::ISSUED, origin::Origin};

pub(super) async fn grant(
    app: &App,
    origin: &Origin,
    client: &Client,
    form: &Parameters<'_>,
) -> Result<TokenResponse, Refusal> {
    let apis = app.snapshots.apis();
    let resource = one_resource(form)?;
    let (api, scopes) = audience::client_credentials(&apis, client, form.optional("scope")?, resource)?;
    let (token, opaque) = issue::new_access_token(app, api.token_format == TokenFormat::Opaque);
    let bearer = Bearer {
        subject: client.id.to_string(),
        client_id: client.id.to_string(),
        scopes: scopes.clone(),
        roles: client.roles_at(&api.id),
        grant_id: None,
        auth_time: None,
    };
    let claims = token.claims(Some(&api), bearer);
    let details = || Details::none().with("api", &api.name).with("scope", &scopes);
    let access_token = match api.token_format {
        TokenFormat::Jwt => {
            app.note_issued(origin, &client.id, &claims.id, details);
            issue::sign(app, &api, &claims)?
        }
        TokenFormat::Opaque => {
            let actor = origin.actor(client.id.as_str());
            let audit = app.event(&actor, ISSUED, Some(claims.id.to_string()), details());
            app.write(StoreAccessToken { token, api: api.clone(), claims: claims.clone(), audit }).await?;
            opaque.expose_secret().to_owned()
        }
    };
    Ok(TokenResponse::new(access_token, &claims, scopes))
}
