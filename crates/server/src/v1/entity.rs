//! One thing as it is answered, with its `ETag`; and changes by merge patch (RFC 7396) that `If-Match` guards
//! (RFC 9110 section 13.1.1).

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, Path, Request},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use doorward_core::{
    denial::Denial,
    digest::Digest,
    json::{Map, Value, json},
    refusal::{Mistake, Refusal},
};
use doorward_store::uses::Uses;
use http::{
    HeaderValue, Response, StatusCode,
    header::{ETAG, IF_MATCH, LOCATION},
    request::Parts,
};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::document::{Document, merged, read};
use crate::{
    app::App,
    manage::{Disabling, ManageError, uses::Preview},
    web::{body, refused::ProblemError, respond},
};

/// What says nothing about whether somebody changed a thing.
const VOLATILE: [&str; 7] = [
    "failing_since",
    "last_seen_at",
    "last_used_address",
    "last_used_at",
    "previous_secret_ends_at",
    "quota_left",
    "uses_left",
];

/// The header that guards a change.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "the description is generated from it")]
pub(crate) struct IfMatchHeader {
    /// The `ETag` of what was read. If it was changed meanwhile, the answer is 412, and nothing is changed.
    #[param(rename = "If-Match")]
    if_match: Option<String>,
}

/// The state that a caller wants to change, if it says which.
pub(crate) struct IfMatch(Option<String>);

impl IfMatch {
    fn of(head: &Parts) -> Self {
        let values = head.headers.get_all(IF_MATCH).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        let stated: Vec<_> = values.collect();
        Self((!stated.is_empty()).then(|| stated.join(",")))
    }

    /// Refuses another state than the one that was read.
    pub(crate) fn check(&self, view: &impl Serialize) -> Result<(), ManageError> {
        let Some(stated) = &self.0 else { return Ok(()) };
        let present = etag(view)?;
        // A proxy that compresses makes a weak tag of ours (RFC 9110 section 8.8.3.3). It covers the members, not the bytes.
        let strong = |tag: &'_ str| tag.trim().trim_start_matches("W/").to_owned();
        match stated.split(',').map(strong).any(|tag| tag == "*" || tag == present) {
            true => Ok(()),
            false => Err(Refusal::new(Denial::PreconditionFailed).into()),
        }
    }
}

impl FromRequestParts<Arc<App>> for IfMatch {
    type Rejection = ProblemError;

    async fn from_request_parts(head: &mut Parts, _: &Arc<App>) -> Result<Self, ProblemError> {
        Ok(Self::of(head))
    }
}

/// A change of something, as a merge patch of what is registered of it.
pub(crate) struct Patch {
    app: Arc<App>,
    if_match: IfMatch,
    patch: Value,
}

impl Patch {
    /// Whether the patch itself says something about a member.
    pub(crate) fn names(&self, member: &str) -> bool {
        self.patch.get(member).is_some()
    }

    /// What is registered after the change, from what is shown and registered before.
    pub(crate) fn apply<T: Document + Serialize>(&self, view: &impl Serialize, before: &T) -> Result<T, ManageError> {
        self.if_match.check(view)?;
        match merged(json!(before), &self.patch) {
            Value::Object(after) => read(&self.app.settings, after).map_err(ManageError::Mistakes),
            _ => Err(ManageError::Mistakes(vec![Mistake::at("", "must be an object")])),
        }
    }
}

impl FromRequest<Arc<App>> for Patch {
    type Rejection = ProblemError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ProblemError> {
        let (head, body) = request.into_parts();
        let patch: Map<String, Value> = body::merge_patch(app, &head, body).await?;
        Ok(Self { app: app.clone(), if_match: IfMatch::of(&head), patch: Value::Object(patch) })
    }
}

/// A body that is a document, where nothing is created by it.
pub(crate) struct Sent<T>(pub(crate) T);

impl<T: Document> FromRequest<Arc<App>> for Sent<T> {
    type Rejection = ProblemError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ProblemError> {
        let (head, body) = request.into_parts();
        Ok(Self(document(app, &body::json_bytes(app, &head, body).await?)?))
    }
}

/// The id in a path. What is not an id is answered as an id that nothing has.
pub(crate) struct Id(pub(crate) String);

impl FromRequestParts<Arc<App>> for Id {
    type Rejection = ProblemError;

    async fn from_request_parts(head: &mut Parts, app: &Arc<App>) -> Result<Self, ProblemError> {
        let path = Path::<String>::from_request_parts(head, app).await;
        Ok(Self(path.map_err(|_| Denial::IdUnknown)?.0))
    }
}

/// Answers with one thing.
pub(crate) fn answer(view: &impl Serialize) -> Result<Response<Body>, ProblemError> {
    let mut response = respond::json_no_store(view)?;
    response.headers_mut().insert(ETAG, header(&etag(view)?)?);
    Ok(response)
}

/// What a deletion would end.
#[derive(Serialize, ToSchema)]
pub(crate) struct WouldEnd {
    /// By kind: `count` of each, and whether there are `more`.
    #[schema(value_type = Object)]
    pub(crate) ends: Uses,
}

/// Answers what a deletion would end.
pub(crate) fn would_end(ends: Uses) -> Result<Response<Body>, ProblemError> {
    Ok(respond::json_no_store(&WouldEnd { ends })?)
}

/// Answers what a change would do: what would be there, with what would end beside it. The tag is that of what is there, so
/// that `If-Match` makes the same change later or none.
pub(crate) fn would_be<V: Serialize>(preview: &Preview<V>) -> Result<Response<Body>, ProblemError> {
    let mut shown = serde_json::to_value(&preview.after).map_err(respond::unwritable)?;
    shown["ends"] = json!(preview.ends);
    let mut response = respond::json_no_store(&shown)?;
    response.headers_mut().insert(ETAG, header(&etag(&preview.before)?)?);
    Ok(response)
}

/// Answers what disabling would do: what is there, with its tag, and beside it what would end and all that it holds.
pub(crate) fn would_leave(
    view: &impl Serialize,
    Disabling { ends, holds }: &Disabling,
) -> Result<Response<Body>, ProblemError> {
    let mut shown = serde_json::to_value(view).map_err(respond::unwritable)?;
    (shown["ends"], shown["holds"]) = (json!(ends), json!(holds));
    let mut response = respond::json_no_store(&shown)?;
    response.headers_mut().insert(ETAG, header(&etag(view)?)?);
    Ok(response)
}

/// Answers that something was created, which is found at `path` from now on. `body` is the answer itself.
pub(crate) fn created(path: &str, etag: &str, body: Vec<u8>) -> Result<Response<Body>, Refusal> {
    let mut response = respond::no_store(respond::with_type(StatusCode::CREATED, "application/json", body));
    response.headers_mut().insert(LOCATION, header(path)?);
    response.headers_mut().insert(ETAG, header(etag)?);
    Ok(response)
}

/// Answers that something is gone.
pub(crate) fn gone() -> Response<Body> {
    respond::empty(StatusCode::NO_CONTENT)
}

/// The state of something, as a strong tag: the same for the same members, whatever else happens to it.
pub(crate) fn etag(view: &impl Serialize) -> Result<String, Refusal> {
    let mut members = serde_json::to_value(view).map_err(respond::unwritable)?;
    if let Value::Object(members) = &mut members {
        members.retain(|name, _| !VOLATILE.contains(&name.as_str()));
    }
    let digest = Digest::sha256(members.to_string().as_bytes());
    Ok(format!("\"{}\"", URL_SAFE_NO_PAD.encode(&digest.as_bytes()[..16])))
}

fn header(text: &str) -> Result<HeaderValue, Refusal> {
    HeaderValue::from_str(text).map_err(|_| Refusal::new(Denial::Unavailable).fact("header", "not a header's value"))
}

/// A body that is read by its schema.
pub(crate) fn document<T: Document>(app: &App, bytes: &[u8]) -> Result<T, ProblemError> {
    let body = doorward_core::json::parse_object(bytes).map_err(|_| Denial::BodyMalformed)?;
    Ok(read(&app.settings, body).map_err(ManageError::Mistakes)?)
}
