//! The parts of a guard that others may implement.

use std::sync::{Arc, Mutex};

use axum::{Router, routing::get};
use doorward_core::{credential::Credential, denial::Denial, principal::Principal, refusal::Refusal};
use doorward_guard::{BoxFuture, Guard, RequestContext, ResourceIdentifier, Verifier};
use reqwest::Method;

use crate::{api::Api, fake_issuer::API};

/// Notes what it is asked about, and refuses.
#[derive(Clone, Default)]
struct Witness(Arc<Mutex<Vec<String>>>);

impl Verifier for Witness {
    fn verify<'a>(
        &'a self,
        _: &'a Credential,
        request: &'a RequestContext<'a>,
    ) -> BoxFuture<'a, Result<Arc<Principal>, Refusal>> {
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
