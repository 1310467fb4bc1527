//! `POST /v1/keys/self/rotate`: a key asks for its own successor.
//!
//! Its rights are the key itself: it needs no scope, and it is the credential, so a key of any API can ask.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{FromRequestParts, State},
};
use doorward_core::{
    api_key::KeyMetadata,
    client_side,
    credential::{self, Credential},
    denial::Denial,
    refusal::Refusal,
    rights::Rights,
};
use doorward_store::keys::{FindShownKey, ShownKey};
use http::{HeaderValue, Response, request::Parts};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    creation::{Creation, IdempotencyKeyHeader, Keeper},
    keys::{KeyWithSecret, RotateRequest, keep},
    list::NoQuery,
};
use crate::{actor::Actor, app::App, manage::keys, origin::Origin, verify::api_key, web::refused::ProblemError};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(rotate_self))
}

/// Rotate the API key that the request is sent with
#[utoipa::path(post, path = "/v1/keys/self/rotate", tag = "keys", params(IdempotencyKeyHeader),
    security(("api_key" = [])), request_body = RotateRequest,
    responses((status = 201, description = "The successor; the secret is shown once", body = KeyWithSecret)))]
async fn rotate_self(
    State(app): State<Arc<App>>,
    Holder(actor, key): Holder,
    _: NoQuery,
    creation: Creation,
) -> Result<Response<Body>, ProblemError> {
    let (server, caller) = (&app, &actor);
    let rotate = |asked: RotateRequest, keeper: Keeper| async move {
        keys::rotate_self(server, caller, key, asked.into(), |created| keep(&keeper, created)).await
    };
    creation.answer(&app, &actor, rotate).await
}

/// The key that a request is sent with, which works.
struct Holder(Actor, ShownKey);

impl FromRequestParts<Arc<App>> for Holder {
    type Rejection = ProblemError;

    async fn from_request_parts(head: &mut Parts, app: &Arc<App>) -> Result<Self, ProblemError> {
        let key = holder(head, app).await?;
        Ok(Self(Origin::of(head).actor_with(key.key.id.to_string(), Rights::Own), key))
    }
}

async fn holder(head: &Parts, app: &App) -> Result<ShownKey, Refusal> {
    app.ensure_fresh()?;
    let values = |name| head.headers.get_all(name).iter().map(HeaderValue::as_bytes);
    match credential::present(values("authorization"), values("x-api-key"), head.uri.query())? {
        None => Err(Denial::CredentialMissing.into()),
        Some(Credential::ApiKey(text)) => {
            let found = api_key::find(app, text.expose_secret()).await?;
            let key = app.read(FindShownKey { id: found.id.clone() }).await?.ok_or(Denial::KeyUnknown)?;
            key.key.facts().check(app.now()).map_err(|denial| Refusal::new(denial).fact("key", &found.id))?;
            key.key.metadata.check_address(Some(Origin::of(head).address))?;
            let KeyMetadata { kind, environment, .. } = &key.key.metadata;
            client_side::check(kind.credential(), *environment, values("origin"), values("user-agent"))?;
            Ok(key)
        }
        Some(_) => Err(Denial::CredentialMalformed.into()),
    }
}
