//! The accept loop: bounded connections, bounded heads, slow clients cut off, TLS, and an end without broken answers.
//!
//! `axum::serve` has none of these bounds, so the loop is ours. It serves any router: the sample API's as well.

use std::{
    collections::HashMap,
    convert::Infallible,
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo};
use doorward_core::network::Network;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Notify, Semaphore},
};
use tower::ServiceExt;

use crate::{head::MAX_HEADERS, limits::Limits, timed_body::TimedBody, tls::Reloading, write_last::WriteLast};

/// How long requests that run may take to finish at the end.
pub const DRAIN: Duration = Duration::from_secs(20);

/// How much longer than a handler with a bound of its own the listener waits for a body.
const BODY_GRACE: Duration = Duration::from_secs(2);

/// The other end of a connection; the listener puts it into each request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// How a listener serves.
#[derive(Clone)]
pub struct Serve {
    /// What is served.
    pub router: Router,
    /// The bounds.
    pub limits: Limits,
    /// TLS, or plain HTTP.
    pub tls: Option<Arc<Reloading>>,
}

/// Binds an address.
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
    let connections = Connections::new(&serve.limits);
    let (accepted, mut accepting) = tokio::sync::mpsc::channel::<(TcpStream, SocketAddr)>(64);
    let acceptors: Vec<_> =
        listeners.into_iter().map(|listener| tokio::spawn(accept(listener, accepted.clone()))).collect();
    drop(accepted);
    let mut end = std::pin::pin!(end);
    loop {
        tokio::select! {
            () = &mut end => break,
            Some((stream, peer)) = accepting.recv() => {
                // Who has too many connections open gets no further one; the socket is closed at once.
                let Some(place) = connections.take(Network::of(peer.ip())) else { continue };
                let watcher = graceful.watcher();
                let serve = serve.clone();
                tokio::spawn(async move {
                    let _place = place;
                    connection(stream, peer, serve, watcher).await;
                });
            }
        }
    }
    for acceptor in acceptors {
        acceptor.abort();
    }
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish in time");
    }
}

async fn accept(listener: TcpListener, accepted: tokio::sync::mpsc::Sender<(TcpStream, SocketAddr)>) {
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

async fn connection(stream: TcpStream, peer: SocketAddr, serve: Serve, watcher: hyper_util::server::graceful::Watcher) {
    let _ = stream.set_nodelay(true);
    match &serve.tls {
        None => exchange(stream, peer, &serve, watcher).await,
        Some(tls) => {
            let acceptor = tokio_rustls::TlsAcceptor::from(tls.config());
            let handshake = tokio::time::timeout(serve.limits.header_timeout, acceptor.accept(stream)).await;
            if let Ok(Ok(stream)) = handshake {
                exchange(stream, peer, &serve, watcher).await;
            }
        }
    }
}

async fn exchange<S>(stream: S, peer: SocketAddr, serve: &Serve, watcher: hyper_util::server::graceful::Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = &serve.limits;
    let router = serve.router.clone();
    let longest_body = limits.body_timeout + BODY_GRACE;
    let first_head = Arc::new(Notify::new());
    let arrived = first_head.clone();
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        arrived.notify_one();
        let mut request = request.map(|body| Body::new(TimedBody::new(body, longest_body)));
        request.extensions_mut().insert(Peer(peer.ip()));
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = router.clone().oneshot(request);
        async move {
            match answer.await {
                Ok(response) => Ok::<_, Infallible>(response),
                Err(never) => match never {},
            }
        }
    });
    // Hyper refuses without a word, so it is asked to do so only well beyond what the router refuses with an explanation.
    let head_bytes = limits.header_bytes.max(8_192).saturating_mul(2);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        // Who has sent all and closes that half still gets the answer.
        .half_close(true)
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(head_bytes)
        .max_headers(2 * MAX_HEADERS)
        // Answers are small: one buffer is cheaper than a list of two.
        .writev(false);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(128)
        .max_header_list_size(u32::try_from(head_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(limits.header_timeout);
    let connection = builder.serve_connection(TokioIo::new(WriteLast::new(stream)), service).into_owned();
    // The builder has no bound on the bytes by which it tells HTTP/1 from HTTP/2: who sends none, or few, would stay.
    let silence = async {
        if tokio::time::timeout(limits.header_timeout, first_head.notified()).await.is_ok() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        // A peer that breaks off is its own business.
        _ = watcher.watch(connection) => {}
        () = silence => {}
    }
}

/// The connections that are open, in all and by address.
struct Connections {
    all: Arc<Semaphore>,
    by_address: Arc<Mutex<HashMap<Network, usize>>>,
    most_by_address: usize,
}

impl Connections {
    fn new(limits: &Limits) -> Self {
        Self {
            all: Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS))),
            by_address: Arc::default(),
            most_by_address: limits.connections_per_address,
        }
    }

    fn take(&self, address: Network) -> Option<Place> {
        let permit = self.all.clone().try_acquire_owned().ok()?;
        let mut open = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_default();
        if *count >= self.most_by_address {
            return None;
        }
        *count += 1;
        Some(Place { address, by_address: self.by_address.clone(), _permit: permit })
    }
}

/// One open connection.
struct Place {
    address: Network,
    by_address: Arc<Mutex<HashMap<Network, usize>>>,
    _permit: tokio::sync::OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}
