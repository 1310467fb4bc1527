//! Revocation (RFC 7009): an unknown token is 200; somebody else's is 400 with nothing revoked.

use std::sync::Arc;

use axum::{body::Body, extract::State};
use doorward_core::{
    checksummed::{self, REFRESH_TOKEN_PREFIX},
    client::Client,
    credential::Credential,
    denial::{Class, Denial},
    refusal::Refusal,
};
use doorward_store::{
    refresh::{RefreshRevocation, RevokeRefreshToken},
    tokens::RevokeAccessToken,
};
use http::{Response, StatusCode};

use super::client_authentication;
use crate::{
    app::App,
    origin::Origin,
    verify::access_token,
    web::{body::Form, refused::OAuthError, respond},
};

pub(crate) async fn handle(State(app): State<Arc<App>>, form: Form<OAuthError>) -> Result<Response<Body>, OAuthError> {
    let parameters = form.parameters()?;
    parameters.refuse_repeated(&[])?;
    let client = client_authentication::client(&app, &form.origin, &form.head, &parameters).await?;
    revoke(&app, &form.origin, client, parameters.required("token")?).await?;
    Ok(respond::no_store(respond::empty(StatusCode::OK)))
}

async fn revoke(app: &App, origin: &Origin, client: Arc<Client>, token: &str) -> Result<(), Refusal> {
    let now = app.now();
    let actor = origin.actor(client.id.as_str());
    let of_another = || Refusal::new(Denial::TokenOfAnotherClient).fact("client_id", &client.id);
    if checksummed::is_well_formed(token, REFRESH_TOKEN_PREFIX) {
        let audit = app.audit(&actor);
        let operation = RevokeRefreshToken { candidates: app.candidates(token), client: client.clone(), now, audit };
        return match app.write(operation).await? {
            RefreshRevocation::OfAnotherClient => Err(of_another()),
            RefreshRevocation::Ended | RefreshRevocation::Unknown => Ok(()),
        };
    }
    let Ok(credential) = Credential::classify(token) else { return Ok(()) };
    let token = match access_token::read(app, &credential).await {
        Err(refusal) if refusal.denial.class() == Class::Outage => return Err(refusal),
        // What we did not issue is not ours to revoke, and is not good here anyway.
        Err(_) => return Ok(()),
        Ok(token) => token,
    };
    if token.client_id != client.id.as_str() {
        return Err(of_another());
    }
    let audit = app.audit(&actor).with("sub", &token.subject);
    app.write(RevokeAccessToken { id: token.id, expires_at: token.expires_at, now, audit }).await
}
