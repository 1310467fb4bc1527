//! The accept loop: listeners in, connections out, until the end.

use std::{future::Future, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use doorward_core::network::Network;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{connection, listening::Listening, serve::Serve};

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

/// Serves on the listeners until `end` resolves. Then it continues for [`Shutdown::delay`](crate::Shutdown), closes the
/// ports, asks idle connections to close, and lets running requests finish, for at most
/// [`Shutdown::drain`](crate::Shutdown).
pub async fn serve(listeners: Vec<TcpListener>, serve: Serve, end: impl Future<Output = ()>) {
    let shutdown = serve.shutdown;
    let listening = Arc::new(Listening::new(serve));
    let (closing, _) = watch::channel(false);
    let (accepted, mut accepting) = mpsc::channel(64);
    let (stop, stopped) = watch::channel(false);
    let mut acceptors = JoinSet::new();
    for listener in listeners {
        acceptors.spawn(accept(listener, accepted.clone(), stopped.clone()));
    }
    drop((accepted, stopped));
    let mut ends = pin!(async {
        end.await;
        listening.leave();
        sleep(shutdown.delay).await;
        stop.send_replace(true);
    });
    let mut is_over = false;
    loop {
        tokio::select! {
            () = &mut ends, if !is_over => is_over = true,
            accepted = accepting.recv() => match accepted {
                Some((stream, peer)) => begin(&listening, stream, peer, &closing),
                // All ports are closed.
                None => break,
            },
        }
    }
    // There may have been no listener.
    if !is_over {
        ends.await;
    }
    closing.send_replace(true);
    if timeout(shutdown.drain, closing.closed()).await.is_err() {
        tracing::warn!("some requests did not finish in time");
        listening.places.close_all();
    }
}

/// Serves a connection in a task of its own. Without a place the socket is closed at once.
fn begin(listening: &Arc<Listening>, stream: TcpStream, peer: SocketAddr, closing: &watch::Sender<bool>) {
    let address = (!listening.trusts(peer)).then(|| Network::of(peer.ip()));
    let Some(place) = listening.places.take(address) else { return };
    let id = place.id();
    let task = tokio::spawn(connection::serve(stream, peer, listening.clone(), place, closing.subscribe()));
    listening.places.runs_as(id, task.abort_handle());
}

async fn accept(
    listener: TcpListener,
    accepted: mpsc::Sender<(TcpStream, SocketAddr)>,
    mut stopped: watch::Receiver<bool>,
) {
    let accept = async {
        // With a permit first, no connection is lost on its way when this is stopped.
        while let Ok(permit) = accepted.reserve().await {
            match listener.accept().await {
                Ok(connection) => permit.send(connection),
                // Too many open files, or a peer that was gone already: neither is the listener's end.
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(Duration::from_millis(50)).await;
                }
            }
        }
    };
    tokio::select! {
        _ = stopped.wait_for(|stopped| *stopped) => {}
        () = accept => {}
    }
    // Who has connected before the port closes is served.
    for connection in waiting(listener) {
        if accepted.send(connection).await.is_err() {
            return;
        }
    }
}

/// The connections that wait to be accepted.
fn waiting(listener: TcpListener) -> Vec<(TcpStream, SocketAddr)> {
    let mut waiting = Vec::new();
    let Ok(listener) = listener.into_std() else { return waiting };
    while let Ok((stream, peer)) = listener.accept() {
        if stream.set_nonblocking(true).is_ok()
            && let Ok(stream) = TcpStream::from_std(stream)
        {
            waiting.push((stream, peer));
        }
    }
    waiting
}
