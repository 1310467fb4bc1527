//! `POST /v1/keys/self/rotate`: a key asks for its own successor.
//!
//! Its rights are the key itself: it needs no scope, and it is the credential, so a key of any API can ask.

use std::{sync::Arc, time::Instant};

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
use crate::{
    actor::Actor,
    app::{App, key_uses::KeyUse},
    manage::keys,
    origin::Origin,
    verify::api_key,
    web::refused::ProblemError,
};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(rotate_self))
}

/// Rotate the API key that the request is sent with
#[utoipa::path(post, path = "/v1/keys/self/rotate", tag = "keys", params(IdempotencyKeyHeader),
    security(("api_key" = [])), request_body = Option<RotateRequest>,
    responses((status = 201, description = "The successor; the secret is shown once", body = KeyWithSecret)))]
async fn rotate_self(
    State(app): State<Arc<App>>,
    Holder { actor, key, ended }: Holder,
    _: NoQuery,
    creation: Creation,
) -> Result<Response<Body>, ProblemError> {
    let (server, caller) = (&app, &actor);
    let rotate = |asked: RotateRequest, keeper: Keeper| async move {
        ended.map_or(Ok(()), Err)?;
        keys::rotate_self(server, caller, key, asked.into(), |created| keep(&keeper, created)).await
    };
    creation.answer(&app, &actor, rotate).await
}

/// The key that a request is sent with, which works, or did so until its rotation ended it.
struct Holder {
    actor: Actor,
    key: ShownKey,
    /// Why it only gets the answer that it got before: one that was lost, where both keys worked for a short time.
    ended: Option<Refusal>,
}

impl FromRequestParts<Arc<App>> for Holder {
    type Rejection = ProblemError;

    async fn from_request_parts(head: &mut Parts, app: &Arc<App>) -> Result<Self, ProblemError> {
        app.ensure_fresh()?;
        let values = |name| head.headers.get_all(name).iter().map(HeaderValue::as_bytes);
        match credential::present(values("authorization"), values("x-api-key"), head.uri.query())
            .map_err(Refusal::from)?
        {
            None => Err(Refusal::from(Denial::CredentialMissing).into()),
            Some(Credential::ApiKey(text)) => Ok(holder(head, app, text.expose_secret()).await?),
            Some(_) => Err(Refusal::from(Denial::CredentialMalformed).into()),
        }
    }
}

async fn holder(head: &Parts, app: &App, text: &str) -> Result<Holder, Refusal> {
    let (begun, origin) = (Instant::now(), Origin::of(head));
    let found = api_key::find(app, text).await?;
    let key = app.read(FindShownKey { id: found.id.clone() }).await?.ok_or(Denial::KeyUnknown)?;
    let checked = check(head, app, &key).map_err(|refusal| refusal.fact("key", &found.id));
    let outcome = checked.as_ref().map_or_else(|refusal| refusal.denial.code(), |_| "valid");
    let (key_used, address, took) = (&found, Some(origin.address), begun.elapsed());
    let is_good = checked.as_ref().is_ok_and(Option::is_none);
    app.note_use(&KeyUse { key: key_used, secret: text, address, is_good, outcome, took, further_uses: 0 });
    let actor = origin.actor_with(found.id.to_string(), Rights::Own);
    Ok(Holder { actor, key, ended: checked? })
}

/// Refuses a key that can't be used like this. Returned is why one that its rotation has ended may only get its last answer.
fn check(head: &Parts, app: &App, ShownKey { key, rotations }: &ShownKey) -> Result<Option<Refusal>, Refusal> {
    // The rule names the reason that lasts longest: behind an end there may be others, for which nothing is given.
    let is_only_ended = key.disabled_at.is_none() && key.leaked_at.is_none() && !key.owner_is_disabled;
    let ended = match key.facts().check(app.now()) {
        Err(denial @ Denial::KeyExpired) if rotations.replaced.is_some() && is_only_ended => {
            Some(Refusal::new(denial).fact("key", &key.id))
        }
        checked => {
            checked?;
            None
        }
    };
    let values = |name| head.headers.get_all(name).iter().map(HeaderValue::as_bytes);
    key.metadata.check_address(Some(Origin::of(head).address))?;
    let KeyMetadata { kind, environment, .. } = &key.metadata;
    client_side::check(kind.credential(), *environment, values("origin"), values("user-agent"))?;
    Ok(ended)
}
