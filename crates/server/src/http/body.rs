//! Bodies: of the right content type, within their bounds of size and time, before anything of them is parsed.

use axum::body::Body;
use bytes::Bytes;
use doorward_core::{denial::Denial, refusal::Refusal};
use http::{
    header::{CONTENT_LENGTH, CONTENT_TYPE},
    request::Parts,
};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::{app::App, origin::header};

const FORM: &str = "application/x-www-form-urlencoded";

/// Whether a request says that its body is a form.
pub(crate) fn is_form(head: &Parts) -> bool {
    essence(head).eq_ignore_ascii_case(FORM)
}

/// The bytes of a form.
pub(crate) async fn form(app: &App, head: &Parts, body: Body) -> Result<Bytes, Refusal> {
    typed(app, head, body, FORM).await
}

/// The bytes of JSON (`application/json`).
pub(crate) async fn json(app: &App, head: &Parts, body: Body) -> Result<Bytes, Refusal> {
    typed(app, head, body, "application/json").await
}

/// The content type without its parameters; empty if there is none.
fn essence(head: &Parts) -> &str {
    let stated = header(&head.headers, CONTENT_TYPE.as_str()).unwrap_or_default();
    stated.split(';').next().unwrap_or_default().trim()
}

async fn typed(app: &App, head: &Parts, body: Body, expected: &'static str) -> Result<Bytes, Refusal> {
    let essence = essence(head);
    if !essence.eq_ignore_ascii_case(expected) {
        return Err(Refusal::new(Denial::ContentTypeUnsupported).fact("content_type", essence));
    }
    let limits = &app.settings.limits;
    let too_large = || Refusal::new(Denial::BodyTooLarge).fact("limit", limits.body_bytes);
    let length = header(&head.headers, CONTENT_LENGTH.as_str()).and_then(|length| length.parse::<usize>().ok());
    if length.is_some_and(|length| length > limits.body_bytes) {
        return Err(too_large());
    }
    let read = tokio::time::timeout(limits.body_timeout, Limited::new(body, limits.body_bytes).collect()).await;
    match read {
        Err(_) => Err(Denial::BodyTooSlow.into()),
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Refusal::new(Denial::BodyMalformed).fact("body", "it broke off")),
    }
}
