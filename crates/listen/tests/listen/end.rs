//! The end of a listener.

use std::sync::Arc;

use axum::{Router, routing::get};
use doorward_listen::Serve;
use tokio::{net::TcpStream, sync::Notify};

use crate::harness::*;

#[tokio::test]
async fn running_request_is_answered_after_the_listener_ends() {
    let (arrived, finish) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (arrives, finishes) = (arrived.clone(), finish.clone());
    let handler = async move || {
        arrives.notify_one();
        finishes.notified().await;
        "finished"
    };
    let listener = Listener::start(Serve { router: Router::new().route("/", get(handler)), ..Serve::default() }).await;
    let address = listener.address;
    let running = tokio::spawn(raw(address, GET));
    arrived.notified().await;
    let ended = listener.end();
    eventually("the port is closed", async || TcpStream::connect(address).await.err()).await;
    assert!(!ended.is_finished() && !running.is_finished());
    finish.notify_one();
    assert!(running.await.unwrap().ends_with("finished"));
    ended.await.unwrap();
}
