//! Requests to the issuer: bounded in size and time, no redirects, no proxy of the environment.
//!
//! All go over one connection where the issuer speaks HTTP/2: over TLS the handshake settles that, without it the guard
//! tries (prior knowledge, RFC 9113 section 3.3) and falls back to HTTP/1.1, which a proxy before the issuer may be
//! limited to. Then there are as many connections as there are questions at a time.
//!
//! Easy to get wrong: the API's credential goes along, so the address must be the issuer's own (see
//! [`super::metadata`]) and a redirect is an answer that can't be used.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use doorward_core::{
    refusal::Refusal,
    secret::{ExposeSecret, SecretString},
    trace::{ISSUER_TRACE_FACT, ISSUER_TRACE_HEADER, TraceId},
};
use reqwest::{Client, RequestBuilder, Response, redirect};
use serde::Serialize;
use url::Url;

use super::trace_context::TraceContext;

/// Longest answer except for a key set, in bytes.
pub(super) const MAX_ANSWER: usize = 64 * 1024;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long the issuer may take to show that it speaks HTTP/2 without TLS.
const HTTP2_TIMEOUT: Duration = Duration::from_secs(1);
/// A connection that many share must not be waited for when it is dead: each question would time out.
const PING_INTERVAL: Duration = Duration::from_secs(2);

/// The API's own credential at the issuer.
pub(crate) struct ApiCredential {
    client_id: String,
    secret: SecretString,
}

impl ApiCredential {
    /// Doorward's ids and secrets have no character that form-encoding would change, so Basic is the same with it (RFC
    /// 6749 section 2.3.1) and without. Anything else is an error at startup.
    pub(crate) fn new(client_id: String, secret: SecretString) -> Option<Self> {
        let plain = |text: &str| {
            (1..=256).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        };
        (plain(&client_id) && plain(secret.expose_secret())).then_some(Self { client_id, secret })
    }
}

/// Why the issuer gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("the issuer could not be reached: {}", root_cause(.0))]
    Unreachable(#[source] reqwest::Error),
    #[error("the issuer did not answer in time")]
    TimedOut,
    #[error("the issuer answered {0}")]
    Status(u16),
    #[error("the issuer refuses this API's credential ({0}): compare client_id and secret with `doorward api show`")]
    CredentialRefused(u16),
    #[error("the guard has no API credential to authenticate with: see `GuardBuilder::credential`")]
    NoCredential,
    #[error("the issuer's answer is larger than {0} bytes")]
    TooLarge(usize),
}

impl FetchError {
    /// What went wrong below, for an error that wraps this one.
    pub(crate) fn into_source(self) -> Box<dyn std::error::Error + Send + Sync> {
        match self {
            Self::Unreachable(error) => error.into(),
            other => other.into(),
        }
    }
}

impl From<reqwest::Error> for FetchError {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() { Self::TimedOut } else { Self::Unreachable(error.without_url()) }
    }
}

/// The innermost error says what happened ("connection refused"), those around it only where.
fn root_cause(error: &dyn std::error::Error) -> String {
    let innermost = std::iter::successors(Some(error), |error| error.source()).last();
    innermost.map(ToString::to_string).unwrap_or_default()
}

/// What the issuer answered to a question.
pub(super) struct Answer {
    pub(super) body: Bytes,
    trace_id: Option<TraceId>,
}

impl Answer {
    /// Adds the issuer's trace id, under which the issuer knows more about the refusal.
    pub(super) fn traced(&self, refusal: Refusal) -> Refusal {
        match self.trace_id {
            Some(trace_id) => refusal.fact(ISSUER_TRACE_FACT, trace_id),
            None => refusal,
        }
    }
}

/// The HTTP client of one issuer.
pub(super) struct IssuerClient {
    /// Speaks what TLS settles, and HTTP/1.1 without it.
    http: Client,
    /// Speaks HTTP/2 without TLS.
    http2: Option<Client>,
    /// Whether the issuer was found to speak HTTP/2 without TLS.
    speaks_http2: AtomicBool,
    credential: Option<ApiCredential>,
}

impl IssuerClient {
    pub(super) fn new(issuer: &Url, credential: Option<ApiCredential>) -> Result<Self, FetchError> {
        let builder = || {
            Client::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                .timeout(TIMEOUT)
                .redirect(redirect::Policy::none())
                .no_proxy()
                .http2_keep_alive_interval(PING_INTERVAL)
                .http2_keep_alive_timeout(PING_INTERVAL)
                .user_agent(concat!("doorward-guard/", env!("CARGO_PKG_VERSION")))
        };
        let speaks_http2 = AtomicBool::new(false);
        if issuer.scheme() == "https" {
            return Ok(Self { http: builder().build()?, http2: None, speaks_http2, credential });
        }
        // The machine's certificates are not needed then, and may be missing in a small container.
        let http = builder().tls_certs_only([]).build()?;
        let http2 = builder().tls_certs_only([]).http2_prior_knowledge().build()?;
        Ok(Self { http, http2: Some(http2), speaks_http2, credential })
    }

    /// Fetches the metadata, with which everything begins, and finds out by the way which HTTP the issuer speaks.
    pub(super) async fn get_metadata(&self, url: Url) -> Result<Bytes, FetchError> {
        if let Some(http2) = &self.http2 {
            let answer = tokio::time::timeout(HTTP2_TIMEOUT, get(http2, url.clone()).send()).await;
            let speaks_http2 = matches!(answer, Ok(Ok(_)));
            self.speaks_http2.store(speaks_http2, Ordering::Relaxed);
            if let Ok(Ok(response)) = answer {
                return body_of(response, MAX_ANSWER).await;
            }
        }
        body_of(get(&self.http, url).send().await?, MAX_ANSWER).await
    }

    pub(super) async fn get(&self, url: Url, max: usize) -> Result<Bytes, FetchError> {
        body_of(self.send(|client| get(client, url.clone())).await?, max).await
    }

    pub(super) async fn post_json(
        &self,
        url: Url,
        body: &impl Serialize,
        trace: &TraceContext,
    ) -> Result<Answer, FetchError> {
        self.post(|client| client.post(url.clone()).headers(trace.headers()).json(body)).await
    }

    pub(super) async fn post_form(
        &self,
        url: Url,
        form: &[(&str, &str)],
        trace: &TraceContext,
    ) -> Result<Answer, FetchError> {
        self.post(|client| client.post(url.clone()).headers(trace.headers()).form(form)).await
    }

    /// Sends in the HTTP that the issuer speaks. An issuer that stopped speaking HTTP/2 is asked again at once.
    async fn send(&self, request: impl Fn(&Client) -> RequestBuilder) -> Result<Response, FetchError> {
        if let Some(http2) = self.http2.as_ref().filter(|_| self.speaks_http2.load(Ordering::Relaxed)) {
            match request(http2).send().await {
                Err(error) if !error.is_timeout() && !error.is_connect() => {
                    self.speaks_http2.store(false, Ordering::Relaxed);
                }
                answer => return Ok(answer?),
            }
        }
        Ok(request(&self.http).send().await?)
    }

    /// Sends with the API's credential; any success is one.
    async fn post(&self, request: impl Fn(&Client) -> RequestBuilder) -> Result<Answer, FetchError> {
        let credential = self.credential.as_ref().ok_or(FetchError::NoCredential)?;
        let authenticated = |client: &Client| {
            let request = request(client).basic_auth(&credential.client_id, Some(credential.secret.expose_secret()));
            request.header("accept", "application/json")
        };
        let response = self.send(authenticated).await?;
        match response.status().as_u16() {
            200..=299 => {
                let trace_id = response.headers().get(ISSUER_TRACE_HEADER).and_then(|value| value.to_str().ok());
                let trace_id = trace_id.and_then(|text| TraceId::parse(text).ok());
                Ok(Answer { body: read(response, MAX_ANSWER).await?, trace_id })
            }
            status @ (401 | 403) => {
                tracing::error!(client_id = credential.client_id, status, "the issuer refuses this API's credential");
                Err(FetchError::CredentialRefused(status))
            }
            status => Err(FetchError::Status(status)),
        }
    }
}

fn get(client: &Client, url: Url) -> RequestBuilder {
    client.get(url).header("accept", "application/json")
}

async fn body_of(response: Response, max: usize) -> Result<Bytes, FetchError> {
    match response.status().as_u16() {
        200 => read(response, max).await,
        status => Err(FetchError::Status(status)),
    }
}

async fn read(mut response: Response, max: usize) -> Result<Bytes, FetchError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > max {
            return Err(FetchError::TooLarge(max));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credential_with_an_ambiguous_character_is_refused() {
        assert!(ApiCredential::new("cli_1".into(), "dw_cs_aB-9".into()).is_some());
        for (id, secret) in [("", "s"), ("cli:1", "s"), ("cli_1", ""), ("cli_1", "a b"), ("cli_1", "a+b")] {
            assert!(ApiCredential::new(id.into(), secret.into()).is_none(), "{id} {secret}");
        }
    }
}
