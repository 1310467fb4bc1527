//! The addresses that a request carries.

use std::net::SocketAddr;

use axum::{Extension, Router, extract::ConnectInfo, routing::get};
use doorward_listen::{ClientAddress, Limits, Serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::*;

#[tokio::test]
async fn request_carries_the_peer_and_the_client() {
    let tell = async |Extension(address): Extension<ClientAddress>, ConnectInfo(peer): ConnectInfo<SocketAddr>| {
        assert_eq!(address.peer, peer);
        format!("{} for {}", peer.ip(), address.client)
    };
    let router = Router::new().route("/", get(tell));
    let trusted_proxies = vec!["127.0.0.3/32".parse().unwrap()];
    let listener = Listener::start(Serve { router, trusted_proxies, ..Serve::default() }).await;
    let request = b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.1\r\nConnection: close\r\n\r\n";
    for (last, told) in [(3, "127.0.0.3 for 203.0.113.1"), (4, "127.0.0.4 for 127.0.0.4")] {
        let answer = answer(connect_from(listener.address, last).await, request).await;
        assert!(answer.ends_with(told), "{answer}");
    }
}

/// Answers with the client's address.
fn whose() -> Router {
    Router::new()
        .route("/", get(async |Extension(address): Extension<ClientAddress>| format!("for {}.", address.client)))
}

#[tokio::test]
async fn proxys_report_is_read_as_bytes_from_the_right() {
    let trusted_proxies = vec!["127.0.0.3/32".parse().unwrap()];
    let listener = Listener::start(Serve { router: whose(), trusted_proxies, ..Serve::default() }).await;
    for (header, client) in [
        (&b"X-Forwarded-For: 203.0.113.1:4444"[..], "203.0.113.1"),
        (b"X-Forwarded-For: [2001:db8::1]:99", "2001:db8::1"),
        (b"X-Forwarded-For: \xff, 203.0.113.1", "203.0.113.1"),
        (b"X-Forwarded-For: \xff", "0.0.0.0"),
        (b"Forwarded: for=\"\xff, for=\"[2001:db8::1]:99\";proto=https", "2001:db8::1"),
        (b"Forwarded: for=unknown", "0.0.0.0"),
        (b"X-Other: 1", "127.0.0.3"),
    ] {
        let request = [b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", header, b"\r\n\r\n"].concat();
        let answer = answer(connect_from(listener.address, 3).await, &request).await;
        assert!(answer.ends_with(&format!("for {client}.")), "{header:?}: {answer}");
    }
}

/// A header of the PROXY protocol, for a client with an IPv4 address.
fn proxied(client: [u8; 4]) -> Vec<u8> {
    let addresses = [client.as_slice(), &[127, 0, 0, 1], &[0x11, 0x5c, 0x01, 0xbb]].concat();
    [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c", addresses.as_slice()].concat()
}

#[tokio::test]
async fn proxy_protocol_names_the_client_where_it_is_configured() {
    let trusted_proxies = vec!["127.0.0.3/32".parse().unwrap()];
    let serve = Serve { router: whose(), trusted_proxies, proxy_protocol: true, ..Serve::default() };
    let listener = Listener::start(serve).await;
    let from = async |last, bytes: &[u8]| answer(connect_from(listener.address, last).await, bytes).await;
    let request = [proxied([203, 0, 113, 1]).as_slice(), GET].concat();
    assert!(from(3, &request).await.ends_with("for 203.0.113.1."));
    // A client that is not a proxy reports nothing, and a proxy must report.
    let invented = b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\nConnection: close\r\n\r\n";
    let request = [proxied([203, 0, 113, 1]).as_slice(), invented].concat();
    assert!(from(3, &request).await.ends_with("for 203.0.113.1."));
    assert!(from(4, GET).await.ends_with("for 127.0.0.4."));
    assert_eq!(from(3, GET).await, "");
    assert!(!from(4, &request).await.contains("for 203"));
}

#[tokio::test]
async fn proxy_protocol_is_not_read_unless_configured() {
    let trusted_proxies = vec!["127.0.0.3/32".parse().unwrap()];
    let listener = Listener::start(Serve { router: whose(), trusted_proxies, ..Serve::default() }).await;
    let request = [proxied([203, 0, 113, 1]).as_slice(), GET].concat();
    let answer = answer(connect_from(listener.address, 3).await, &request).await;
    assert!(!answer.contains("for "), "{answer}");
}

#[tokio::test]
async fn clients_of_the_proxy_protocol_have_places_of_their_own() {
    let trusted_proxies = vec!["127.0.0.3/32".parse().unwrap()];
    let limits = Limits { connections_per_address: 1, ..Limits::default() };
    let serve = Serve { router: whose(), limits, trusted_proxies, proxy_protocol: true, ..Serve::default() };
    let listener = Listener::start(serve).await;
    let mut open = Vec::new();
    for last in 1..=2 {
        let mut stream = connect_from(listener.address, 3).await;
        let request = [&proxied([203, 0, 113, last])[..], b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"].concat();
        stream.write_all(&request).await.unwrap();
        assert_eq!(stream.read(&mut [0; 12]).await.unwrap(), 12);
        open.push(stream);
    }
}
