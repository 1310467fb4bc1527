//! The bounds of a listener: connections, and how long a head or a body may take.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    routing::{get, post},
};
use doorward_listen::{Limits, Serve};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Notify,
};

use crate::harness::*;

async fn start(limits: Limits) -> Listener {
    Listener::start(Serve { router: hello(), limits, ..Serve::default() }).await
}

/// How an answer on this connection begins; `None` if it is closed.
async fn asks(stream: &mut TcpStream) -> Option<String> {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.ok()?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.ok()?;
    Some(String::from_utf8_lossy(&answer).into_owned())
}

/// A handler that is busy until the test ends it.
fn busy() -> (Router, Arc<Notify>) {
    let finish = Arc::new(Notify::new());
    let finishes = finish.clone();
    let handler = async move || {
        finishes.notified().await;
        "finished"
    };
    (hello().route("/busy", get(handler)), finish)
}

/// Reads the rest of an answer, so that the next one is read from its beginning.
async fn read_body(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    while !rest.ends_with(b"hello") {
        rest.push(stream.read_u8().await.unwrap());
    }
}

#[tokio::test]
async fn longest_idle_connection_makes_room_at_the_limit() {
    let listener = start(Limits { connections: 3, ..Limits::default() }).await;
    let mut open = Vec::new();
    for last in 3..6 {
        let mut stream = connect_from(listener.address, last).await;
        assert_eq!(asks(&mut stream).await.as_deref(), Some("HTTP/1.1 200"));
        read_body(&mut stream).await;
        open.push(stream);
    }
    // The first is used again, so the second is idle the longest.
    assert_eq!(asks(&mut open[0]).await.as_deref(), Some("HTTP/1.1 200"));
    read_body(&mut open[0]).await;
    let mut newcomer = connect_from(listener.address, 6).await;
    assert_eq!(asks(&mut newcomer).await.as_deref(), Some("HTTP/1.1 200"));
    for (at, is_open) in [(0, true), (1, false), (2, true)] {
        assert_eq!(asks(&mut open[at]).await.is_some(), is_open, "{at}");
    }
}

#[tokio::test]
async fn address_at_its_limit_loses_its_own_idle_connection() {
    let listener = start(Limits { connections_per_address: 2, ..Limits::default() }).await;
    let mut other = connect_from(listener.address, 4).await;
    assert!(asks(&mut other).await.is_some());
    read_body(&mut other).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut stream = connect_from(listener.address, 3).await;
        assert_eq!(asks(&mut stream).await.as_deref(), Some("HTTP/1.1 200"));
        read_body(&mut stream).await;
        open.push(stream);
    }
    for (at, is_open) in [(0, false), (1, true), (2, true)] {
        assert_eq!(asks(&mut open[at]).await.is_some(), is_open, "{at}");
    }
    assert!(asks(&mut other).await.is_some());
}

#[tokio::test]
async fn newcomer_is_closed_while_all_connections_are_busy() {
    let (router, finish) = busy();
    let limits = Limits { connections: 2, ..Limits::default() };
    let listener = Listener::start(Serve { router, limits, ..Serve::default() }).await;
    let mut open = Vec::new();
    for last in 3..5 {
        let mut stream = connect_from(listener.address, last).await;
        stream.write_all(b"GET /busy HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        open.push(stream);
    }
    // The first newcomers may come before the handlers are busy, and close no one then who is not idle.
    eventually("all are busy", async || {
        asks(&mut connect_from(listener.address, 6).await).await.is_none().then_some(())
    })
    .await;
    drop(open);
    finish.notify_waiters();
    eventually("a place is free again", async || asks(&mut connect_from(listener.address, 6).await).await).await;
}

#[tokio::test]
async fn trusted_proxy_is_not_one_caller() {
    let limits = Limits { connections_per_address: 1, ..Limits::default() };
    let trusted_proxies = vec!["127.0.0.3/32".parse().unwrap()];
    let listener = Listener::start(Serve { router: hello(), limits, trusted_proxies, ..Serve::default() }).await;
    let mut open = Vec::new();
    for _ in 0..5 {
        open.push(connect_from(listener.address, 3).await);
    }
    for stream in &mut open {
        assert_eq!(asks(stream).await.as_deref(), Some("HTTP/1.1 200"));
    }
}

#[tokio::test]
async fn client_that_is_slow_with_its_head_is_cut_off() {
    let listener = start(Limits { header_timeout: Duration::from_millis(100), ..Limits::default() }).await;
    for bytes in [&b"GET / HTTP/1.1\r\nHost: x\r\n"[..], b"", b"PRI"] {
        let answer = raw(listener.address, bytes).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{bytes:?}: {answer}");
    }
    // Over HTTP/2 the listener has sent its settings by then.
    raw(listener.address, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
}

#[tokio::test]
async fn slow_body_is_cut_off_where_the_router_has_no_bound() {
    let limits = Limits { body_timeout: Duration::from_millis(100), ..Limits::default() };
    let router = Router::new().route("/", post(async |body: String| body));
    let listener = Listener::start(Serve { router, limits, ..Serve::default() }).await;
    let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nConnection: close\r\n\r\n";
    let slow = raw(listener.address, format!("{head}ab").as_bytes()).await;
    assert!(slow.starts_with("HTTP/1.1 4"), "{slow}");
    let whole = raw(listener.address, format!("{head}abcd").as_bytes()).await;
    assert!(whole.starts_with("HTTP/1.1 200 ") && whole.ends_with("abcd"), "{whole}");
}
