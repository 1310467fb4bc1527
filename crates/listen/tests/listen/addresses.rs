//! The addresses that a request carries.

use std::net::SocketAddr;

use axum::{Extension, Router, extract::ConnectInfo, routing::get};
use doorward_listen::{ClientAddress, Serve};

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
