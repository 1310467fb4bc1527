//! Bodies: of the right content type, within their bounds of size and time, before anything of them is parsed.

use axum::body::Body;
use bytes::Bytes;
use doorward_core::{denial::Denial, refusal::Refusal};
use http::{
    header::{CONTENT_LENGTH, CONTENT_TYPE},
    request::Parts,
};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::header;
use crate::app::App;

/// The bytes of a form (`application/x-www-form-urlencoded`).
pub(crate) async fn form(app: &App, head: &Parts, body: Body) -> Result<Bytes, Refusal> {
    typed(app, head, body, "application/x-www-form-urlencoded").await
}

/// The bytes of JSON (`application/json`).
pub(crate) async fn json(app: &App, head: &Parts, body: Body) -> Result<Bytes, Refusal> {
    typed(app, head, body, "application/json").await
}

async fn typed(app: &App, head: &Parts, body: Body, expected: &'static str) -> Result<Bytes, Refusal> {
    let stated = header(&head.headers, CONTENT_TYPE.as_str()).unwrap_or_default();
    let essence = stated.split(';').next().unwrap_or_default().trim();
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
