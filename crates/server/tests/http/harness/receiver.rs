//! The receiver of webhooks of a test: it notes what it is sent, and answers as the test says.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::to_bytes, extract::Request, response::Response, routing::any};
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use tokio::task::JoinHandle;

use super::eventually;

/// A message as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// How a receiver answers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reply {
    Status(u16),
    /// A redirect to another path of the same receiver.
    Redirect,
    /// Not at all.
    Silence,
}

/// A receiver on a port of its own.
pub(crate) struct Receiver {
    pub(crate) url: String,
    received: Arc<Mutex<Vec<Received>>>,
    reply: Arc<Mutex<Reply>>,
    serving: JoinHandle<()>,
}

impl Receiver {
    /// A receiver that takes everything.
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let reply = Arc::new(Mutex::new(Reply::Status(204)));
        let (noted, replies) = (received.clone(), reply.clone());
        let answer = move |request: Request| {
            let (noted, replies) = (noted.clone(), replies.clone());
            async move {
                let (head, body) = request.into_parts();
                let body = to_bytes(body, 1 << 20).await.unwrap().to_vec();
                noted.lock().unwrap().push(Received { headers: head.headers, body });
                let reply = *replies.lock().unwrap();
                let answer = Response::builder();
                let answer = match reply {
                    Reply::Status(status) => answer.status(StatusCode::from_u16(status).unwrap()),
                    Reply::Redirect => answer.status(307).header("location", "/elsewhere"),
                    Reply::Silence => {
                        tokio::time::sleep(Duration::from_secs(3_600)).await;
                        answer
                    }
                };
                answer.body(axum::body::Body::from("x".repeat(1 << 17))).unwrap()
            }
        };
        let router = Router::new().fallback(any(answer));
        let serve = doorward_listen::Serve { router, ..doorward_listen::Serve::default() };
        let serving = tokio::spawn(doorward_listen::serve(vec![listener], serve, std::future::pending()));
        Self { url, received, reply, serving }
    }

    pub(crate) fn reply(&self, reply: Reply) {
        *self.reply.lock().unwrap() = reply;
    }

    /// What arrived until now.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Waits until so many messages have arrived.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Received> {
        eventually("a message", async || {
            let received = self.received();
            (received.len() >= count).then_some(received)
        })
        .await
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
