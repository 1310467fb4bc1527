//! Layers: nested, optional, missing, and deaf to everything that a caller chooses but the credential.

use std::sync::Arc;

use axum::{Router, routing::get};
use doorward_core::clock::ManualClock;
use doorward_guard::{Principal, PrincipalKind, any_of, authenticated, scope};
use reqwest::Method;

use crate::{
    api::{Api, builder},
    fake_issuer::{FakeIssuer, NOW, VERIFY},
};

#[tokio::test]
async fn scope_and_role_are_both_needed_where_both_are_demanded() {
    let issuer = FakeIssuer::start().await;
    let api = Api::start(&issuer).await;
    for (scopes, roles, code) in [
        ("notes:write", &["admin"][..], ""),
        ("notes:write", &[], "insufficient_permission"),
        ("notes:read", &["admin"], "insufficient_scope"),
    ] {
        assert_eq!(api.get("/notes/1", &issuer.api_key(scopes, roles)).await.code(), code, "{scopes} {roles:?}");
    }
}

#[tokio::test]
async fn one_alternative_is_enough_and_conditions_are_needed_too() {
    let issuer = FakeIssuer::start().await;
    let guard = builder(&issuer, &Arc::new(ManualClock::at(NOW))).build().unwrap();
    let either = any_of([scope("notes:all"), scope("notes:read").and_role("admin")]);
    let by_people = scope("notes:read").and_that("people", |who| who.kind == PrincipalKind::User);
    let app = Router::new()
        .route("/either", get(async || "").layer(guard.require(either)))
        .route("/people", get(async || "").layer(guard.require(by_people)));
    let api = Api::serve(app).await;
    for (scopes, roles, code) in [
        ("notes:all", &[][..], ""),
        ("notes:read", &["admin"], ""),
        ("notes:read", &[], "insufficient_scope"),
        ("", &["admin"], "insufficient_scope"),
    ] {
        assert_eq!(api.get("/either", &issuer.api_key(scopes, roles)).await.code(), code, "{scopes} {roles:?}");
    }
    assert_eq!(api.get("/people", &issuer.jwt("notes:read")).await.status, 200);
    assert_eq!(api.get("/people", &issuer.api_key("notes:read", &[])).await.code(), "insufficient_permission");
}

#[tokio::test]
async fn override_headers_and_spelling_keep_the_requirement() {
    let issuer = FakeIssuer::start().await;
    let api = Api::start(&issuer).await;
    let without_scope = format!("Bearer {}", issuer.jwt("notes:write"));
    for method in ["GET", "HEAD", "POST", "OPTIONS", "TRACE", "PROPFIND", "get"] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        for path in ["/notes", "/notes/", "//notes", "/notes;a=b", "/NOTES", "/notes/1", "/none", "/"] {
            assert_eq!(api.send(method.clone(), path, &[]).await.status, 401, "{method} {path}");
        }
        for (name, value) in [
            ("x-http-method-override", "OPTIONS"),
            ("x-original-url", "/health"),
            ("x-forwarded-uri", "/health"),
            ("x-forwarded-for", "127.0.0.1"),
            ("user-agent", "kube-probe/1.0"),
            ("origin", "https://app.example"),
        ] {
            assert_eq!(api.send(method.clone(), "/notes", &[(name, value)]).await.status, 401, "{method} {name}");
            let headers = [("authorization", without_scope.as_str()), (name, value)];
            assert_eq!(api.send(method.clone(), "/notes", &headers).await.status, 403, "{method} {name}");
        }
    }
}

#[tokio::test]
async fn unknown_path_is_401_without_and_404_with_a_credential() {
    let issuer = FakeIssuer::start().await;
    let api = Api::start(&issuer).await;
    assert_eq!(api.send(Method::GET, "/none", &[]).await.status, 401);
    assert_eq!(api.get("/none", &issuer.jwt("notes:read")).await.status, 404);
}

#[tokio::test]
async fn guarded_routes_merged_last_answer_unknown_paths() {
    let issuer = FakeIssuer::start().await;
    let guard = builder(&issuer, &Arc::new(ManualClock::at(NOW))).build().unwrap();
    let guarded = Router::new().route("/", get(async || "")).layer(guard.layer());
    let api = Api::serve(guard.metadata_router().merge(guarded)).await;
    assert_eq!(api.send(Method::GET, "/none", &[]).await.status, 401);
    assert_eq!(api.get("/none", &issuer.jwt("notes:read")).await.status, 404);
}

#[tokio::test]
async fn nested_layers_of_one_guard_cost_one_verification() {
    let issuer = FakeIssuer::start().await;
    let clock = Arc::new(ManualClock::at(NOW));
    let guard = builder(&issuer, &clock).build().unwrap();
    let slow = clock.clone();
    let app = Router::new()
        .route("/", get(async || "").layer(guard.require(scope("notes:read"))))
        // Between the layers the yes becomes too old to be used again.
        .layer(axum::middleware::map_request(move |request: axum::extract::Request| {
            slow.advance(std::time::Duration::from_secs(1));
            std::future::ready(request)
        }))
        .layer(guard.layer());
    let api = Api::serve(app).await;
    assert_eq!(api.get("/", &issuer.api_key("notes:read", &[])).await.status, 200);
    assert_eq!(api.get("/", &issuer.api_key("notes:write", &[])).await.status, 403);
    assert_eq!(issuer.asked(VERIFY), 2);
}

#[tokio::test]
async fn principal_of_one_guard_proves_nothing_to_another() {
    let (ours, theirs) = (FakeIssuer::start().await, FakeIssuer::start().await);
    let clock = Arc::new(ManualClock::at(NOW));
    let (inner, outer) = (builder(&ours, &clock).build().unwrap(), builder(&theirs, &clock).build().unwrap());
    let app = Router::new().route("/", get(async || "")).layer(inner.require(authenticated())).layer(outer.layer());
    let api = Api::serve(app).await;
    assert_eq!(api.get("/", &theirs.api_key("notes:read", &[])).await.status, 401);
    assert_eq!((ours.asked(VERIFY), theirs.asked(VERIFY)), (1, 1));
}

#[tokio::test]
async fn optional_guard_allows_no_credential_but_no_bad_one() {
    let issuer = FakeIssuer::start().await;
    let guard = builder(&issuer, &Arc::new(ManualClock::at(NOW))).build().unwrap();
    let who = async |who: Option<Principal>| match who {
        Some(who) => format!("\"{}\"", who.subject),
        None => "\"nobody\"".to_owned(),
    };
    let app = Router::new()
        .route("/", get(who))
        .route("/mine", get(who).layer(guard.layer()))
        .route("/wrong", get(async |who: Principal| who.subject.clone()))
        .layer(guard.optional());
    let api = Api::serve(app).await;
    assert_eq!(api.send(Method::GET, "/", &[]).await.body, "nobody");
    assert_eq!(api.get("/", &issuer.api_key("", &[])).await.body, "key_1");
    assert_eq!(api.get("/", &issuer.unknown_key()).await.status, 401);
    assert_eq!(api.send(Method::GET, "/mine", &[]).await.status, 401);
    assert_eq!(api.get("/mine", &issuer.api_key("", &[])).await.body, "key_1");
    assert_eq!(api.send(Method::GET, "/wrong", &[]).await.status, 500);
}

#[tokio::test]
async fn handler_with_a_principal_is_unreachable_without_a_guard() {
    let app = Router::new()
        .route("/principal", get(async |_: Principal| "reached"))
        .route("/option", get(async |_: Option<Principal>| "reached"));
    let api = Api::serve(app).await;
    for path in ["/principal", "/option"] {
        assert_eq!(api.get(path, "anything").await.status, 500, "{path}");
    }
}
