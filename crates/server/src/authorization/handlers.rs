//! `/continue/{id}` and `/start-over/{id}`: from one step of an authorization request to the next.

use std::sync::Arc;

use axum::{
    Extension,
    body::Body,
    extract::{Path, State},
};
use doorward_core::denial::Denial;
use http::{HeaderMap, Response};

use super::{interaction, next};
use crate::{
    app::App,
    browser::Browser,
    origin::Origin,
    web::{navigation::Navigation, refused::PageError, respond},
};

/// `GET /continue/{id}`: whatever comes next.
pub(crate) async fn proceed(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Extension(origin): Extension<Arc<Origin>>,
    navigation: Navigation,
    headers: HeaderMap,
) -> Result<Response<Body>, PageError> {
    navigation.demand()?;
    let browser = Browser::of(&app, &headers);
    let interaction = interaction::find_or_bind(&app, &headers, &id, &browser).await?;
    let mut response = next::next(&app, &origin, &headers, interaction).await?;
    browser.remember(&app, response.headers_mut());
    Ok(response)
}

/// `GET /start-over/{id}`: the same request again, for the browser that it belongs to.
pub(crate) async fn start_over(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Extension(origin): Extension<Arc<Origin>>,
    navigation: Navigation,
    headers: HeaderMap,
) -> Result<Response<Body>, PageError> {
    navigation.demand()?;
    let browser = Browser::known(&app, &headers).ok_or(Denial::InteractionUnknown)?;
    match interaction::load(&app, &headers, &id).await? {
        (stored, true) => {
            let id = interaction::store(&app, &origin, stored.request, Some(&browser), None).await?;
            Ok(respond::redirect(&format!("/continue/{id}"))?)
        }
        (_, false) => Err(Denial::InteractionUnknown.into()),
    }
}
