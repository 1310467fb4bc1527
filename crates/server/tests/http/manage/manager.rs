//! Somebody who manages the server over HTTP, with a key of the management API or as a client.

use doorward_core::scope::ScopeSet;
use doorward_server::manage::keys::{self, NewKey};
use reqwest::Method;
use serde_json::Value;

use crate::harness::*;

/// A caller of the management API.
pub(crate) struct Manager<'a> {
    server: &'a TestServer,
    /// The key or the access token.
    pub(crate) key: String,
}

impl<'a> Manager<'a> {
    /// With a key of these scopes, without limits.
    pub(crate) async fn with(server: &'a TestServer, scopes: &str) -> Self {
        Self::by(server, new_key("doorward", scopes)).await
    }

    /// With every scope.
    pub(crate) async fn of_all(server: &'a TestServer) -> Self {
        let scopes: Vec<_> = doorward_core::rights::SCOPES.iter().map(|(scope, _)| *scope).collect();
        Self::with(server, &scopes.join(" ")).await
    }

    /// With a key of some kind.
    pub(crate) async fn by(server: &'a TestServer, new: NewKey) -> Self {
        assert!(new.scopes != ScopeSet::default());
        let key = keys::create(&server.app, &operator(), new).await.unwrap().key.reveal().to_owned();
        Self { server, key }
    }

    /// As a client that acts for itself, with a token of all the scopes that it asks for.
    pub(crate) async fn as_client(server: &'a TestServer, client: &Registered, scopes: &str) -> Self {
        let key = server.caller.client_credentials(client, scopes).await.expect(200).text("access_token");
        Self { server, key }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, &[], Some(body)).await
    }

    /// A request that changes something without saying more.
    pub(crate) async fn act(&self, path: &str) -> Answer {
        self.send(Method::POST, path, &[], None).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PATCH, path, &[], Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], None).await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Answer {
        let described = described_headers(&method, path);
        let request = self.server.caller.request(method, path).bearer_auth(&self.key);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let answer = self.server.caller.send(request).await;
        for name in ["etag", "location"] {
            let is_described = described.iter().any(|(status, header)| *status == answer.status && header == name);
            assert_eq!(
                answer.header(name).is_some(),
                is_described,
                "{path} {name}: the answer differs from its description"
            );
        }
        answer
    }
}

/// The headers that the description gives to answers of an operation, each with the status.
fn described_headers(method: &Method, path: &str) -> Vec<(u16, String)> {
    let path = path.split('?').next().unwrap_or_default();
    let is_of = |template: &str| {
        let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
        let is_same = |(part, given): (&&str, &&str)| part.starts_with('{') || part == given;
        template.len() == path.len() && template.iter().zip(&path).all(is_same)
    };
    let description = doorward_server::description();
    let items = description["paths"].as_object().unwrap().iter().filter(|(template, _)| is_of(template));
    let operation =
        items.map(|(_, item)| &item[method.as_str().to_lowercase()]).find(|operation| operation.is_object());
    let answers = operation.and_then(|operation| operation["responses"].as_object()).into_iter().flatten();
    let names = |answer: &Value| {
        answer["headers"].as_object().into_iter().flatten().map(|(name, _)| name.to_lowercase()).collect()
    };
    let of_answer = |(status, answer): (&String, &Value)| {
        let (status, names): (_, Vec<String>) = (status.parse::<u16>().ok()?, names(answer));
        Some(names.into_iter().map(move |name| (status, name)))
    };
    answers.filter_map(of_answer).flatten().collect()
}

/// The places of the mistakes that an answer names.
#[track_caller]
pub(crate) fn places(answer: &Answer) -> Vec<String> {
    let errors = answer.json()["errors"].as_array().cloned().unwrap_or_default();
    errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect()
}

/// The code of a refusal with a status.
#[track_caller]
pub(crate) fn refused(answer: &Answer, status: u16) -> String {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/problem+json"));
    answer.text("code")
}
