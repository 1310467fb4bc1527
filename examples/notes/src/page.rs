//! Answering with the app's page, and with the headers that belong to it.

use askama::Template;
use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};

use crate::{
    app::{AppPage, CONTENT_SECURITY_POLICY, State},
    issuer::SignInError,
    sign_in,
};

const HEADERS: [(HeaderName, &str); 4] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

/// The page in this state.
pub(crate) fn answer(state: State) -> Response {
    let status = match &state {
        State::Refused { .. } => StatusCode::BAD_REQUEST,
        State::SignedIn(_) | State::Start => StatusCode::OK,
    };
    match (AppPage { state, sign_in: sign_in::PATH.into() }).render() {
        Ok(page) => {
            (status, HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value))), Html(page)).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "the page can't be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

impl IntoResponse for SignInError {
    fn into_response(self) -> Response {
        answer(State::Refused { error: self.error, description: self.description })
    }
}
