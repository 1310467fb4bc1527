//! /userinfo (OpenID Connect Core section 5.3): claims of the user, as far as the scopes permit.
//!
//! The token must name the issuer in `aud`. It comes in the Authorization header, or in the form body of a POST, which
//! no other endpoint takes (RFC 6750 section 2.2).

use std::sync::Arc;

use axum::{body::Body, extract::State};
use bytes::Bytes;
use doorward_core::{
    credential::{self, Credential},
    denial::Denial,
    form::Parameters,
    id::UserId,
    id_token::UserClaims,
    refusal::Refusal,
    scope,
};
use doorward_store::users::FindUser;
use http::{HeaderValue, Method, Request, Response};
use serde::Serialize;

use crate::{
    app::App,
    verify::access_token,
    web::{body, refused::ProblemError, respond},
};

#[derive(Serialize)]
struct UserInfo {
    sub: UserId,
    #[serde(flatten)]
    claims: UserClaims,
}

pub(crate) async fn handle(
    State(app): State<Arc<App>>,
    request: Request<Body>,
) -> Result<Response<Body>, ProblemError> {
    Ok(respond::json_no_store(&answer(&app, request).await?)?)
}

async fn answer(app: &App, request: Request<Body>) -> Result<UserInfo, Refusal> {
    app.ensure_fresh()?;
    let (head, body) = request.into_parts();
    let values = |name| head.headers.get_all(name).iter().map(|value: &HeaderValue| value.as_bytes());
    let in_header = credential::present(values("authorization"), values("x-api-key"), head.uri.query())?;
    let form = match head.method == Method::POST && body::is_form(&head) {
        false => Bytes::new(),
        true => body::form(app, &head, body).await?,
    };
    let form = Parameters::parse(&form)?;
    let in_body = form.optional("access_token")?.map(Credential::classify).transpose()?;
    let credential = match (in_header, in_body) {
        (None, None) => return Err(Denial::CredentialMissing.into()),
        (Some(_), Some(_)) => return Err(Denial::CredentialMultiple.into()),
        (Some(credential), None) | (None, Some(credential)) => credential,
    };
    let token = access_token::read(app, &credential).await?;
    access_token::check_use(app, &token, &app.settings.issuer).await?;
    if !token.scopes.contains(scope::OPENID) {
        let openid = scope::Scope::parse(scope::OPENID).map_err(|_| Denial::InsufficientScope)?;
        return Err(Refusal::new(Denial::InsufficientScope).required_scopes([openid].into_iter().collect()));
    }
    let id = UserId::parse(&token.subject).map_err(|_| Denial::TokenClaimsInvalid)?;
    let user = app.read(FindUser::ById(id)).await?.filter(|user| user.disabled_at.is_none());
    let user = user.ok_or(Denial::TokenRevoked)?;
    let profile = user.profile();
    Ok(UserInfo { claims: UserClaims::of(&profile.metadata, profile.updated_at, &token.scopes), sub: user.id })
}
