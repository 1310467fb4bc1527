//! Bounds on what comes: sizes are looked at before anything is parsed, and slow clients are cut off.

use std::time::Duration;

use doorward_server::Settings;
use reqwest::Method;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::*;

#[tokio::test]
async fn half_closed_connection_still_gets_the_response() {
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
async fn slightly_too_large_head_gets_431() {
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
async fn a_client_that_is_slow_with_its_body_gets_408() {
    let hurry = |settings: &mut Settings| settings.listen.body_timeout = Duration::from_millis(100);
    let server = TestServer::start_with(hurry).await;
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
async fn a_path_that_is_no_utf8_is_nowhere() {
    let server = TestServer::start().await;
    for path in ["/sign-in/%ff", "/consent/%ff", "/continue/%ff", "/assets/%ff", "/%ff"] {
        assert_eq!(server.caller.get(path).await.problem(), (404, "not_found".to_owned()), "{path}");
    }
}
