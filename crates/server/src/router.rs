//! Every route, and the layers around all of them.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Instant,
};

use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State},
    middleware::{self, Next},
    response::IntoResponse,
    routing::get,
};
use doorward_core::{credential::query_has_credential, denial::Denial, network::ClientAddress, refusal::Refusal};
use doorward_listen::HeadSize;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS},
};
use percent_encoding::percent_decode_str;

use crate::{
    account,
    app::App,
    authorization, consent, denials, health, oauth, oidc,
    origin::Origin,
    pages::assets,
    signin, spans,
    v1::{self, Management},
    web::{
        cors::Readers,
        refused::{self, Asked, NegotiatedError, PageError, ProblemError},
        respond,
    },
};

/// The routes of one authorization server.
pub fn router(app: Arc<App>) -> Router {
    let management = Management::new(&app).expect("issuer and scope of the management API are valid");
    Router::new()
        .route("/", get(home))
        .route("/assets/{name}", get(asset))
        .merge(account::routes())
        .merge(authorization::routes(&app))
        .merge(consent::routes(&app))
        .merge(denials::routes())
        .merge(health::routes())
        .merge(oauth::routes())
        .merge(oidc::routes())
        .merge(signin::routes(&app))
        .merge(v1::routes(&app, management.clone()))
        .method_not_allowed_fallback(method_not_allowed)
        .merge(management.0.metadata_router())
        .fallback(not_found)
        .layer(middleware::from_fn_with_state(app.clone(), surround))
        .with_state(app)
}

/// Sets where the request comes from, answers other origins, refuses a credential in the URL before anything is
/// logged, and notes and renders refusals. One layer for all of it: each layer costs every request a few allocations.
async fn surround(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response<Body> {
    let start = app.metrics.is_on().then(Instant::now);
    let from = request.extensions().get::<ClientAddress>();
    let address = from.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |from| from.client);
    let origin = Arc::new(Origin::read(&request, address, app.now(), app.rng.clone()));
    let asked = Asked::by(request.headers());
    let readers = Readers::of(&request);
    let response = match refuse_outright(&app, &request).or_else(|| readers.preflight(&request)) {
        Some(response) => response,
        None => {
            request.extensions_mut().insert(origin.clone());
            next.run(request).await
        }
    };
    let mut response = refused::finish(&app, &origin, asked, response);
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    readers.admit(headers);
    spans::answered(origin.known_method(), origin.route(), &mut response);
    if let Some(start) = start {
        app.metrics.answered(&origin, response.status(), start.elapsed());
    }
    response
}

/// Refuses what no route should see.
fn refuse_outright(app: &App, request: &Request) -> Option<Response<Body>> {
    let path = request.uri().path();
    let head = HeadSize::of(request);
    if !head.is_within(&app.settings.listen) {
        let refusal = Refusal::new(Denial::HeadTooLarge).fact("bytes", head.bytes).fact("headers", head.headers);
        return Some(NegotiatedError::from(refusal).into_response());
    }
    // No route has such a path, and extracting a part of it would fail in words that are not ours.
    if percent_decode_str(path).decode_utf8().is_err() {
        return Some(NegotiatedError::from(Denial::NotFound).into_response());
    }
    let takes_credentials = path == "/userinfo" || path.starts_with("/v1/");
    if takes_credentials && request.uri().query().is_some_and(query_has_credential) {
        return Some(ProblemError::from(Denial::CredentialInQuery).into_response());
    }
    None
}

async fn home() -> Result<Response<Body>, PageError> {
    Ok(respond::redirect("/account")?)
}

async fn asset(State(app): State<Arc<App>>, Path(name): Path<String>) -> Result<Response<Body>, NegotiatedError> {
    let asset = app.assets.find(&format!("{}{name}", assets::PREFIX)).ok_or(Denial::NotFound)?;
    let mut response = respond::with_type(StatusCode::OK, asset.content_type, asset.body.clone());
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(assets::CACHE_CONTROL));
    // A logo that is opened by itself is a document of this origin, and an SVG may hold script.
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(assets::ALONE));
    Ok(response)
}

async fn not_found() -> NegotiatedError {
    Denial::NotFound.into()
}

async fn method_not_allowed() -> NegotiatedError {
    Denial::MethodNotAllowed.into()
}
