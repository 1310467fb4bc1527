//! `/v1/signing-keys`: the keys that sign tokens.

use std::sync::Arc;

use axum::{body::Body, extract::State};
use doorward_core::{
    json::{Value, json},
    jwk::Algorithm,
};
use http::Response;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::Caller,
    creation::{Creation, IdempotencyKeyHeader, Keeper},
    document::Document,
    entity::{Id, IfMatch, IfMatchHeader, answer, gone},
    list::{Confirmation, List, ListQuery, NoFilter, NoQuery, PageParameters},
};
use crate::{
    app::App,
    manage::signing_keys::{self, SigningKeyView},
    web::refused::ProblemError,
};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(show)).routes(routes!(withdraw))
}

/// Which signing key is created.
#[derive(Debug, Deserialize, ToSchema)]
struct NewSigningKey {
    /// The algorithm that it signs with; something must be signed with it.
    alg: Algorithm,
}

impl Document for NewSigningKey {
    fn smallest() -> Value {
        json!({"alg": Algorithm::ES256.as_str()})
    }
}

/// List signing keys
#[utoipa::path(get, path = "/v1/signing-keys", tag = "signing-keys", params(PageParameters),
    security(("bearer" = ["signing_keys:read"])),
    responses((status = 200, description = "A page of them", body = List<SigningKeyView>)))]
async fn list(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    query: ListQuery<NoFilter>,
) -> Result<Response<Body>, ProblemError> {
    query.answer(&app, |after, limit| signing_keys::page(&app, &actor, after, limit)).await
}

/// Create the next signing key
///
/// It is published at once, and signs once others have had `signing.publish_before_use` to fetch it.
#[utoipa::path(post, path = "/v1/signing-keys", tag = "signing-keys", params(IdempotencyKeyHeader),
    security(("bearer" = ["signing_keys:write"])), request_body = NewSigningKey,
    responses((status = 201, description = "It was created", body = SigningKeyView)))]
async fn create(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    _: NoQuery,
    creation: Creation,
) -> Result<Response<Body>, ProblemError> {
    let (server, caller) = (&app, &actor);
    let create = |NewSigningKey { alg }, keeper: Keeper| async move {
        let keep = |key: &SigningKeyView| keeper.keep(format!("/v1/signing-keys/{}", key.kid), key, key);
        signing_keys::rotate_shown(server, caller, alg, keep).await.map(drop)
    };
    creation.answer(&app, &actor, create).await
}

/// Show a signing key
#[utoipa::path(get, path = "/v1/signing-keys/{kid}", tag = "signing-keys", params(("kid" = String, Path)),
    security(("bearer" = ["signing_keys:read"])),
    responses((status = 200, description = "The signing key", body = SigningKeyView)))]
async fn show(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Id(kid): Id,
    _: NoQuery,
) -> Result<Response<Body>, ProblemError> {
    answer(&signing_keys::show(&app, &actor, &kid).await?)
}

/// Withdraw a signing key that others may know
///
/// It leaves the JWKS, and what it signed is refused from now on; elsewhere, when their copy of the JWKS ends. If it is the
/// key that signs, another one signs at once.
#[utoipa::path(post, path = "/v1/signing-keys/{kid}/withdraw", tag = "signing-keys", params(("kid" = String, Path), IfMatchHeader, Confirmation),
    security(("bearer" = ["signing_keys:write"])), responses((status = 204, description = "It is gone")))]
async fn withdraw(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Id(kid): Id,
    confirmation: Confirmation,
    if_match: IfMatch,
) -> Result<Response<Body>, ProblemError> {
    if_match.check(&signing_keys::show(&app, &actor, &kid).await?)?;
    signing_keys::withdraw(&app, &actor, &kid, confirmation.confirm).await?;
    Ok(gone())
}
