//! Every route, and what stands around them all.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Path, Request, State},
    middleware::{self, Next},
    routing::get,
};
use doorward_core::{denial::Denial, refusal::Refusal};
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS},
};
use percent_encoding::percent_decode_str;

use crate::{
    account,
    app::App,
    authorization, consent,
    http::{self as exchange, cors, proxy, respond},
    oauth, oidc,
    origin::{Origin, header},
    pages::assets,
    signin,
    v1::{self, Management},
};

/// The other end of a connection; the listener puts it into each request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// What programs in browsers may call from any origin, besides all that is well-known.
const ANY_ORIGIN: [&str; 4] = ["/jwks", "/revoke", "/token", "/userinfo"];

/// The routes of one authorization server.
pub fn router(app: Arc<App>) -> Router {
    let management = Management::new(&app).expect("issuer and scope of the management API are valid");
    Router::new()
        .route("/", get(home))
        .route("/health", get(health))
        .route("/assets/{name}", get(asset))
        .merge(account::routes())
        .merge(authorization::routes())
        .merge(consent::routes())
        .merge(oauth::routes())
        .merge(oidc::routes())
        .merge(signin::routes())
        .merge(v1::routes(management.clone()))
        .method_not_allowed_fallback(method_not_allowed)
        .merge(management.0.metadata_router())
        .fallback(not_found)
        .layer(middleware::from_fn_with_state(app.clone(), surround))
        .with_state(app)
}

/// Sets where the request comes from, answers other origins, and refuses a credential in the URL before anything is
/// logged. One layer for all of it: each layer costs every request a few allocations.
async fn surround(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response<Body> {
    let peer = request.extensions().get::<Peer>().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0);
    let address = proxy::client_address(request.headers(), peer, &app.settings.trusted_proxies);
    let origin = Origin::read(&request, address, app.now(), app.rng.clone());
    let path = request.uri().path();
    let is_open = path.starts_with("/.well-known/") || ANY_ORIGIN.contains(&path);
    let takes_credentials = path == "/userinfo" || path.starts_with("/v1/");
    let query = request.uri().query();
    let (head, headers) = (exchange::head_bytes(&request), exchange::header_count(request.headers()));
    let mut response = if head > app.settings.limits.header_bytes || headers > exchange::MAX_HEADERS {
        let refusal = Refusal::new(Denial::HeadTooLarge).fact("bytes", head).fact("headers", headers);
        refuse(&app, &origin, request.headers(), &refusal)
    } else if percent_decode_str(path).decode_utf8().is_err() {
        // No route has such a path, and extracting a part of it would fail in words that are not ours.
        refuse(&app, &origin, request.headers(), &Denial::NotFound.into())
    } else if takes_credentials && query.is_some_and(doorward_core::credential::query_has_credential) {
        respond::problem(&app, &origin, &Denial::CredentialInQuery.into())
    } else if is_open && cors::is_preflight(&request) {
        cors::preflight()
    } else {
        // The guard of the management API tells its audit where a request came from: behind a proxy, not the peer.
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(origin.address, 0)));
        request.extensions_mut().insert(Arc::new(origin));
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if is_open {
        cors::open(headers);
    }
    response
}

async fn home() -> Response<Body> {
    respond::redirect("/account")
}

/// Says that the server runs and can answer.
async fn health(State(app): State<Arc<App>>, request: Request) -> Response<Body> {
    match app.check_sight() {
        Ok(()) => respond::json_no_store(StatusCode::OK, &serde_json::json!({"status": "ok"})),
        Err(refusal) => respond::problem(&app, &Origin::of(&request), &refusal),
    }
}

async fn asset(State(app): State<Arc<App>>, Path(name): Path<String>, request: Request) -> Response<Body> {
    match app.assets.find(&format!("{}{name}", assets::PREFIX)) {
        Some(asset) => {
            let mut response = respond::with_type(StatusCode::OK, asset.content_type, asset.body.clone());
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(assets::CACHE_CONTROL));
            response
        }
        None => refuse(&app, &Origin::of(&request), request.headers(), &Denial::NotFound.into()),
    }
}

async fn not_found(State(app): State<Arc<App>>, request: Request) -> Response<Body> {
    refuse(&app, &Origin::of(&request), request.headers(), &Denial::NotFound.into())
}

async fn method_not_allowed(State(app): State<Arc<App>>, request: Request) -> Response<Body> {
    refuse(&app, &Origin::of(&request), request.headers(), &Denial::MethodNotAllowed.into())
}

/// A person who typed an address gets a page, a program a problem.
fn refuse(app: &App, origin: &Origin, headers: &HeaderMap, refusal: &Refusal) -> Response<Body> {
    let accepts = header(headers, "accept").unwrap_or_default();
    match accepts.contains("text/html") {
        true => respond::error_page(app, origin, refusal),
        false => respond::problem(app, origin, refusal),
    }
}
