//! The request to an endpoint: bounded in time, to public addresses only, without redirects and without a proxy of the
//! environment. Nothing of the answer is read but its head.

use std::{sync::OnceLock, time::Duration};

use doorward_core::webhook_retry::Answer;
use http::{
    HeaderMap,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use reqwest::{Client, redirect};
use url::{Host, Url};

use super::{
    Message,
    resolver::{NotPublic, Resolver},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The whole attempt, as the specification recommends (Standard Webhooks 1.0.0, "Request timeouts").
pub(crate) const TIMEOUT: Duration = Duration::from_secs(15);
/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(30);

/// Sends messages to endpoints.
#[derive(Debug)]
pub(crate) struct Sender {
    resolver: Resolver,
    /// Built with the first message: it reads the machine's certificates.
    client: OnceLock<Client>,
}

/// Why an endpoint gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error("the HTTP client can't be built: {}", root_cause(.0))]
    Client(#[source] reqwest::Error),
    #[error(transparent)]
    NotPublic(#[from] NotPublic),
    #[error("no answer within {} s", TIMEOUT.as_secs())]
    TimedOut,
    #[error("it could not be reached: {}", root_cause(.0))]
    Unreachable(#[source] reqwest::Error),
    #[error("its URL can't be read")]
    Url,
}

/// The innermost error says what happened ("connection refused"), those around it only where.
fn root_cause(error: &dyn std::error::Error) -> String {
    let innermost = std::iter::successors(Some(error), |error| error.source()).last();
    innermost.map(ToString::to_string).unwrap_or_default()
}

impl Sender {
    /// `allows_loopback`: whether this machine itself may be an endpoint.
    pub(crate) fn new(allows_loopback: bool) -> Self {
        Self { resolver: Resolver::of_machine(allows_loopback), client: OnceLock::new() }
    }

    /// Sends a message once.
    pub(crate) async fn send(&self, message: Message) -> Result<Answer, SendError> {
        let url = Url::parse(message.url.as_str()).map_err(|_| SendError::Url)?;
        // A client asks the resolver for names only.
        match url.host() {
            Some(Host::Ipv4(address)) => self.resolver.check(address.into())?,
            Some(Host::Ipv6(address)) => self.resolver.check(address.into())?,
            Some(Host::Domain(_)) => {}
            None => return Err(SendError::Url),
        }
        let request = self.client()?.post(url);
        let request = request.header(CONTENT_TYPE, "application/json");
        let request = request.header("webhook-id", message.id).header("webhook-signature", message.signature);
        let request = request.header("webhook-timestamp", message.attempt_at.as_secs());
        match request.body(message.payload).send().await {
            Ok(answer) => {
                Ok(Answer::Status { status: answer.status().as_u16(), retry_after: retry_after(answer.headers()) })
            }
            Err(error) if error.is_timeout() => Err(SendError::TimedOut),
            Err(error) => Err(SendError::Unreachable(error.without_url())),
        }
    }

    fn client(&self) -> Result<&Client, SendError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(1)
            .dns_resolver(std::sync::Arc::new(self.resolver.clone()))
            .user_agent(concat!("doorward/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(SendError::Client)?;
        Ok(self.client.get_or_init(|| client))
    }
}

/// The seconds that the answer asks to wait. A date is not read: the schedule's own pause applies.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let secs = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(secs))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use doorward_core::{clock::Timestamp, webhook::WebhookUrl};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::{super::resolver::tests::answering, *};

    fn message(url: &str) -> Message {
        Message {
            url: WebhookUrl::parse(url).unwrap(),
            id: "evt_1".to_owned(),
            attempt_at: Timestamp::from_secs(7),
            signature: "v1,x".to_owned(),
            payload: b"{}".to_vec(),
        }
    }

    /// Answers each connection with this, and gives the port.
    async fn receiver(answer: &'static str) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = [0; 1_024];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        port
    }

    fn with(resolver: Resolver) -> Sender {
        Sender { resolver, client: OnceLock::new() }
    }

    #[tokio::test]
    async fn name_is_resolved_once_and_what_was_checked_is_asked() {
        let port = receiver("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await;
        // For any name, such as `localhost`: the second answer rebinds it.
        let (resolver, asked) = answering(vec![vec!["127.0.0.1"], vec!["10.0.0.1"]], true);
        let sender = with(resolver);
        let answer = sender.send(message(&format!("http://localhost:{port}/"))).await.unwrap();
        assert_eq!(answer, Answer::Status { status: 204, retry_after: None });
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        let refused = sender.send(message(&format!("http://localhost:{port}/"))).await.unwrap_err();
        assert!(refused.to_string().contains("10.0.0.1 is not a public address"), "{refused}");
    }

    #[tokio::test]
    async fn private_address_is_refused_without_a_connection() {
        let sender = with(answering(vec![vec!["1.1.1.1"]], false).0);
        for url in ["https://127.0.0.1/", "https://10.0.0.1/", "https://[::1]/", "https://[::ffff:a9fe:a9fe]/"] {
            assert!(matches!(sender.send(message(url)).await, Err(SendError::NotPublic(_))), "{url}");
        }
    }

    #[tokio::test]
    async fn redirect_is_an_answer_and_not_followed() {
        let sender = with(answering(vec![vec!["127.0.0.1"]], true).0);
        let port = receiver("HTTP/1.1 307 R\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n").await;
        let answer = sender.send(message(&format!("http://127.0.0.1:{port}/"))).await.unwrap();
        assert_eq!(answer, Answer::Status { status: 307, retry_after: None });
    }

    #[tokio::test]
    async fn answer_names_its_pause_and_its_body_is_not_waited_for() {
        let sender = with(answering(vec![vec!["127.0.0.1"]], true).0);
        let port = receiver("HTTP/1.1 503 S\r\nRetry-After: 90\r\nContent-Length: 999999999\r\n\r\nx").await;
        let answer = sender.send(message(&format!("http://127.0.0.1:{port}/"))).await.unwrap();
        assert_eq!(answer, Answer::Status { status: 503, retry_after: Some(Duration::from_secs(90)) });
    }

    #[tokio::test]
    async fn nobody_there_is_said_in_plain_words() {
        let sender = with(answering(vec![vec!["127.0.0.1"]], true).0);
        let refused = sender.send(message("http://127.0.0.1:1/")).await.unwrap_err().to_string();
        assert!(refused.starts_with("it could not be reached: Connection refused"), "{refused}");
    }
}
