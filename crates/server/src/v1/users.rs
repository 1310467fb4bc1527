//! `/v1/users`: who signs in.
//!
//! Easy to get wrong: bodies hold passwords. No answer repeats one, not even where it can't be accepted.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{FromRequestParts, State},
};
use doorward_core::{
    denial::Denial,
    id::UserId,
    json::{Value, json},
    secret::SecretString,
    user::UserMetadata,
};
use doorward_store::users::UserFilter;
use http::{Response, request::Parts};
use serde::{Deserialize, Deserializer, de::Error};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::Caller,
    creation::{Creation, IdempotencyKeyHeader, Keeper},
    departure::{Disable, Leaving},
    document::Document,
    entity::{Id, IfMatch, IfMatchHeader, Patch, Sent, WouldEnd, answer, gone, would_end, would_leave},
    list::{Ending, List, ListQuery, NoQuery, PageParameters},
};
use crate::{
    app::App,
    manage::users::{self, UserView},
    web::refused::ProblemError,
};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show, update, delete))
        .routes(routes!(set_password))
        .routes(routes!(disable))
        .routes(routes!(enable))
}

/// A user to be created, with a password.
#[derive(Deserialize, ToSchema)]
struct NewUser {
    #[serde(flatten)]
    metadata: UserMetadata,
    /// The password to sign in with. No answer has it.
    #[serde(deserialize_with = "password")]
    #[schema(value_type = String, format = Password, write_only)]
    password: SecretString,
}

impl Document for NewUser {
    fn smallest() -> Value {
        json!({"username": "a", "password": "a"})
    }
}

/// The password of a user from now on.
#[derive(Deserialize, ToSchema)]
struct NewPassword {
    /// The password to sign in with. No answer has it.
    #[serde(deserialize_with = "password")]
    #[schema(value_type = String, format = Password, write_only)]
    password: SecretString,
}

impl Document for NewPassword {
    fn smallest() -> Value {
        json!({"password": "a"})
    }
}

/// A text that is not repeated by the error about a value of another type.
fn password<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) => Ok(text.into()),
        _ => Err(D::Error::custom("is of the wrong type: expected a string")),
    }
}

/// Which users are listed.
#[derive(Debug, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only users who are disabled, or only others.
    disabled: Option<bool>,
    /// Only the user with this name.
    username: Option<String>,
}

impl Document for Filter {}

/// The user that a path names by the id. Names are for people at the command line, and stay out of logs of addresses.
pub(super) struct User(pub(super) UserId);

impl FromRequestParts<Arc<App>> for User {
    type Rejection = ProblemError;

    async fn from_request_parts(head: &mut Parts, app: &Arc<App>) -> Result<Self, ProblemError> {
        let Id(id) = Id::from_request_parts(head, app).await?;
        Ok(Self(UserId::parse(&id).map_err(|_| Denial::IdUnknown)?))
    }
}

/// List users
#[utoipa::path(get, path = "/v1/users", tag = "users", params(Filter, PageParameters), security(("bearer" = ["users:read"])),
    responses((status = 200, description = "A page of them, without their roles", body = List<UserView>)))]
async fn list(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    query: ListQuery<Filter>,
) -> Result<Response<Body>, ProblemError> {
    let filter = UserFilter { disabled: query.filter.disabled, username: query.filter.username.clone() };
    query.answer(&app, |after, limit| users::list(&app, &actor, filter, after, limit)).await
}

/// Create a user
#[utoipa::path(post, path = "/v1/users", tag = "users", params(IdempotencyKeyHeader),
    security(("bearer" = ["users:write"])), request_body = NewUser,
    responses((status = 201, description = "The user was created", body = UserView)))]
async fn create(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    _: NoQuery,
    creation: Creation,
) -> Result<Response<Body>, ProblemError> {
    let (server, caller) = (&app, &actor);
    let create = |NewUser { metadata, password }, keeper: Keeper| async move {
        let keep = |user: &UserView| keeper.keep(format!("/v1/users/{}", user.id), user, user);
        users::create_shown(server, caller, metadata, password, keep).await.map(drop)
    };
    creation.answer(&app, &actor, create).await
}

/// Show a user
#[utoipa::path(get, path = "/v1/users/{user_id}", tag = "users", params(("user_id" = String, Path)),
    security(("bearer" = ["users:read"])), responses((status = 200, description = "The user", body = UserView)))]
async fn show(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    User(id): User,
    _: NoQuery,
) -> Result<Response<Body>, ProblemError> {
    answer(&users::show(&app, &actor, id.as_str()).await?)
}

/// Change a user
///
/// Another `email` is not verified, unless `email_verified` says so in the same request.
#[utoipa::path(patch, path = "/v1/users/{user_id}", tag = "users", params(("user_id" = String, Path), IfMatchHeader),
    security(("bearer" = ["users:write"])),
    request_body(content = UserMetadata, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "The user after the change", body = UserView)))]
async fn update(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    User(id): User,
    _: NoQuery,
    patch: Patch,
) -> Result<Response<Body>, ProblemError> {
    let edit = |user: &UserView| patch.apply(user, &user.metadata);
    answer(&users::update(&app, &actor, id.as_str(), patch.names("email_verified"), edit).await?)
}

/// Delete a user, and end what the user has
///
/// It ends sessions, grants and the user's own keys. If there are any, the answer is 409 without `confirm`.
#[utoipa::path(delete, path = "/v1/users/{user_id}", tag = "users",
    params(("user_id" = String, Path), Ending, IfMatchHeader), security(("bearer" = ["users:write"])),
    responses((status = 200, description = "What would end, with `dry_run`", body = WouldEnd),
        (status = 204, description = "The user is gone")))]
async fn delete(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    User(id): User,
    ending: Ending,
    if_match: IfMatch,
) -> Result<Response<Body>, ProblemError> {
    if ending.dry_run {
        if_match.check(&users::show(&app, &actor, id.as_str()).await?)?;
        return would_end(users::ends_of_deletion(&app, &actor, id.as_str()).await?);
    }
    users::delete(&app, &actor, id.as_str(), ending.confirm, |user| if_match.check(user)).await?;
    Ok(gone())
}

/// Set a user's password
///
/// It ends all sessions of the user, and clears the counters of failed attempts.
#[utoipa::path(post, path = "/v1/users/{user_id}/password", tag = "users", params(("user_id" = String, Path), IfMatchHeader),
    security(("bearer" = ["users:write"])), request_body = NewPassword,
    responses((status = 200, description = "The user", body = UserView)))]
async fn set_password(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    User(id): User,
    _: NoQuery,
    if_match: IfMatch,
    Sent(NewPassword { password }): Sent<NewPassword>,
) -> Result<Response<Body>, ProblemError> {
    users::set_password(&app, &actor, id.as_str(), password, |user| if_match.check(user)).await?;
    answer(&users::show(&app, &actor, id.as_str()).await?)
}

/// Disable a user, and end all sessions and grants
///
/// Those end for good. If there are any, the answer is 409 without `confirm`. The user's own keys are refused until the user is
/// enabled again; `keys` in the body revokes them or hands them over, in the same transaction. With `dry_run` the answer has what
/// would end, as `ends`, and all that the user holds, as `holds`.
#[utoipa::path(post, path = "/v1/users/{user_id}/disable", tag = "users", params(("user_id" = String, Path), IfMatchHeader, Ending),
    security(("bearer" = ["users:write"])), request_body = Option<Disable>,
    responses((status = 200, description = "The user", body = UserView)))]
async fn disable(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    User(id): User,
    Ending { confirm, dry_run }: Ending,
    if_match: IfMatch,
    Leaving(departure): Leaving,
) -> Result<Response<Body>, ProblemError> {
    if dry_run {
        let user = users::show(&app, &actor, id.as_str()).await?;
        if_match.check(&user)?;
        return would_leave(&user, &users::disabling(&app, &actor, id.as_str(), &departure).await?);
    }
    users::disable_with_keys(&app, &actor, id.as_str(), &departure, confirm, |user| if_match.check(user)).await?;
    answer(&users::show(&app, &actor, id.as_str()).await?)
}

/// Enable a disabled user again
#[utoipa::path(post, path = "/v1/users/{user_id}/enable", tag = "users", params(("user_id" = String, Path), IfMatchHeader),
    security(("bearer" = ["users:write"])), responses((status = 200, description = "The user", body = UserView)))]
async fn enable(
    State(app): State<Arc<App>>,
    Caller(actor): Caller,
    User(id): User,
    _: NoQuery,
    if_match: IfMatch,
) -> Result<Response<Body>, ProblemError> {
    users::enable(&app, &actor, id.as_str(), |user| if_match.check(user)).await?;
    answer(&users::show(&app, &actor, id.as_str()).await?)
}
