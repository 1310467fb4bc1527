//! One connection, from its first byte to its last answer.

use std::{future, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{ConnectInfo, Request},
};
use doorward_core::network::ClientAddress;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::Watcher},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::Notify,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::{
    forwarded::client_address, head::MAX_HEADERS, limits::Limits, serve::Serve, timed_body::TimedBody,
    write_last::WriteLast,
};

/// How much longer than a handler with a bound of its own the listener waits for a body.
const BODY_GRACE: Duration = Duration::from_secs(2);

/// Serves a connection of which nothing has been read yet.
///
/// Bytes that a proxy sends ahead of TLS (the PROXY protocol) belong at the head of this function: they would name the
/// client of `nearest`, from which `X-Forwarded-For` goes on.
pub(crate) async fn serve(stream: TcpStream, peer: SocketAddr, serve: Arc<Serve>, watcher: Watcher) {
    let _ = stream.set_nodelay(true);
    let nearest = ClientAddress::from(peer);
    match &serve.tls {
        None => exchange(stream, nearest, serve, watcher).await,
        Some(tls) => {
            let handshake = TlsAcceptor::from(tls.config()).accept(stream);
            if let Ok(Ok(stream)) = timeout(serve.limits.header_timeout, handshake).await {
                exchange(stream, nearest, serve, watcher).await;
            }
        }
    }
}

/// Answers the requests on a stream.
async fn exchange<S>(stream: S, nearest: ClientAddress, serve: Arc<Serve>, watcher: Watcher)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = serve.limits;
    let longest_body = limits.body_timeout + BODY_GRACE;
    let first_head = Arc::new(Notify::new());
    let arrived = first_head.clone();
    let service = serve.router.clone().map_request(move |request: Request<Incoming>| {
        arrived.notify_one();
        let address = client_address(request.headers(), nearest, &serve.trusted_proxies);
        let mut request = request.map(|body| Body::new(TimedBody::new(body, longest_body)));
        request.extensions_mut().insert(address);
        request.extensions_mut().insert(ConnectInfo(nearest.peer));
        request
    });
    let stream = TokioIo::new(WriteLast::new(stream));
    let connection = builder(&limits).serve_connection(stream, TowerToHyperService::new(service)).into_owned();
    // hyper-util has no timeout for the bytes that tell HTTP/1 from HTTP/2: a peer that sends few or none would stay.
    let silence = async {
        if timeout(limits.header_timeout, first_head.notified()).await.is_ok() {
            future::pending::<()>().await;
        }
    };
    tokio::select! {
        // A peer that breaks off is its own business.
        _ = watcher.watch(connection) => {}
        () = silence => {}
    }
}

/// How HTTP is spoken: both versions, within the limits.
fn builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    // Hyper refuses without an explanation, so its bounds are twice those at which a router refuses with one.
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
    builder
}
