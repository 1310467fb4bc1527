//! A few requests over HTTP/1.1 (RFC 9112), a connection each: enough to prepare what is measured, and to see that it
//! works before it is.
//!
//! Loopback alone, and servers of ours: what they never send, such as a chunked body, is not read.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::failure::Failure;

/// A request to a port on loopback.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) port: u16,
    pub(super) method: &'static str,
    /// With the query.
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: String,
}

impl Request {
    pub(super) fn get(port: u16, path: impl Into<String>) -> Self {
        Self { port, method: "GET", path: path.into(), headers: Vec::new(), body: String::new() }
    }

    pub(super) fn post_form(port: u16, path: impl Into<String>, pairs: &[(&str, &str)]) -> Self {
        let headers = vec![("Content-Type", "application/x-www-form-urlencoded".to_owned())];
        Self { port, method: "POST", path: path.into(), headers, body: form(pairs) }
    }

    pub(super) fn post_json(port: u16, path: impl Into<String>, body: &Value) -> Self {
        let headers = vec![("Content-Type", "application/json".to_owned())];
        Self { port, method: "POST", path: path.into(), headers, body: body.to_string() }
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With the credential of a client (RFC 7617).
    pub(super) fn basic(self, id: &str, secret: &str) -> Self {
        self.header("Authorization", basic(id, secret))
    }

    /// # Errors
    /// [`Failure::Io`] if nothing answers, [`Failure::Command`] if the answer is none of HTTP.
    pub(super) fn send(&self) -> Result<Answer, Failure> {
        let answer = self.exchange().map_err(Failure::io(format!("{self} got no answer")))?;
        Answer::parse(&answer).ok_or_else(|| Failure::Command {
            line: self.to_string(),
            detail: String::from_utf8_lossy(&answer).into_owned(),
        })
    }

    /// Sends it and expects a success.
    pub(super) fn succeed(&self) -> Result<Answer, Failure> {
        let answer = self.send()?;
        if (200..300).contains(&answer.status) {
            return Ok(answer);
        }
        let detail = format!("{} {}", answer.status, answer.body);
        Err(Failure::Command { line: self.to_string(), detail })
    }

    fn exchange(&self) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        head += &format!("Host: localhost:{}\r\nConnection: close\r\n", self.port);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += &format!("Content-Length: {}\r\n\r\n{}", self.body.len(), self.body);
        stream.write_all(head.as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    }
}

/// Without the query, which may hold secrets.
impl std::fmt::Display for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.path.split('?').next().unwrap_or_default();
        write!(f, "{} http://localhost:{}{path}", self.method, self.port)
    }
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
        Some(Self { status, headers, body: body.to_owned() })
    }

    /// Every value of a header, whose name is given in lower case.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// A text of the JSON that was answered.
    pub(super) fn text(&self, name: &str) -> Result<String, Failure> {
        let body: Option<Value> = serde_json::from_str(&self.body).ok();
        let text = body.as_ref().and_then(|body| body[name].as_str()).map(str::to_owned);
        text.ok_or_else(|| Failure::Command {
            line: format!("reading `{name}` of an answer"),
            detail: self.body.clone(),
        })
    }
}

/// The value of `Authorization` for a client's id and secret.
pub(super) fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", base64(format!("{id}:{secret}").as_bytes()))
}

/// `application/x-www-form-urlencoded`, with everything escaped but what RFC 3986 section 2.3 leaves alone.
pub(super) fn form(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
    pairs.join("&")
}

fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

/// RFC 4648 section 4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0, |group, &byte| group << 8 | usize::from(byte)) << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            let value = group >> (18 - 6 * digit) & 63;
            text.push(if digit <= chunk.len() { char::from(ALPHABET[value]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_credential_is_written_as_in_rfc_7617_and_padded_as_in_rfc_4648() {
        assert_eq!(basic("Aladdin", "open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn what_separates_pairs_is_escaped_within_them() {
        assert_eq!(form(&[("scope", "a b"), ("x", "&=+é")]), "scope=a%20b&x=%26%3D%2B%C3%A9");
    }

    #[test]
    fn an_answer_is_taken_apart() {
        let answer =
            Answer::parse(b"HTTP/1.1 303 See Other\r\nLocation: /a\r\nset-cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n{}");
        let answer = answer.unwrap();

        assert_eq!((answer.status, answer.body.as_str()), (303, "{}"));
        assert_eq!(answer.all("location").collect::<Vec<_>>(), ["/a"]);
        assert_eq!(answer.all("set-cookie").collect::<Vec<_>>(), ["a=1", "b=2"]);
    }
}
