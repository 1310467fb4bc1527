//! Bodies: of the right content type, within their bounds of size and time, before anything of them is parsed.

use std::{marker::PhantomData, sync::Arc};

use axum::{
    body::{Body, HttpBody},
    extract::{FromRequest, Request},
    response::IntoResponse,
};
use bytes::Bytes;
use doorward_core::{denial::Denial, form::Parameters, json, refusal::Refusal};
use http::{
    header::{CONTENT_LENGTH, CONTENT_TYPE},
    request::Parts,
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use crate::{
    app::App,
    origin::{Origin, header},
};

const FORM: &str = "application/x-www-form-urlencoded";

/// A form that was posted, with where it comes from and the head of its request. `E` is the kind of error that the endpoint answers with.
pub(crate) struct Form<E> {
    pub(crate) head: Parts,
    pub(crate) origin: Arc<Origin>,
    bytes: Bytes,
    error: PhantomData<fn() -> E>,
}

impl<E> Form<E> {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The parameters of the form.
    pub(crate) fn parameters(&self) -> Result<Parameters<'_>, Refusal> {
        Parameters::parse(&self.bytes)
    }
}

impl<E: From<Refusal> + IntoResponse> FromRequest<Arc<App>> for Form<E> {
    type Rejection = E;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, E> {
        let (head, body) = request.into_parts();
        let bytes = form(app, &head, body).await?;
        let origin = Origin::of(&head);
        Ok(Self { head, origin, bytes, error: PhantomData })
    }
}

/// Whether a request says that its body is a form.
pub(crate) fn is_form(head: &Parts) -> bool {
    essence(head).eq_ignore_ascii_case(FORM)
}

/// The bytes of a form.
pub(crate) async fn form(app: &App, head: &Parts, body: Body) -> Result<Bytes, Refusal> {
    typed(app, head, body, &[FORM]).await
}

/// A value out of JSON (`application/json`). `expected` says to the operator what it should look like.
pub(crate) async fn json<T: DeserializeOwned>(
    app: &App,
    head: &Parts,
    body: Body,
    expected: &'static str,
) -> Result<T, Refusal> {
    let bytes = json_bytes(app, head, body).await?;
    json::parse_as(&bytes).map_err(|_| Refusal::new(Denial::BodyMalformed).fact("expected", expected))
}

/// The bytes of JSON (`application/json`).
pub(crate) async fn json_bytes(app: &App, head: &Parts, body: Body) -> Result<Bytes, Refusal> {
    typed(app, head, body, &["application/json"]).await
}

/// The same with a limit of its own, where a known sender has more to say than callers.
pub(crate) async fn json_bytes_up_to(app: &App, head: &Parts, body: Body, limit: usize) -> Result<Bytes, Refusal> {
    typed_up_to(app, head, body, &["application/json"], limit).await
}

/// The same where no member is required: a request without a body is one with an empty object.
pub(crate) async fn json_bytes_or_none(app: &App, head: &Parts, body: Body) -> Result<Bytes, Refusal> {
    let bytes = match body.is_end_stream() && essence(head).is_empty() {
        true => Bytes::new(),
        false => json_bytes(app, head, body).await?,
    };
    let is_none = matches!(bytes.trim_ascii(), b"" | b"null");
    Ok(if is_none { Bytes::from_static(b"{}") } else { bytes })
}

/// A merge patch (RFC 7396), which is an object of JSON here.
pub(crate) async fn merge_patch(
    app: &App,
    head: &Parts,
    body: Body,
) -> Result<json::Map<String, json::Value>, Refusal> {
    let bytes = typed(app, head, body, &["application/merge-patch+json", "application/json"]).await?;
    json::parse_object(&bytes).map_err(|_| Refusal::new(Denial::BodyMalformed).fact("expected", "a merge patch"))
}

/// The content type without its parameters; empty if there is none.
fn essence(head: &Parts) -> &str {
    let stated = header(&head.headers, CONTENT_TYPE.as_str()).unwrap_or_default();
    stated.split(';').next().unwrap_or_default().trim()
}

async fn typed(app: &App, head: &Parts, body: Body, accepted: &[&str]) -> Result<Bytes, Refusal> {
    typed_up_to(app, head, body, accepted, app.settings.limits.body_bytes).await
}

async fn typed_up_to(app: &App, head: &Parts, body: Body, accepted: &[&str], limit: usize) -> Result<Bytes, Refusal> {
    let essence = essence(head);
    if !accepted.iter().any(|accepted| essence.eq_ignore_ascii_case(accepted)) {
        return Err(Refusal::new(Denial::ContentTypeUnsupported).fact("content_type", essence));
    }
    let longest = app.settings.listen.body_timeout;
    let too_large = || Refusal::new(Denial::BodyTooLarge).fact("limit", limit);
    let length = header(&head.headers, CONTENT_LENGTH.as_str()).and_then(|length| length.parse::<usize>().ok());
    if length.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let read = tokio::time::timeout(longest, Limited::new(body, limit).collect()).await;
    match read {
        Err(_) => Err(Denial::BodyTooSlow.into()),
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Refusal::new(Denial::BodyMalformed).fact("body", "it broke off")),
    }
}
