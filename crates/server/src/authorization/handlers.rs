//! `/continue/{id}` and `/start-over/{id}`: from one step of an authorization request to the next.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, State},
};
use doorward_core::denial::Denial;
use doorward_store::authorization::BindRequest;
use http::{Request, Response};

use super::{
    interaction::{Interaction, UNBOUND, answer, find, load, store},
    next,
};
use crate::{app::App, browser::Browser, http::respond, origin::Origin};

/// `GET /continue/{id}`: whatever comes next.
pub(crate) async fn proceed(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    request: Request<Body>,
) -> Response<Body> {
    let origin = Origin::of(&request);
    let (head, _) = request.into_parts();
    let browser = Browser::of(&app, &head.headers);
    let step = async {
        let is_unbound = matches!(load(&app, &head.headers, &id).await, Ok((stored, _)) if stored.browser == UNBOUND);
        if is_unbound {
            let operation =
                BindRequest { candidates: app.candidates(&id), unbound: UNBOUND, browser: browser.digest(&app) };
            if !app.write(operation).await? {
                return Err(Denial::InteractionUnknown.into());
            }
        }
        let interaction = match is_unbound {
            true => Interaction { id: id.clone(), stored: load(&app, &head.headers, &id).await?.0 },
            false => find(&app, &head.headers, &id).await?,
        };
        let next = next::next(&app, &origin, &head.headers, interaction).await?;
        let mut response = respond::redirect(&next);
        browser.remember(&app, response.headers_mut());
        Ok(response)
    };
    answer(&app, &origin, &head.headers, &id, step).await
}

/// `GET /start-over/{id}`: the same request anew, for the browser that it belongs to.
pub(crate) async fn start_over(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    request: Request<Body>,
) -> Response<Body> {
    let origin = Origin::of(&request);
    let (head, _) = request.into_parts();
    let started = async {
        let browser = Browser::known(&app, &head.headers).ok_or(Denial::InteractionUnknown)?;
        match load(&app, &head.headers, &id).await? {
            (stored, true) => {
                let id = store(&app, &origin, stored.request, Some(&browser)).await?;
                Ok(respond::redirect(&format!("/continue/{id}")))
            }
            (_, false) => Err(Denial::InteractionUnknown.into()),
        }
    };
    answer(&app, &origin, &head.headers, &id, started).await
}
