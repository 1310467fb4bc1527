//! Bounds on what comes: sizes are looked at before anything is parsed, and slow clients are cut off.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, routing::post};
use doorward_listen::{Limits, Serve};
use reqwest::Method;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::*;

/// A server that has little patience.
async fn impatient() -> TestServer {
    TestServer::start_with(|settings| {
        settings.listen.header_timeout = Duration::from_millis(100);
        settings.listen.body_timeout = Duration::from_millis(100);
    })
    .await
}

#[tokio::test]
async fn who_has_sent_all_and_closes_that_half_gets_the_answer() {
    let server = TestServer::start().await;
    let address = server.caller.base.strip_prefix("http://").unwrap();
    // After each number of turns the requests are somewhere else on their way through the server.
    for turns in 0..24 {
        let mut streams = Vec::new();
        for _ in 0..8 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET /jwks HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
            streams.push(stream);
        }
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
        for stream in &mut streams {
            stream.shutdown().await.unwrap();
        }
        for mut stream in streams {
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with('}'), "{turns}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_is_431() {
    let server = TestServer::start().await;
    let filler = "a".repeat(40_000);
    for head in [
        format!("GET /health HTTP/1.1\r\nHost: x\r\nX-Filler: {filler}\r\n\r\n"),
        format!("GET /health HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(200)),
    ] {
        let answer = raw(&server.caller.base, head.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    let uri = format!("GET /{filler} HTTP/1.1\r\nHost: x\r\n\r\n");
    let answer = raw(&server.caller.base, uri.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 414 ") || answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn a_head_that_is_hardly_too_large_is_told_so() {
    let server = TestServer::start().await;
    let health = || server.caller.request(Method::GET, "/health");
    let many = (0..101).fold(health(), |request, n| request.header(format!("x-{n}"), "a"));
    for request in [health().header("x-filler", "a".repeat(16 * 1024)), many] {
        let answer = server.caller.send(request).await;
        assert_eq!(answer.problem(), (431, "head_too_large".to_owned()));
        assert!(!server.explain(&answer.text("trace_id")).await.is_empty());
    }
    let answer = server.caller.send(health().header("x-filler", "a".repeat(15 * 1024))).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_client_that_is_slow_with_its_head_is_cut_off() {
    let server = impatient().await;
    let answer = raw(&server.caller.base, b"POST /token HTTP/1.1\r\nHost: x\r\n").await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
    let silent = raw(&server.caller.base, b"").await;
    assert!(silent.is_empty() || silent.starts_with("HTTP/1.1 408 "), "{silent}");
}

#[tokio::test]
async fn a_client_that_is_slow_with_its_body_gets_408() {
    let server = impatient().await;
    for path in ["/token", "/introspect", "/revoke"] {
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n");
        let mut stream = TcpStream::connect(server.caller.base.strip_prefix("http://").unwrap()).await.unwrap();
        stream.write_all(format!("{head}Content-Length: 100\r\n\r\ngrant_type=").as_bytes()).await.unwrap();
        let mut answer = vec![0; 4_096];
        let read = tokio::time::timeout(Duration::from_secs(30), stream.read(&mut answer)).await.unwrap().unwrap();
        let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
        assert!(answer.starts_with("HTTP/1.1 408 "), "{path}: {answer}");
        assert!(answer.contains("body_too_slow"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_changes_nothing() {
    let server = TestServer::start().await;
    let web = &server.world.web;
    let code = server.code(web).await;
    let authorization = basic(&web.id, web.secret.as_deref().unwrap());
    let body = format!("grant_type=authorization_code&code_verifier={VERIFIER}&code={code}");
    let head = format!(
        "POST /token HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\nContent-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n",
        body.len() + 1
    );
    let mut stream = TcpStream::connect(server.caller.base.strip_prefix("http://").unwrap()).await.unwrap();
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    drop(stream);
    server.redeem(web, &code).await.expect(200);
}

/// A connection from `127.0.0.{last}`.
async fn connect_from(server: &TestServer, last: u8) -> TcpStream {
    let base = server.caller.base.strip_prefix("http://").unwrap();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, last], 0))).unwrap();
    socket.connect(base.parse().unwrap()).await.unwrap()
}

/// How an answer on this connection begins; `None` if it is closed.
async fn asks(stream: &mut TcpStream) -> Option<String> {
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await.ok()?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.ok()?;
    Some(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn there_are_so_many_connections_in_all_and_no_more() {
    let server = TestServer::start_with(|settings| settings.listen.connections = 3).await;
    let mut open = Vec::new();
    for last in 3..6 {
        let mut stream = connect_from(&server, last).await;
        assert_eq!(asks(&mut stream).await.as_deref(), Some("HTTP/1.1 200"));
        open.push(stream);
    }
    assert_eq!(asks(&mut connect_from(&server, 6).await).await, None, "the fourth is closed without a word");
    open.pop();
    eventually("the place is free again", async || asks(&mut connect_from(&server, 6).await).await).await;
}

#[tokio::test]
async fn one_address_has_so_many_connections_and_no_more() {
    let server = TestServer::start_with(|settings| settings.listen.connections_per_address = 3).await;
    let connect = async || connect_from(&server, 3).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut stream = connect().await;
        assert_eq!(asks(&mut stream).await.as_deref(), Some("HTTP/1.1 200"));
        open.push(stream);
    }
    assert_eq!(asks(&mut connect().await).await, None, "the fourth is closed without a word");
    // Others are not affected, and a place that was given back can be taken.
    server.caller_from([127, 0, 0, 4]).get("/health").await.expect(200);
    open.pop();
    eventually("the place is free again", async || asks(&mut connect().await).await).await;
}

#[tokio::test]
async fn huge_and_broken_tokens_are_refused_and_cost_little() {
    let server = TestServer::start().await;
    let huge = format!("{}.{}.AA", "e30".repeat(5_000), "A".repeat(15_000));
    let dots = ".".repeat(30_000);
    for token in [huge.as_str(), &dots, &"x".repeat(60_000)] {
        assert!(!server.caller.is_active(&server.world.web, token).await);
        server.caller.post_as(&server.world.web, "/revoke", &[("token", token)]).await.expect(200);
        assert_eq!(server.caller.post("/userinfo", &[("access_token", token)]).await.problem().0, 401);
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_cut_off_also_where_the_router_has_no_bound() {
    let limits = Limits { body_timeout: Duration::from_millis(100), ..impatient().await.app.settings.listen };
    let router = Router::new().route("/", post(async |body: String| body));
    let listener = doorward_listen::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(doorward_listen::serve(
        vec![listener],
        Serve { router, limits, ..Serve::default() },
        std::future::pending(),
    ));
    let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nConnection: close\r\n\r\n";
    let slow = raw(&base, format!("{head}ab").as_bytes()).await;
    assert!(slow.starts_with("HTTP/1.1 4"), "{slow}");
    let whole = raw(&base, format!("{head}abcd").as_bytes()).await;
    assert!(whole.starts_with("HTTP/1.1 200 ") && whole.ends_with("abcd"), "{whole}");
}

#[tokio::test]
async fn a_path_that_is_no_utf8_is_nowhere() {
    let server = TestServer::start().await;
    for path in ["/sign-in/%ff", "/consent/%ff", "/continue/%ff", "/assets/%ff", "/%ff"] {
        assert_eq!(server.caller.get(path).await.problem(), (404, "not_found".to_owned()), "{path}");
    }
}
