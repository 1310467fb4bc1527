//! The parts of a guard that others may implement.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    routing::{any, get},
};
use doorward_core::{credential::Credential, denial::Denial, principal::Principal, refusal::Refusal};
use doorward_guard::{
    Action, Authorizer, BoxFuture, Decision, Guard, RequestContext, Resource, ResourceIdentifier, Verified, Verifier,
    authenticated, scope, testing::TestIssuer,
};
use reqwest::Method;

use crate::{
    api::{Api, Recorder},
    fake_issuer::API,
};

/// Notes the questions, and refuses.
#[derive(Clone, Default)]
struct Witness(Arc<Mutex<Vec<String>>>);

impl Verifier for Witness {
    fn verify<'a>(
        &'a self,
        _: &'a Credential,
        request: &'a RequestContext<'a>,
    ) -> BoxFuture<'a, Result<Verified, Refusal>> {
        let proof = request.headers["dpop"].to_str().unwrap();
        self.0.lock().unwrap().push(format!("{} {} {proof}", request.method, request.uri));
        Box::pin(std::future::ready(Err(Denial::TokenBindingUnproven.into())))
    }
}

#[tokio::test]
async fn verifier_sees_method_target_and_headers_as_sent() {
    let witness = Witness::default();
    let audience = ResourceIdentifier::parse(API).unwrap();
    let guard = Guard::with_verifier("http://localhost:8400", audience, Arc::new(witness.clone())).build().unwrap();
    let inner = Router::new().route("/notes", get(async || "")).layer(guard.layer());
    let api = Api::serve(Router::new().nest("/v2", inner)).await;
    let headers = [("authorization", "Bearer a.b.c"), ("dpop", "proof")];
    let answer = api.send(Method::DELETE, "/v2/notes?page=2", &headers).await;
    assert_eq!((answer.status, answer.code()), (401, "token_binding_unproven"));
    assert_eq!(*witness.0.lock().unwrap(), ["DELETE /v2/notes?page=2 proof"]);
}

impl Authorizer for Witness {
    /// Notes what it is asked, and refuses what is not safe.
    fn decide(
        &self,
        principal: &Principal,
        action: &Action<'_>,
        resource: &Resource<'_>,
        _: &RequestContext<'_>,
    ) -> Decision {
        let asked =
            format!("{} {} {} {}", principal.subject, action.method, resource.path, action.requirement.scopes());
        self.0.lock().unwrap().push(asked);
        if !action.method.is_safe() {
            let refusal = Refusal::new(Denial::InsufficientPermission).fact("policy", "read-only on Sundays");
            return Decision::Refuse(refusal);
        }
        Decision::Allow
    }
}

/// An API behind an authorizer that notes what it is asked: `/v2/notes` needs `notes:read`, `/v2/open` nothing.
async fn api_with_authorizer() -> (TestIssuer, Witness, Api) {
    let (issuer, witness, audit) = (TestIssuer::new(API), Witness::default(), Recorder::default());
    let guard = issuer.builder().audit(audit.clone()).authorizer(witness.clone()).build().unwrap();
    let inner = Router::new()
        .route("/notes", any(async || "").layer(guard.require(scope("notes:read"))))
        .route("/open", any(async || "").layer(guard.optional()));
    let mut api = Api::serve(Router::new().nest("/v2", inner)).await;
    api.audit = audit;
    (issuer, witness, api)
}

#[tokio::test]
async fn refusal_of_an_authorizer_is_403_with_its_cause_in_the_audit() {
    let (issuer, witness, api) = api_with_authorizer().await;
    let bearer = format!("Bearer {}", issuer.token("notes:read"));
    for path in ["/v2/notes", "/v2/open"] {
        let answer = api.send(Method::POST, path, &[("authorization", &bearer)]).await;
        assert_eq!((answer.status, answer.code()), (403, "insufficient_permission"), "{path}");
        assert!(!answer.body.to_string().contains("Sundays"));
        let event = api.audit.events().pop().unwrap();
        assert_eq!((event.code.as_str(), event.principal.as_deref()), ("insufficient_permission", Some("usr_test")));
        assert!(event.facts.iter().any(|(name, value)| name == "policy" && value == "read-only on Sundays"));
    }
    assert_eq!(*witness.0.lock().unwrap(), ["usr_test POST /v2/notes notes:read", "usr_test POST /v2/open "]);
}

#[tokio::test]
async fn authorizer_sees_only_principals_that_meet_the_requirement() {
    let (issuer, witness, api) = api_with_authorizer().await;
    let revoked = issuer.api_key("notes:read");
    issuer.revoke(&revoked);
    assert_eq!(api.get("/v2/notes", &revoked).await.status, 401);
    assert_eq!(api.get("/v2/open", &revoked).await.status, 401);
    assert_eq!(api.send(Method::GET, "/v2/notes", &[]).await.status, 401);
    assert_eq!(api.send(Method::GET, "/v2/open", &[]).await.status, 200);
    assert!(witness.0.lock().unwrap().is_empty());
    assert_eq!(api.get("/v2/notes", &issuer.token("notes:read")).await.status, 200);
    assert_eq!(api.get("/v2/notes", &issuer.token("notes:write")).await.code(), "insufficient_scope");
    assert_eq!(*witness.0.lock().unwrap(), ["usr_test GET /v2/notes notes:read"]);
}

/// As those of a real issuer: a handler that asks who is calling can be tried with each.
#[tokio::test]
async fn publishable_key_of_a_test_issuer_is_bound_to_its_origin() {
    let issuer = TestIssuer::new("https://api.example");
    let key = issuer.mint("notes:read").role("admin").live().publishable_key("https://app.example.com");
    let status = async |origin: Option<&str>| {
        let request = http::Request::get("/notes").header("x-api-key", &key);
        let request = origin.into_iter().fold(request, |request, origin| request.header("origin", origin));
        let (head, ()) = request.body(()).unwrap().into_parts();
        let found = issuer.guard().authorize(&head, &authenticated()).await;
        found.map(|principal| principal.roles.len()).map_err(|problem| problem.refusal().denial)
    };
    assert_eq!(status(Some("https://app.example.com")).await, Ok(0));
    assert_eq!(status(Some("https://other.example.com")).await, Err(Denial::KeyOriginNotAllowed));
    assert_eq!(status(None).await, Err(Denial::KeyOriginNotAllowed));
}

#[tokio::test]
async fn principal_of_what_a_test_issuer_mints_is_of_its_kind() {
    let issuer = TestIssuer::new(API);
    let told = get(async |who: doorward_guard::Principal| {
        let text = |of: &Option<String>| of.clone().unwrap_or_default();
        axum::Json([format!("{:?}", who.kind), who.subject.clone(), text(&who.client_id), text(&who.owner)])
    });
    let api = Api::serve(Router::new().route("/", told.layer(issuer.guard().layer()))).await;
    let mint = || issuer.mint("notes:read");
    for (credential, expected) in [
        (mint().opaque(), ["User", "usr_test", "cli_test", ""]),
        (mint().client().opaque(), ["Client", "cli_test", "cli_test", ""]),
        (mint().jwt(), ["User", "usr_test", "cli_test", ""]),
        (mint().api_key(), ["Key", "usr_test", "", "usr_test"]),
    ] {
        assert_eq!(api.get("/", &credential).await.body, serde_json::json!(expected));
    }
}
