//! The accept loop: listeners in, connections out, until the end.

use std::{future::Future, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use doorward_core::network::Network;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
};

use crate::{connection, places::Places, serve::Serve};

/// How long requests that run may take to finish at the end.
pub const DRAIN: Duration = Duration::from_secs(20);

/// Binds an address. An IPv6 address takes no IPv4 connections: bind both.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(address),
        socket2::Type::STREAM,
        Some(socket2::Protocol::TCP),
    )?;
    // So that a restart finds its port free although former connections linger; two servers still exclude each other.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    TcpListener::from_std(socket.into())
}

/// Serves on the listeners until `end` comes, then lets running requests finish, for at most [`DRAIN`].
pub async fn serve(listeners: Vec<TcpListener>, serve: Serve, end: impl Future<Output = ()>) {
    let graceful = GracefulShutdown::new();
    let places = Places::new(&serve.limits);
    let serve = Arc::new(serve);
    let (accepted, mut accepting) = mpsc::channel(64);
    let mut acceptors: JoinSet<_> = listeners.into_iter().map(|listener| accept(listener, accepted.clone())).collect();
    drop(accepted);
    let mut end = pin!(end);
    loop {
        tokio::select! {
            () = &mut end => break,
            Some((stream, peer)) = accepting.recv() => {
                // Who has too many connections open gets no further one; the socket is closed at once.
                let Some(place) = places.take(Network::of(peer.ip())) else { continue };
                let connection = connection::serve(stream, peer, serve.clone(), graceful.watcher());
                tokio::spawn(async move {
                    let _place = place;
                    connection.await;
                });
            }
        }
    }
    acceptors.shutdown().await;
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish in time");
    }
}

async fn accept(listener: TcpListener, accepted: mpsc::Sender<(TcpStream, SocketAddr)>) {
    loop {
        match listener.accept().await {
            Ok(connection) => {
                if accepted.send(connection).await.is_err() {
                    return;
                }
            }
            // Too many open files, or a peer that was gone already: neither is the listener's end.
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}
