//! Requests to the servers that are measured: enough to prepare the load, and to check that it works first.

use std::{sync::LazyLock, time::Duration};

use anyhow::{Result, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::de::DeserializeOwned;
use ureq::{Agent, config::IpFamily, http::request::Builder};

pub(super) type Request = ureq::http::Request<String>;
pub(super) type Answer = ureq::http::Response<String>;

pub(super) const FORM: &str = "application/x-www-form-urlencoded";

pub(super) fn get(port: u16, path: &str) -> Builder {
    Builder::new().uri(format!("http://localhost:{port}{path}"))
}

pub(super) fn post(port: u16, path: &str, content_type: &str) -> Builder {
    get(port, path).method("POST").header("Content-Type", content_type)
}

/// The value of `Authorization` for a client's id and secret (RFC 7617).
pub(super) fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

pub(super) fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// Sends a request on its own connection. Redirects and errors are answers like others.
pub(super) fn send(request: &Request) -> Result<Answer> {
    static AGENT: LazyLock<Agent> = LazyLock::new(|| {
        let config =
            Agent::config_builder().http_status_as_error(false).max_redirects(0).max_redirects_will_error(false);
        let config = config.max_idle_connections(0).proxy(None).ip_family(IpFamily::Ipv4Only);
        config.timeout_global(Some(Duration::from_secs(30))).build().into()
    });
    let (head, mut body) = AGENT.run(request.clone())?.into_parts();
    Ok(Answer::from_parts(head, body.read_to_string()?))
}

/// Sends a request and expects a success in JSON.
pub(super) fn succeed<T: DeserializeOwned>(request: &Request) -> Result<T> {
    let answer = send(request)?;
    ensure!(answer.status().is_success(), "{} was answered {answer:?}", request.uri().path());
    Ok(serde_json::from_str(answer.body())?)
}
