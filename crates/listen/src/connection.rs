//! One connection, from its first byte to its last answer.

use std::{
    convert::Infallible,
    future::{self, Future},
    io,
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use doorward_core::network::{ClientAddress, Network};
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    bounded::Bounded,
    exchange::{self, Exchanges},
    forwarded::UNKNOWN,
    frames::Counted,
    head::MAX_HEADERS,
    limits::Limits,
    listening::Listening,
    places::{
        Place,
        activity::{Activity, End},
    },
    proxy_protocol::{self, Source},
    write_last::WriteLast,
};

/// How long a client may take at the end for what it has begun to send, and to close an idle connection.
const GRACE: Duration = Duration::from_secs(1);

/// Bytes of one stream that hyper holds for a client.
const SEND_BUFFER: usize = 64 * 1024;

/// Requests of one connection at once.
const MAX_STREAMS: u32 = 128;

/// Serves a connection of which nothing has been read yet.
pub(crate) async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    listening: Arc<Listening>,
    place: Place,
    mut closing: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let limits = listening.serve.limits;
    let mut stream = Bounded::new(stream, limits.write_timeout);
    let nearest = nearest(&mut stream, peer, &listening, &place);
    let Some(Ok(Some(nearest))) = in_time(&limits, &mut closing, nearest).await else { return };
    match &listening.serve.tls {
        None => exchange(stream, nearest, listening, place, closing).await,
        Some(tls) => {
            let handshake = TlsAcceptor::from(tls.config()).accept(stream);
            if let Some(Ok(stream)) = in_time(&limits, &mut closing, handshake).await {
                exchange(stream, nearest, listening, place, closing).await;
            }
        }
    }
}

/// Whose a connection is: the peer's, or the client's that a proxy reports ahead of it. `None` if that one has too many
/// already.
async fn nearest(
    stream: &mut (impl AsyncRead + Unpin),
    peer: SocketAddr,
    listening: &Listening,
    place: &Place,
) -> io::Result<Option<ClientAddress>> {
    let nearest = ClientAddress::from(peer);
    if !listening.serve.proxy_protocol || !listening.trusts(peer) {
        return Ok(Some(nearest));
    }
    Ok(match proxy_protocol::read(stream).await? {
        Source::Proxy => Some(nearest),
        Source::Unknown => Some(ClientAddress { client: UNKNOWN, ..nearest }),
        Source::Client(client) => {
            let is_proxy = listening.trusts(SocketAddr::new(client, 0));
            (is_proxy || place.assign(Network::of(client))).then_some(ClientAddress { client, ..nearest })
        }
    })
}

/// What precedes the first request, unless it takes too long or the listener ends meanwhile.
async fn in_time<T>(
    limits: &Limits,
    closing: &mut watch::Receiver<bool>,
    before: impl Future<Output = T>,
) -> Option<T> {
    let closes = async {
        closes(closing).await;
        sleep(GRACE).await;
    };
    tokio::select! {
        before = timeout(limits.header_timeout, before) => before.ok(),
        () = closes => None,
    }
}

async fn closes(closing: &mut watch::Receiver<bool>) {
    // An error means that the listener is gone, which is an end as well.
    let _ = closing.wait_for(|closing| *closing).await;
}

/// Answers the requests on a stream.
async fn exchange<S>(
    stream: S,
    nearest: ClientAddress,
    listening: Arc<Listening>,
    place: Place,
    mut closing: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = listening.serve.limits;
    let activity = place.activity.clone();
    let exchanges = Arc::new(Exchanges {
        listening,
        activity: activity.clone(),
        nearest,
        handlers: Arc::new(Semaphore::new(MAX_STREAMS as usize)),
    });
    let service = service_fn(move |request| {
        let exchanges = exchanges.clone();
        async move { Ok::<_, Infallible>(exchange::answer(&exchanges, request).await) }
    });
    let stream = TokioIo::new(WriteLast::new(Counted::new(stream)));
    let mut connection = pin!(builder(&limits).serve_connection(stream, service).into_owned());
    let goes_on = tokio::select! {
        // What has arrived is read before the connection is asked to end.
        biased;
        // A peer that breaks off is its own business.
        _ = connection.as_mut() => false,
        goes_on = ends(&activity, &limits, &mut closing) => goes_on,
    };
    if !goes_on {
        return;
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        biased;
        _ = connection => {}
        _ = activity.end(GRACE, limits.write_timeout) => {}
    }
}

/// Waits until the connection must end. Returns whether to ask its client to end it, or to cut it off.
async fn ends(activity: &Activity, limits: &Limits, closing: &mut watch::Receiver<bool>) -> bool {
    let closes = async {
        closes(closing).await;
        // hyper drops a connection that it has not read from.
        let _ = timeout(GRACE, activity.first_request()).await;
    };
    let ends = async {
        // hyper-util has no timeout for the bytes that tell HTTP/1 from HTTP/2: a peer that sends few or none would stay.
        if timeout(limits.header_timeout, activity.first_request()).await.is_err() {
            return false;
        }
        if !activity.is_http2() {
            // hyper sees to it.
            future::pending::<()>().await;
        }
        activity.end(limits.idle_timeout, limits.write_timeout).await == End::Idle
    };
    tokio::select! {
        () = closes => true,
        goes_on = ends => goes_on,
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
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(u32::try_from(head_bytes).unwrap_or(u32::MAX))
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(limits.header_timeout);
    builder
}

#[cfg(test)]
mod tests;
