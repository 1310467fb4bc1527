//! Bytes on a connection, for what no HTTP library would send.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// How long a test waits for what must come.
const CEILING: Duration = Duration::from_secs(30);

/// Sends bytes, and reads until the server closes the connection. Empty: it closed without a word.
pub(crate) async fn raw(base: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(base.strip_prefix("http://").unwrap()).await.unwrap();
    // A server that has heard enough may close before everything was sent.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(CEILING, stream.read_to_end(&mut answer)).await;
    let _ = read.expect("the server closes the connection in the end");
    String::from_utf8(answer).unwrap()
}
