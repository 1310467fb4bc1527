//! A caller: sends given requests and follows no redirect.

use std::net::IpAddr;

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::{
    Method, RequestBuilder,
    header::{AUTHORIZATION, HeaderName},
    redirect::Policy,
};

use super::{answer::Answer, world::Registered};

/// A program that calls the server at `base`.
#[derive(Clone)]
pub(crate) struct Caller {
    http: reqwest::Client,
    pub(crate) base: String,
}

impl Caller {
    pub(crate) fn new(base: &str) -> Self {
        Self::from_address(base, IpAddr::from([127, 0, 0, 1]))
    }

    /// A caller with an address of its own; the whole of 127.0.0.0/8 is this machine.
    pub(crate) fn from_address(base: &str, address: IpAddr) -> Self {
        let http = reqwest::Client::builder().redirect(Policy::none()).local_address(address).build().unwrap();
        Self { http, base: base.to_owned() }
    }

    /// A request to a path of the server, or to a URL.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        match path.starts_with('/') {
            true => self.http.request(method, format!("{}{path}", self.base)),
            false => self.http.request(method, path),
        }
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        Answer::read(request.send().await.unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send(with(self.request(Method::GET, path), headers)).await
    }

    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        self.post_with(path, &[], form).await
    }

    pub(crate) async fn post_with(&self, path: &str, headers: &[(&str, &str)], form: &[(&str, &str)]) -> Answer {
        self.send(with(self.request(Method::POST, path), headers).form(form)).await
    }

    /// Posts bytes of a content type; of none if that is empty.
    pub(crate) async fn post_bytes(&self, path: &str, content_type: &str, bytes: impl Into<Vec<u8>>) -> Answer {
        let request = self.request(Method::POST, path).body(bytes.into());
        self.send(if content_type.is_empty() { request } else { request.header("content-type", content_type) }).await
    }

    /// Posts a form as a client: a confidential one by Basic, a public one by its `client_id`.
    pub(crate) async fn post_as(&self, client: &Registered, path: &str, form: &[(&str, &str)]) -> Answer {
        match &client.secret {
            Some(secret) => self.post_with(path, &[("authorization", &basic(&client.id, secret))], form).await,
            None => {
                let form: Vec<_> = form.iter().copied().chain([("client_id", client.id.as_str())]).collect();
                self.post(path, &form).await
            }
        }
    }

    /// Asks for a token as a client.
    pub(crate) async fn token(&self, client: &Registered, form: &[(&str, &str)]) -> Answer {
        self.post_as(client, "/token", form).await
    }

    /// Asks for a token as a client that acts for itself.
    pub(crate) async fn client_credentials(&self, client: &Registered, scope: &str) -> Answer {
        self.token(client, &[("grant_type", "client_credentials"), ("scope", scope)]).await
    }

    pub(crate) async fn refresh(&self, client: &Registered, token: &str) -> Answer {
        self.token(client, &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    /// Whether introspection, asked by `asker`, calls the token active.
    pub(crate) async fn is_active(&self, asker: &Registered, token: &str) -> bool {
        let answer = self.post_as(asker, "/introspect", &[("token", token)]).await.expect(200);
        match answer.json()["active"].as_bool() {
            Some(true) => true,
            // Every reason is reported in this one way.
            _ => {
                assert_eq!(answer.body, r#"{"active":false}"#);
                false
            }
        }
    }

    /// Whether introspection calls the token active, where the store may be away.
    pub(crate) async fn is_active_or_unavailable(&self, asker: &Registered, token: &str) -> bool {
        let answer = self.post_as(asker, "/introspect", &[("token", token)]).await;
        assert!(matches!(answer.status, 200 | 503), "{} {}", answer.status, answer.body);
        answer.status == 200 && answer.json()["active"] == true
    }

    /// Presents an access token to `/userinfo`.
    pub(crate) async fn userinfo(&self, token: &str) -> Answer {
        self.get_with("/userinfo", &[("authorization", &format!("Bearer {token}"))]).await
    }

    /// Asks about a key.
    pub(crate) async fn verify_key(&self, authorization: (&str, &str), key: &str, scopes: &[&str]) -> Answer {
        let body = serde_json::json!({"key": key, "scopes": scopes});
        self.send(with(self.request(Method::POST, "/v1/keys/verify"), &[authorization]).json(&body)).await
    }
}

/// The value of `Authorization` for Basic.
pub(crate) fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

fn with(request: RequestBuilder, headers: &[(&str, &str)]) -> RequestBuilder {
    headers.iter().fold(request, |request, (name, value)| {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        let is_secret = name == AUTHORIZATION;
        let mut value = reqwest::header::HeaderValue::from_bytes(value.as_bytes()).unwrap();
        value.set_sensitive(is_secret);
        request.header(name, value)
    })
}
