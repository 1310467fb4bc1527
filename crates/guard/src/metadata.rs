//! Protected resource metadata (RFC 9728): how a client that was refused finds out whom to ask for a token.

use axum::{
    Router,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    routing::get,
};
use bytes::Bytes;
use doorward_core::{api::ResourceIdentifier, cors, scope::ScopeSet};
use serde::Serialize;
use url::Url;

use crate::guard::Guard;

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

#[derive(Serialize)]
struct Document<'a> {
    resource: &'a ResourceIdentifier,
    authorization_servers: [&'a str; 1],
    bearer_methods_supported: [&'static str; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes_supported: Vec<&'a str>,
}

impl Guard {
    /// Routes for the metadata of this API (RFC 9728 section 3): at the well-known address, and at the one with the
    /// API's path behind it. They are public and readable from every origin; begin with them and merge the
    /// guarded routes, so that the guard answers for addresses that no route has.
    pub fn metadata_router<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        let document = document(self.issuer(), self.audience(), self.scopes_supported());
        let with_path = self.audience().metadata_url().and_then(|url| Url::parse(&url).ok());
        let with_path = with_path.map(|url| url.path().to_owned()).filter(|path| path != WELL_KNOWN);
        let route = get(async move || (headers(), document)).options(preflight).fallback(not_allowed);
        // A path may hold what axum 0.7 took for a parameter; it is text here.
        let router = Router::new().without_v07_checks().route(WELL_KNOWN, route.clone());
        match with_path {
            Some(path) => router.route(&path, route),
            None => router,
        }
    }
}

fn document(issuer: &str, resource: &ResourceIdentifier, scopes: &ScopeSet) -> Bytes {
    let document = Document {
        resource,
        authorization_servers: [issuer],
        bearer_methods_supported: ["header"],
        scopes_supported: scopes.iter().map(|scope| scope.as_str()).collect(),
    };
    serde_json::to_vec(&document).expect("a document of texts is JSON").into()
}

fn headers() -> [(HeaderName, HeaderValue); 4] {
    [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(cors::EXPOSED_HEADERS)),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300")),
    ]
}

async fn preflight() -> (StatusCode, HeaderMap) {
    let allowed = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, cors::ALLOWED_HEADERS),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    let headers = allowed.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect();
    (StatusCode::NO_CONTENT, headers)
}

/// Readable from every origin as well.
async fn not_allowed() -> (StatusCode, [(HeaderName, &'static str); 3]) {
    let headers = [
        (header::ALLOW, "GET, HEAD, OPTIONS"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, cors::EXPOSED_HEADERS),
    ];
    (StatusCode::METHOD_NOT_ALLOWED, headers)
}
