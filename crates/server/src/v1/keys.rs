//! `/v1/keys`: API keys.

use std::{sync::Arc, time::Duration};

use axum::{body::Body, extract::State};
use doorward_core::{
    api_key::Environment,
    clock::Timestamp,
    denial::Denial,
    id::KeyId,
    json::{Map, Value, json},
    key_kind::KeyKind,
    key_limits::{Quota, RateLimit},
    key_usage::Day,
    refusal::Mistake,
    scope::Scope,
};
use doorward_store::idempotency::KeptAnswer;
use http::Response;
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::Caller,
    creation::{Creation, IdempotencyKeyHeader, Keeper},
    document::Document,
    entity::{Id, IfMatch, IfMatchHeader, Patch, answer},
    list::{List, ListQuery, NoQuery, PageParameters},
};
use crate::{
    actor::Actor,
    app::App,
    manage::{
        ManageError,
        keys::{
            self, CreatedKey, Expiry, KeyChange, KeySettings, KeyState, KeyView, NewKey, RotationRequest, UsageDays,
            UsageView, WhichKeys,
        },
        times,
    },
    web::refused::ProblemError,
};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, update))
        .routes(routes!(disable))
        .routes(routes!(enable))
        .routes(routes!(revoke))
        .routes(routes!(rotate))
        .routes(routes!(usage))
}

/// A key to be created.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewKey)]
struct KeyRequest {
    /// The API that it works for, by name, id or identifier, where it is one.
    api: Option<String>,
    /// The APIs that it works for, where they are several; the first gives its prefix.
    #[serde(default)]
    apis: Vec<String>,
    /// Its name, for people.
    name: String,
    /// Whom it belongs to: a client's id, a user's id, `user:NAME`, or the API's own id of a customer. It stops working while
    /// a client or user is disabled.
    owner: Option<String>,
    /// What it may be used for: scopes of its APIs.
    #[serde(default)]
    scopes: Vec<Scope>,
    /// Its roles, as `API:ROLE`, or `ROLE` alone where it is for one API.
    #[serde(default)]
    roles: Vec<String>,
    /// Its lifetime in seconds; 90 days if it is not given.
    #[schema(minimum = 1)]
    expires_in: Option<u64>,
    /// Whether it never expires.
    #[serde(default)]
    never_expires: bool,
    /// What kind of key it is; it never changes.
    #[serde(default)]
    kind: KeyKind,
    /// For real use, or for tests.
    #[serde(default)]
    environment: Environment,
    /// Of a key for the management API: the APIs that it may manage; all if empty.
    #[serde(default)]
    limited_to: Vec<String>,
    /// Of a key for the management API: the owners whose things it may manage, named likewise; all if empty.
    #[serde(default)]
    limited_to_owners: Vec<String>,
    /// What its service keeps with it: at most 4,096 bytes of JSON.
    #[serde(default)]
    metadata: Map<String, Value>,
    /// From which addresses and networks (CIDR) it may be used, 64 at most; from everywhere if empty.
    #[serde(default)]
    allowed_addresses: Vec<String>,
    /// Of a publishable key: the origins of the pages that it may be used from, as browsers send them (RFC 6454 section 6.2):
    /// 1 to 32. Others have none.
    #[serde(default)]
    allowed_origins: Vec<String>,
    /// At most so many uses at once, refilled evenly: `{"requests": 100, "seconds": 60}`.
    rate_limit: Option<RateLimit>,
    /// At most so many uses in a day or month of UTC: `{"requests": 10000, "per": "day"}`.
    quota: Option<Quota>,
    /// At most so many uses in all.
    #[schema(maximum = 1_000_000_000_000_i64)]
    uses: Option<u64>,
}

impl Document for KeyRequest {
    fn smallest() -> Value {
        json!({"name": "a"})
    }
}

impl KeyRequest {
    /// The key that is asked for, and how its mistakes are said where the caller wrote them.
    fn read(self) -> Result<(NewKey, impl Fn(Mistake) -> Mistake), ManageError> {
        if self.api.is_some() && !self.apis.is_empty() {
            return Err(vec![Mistake::at("api", "can't be given together with apis")].into());
        }
        let is_one = self.api.is_some();
        let place = move |mistake: Mistake| match &*mistake.pointer {
            "/apis/0" if is_one => Mistake { pointer: "/api".to_owned(), ..mistake },
            _ => mistake,
        };
        Ok((self.into(), place))
    }
}

impl From<KeyRequest> for NewKey {
    fn from(asked: KeyRequest) -> Self {
        Self {
            name: asked.name,
            apis: asked.api.into_iter().chain(asked.apis).collect(),
            scopes: asked.scopes.into_iter().collect(),
            roles: asked.roles,
            owner: asked.owner,
            limited_to: asked.limited_to,
            limited_to_owners: asked.limited_to_owners,
            kind: asked.kind,
            environment: asked.environment,
            expiry: Expiry::requested(asked.expires_in, asked.never_expires),
            metadata: asked.metadata,
            allowed_addresses: asked.allowed_addresses,
            allowed_origins: asked.allowed_origins,
            rate_limit: asked.rate_limit,
            quota: asked.quota,
            uses: asked.uses,
        }
    }
}

impl Document for KeySettings {
    fn smallest() -> Value {
        json!({"name": "a"})
    }
}

/// A key with its secret, which is shown once.
#[derive(Serialize, ToSchema)]
pub(super) struct KeyWithSecret {
    #[serde(flatten)]
    key: KeyView,
    /// The key itself, as callers send it.
    secret: String,
}

/// Which keys are listed.
#[derive(Debug, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only keys of this owner: a client's id, a user's id, `user:NAME`, or the API's own id of a customer.
    owner: Option<String>,
    /// Only keys that were revoked, or only others.
    revoked: Option<bool>,
    /// Only keys for this API, by name, id or identifier.
    api: Option<String>,
    /// Only keys with this scope.
    scope: Option<Scope>,
    /// Only keys that this user, client, key or person at the command line (`os:NAME`) created.
    created_by: Option<String>,
    /// Only keys that were created then or later.
    #[serde(default, deserialize_with = "times::deserialize_optional")]
    created_since: Option<Timestamp>,
    /// Only keys that were created before then.
    #[serde(default, deserialize_with = "times::deserialize_optional")]
    created_until: Option<Timestamp>,
    /// Only keys in this state.
    state: Option<KeyState>,
    /// Only keys that were not used for so many seconds, and existed that long.
    #[param(maximum = 3_153_600_000_i64)]
    #[schema(maximum = 3_153_600_000_i64)]
    unused_for: Option<u64>,
    /// Only keys that can be used and expire within so many seconds.
    #[param(maximum = 3_153_600_000_i64)]
    #[schema(maximum = 3_153_600_000_i64)]
    expires_within: Option<u64>,
    /// Only keys that are due for rotation.
    #[serde(default)]
    rotation_due: bool,
}

impl Document for Filter {}

impl Filter {
    fn which(&self) -> WhichKeys {
        WhichKeys {
            owner: self.owner.clone(),
            revoked: self.revoked,
            api: self.api.clone(),
            scope: self.scope.clone(),
            created_by: self.created_by.clone(),
            created_since: self.created_since,
            created_until: self.created_until,
            state: self.state,
            unused_for: self.unused_for.map(Duration::from_secs),
            expires_within: self.expires_within.map(Duration::from_secs),
            rotation_due: self.rotation_due,
        }
    }
}

/// List API keys
#[utoipa::path(get, path = "/v1/keys", tag = "keys", params(Filter, PageParameters),
    security(("bearer" = ["keys:read"])), responses((status = 200, description = "A page of them", body = List<KeyView>)))]
async fn list(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    query: ListQuery<Filter>,
) -> Result<Response<Body>, ProblemError> {
    let which = query.filter.which();
    query.answer(&app, |after, limit| keys::list(&app, &actor, which, after, limit)).await
}

/// Create an API key
#[utoipa::path(post, path = "/v1/keys", tag = "keys", params(IdempotencyKeyHeader),
    security(("bearer" = ["keys:write"])), request_body = KeyRequest,
    responses((status = 201, description = "It was created; the secret is shown once", body = KeyWithSecret)))]
async fn create(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    _: NoQuery,
    creation: Creation,
) -> Result<Response<Body>, ProblemError> {
    let (server, caller) = (&app, &actor);
    let create = |asked: KeyRequest, keeper: Keeper| async move {
        let (new, place) = asked.read()?;
        keys::create_shown(server, caller, new, |created| keep(&keeper, created))
            .await
            .map(drop)
            .map_err(|error| error.each_mistake(place))
    };
    creation.answer(&app, &actor, create).await
}

/// Show an API key
#[utoipa::path(get, path = "/v1/keys/{key_id}", tag = "keys", params(("key_id" = String, Path)),
    security(("bearer" = ["keys:read"])), responses((status = 200, description = "The key", body = KeyView)))]
async fn show(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Id(id): Id,
    _: NoQuery,
) -> Result<Response<Body>, ProblemError> {
    answer(&keys::show(&app, &actor, key_id(&id)?.as_str()).await?)
}

/// Change an API key
#[utoipa::path(patch, path = "/v1/keys/{key_id}", tag = "keys",
    params(("key_id" = String, Path), IfMatchHeader), security(("bearer" = ["keys:write"])),
    request_body(content = KeySettings, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The key as it is now", body = KeyView)))]
async fn update(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Id(id): Id,
    _: NoQuery,
    patch: Patch,
) -> Result<Response<Body>, ProblemError> {
    let edit = |key: &KeyView| patch.apply(key, &KeySettings::of(key));
    answer(&keys::update(&app, &actor, key_id(&id)?.as_str(), edit).await?)
}

/// Disable an API key until it is enabled
#[utoipa::path(post, path = "/v1/keys/{key_id}/disable", tag = "keys",
    params(("key_id" = String, Path), IfMatchHeader), security(("bearer" = ["keys:write"])),
    responses((status = 200, description = "The key; one that is revoked stays so", body = KeyView)))]
async fn disable(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Id(id): Id,
    _: NoQuery,
    if_match: IfMatch,
) -> Result<Response<Body>, ProblemError> {
    answer(&changed(&app, &actor, &id, KeyChange::Disable, &if_match).await?)
}

/// Enable a disabled API key
#[utoipa::path(post, path = "/v1/keys/{key_id}/enable", tag = "keys",
    params(("key_id" = String, Path), IfMatchHeader), security(("bearer" = ["keys:write"])),
    responses((status = 200, description = "The key; one that is revoked stays so", body = KeyView)))]
async fn enable(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Id(id): Id,
    _: NoQuery,
    if_match: IfMatch,
) -> Result<Response<Body>, ProblemError> {
    answer(&changed(&app, &actor, &id, KeyChange::Enable, &if_match).await?)
}

/// Revoke an API key for good
#[utoipa::path(post, path = "/v1/keys/{key_id}/revoke", tag = "keys",
    params(("key_id" = String, Path), IfMatchHeader), security(("bearer" = ["keys:write"])),
    responses((status = 200, description = "The key, which is revoked", body = KeyView)))]
async fn revoke(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Id(id): Id,
    _: NoQuery,
    if_match: IfMatch,
) -> Result<Response<Body>, ProblemError> {
    answer(&changed(&app, &actor, &id, KeyChange::Revoke, &if_match).await?)
}

/// How a key is rotated.
#[derive(Deserialize, ToSchema)]
#[schema(as = RotateKey)]
pub(super) struct RotateRequest {
    /// For how many seconds both keys work at most; as the API's `key_policy` says, or 7 days, if it is not given. Zero ends the
    /// old key at once.
    #[schema(maximum = 31_536_000)]
    overlap: Option<u64>,
    /// For how many seconds the old key must be unused to end earlier, once its successor is used; as
    /// the API's `key_policy` says, or a day, if it is not given.
    #[schema(minimum = 300, maximum = 31_536_000)]
    quiet_for: Option<u64>,
    /// Whether a successor that nobody has used gets another secret, in place of a refusal.
    #[serde(default)]
    replace_unused: bool,
}

impl Document for RotateRequest {}

impl From<RotateRequest> for RotationRequest {
    fn from(asked: RotateRequest) -> Self {
        let RotateRequest { overlap, quiet_for, replace_unused } = asked;
        Self { overlap, quiet_for, replace_unused }
    }
}

/// Rotate an API key: a successor works beside it until it ends
#[utoipa::path(post, path = "/v1/keys/{key_id}/rotate", tag = "keys",
    params(("key_id" = String, Path), IdempotencyKeyHeader, IfMatchHeader), security(("bearer" = ["keys:write"])),
    request_body = Option<RotateRequest>,
    responses((status = 201, description = "The successor; the secret is shown once", body = KeyWithSecret)))]
async fn rotate(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Id(id): Id,
    _: NoQuery,
    if_match: IfMatch,
    creation: Creation,
) -> Result<Response<Body>, ProblemError> {
    let (server, caller, id) = (&app, &actor, key_id(&id)?);
    let rotate = |asked: RotateRequest, keeper: Keeper| async move {
        let (check, show) = (|key: &KeyView| if_match.check(key), |created: &CreatedKey| keep(&keeper, created));
        keys::rotate_shown(server, caller, id.as_str(), asked.into(), check, show).await.map(drop)
    };
    creation.answer(&app, &actor, rotate).await
}

/// Keeps the answer about a new key.
pub(super) fn keep(keeper: &Keeper, created: &CreatedKey) -> Result<Option<KeptAnswer>, ManageError> {
    let (key, secret) = (created.view.clone(), created.key.reveal().to_owned());
    keeper.keep(format!("/v1/keys/{}", key.id), &created.view, &KeyWithSecret { key, secret })
}

/// Which days of a key's usage are shown.
#[derive(Debug, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
struct Days {
    /// Only this day of UTC and later ones, for example `2026-11-01`.
    #[serde(default, deserialize_with = "day")]
    #[param(value_type = Option<String>, format = Date)]
    #[schema(value_type = Option<String>, format = Date)]
    since: Option<Day>,
    /// Only this day of UTC and earlier ones.
    #[serde(default, deserialize_with = "day")]
    #[param(value_type = Option<String>, format = Date)]
    #[schema(value_type = Option<String>, format = Date)]
    until: Option<Day>,
}

impl Document for Days {}

fn day<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Day>, D::Error> {
    let text = Option::<String>::deserialize(value)?;
    text.map(|text| times::read_date(&text).map_err(D::Error::custom)).transpose()
}

/// Show how often an API key was used, by day and outcome
#[utoipa::path(get, path = "/v1/keys/{key_id}/usage", tag = "keys", params(("key_id" = String, Path), Days, PageParameters),
    security(("bearer" = ["keys:read"])),
    responses((status = 200, description = "A page of the counts, the oldest day first", body = List<UsageView>)))]
async fn usage(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    Id(id): Id,
    query: ListQuery<Days>,
) -> Result<Response<Body>, ProblemError> {
    let (id, days) = (key_id(&id)?, UsageDays { since: query.filter.since, until: query.filter.until });
    query.answer(&app, |after, limit| keys::usage(&app, &actor, id.as_str(), days, after, limit)).await
}

/// The key that a path names after a change, which happens if it is as the caller knows it.
async fn changed(
    app: &App,
    actor: &Actor,
    id: &str,
    change: KeyChange,
    if_match: &IfMatch,
) -> Result<KeyView, ProblemError> {
    Ok(keys::change(app, actor, key_id(id)?.as_str(), change, |key| if_match.check(key)).await?)
}

/// The id in a path. A key itself does not belong into a URL, where it would be logged.
fn key_id(id: &str) -> Result<KeyId, Denial> {
    KeyId::parse(id).map_err(|_| Denial::IdUnknown)
}
