//! How the guard reaches its issuer: over one connection where HTTP/2 is spoken, over a few where it is not.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use doorward_core::clock::ManualClock;
use doorward_guard::{Guard, scope};
use http::Request;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::Notify,
};

use crate::{
    api::builder,
    fake_issuer::{FakeIssuer, METADATA, NOW, VERIFY},
};

/// A proxy that can be limited to HTTP/1.1.
struct Proxy {
    url: String,
    speaks_http2: Arc<AtomicBool>,
    connections: Arc<AtomicUsize>,
    closing: Arc<Notify>,
}

impl Proxy {
    async fn before(issuer: SocketAddr, speaks_http2: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            speaks_http2: Arc::new(AtomicBool::new(speaks_http2)),
            connections: Arc::default(),
            closing: Arc::default(),
        };
        let (speaks_http2, connections) = (proxy.speaks_http2.clone(), proxy.connections.clone());
        let closing = proxy.closing.clone();
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                connections.fetch_add(1, Ordering::SeqCst);
                let (speaks_http2, closing) = (speaks_http2.clone(), closing.clone());
                tokio::spawn(async move {
                    let closed = closing.notified();
                    tokio::select! {
                        () = pass_on(client, issuer, &speaks_http2) => {}
                        () = closed => {}
                    }
                });
            }
        });
        proxy
    }

    /// Closes what is open. New connections speak HTTP/1.1 only.
    fn stop_speaking_http2(&self) {
        self.speaks_http2.store(false, Ordering::SeqCst);
        self.closing.notify_waiters();
    }
}

async fn pass_on(mut client: TcpStream, issuer: SocketAddr, speaks_http2: &AtomicBool) {
    let mut beginning = [0; 3];
    let is_http2 = matches!(client.peek(&mut beginning).await, Ok(3)) && beginning == *b"PRI";
    if is_http2 && !speaks_http2.load(Ordering::SeqCst) {
        let refused = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        let _ = client.write_all(refused).await;
        return;
    }
    let mut issuer = TcpStream::connect(issuer).await.unwrap();
    let _ = tokio::io::copy_bidirectional(&mut client, &mut issuer).await;
}

fn guard(issuer: &FakeIssuer) -> Guard {
    builder(issuer, &Arc::new(ManualClock::at(NOW))).build().unwrap()
}

/// So many callers with a key each, at the same time.
async fn calls(guard: &Guard, issuer: &FakeIssuer, count: usize) {
    let callers: Vec<_> = (0..count)
        .map(|_| {
            let request = Request::builder().header("x-api-key", issuer.api_key("notes:read", &[]));
            let (guard, (request, ())) = (guard.clone(), request.body(()).unwrap().into_parts());
            tokio::spawn(async move { guard.authorize(&request, &scope("notes:read")).await.map(drop) })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn all_questions_go_over_one_connection() {
    let issuer = FakeIssuer::start().await;
    calls(&guard(&issuer), &issuer, 40).await;
    assert_eq!((issuer.asked(VERIFY), issuer.connections()), (40, 1));
}

#[tokio::test]
async fn issuer_behind_a_proxy_without_http2_is_asked_by_http1() {
    let mut issuer = FakeIssuer::start().await;
    let proxy = Proxy::before(issuer.address(), false).await;
    issuer.is_reached_at(&proxy.url);
    calls(&guard(&issuer), &issuer, 40).await;
    assert_eq!((issuer.asked(METADATA), issuer.asked(VERIFY)), (1, 40));
    // One that was tried with HTTP/2, and one for each question that may be asked at a time.
    assert!(proxy.connections.load(Ordering::SeqCst) <= 1 + 16);
}

#[tokio::test]
async fn issuer_that_stops_speaking_http2_is_asked_by_http1() {
    let mut issuer = FakeIssuer::start().await;
    let proxy = Proxy::before(issuer.address(), true).await;
    issuer.is_reached_at(&proxy.url);
    let guard = guard(&issuer);
    calls(&guard, &issuer, 1).await;
    proxy.stop_speaking_http2();
    calls(&guard, &issuer, 20).await;
}
