//! What holds for every operation that the OpenAPI description has. A new route is covered without a line here.

use doorward_core::{client::AuthenticationMethod, client_metadata::ClientMetadata, scope::ScopeSet};
use doorward_server::manage::{keys, roles};
use reqwest::Method;
use serde_json::{Value, json};

use super::manager::{Manager, refused};
use crate::harness::*;

/// An operation of the description.
struct Operation {
    method: Method,
    /// Its path, with an id that nothing has in the place of each parameter.
    path: String,
    /// The scopes that it demands of a credential for the management API; none for an operation of APIs.
    scopes: Option<Vec<String>>,
    has_body: bool,
    /// Whether it takes a request without a credential.
    is_open: bool,
}

async fn operations(server: &TestServer) -> Vec<Operation> {
    let document = server.caller.get("/openapi.json").await.expect(200).json();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let parts = path.split('/').map(|part| if part.starts_with('{') { "nothing" } else { part });
            let demanded = operation["security"].as_array().expect("an operation says what it demands");
            let scopes = demanded.iter().find_map(|one| one["bearer"].as_array());
            let texts = |scopes: &Vec<Value>| scopes.iter().map(|scope| scope.as_str().unwrap().to_owned()).collect();
            found.push(Operation {
                method: Method::from_bytes(method.to_uppercase().as_bytes()).unwrap(),
                path: parts.collect::<Vec<_>>().join("/"),
                scopes: scopes.map(texts),
                is_open: demanded.contains(&json!({})),
                has_body: operation.get("requestBody").is_some(),
            });
        }
    }
    assert!(found.len() > 7, "{}", found.len());
    found
}

impl Operation {
    fn body(&self) -> Option<Value> {
        self.has_body.then(|| json!({}))
    }
}

#[tokio::test]
async fn no_operation_answers_without_a_credential() {
    let server = TestServer::start().await;
    let (open, others): (Vec<_>, Vec<_>) =
        operations(&server).await.into_iter().partition(|operation| operation.is_open);
    assert_eq!(open.iter().map(|operation| &*operation.path).collect::<Vec<_>>(), ["/v1/leaks", "/v1/leaks/github"]);
    for operation in others {
        let request = server.caller.request(operation.method.clone(), &operation.path);
        let request = match operation.body() {
            Some(body) => request.json(&body),
            None => request,
        };
        let answer = server.caller.send(request).await;
        assert_eq!(answer.status, 401, "{} {}: {}", operation.method, operation.path, answer.body);
        assert!(answer.header("www-authenticate").is_some());
    }
}

#[tokio::test]
async fn operation_demands_its_scope_and_names_it() {
    let server = TestServer::start().await;
    for operation in operations(&server).await {
        let Some(scopes) = &operation.scopes else { continue };
        assert!(!scopes.is_empty(), "{} {}", operation.method, operation.path);
        let others = doorward_core::rights::SCOPES.iter().map(|(scope, _)| *scope);
        let others: Vec<_> = others.filter(|scope| !scopes.iter().any(|demanded| demanded == scope)).collect();
        let manager = Manager::with(&server, &others.join(" ")).await;
        let answer = manager.send(operation.method.clone(), &operation.path, &[], operation.body()).await;
        assert_eq!(refused(&answer, 403), "insufficient_scope", "{} {}", operation.method, operation.path);
        assert_eq!(answer.json()["required_scopes"], json!(scopes));
        let manager = Manager::with(&server, &scopes.join(" ")).await;
        let answer = manager.send(operation.method.clone(), &operation.path, &[], operation.body()).await;
        assert!(
            ![401, 403, 405].contains(&answer.status) && answer.status < 500,
            "{}: {}",
            operation.path,
            answer.body
        );
    }
}

/// A request with an access token that somebody else's client got.
async fn list_clients(server: &TestServer, token: &str) -> Answer {
    server.caller.get_with("/v1/clients", &[("authorization", &format!("Bearer {token}"))]).await
}

#[tokio::test]
async fn user_needs_the_role_beside_the_scope_at_each_request() {
    let server = TestServer::start().await;
    let console = ClientMetadata {
        scope: ScopeSet::parse("openid clients:read").unwrap(),
        ..client("Console", AuthenticationMethod::ClientSecret, "https://console.example/cb")
    };
    let console = register(&server.app, console).await;
    let request = AuthorizationRequest::of(&console).with("scope", "openid clients:read");
    let token = server.tokens_of(&console, &request).await["access_token"].as_str().unwrap().to_owned();
    let refusal = list_clients(&server, &token).await;
    assert_eq!(refused(&refusal, 403), "insufficient_permission");
    assert_eq!(refusal.json()["required_roles"], json!(["admin"]));
    roles::grant(&server.app, &operator(), ALICE, "doorward", "admin").await.unwrap();
    list_clients(&server, &token).await.expect(200);
    // The token still says that there is no role, and another one would say that there is.
    let with_role = server.tokens_of(&console, &request).await["access_token"].as_str().unwrap().to_owned();
    roles::withdraw(&server.app, &operator(), ALICE, "doorward", "admin").await.unwrap();
    for token in [token, with_role] {
        assert_eq!(refused(&list_clients(&server, &token).await, 403), "insufficient_permission");
    }
}

#[tokio::test]
async fn scope_that_was_taken_from_a_client_no_longer_manages() {
    let server = TestServer::start().await;
    let all = Manager::of_all(&server).await;
    let robot =
        json!({"client_name": "Robot", "grant_types": ["client_credentials"], "scope": "clients:read users:read"});
    let robot = all.post("/v1/clients", robot).await.expect(201);
    let registered = Registered {
        id: robot.text("client_id"),
        secret: Some(robot.text("client_secret")),
        redirect_uri: String::new(),
    };
    let token = server.caller.client_credentials(&registered, "clients:read").await.expect(200).text("access_token");
    list_clients(&server, &token).await.expect(200);
    let path = format!("{}?confirm=true", robot.header("location").unwrap());
    all.patch(&path, json!({"scope": "users:read"})).await.expect(200);
    let refusal = list_clients(&server, &token).await;
    assert_eq!(refused(&refusal, 403), "insufficient_scope");
    assert_eq!(refusal.json()["required_scopes"], json!(["clients:read"]));
}

#[tokio::test]
async fn refusal_of_a_caller_says_to_the_operator_who_it_was() {
    let server = TestServer::start().await;
    let manager = Manager::with(&server, "clients:read").await;
    let answer = manager.get("/v1/clients/cli_00000000000000000000000000000000").await;
    assert_eq!(refused(&answer, 404), "id_unknown");
    let story = server.explain(&answer.text("trace_id")).await;
    let event = story.iter().find(|event| event.code.as_deref() == Some("id_unknown")).unwrap();
    let key = keys::show(&server.app, &operator(), &manager.key).await.unwrap();
    assert_eq!(event.actor.as_deref(), Some(key.id.as_str()));
    assert_eq!(event.details["target"], "/v1/clients/cli_00000000000000000000000000000000");
}
