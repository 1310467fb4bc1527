//! The bounds of a listener: connections, and how long a head or a body may take.

use std::time::Duration;

use axum::{Router, routing::post};
use doorward_listen::{Limits, Serve};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
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

#[tokio::test]
async fn connections_beyond_the_limit_are_closed() {
    let listener = start(Limits { connections: 3, ..Limits::default() }).await;
    let mut open = Vec::new();
    for last in 3..6 {
        let mut stream = connect_from(listener.address, last).await;
        assert_eq!(asks(&mut stream).await.as_deref(), Some("HTTP/1.1 200"));
        open.push(stream);
    }
    assert_eq!(asks(&mut connect_from(listener.address, 6).await).await, None, "the fourth gets no answer");
    open.pop();
    eventually("the place is free again", async || asks(&mut connect_from(listener.address, 6).await).await).await;
}

#[tokio::test]
async fn connections_of_one_address_beyond_the_limit_are_closed() {
    let listener = start(Limits { connections_per_address: 3, ..Limits::default() }).await;
    let connect = async || connect_from(listener.address, 3).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut stream = connect().await;
        assert_eq!(asks(&mut stream).await.as_deref(), Some("HTTP/1.1 200"));
        open.push(stream);
    }
    assert_eq!(asks(&mut connect().await).await, None, "the fourth gets no answer");
    // Other addresses are not affected, and a place that was given back can be taken.
    assert_eq!(asks(&mut connect_from(listener.address, 4).await).await.as_deref(), Some("HTTP/1.1 200"));
    open.pop();
    eventually("the place is free again", async || asks(&mut connect().await).await).await;
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
