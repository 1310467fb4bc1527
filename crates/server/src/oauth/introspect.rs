//! Introspection (RFC 7662): an API sees access tokens whose `aud` names it and API keys that name it, a client sees its
//! own tokens; everything else is `{"active":false}` and no other member.
//!
//! A key is described as a token is, so that a gateway that knows only introspection can take keys as well.

use std::{collections::BTreeSet, sync::Arc};

use axum::{body::Body, extract::State};
use doorward_core::{
    access_token::AccessToken,
    api::Role,
    api_key::looks_like_key,
    checksummed::{self, REFRESH_TOKEN_PREFIX},
    client::Client,
    credential::Credential,
    denial::{Class, Denial},
    grant::refresh,
    holder::Owner,
    policy::Requirement,
    refusal::Refusal,
};
use doorward_store::refresh::FindRefreshToken;
use http::Response;
use serde_json::{Value, json};

use super::client_authentication;
use crate::{
    app::App,
    verify::{
        access_token,
        api_key::{self, Use, Verified},
    },
    web::{
        body::Form,
        refused::{OAuthError, explained},
        respond,
    },
};

pub(crate) async fn handle(State(app): State<Arc<App>>, form: Form<OAuthError>) -> Result<Response<Body>, OAuthError> {
    app.ensure_fresh()?;
    let parameters = form.parameters()?;
    parameters.refuse_repeated(&[])?;
    let client = client_authentication::client(&app, &form.origin, &form.head, &parameters).await?;
    let token = parameters.required("token")?;
    if !client.is_confidential() {
        // Only an authenticated client gets an answer (RFC 7662 section 2.1).
        return Err(Denial::ClientMethodRefused.into());
    }
    match introspect(&app, &client, token).await? {
        TokenState::Active(state) => Ok(respond::json_no_store(&state)?),
        TokenState::Inactive(None) => Ok(respond::json_no_store(&inactive())?),
        TokenState::Inactive(Some(why)) => Ok(explained(&form.origin, respond::json_no_store(&inactive())?, why)),
    }
}

/// The state of a token, as the answer has it.
enum TokenState {
    Active(Value),
    /// Not good, or not the asker's business. To an API, which refuses its caller by that, it is explained why.
    Inactive(Option<Refusal>),
}

fn inactive() -> Value {
    json!({"active": false})
}

async fn introspect(app: &App, client: &Client, token: &str) -> Result<TokenState, Refusal> {
    let found = if looks_like_key(token) {
        api_key(app, client, token).await
    } else if checksummed::is_well_formed(token, REFRESH_TOKEN_PREFIX) {
        refresh_token(app, client, token).await
    } else {
        access_token(app, client, token).await.map(Some)
    };
    match found {
        // That the store is away is no statement about the token.
        Err(refusal) if refusal.denial.class() == Class::Outage => Err(refusal),
        Ok(Some(state)) => Ok(TokenState::Active(state)),
        Ok(None) => Ok(TokenState::Inactive(None)),
        Err(why) => Ok(TokenState::Inactive(client.api.is_some().then_some(why))),
    }
}

async fn access_token(app: &App, client: &Client, token: &str) -> Result<Value, Refusal> {
    let token = access_token::read(app, &Credential::classify(token)?).await?;
    if !may_see(app, client, &token) {
        return Err(Refusal::new(Denial::TokenAudienceWrong).fact("aud", token.audience.join(" ")));
    }
    access_token::check_alive(app, &token).await?;
    let audience = match &token.audience[..] {
        [one] => json!(one),
        many => json!(many),
    };
    let mut state = json!({
        "active": true,
        "iss": &*app.settings.issuer,
        "sub": token.subject,
        "aud": audience,
        "client_id": token.client_id,
        "scope": token.scopes,
        "token_type": "Bearer",
        "exp": token.expires_at.as_secs(),
        "iat": token.issued_at.as_secs(),
        "jti": token.id,
    });
    add_roles(&mut state, &token.roles);
    if let Some(grant) = token.grant_id {
        state["grant_id"] = grant.into();
    }
    Ok(state)
}

/// An API sees keys that name it; a client that is no API sees none, not even its own.
async fn api_key(app: &App, client: &Client, text: &str) -> Result<Option<Value>, Refusal> {
    let Some(id) = &client.api else { return Ok(None) };
    let Some(api) = app.api(id).await? else { return Ok(None) };
    // The question has no place for the caller's address and origin, so keys that are bound to them are refused.
    let asked =
        Use { address: None, origin: None, sender: None, requirement: &Requirement::authenticated(), further_uses: 0 };
    let Verified { key, principal, .. } = api_key::verify(app, &api, text, asked).await?;
    // Some gateways demand a client of every token: a key without one is its own.
    let client_id = match &key.owner {
        Some(Owner::Client(id)) => id.as_str(),
        Some(Owner::External(_) | Owner::User(_)) | None => key.id.as_str(),
    };
    let mut state = json!({
        "active": true,
        "iss": &*app.settings.issuer,
        "sub": principal.subject,
        "aud": principal.audience,
        "client_id": client_id,
        "scope": principal.scopes,
        "token_type": "Bearer",
        "iat": key.created_at.as_secs(),
        "jti": key.id,
    });
    if let Some(at) = key.expires_at {
        state["exp"] = at.as_secs().into();
    }
    add_roles(&mut state, &principal.roles);
    Ok(Some(state))
}

/// Roles as in access tokens: the claim is there only if there are any (RFC 9068 section 2.2.3.1).
fn add_roles(state: &mut Value, roles: &BTreeSet<Role>) {
    if !roles.is_empty() {
        state["roles"] = json!(roles);
    }
}

fn may_see(app: &App, client: &Client, token: &AccessToken) -> bool {
    match &client.api {
        None => token.client_id == client.id.as_str(),
        Some(id) => {
            let apis = app.snapshots.apis();
            let identifier = apis.by_id(id).map(|api| api.metadata.identifier.as_str());
            token.audience.iter().any(|audience| Some(audience.as_str()) == identifier)
        }
    }
}

/// A client sees its own live refresh token; an API sees none.
async fn refresh_token(app: &App, client: &Client, token: &str) -> Result<Option<Value>, Refusal> {
    let Some(found) = app.read(FindRefreshToken { candidates: app.candidates(token) }).await? else { return Ok(None) };
    let limits = &app.settings.tokens.refresh;
    let expires_at = refresh::expires_at(found.issued_at, found.family, limits);
    if found.grant.client_id != client.id || app.now() >= expires_at {
        return Ok(None);
    }
    let scopes = app.snapshots.apis().living_of_grant(&found.grant.scopes, found.grant.created_at);
    let Some(scopes) = scopes else { return Ok(None) };
    Ok(Some(json!({
        "active": true,
        "iss": &*app.settings.issuer,
        "sub": found.grant.user_id,
        "client_id": found.grant.client_id,
        "scope": scopes,
        "exp": expires_at.as_secs(),
        "iat": found.issued_at.as_secs(),
        "grant_id": found.grant.id,
    })))
}
