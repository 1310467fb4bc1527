//! Protected resource metadata (RFC 9728), and guards that can't be built.

use axum::Router;
use doorward_guard::{Guard, GuardError, ResourceIdentifier};
use reqwest::Method;
use serde_json::json;

use crate::api::Api;

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";
const ISSUER: &str = "http://localhost:8400";

fn guard(resource: &str) -> Guard {
    let resource = ResourceIdentifier::parse(resource).unwrap();
    Guard::builder(ISSUER, resource).scopes_supported("notes:read notes:write").build().unwrap()
}

#[tokio::test]
async fn the_metadata_is_public_to_every_origin() {
    let guard = guard("http://localhost:8401");
    let api = Api::serve(Router::new().layer(guard.layer()).merge(guard.metadata_router())).await;
    let answer = api.send(Method::GET, WELL_KNOWN, &[("origin", "https://app.example")]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(
        answer.body,
        json!({
            "resource": "http://localhost:8401",
            "authorization_servers": [ISSUER],
            "bearer_methods_supported": ["header"],
            "scopes_supported": ["notes:read", "notes:write"],
        })
    );
    let preflight = api.send(Method::OPTIONS, WELL_KNOWN, &[("access-control-request-method", "GET")]).await;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-origin"), Some("*"));
    assert_eq!(api.send(Method::POST, WELL_KNOWN, &[]).await.status, 405);
}

#[tokio::test]
async fn api_below_a_path_has_metadata_after_the_well_known_part() {
    let api = Api::serve(guard("https://api.example/:v1/notes").metadata_router()).await;
    for path in [WELL_KNOWN.to_owned(), format!("{WELL_KNOWN}/:v1/notes")] {
        assert_eq!(api.send(Method::GET, &path, &[]).await.body["resource"], "https://api.example/:v1/notes");
    }
    assert_eq!(api.send(Method::GET, &format!("{WELL_KNOWN}/x"), &[]).await.status, 404);
}

#[test]
fn a_guard_with_a_mistake_in_it_is_not_built() {
    let builder = |issuer: &str| Guard::builder(issuer, ResourceIdentifier::parse("https://api.example").unwrap());
    assert!(matches!(builder("http://issuer.example").build(), Err(GuardError::Issuer)));
    assert!(matches!(builder(ISSUER).credential("cli_1", "a b").build(), Err(GuardError::Credential)));
    assert!(matches!(builder(ISSUER).scopes_supported("a\"b").build(), Err(GuardError::Scope(_))));
}
