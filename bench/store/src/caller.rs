//! One connection of HTTP/1.1, as quick as the load needs it.

use std::{borrow::Cow, net::Ipv4Addr};

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A caller with a connection of its own, which is opened with the first request.
pub(crate) struct Caller {
    port: u16,
    stream: Option<TcpStream>,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// What to send: the path, the value of `Authorization`, and the type of the body.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) path: Cow<'static, str>,
    pub(crate) authorization: String,
    pub(crate) content_type: &'static str,
}

impl Caller {
    pub(crate) fn new(port: u16) -> Self {
        Self { port, stream: None }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Result<Answer> {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n", self.port)).await
    }

    /// A GET with a credential, whose answer must be a success.
    pub(crate) async fn fetch(&mut self, path: &str, authorization: &str) -> Result<Vec<u8>> {
        let host = format!("127.0.0.1:{}", self.port);
        let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {authorization}\r\n\r\n");
        success(path, self.send(head).await?)
    }

    pub(crate) async fn post(&mut self, target: &Target, body: &str) -> Result<Answer> {
        let Target { path, authorization, content_type } = target;
        self.send(format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAuthorization: {authorization}\r\n\
             Content-Type: {content_type}\r\nContent-Length: {}\r\n\r\n{body}",
            self.port,
            body.len()
        ))
        .await
    }

    /// The body of an answer that must be a success.
    pub(crate) async fn succeed(&mut self, target: &Target, body: &str) -> Result<Vec<u8>> {
        let answer = self.post(target, body).await?;
        success(&target.path, answer)
    }

    async fn send(&mut self, request: String) -> Result<Answer> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
                stream.set_nodelay(true)?;
                stream
            }
        };
        stream.write_all(request.as_bytes()).await?;
        let answer = read(&mut stream).await?;
        self.stream = Some(stream);
        Ok(answer)
    }
}

fn success(path: &str, Answer { status, body }: Answer) -> Result<Vec<u8>> {
    ensure!((200..300).contains(&status), "{path} was answered {status}: {}", String::from_utf8_lossy(&body));
    Ok(body)
}

async fn read(stream: &mut TcpStream) -> Result<Answer> {
    let mut bytes = Vec::with_capacity(2_048);
    loop {
        let read = stream.read_buf(&mut bytes).await?;
        ensure!(read > 0, "the connection was closed");
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&bytes[..end])?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no status")?;
        let length: usize = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .and_then(|(_, length)| length.trim().parse().ok())
            .context("no length")?;
        let whole = end + 4 + length;
        while bytes.len() < whole {
            ensure!(stream.read_buf(&mut bytes).await? > 0, "the connection was closed");
        }
        return Ok(Answer { status, body: bytes.split_off(end + 4) });
    }
}
