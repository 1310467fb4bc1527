//! Revocation (RFC 7009): an unknown token is 200; somebody else's is 400 with nothing revoked.

use std::sync::Arc;

use axum::{body::Body, extract::State};
use doorward_core::{
    checksummed::{self, REFRESH_TOKEN_PREFIX},
    client::Client,
    credential::Credential,
    denial::{Class, Denial},
    form::Parameters,
    refusal::Refusal,
};
use doorward_store::{
    refresh::{RefreshRevocation, RevokeRefreshToken},
    tokens::RevokeAccessToken,
};
use http::{Request, Response, StatusCode};

use super::{client_authentication, own_token};
use crate::{
    app::{App, Details},
    http::{Origin, body, respond},
};

pub(crate) async fn handle(State(app): State<Arc<App>>, request: Request<Body>) -> Response<Body> {
    let origin = Origin::of(&request);
    let (head, body) = request.into_parts();
    let answer = async {
        let bytes = body::form(&app, &head, body).await?;
        let form = Parameters::parse(&bytes)?;
        form.refuse_repeated(&[])?;
        let client = client_authentication::client(&app, &origin, &head, &form).await?;
        revoke(&app, &origin, client, form.required("token")?).await
    };
    match answer.await {
        Ok(()) => {
            let mut response = respond::empty(StatusCode::OK);
            respond::no_store(&mut response);
            response
        }
        Err(refusal) => respond::oauth_error(&app, &origin, &refusal, client_authentication::sent_authorization(&head)),
    }
}

async fn revoke(app: &App, origin: &Origin, client: Arc<Client>, token: &str) -> Result<(), Refusal> {
    let now = app.now();
    let actor = origin.actor(client.id.as_str());
    let of_another = || Refusal::new(Denial::TokenOfAnotherClient).fact("client_id", &client.id);
    if checksummed::is_well_formed(token, REFRESH_TOKEN_PREFIX) {
        let audit = app.event(&actor, "refresh_token.revoked", None, Details::none());
        let operation = RevokeRefreshToken { candidates: app.candidates(token), client: client.clone(), now, audit };
        return match app.write(operation).await? {
            RefreshRevocation::OfAnotherClient => Err(of_another()),
            RefreshRevocation::Ended | RefreshRevocation::Unknown => Ok(()),
        };
    }
    let Ok(credential) = Credential::classify(token) else { return Ok(()) };
    let token = match own_token::read(app, &credential).await {
        Err(refusal) if refusal.denial.class() == Class::Outage => return Err(refusal),
        // What we did not issue is not ours to revoke, and is not good here anyway.
        Err(_) => return Ok(()),
        Ok(token) => token,
    };
    if token.client_id != client.id.as_str() {
        return Err(of_another());
    }
    let details = Details::none().with("sub", &token.subject);
    let audit = app.event(&actor, "access_token.revoked", Some(token.id.clone()), details);
    app.write(RevokeAccessToken { id: token.id, expires_at: token.expires_at, now, audit }).await
}
