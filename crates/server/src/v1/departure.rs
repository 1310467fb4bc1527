//! What a request that disables a user or client says of the keys.

use std::sync::Arc;

use axum::{
    body::HttpBody,
    extract::{FromRequest, Request},
};
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{document::Document, entity::Sent};
use crate::{app::App, manage::Departure, web::refused::ProblemError};

/// How a user or client is disabled. The request can also come without a body.
#[derive(Default, Deserialize, ToSchema)]
pub(super) struct Disable {
    /// What becomes of the keys that it owns: `"revoke"`, or `{"hand_over_to": "OWNER"}` for a client's id, a user's id, `user:NAME`, or
    /// the API's own id of a customer. They are refused until it is enabled again if nothing is said.
    keys: Option<Keys>,
}

/// What becomes of keys.
#[derive(Deserialize, ToSchema)]
#[schema(as = KeysOfDisabled)]
#[serde(rename_all = "snake_case")]
enum Keys {
    /// They belong to this owner from now on, and go on to work.
    HandOverTo(String),
    /// They are revoked for good.
    Revoke,
}

impl Document for Disable {}

impl From<Disable> for Departure {
    fn from(Disable { keys }: Disable) -> Self {
        match keys {
            None => Self::KeepKeys,
            Some(Keys::HandOverTo(owner)) => Self::HandOverTo(owner),
            Some(Keys::Revoke) => Self::RevokeKeys,
        }
    }
}

/// What becomes of the keys, from a body that may be left out.
pub(super) struct Leaving(pub(super) Departure);

impl FromRequest<Arc<App>> for Leaving {
    type Rejection = ProblemError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ProblemError> {
        if request.body().is_end_stream() && !request.headers().contains_key(CONTENT_TYPE) {
            return Ok(Self(Departure::default()));
        }
        let Sent(disable) = Sent::<Disable>::from_request(request, app).await?;
        Ok(Self(disable.into()))
    }
}
