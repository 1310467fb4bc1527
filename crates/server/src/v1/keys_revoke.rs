//! `POST /v1/keys/revoke`: all keys that match some conditions, as after a breach.

use std::sync::Arc;

use axum::{body::Body, extract::State};
use doorward_core::{clock::Timestamp, scope::Scope};
use http::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{access::Caller, document::Document, entity::Sent, list::Ending};
use crate::{
    app::App,
    manage::{
        keys::{self, Conditions, MatchingKeys},
        times,
    },
    web::{refused::ProblemError, respond},
};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(revoke_matching))
}

/// Which keys are revoked: those that match all conditions, of which there must be one.
#[derive(Deserialize, ToSchema)]
#[schema(as = RevokeKeys)]
struct RevokeKeys {
    /// Only keys of this owner: a client's id, a user's id, `user:NAME`, or the API's own id of a customer.
    owner: Option<String>,
    /// Only keys that name this API, by name, id or identifier.
    api: Option<String>,
    /// Only keys that were given this scope.
    scope: Option<Scope>,
    /// Only keys that this user, client, key or person at the command line (`os:NAME`) created.
    created_by: Option<String>,
    /// Only keys that were created then or later.
    #[serde(default, deserialize_with = "times::deserialize_optional")]
    created_since: Option<Timestamp>,
    /// Only keys that were created before then.
    #[serde(default, deserialize_with = "times::deserialize_optional")]
    created_until: Option<Timestamp>,
}

impl Document for RevokeKeys {}

impl From<RevokeKeys> for Conditions {
    fn from(asked: RevokeKeys) -> Self {
        let RevokeKeys { owner, api, scope, created_by, created_since, created_until } = asked;
        Self { owner, api, scope, created_by, created_since, created_until }
    }
}

/// The keys that match, and what became of them.
#[derive(Serialize, ToSchema)]
struct RevokedKeys {
    #[serde(flatten)]
    keys: MatchingKeys,
    /// Whether nothing was changed.
    dry_run: bool,
}

/// Revoke all API keys that match
///
/// It is one transaction: all of them, or none. Each key is refused everywhere in under a second. If any key matches, the answer is
/// 409 without `confirm`; with `dry_run` it counts and lists the keys. At most 50,000 keys are looked at in one request.
#[utoipa::path(post, path = "/v1/keys/revoke", tag = "keys", params(Ending), security(("bearer" = ["keys:write"])),
    request_body = RevokeKeys,
    responses((status = 200, description = "The keys that are revoked, or would be", body = RevokedKeys)))]
async fn revoke_matching(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Ending { confirm, dry_run }: Ending,
    Sent(asked): Sent<RevokeKeys>,
) -> Result<Response<Body>, ProblemError> {
    let keys = match dry_run {
        true => keys::matching(&app, &actor, &asked.into()).await?,
        false => keys::revoke_matching(&app, &actor, &asked.into(), confirm).await?,
    };
    Ok(respond::json_no_store(&RevokedKeys { keys, dry_run })?)
}
