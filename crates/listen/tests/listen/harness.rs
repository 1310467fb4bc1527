//! A listener in the test's own process, and bytes on connections to it.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, routing::get};
use doorward_listen::Serve;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};

/// How long a test waits. A test that passes never waits that long.
const CEILING: Duration = Duration::from_secs(30);

/// A request, after which the connection is closed.
pub(crate) const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/// A router that answers `/`.
pub(crate) fn hello() -> Router {
    Router::new().route("/", get(async || "hello"))
}

/// A listener on a free port of 127.0.0.1, for as long as the test takes or until it is ended.
pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    end: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Listener {
    pub(crate) async fn start(serve: Serve) -> Self {
        let listener = doorward_listen::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (end, ended) = oneshot::channel();
        let serving = tokio::spawn(doorward_listen::serve(vec![listener], serve, async {
            // A test that drops the listener does not end it.
            if ended.await.is_err() {
                std::future::pending::<()>().await;
            }
        }));
        Self { address, end, serving }
    }

    /// Asks the listener to end. What it returns ends when the last request was answered.
    pub(crate) fn end(self) -> JoinHandle<()> {
        self.end.send(()).unwrap();
        self.serving
    }
}

/// A connection from `127.0.0.{last}`.
pub(crate) async fn connect_from(address: SocketAddr, last: u8) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, last], 0))).unwrap();
    socket.connect(address).await.unwrap()
}

/// Sends bytes, and reads until the listener closes the connection. Empty if it closed without an answer.
pub(crate) async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    answer(TcpStream::connect(address).await.unwrap(), bytes).await
}

/// The same, on a connection that is open.
pub(crate) async fn answer(mut stream: TcpStream, bytes: &[u8]) -> String {
    // A listener that has read enough may close before everything was sent.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(CEILING, stream.read_to_end(&mut answer)).await;
    let _ = read.expect("the listener closes the connection in the end");
    String::from_utf8_lossy(&answer).into_owned()
}

/// Waits until something is there.
pub(crate) async fn eventually<T>(what: &str, find: impl AsyncFn() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = find().await {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(CEILING, found).await.unwrap_or_else(|_| panic!("never came: {what}"))
}
