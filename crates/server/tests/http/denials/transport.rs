//! What is refused before anybody asks who it is, and what is refused because the server can't.

use doorward_core::denial::Denial;
use reqwest::Method;

use super::scene::Scene;
use crate::harness::*;

const FORM: &str = "application/x-www-form-urlencoded";

pub(super) async fn provoke(scene: &Scene, denial: Denial) -> Option<Answer> {
    use Denial::*;
    let caller = &scene.server.caller;
    let post = async |content_type: &str, body: Vec<u8>| {
        let request = caller.request(Method::POST, "/token").header("content-type", content_type).body(body);
        caller.send(request.header("traceparent", scene.traceparent())).await
    };
    Some(match denial {
        BodyMalformed => post(FORM, b"a=%ff".to_vec()).await,
        BodyTooLarge => post(FORM, vec![b'a'; 70_000]).await,
        BodyTooSlow => {
            let head = format!("POST /token HTTP/1.1\r\nHost: x\r\ntraceparent: {}\r\n", scene.traceparent());
            let request = format!("{head}Connection: close\r\nContent-Type: {FORM}\r\nContent-Length: 9\r\n\r\na=");
            let answer = raw(&caller.base, request.as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
            Answer { status: 408, headers: Default::default(), body: answer }
        }
        HeadTooLarge => {
            let request = caller.request(Method::GET, "/health").header("x-filler", "a".repeat(20_000));
            caller.send(request.header("traceparent", scene.traceparent())).await
        }
        ContentTypeUnsupported => post("application/json", b"{}".to_vec()).await,
        MethodNotAllowed => scene.get(caller, "/token", &[]).await,
        NotFound => scene.get(caller, "/nowhere", &[]).await,
        Unavailable => {
            let _locked = lock(&scene.server);
            scene.token(&scene.server.world.web, &[("grant_type", "client_credentials"), ("scope", "mails:read")]).await
        }
        _ => return None,
    })
}

/// Keeps the database from being written, as another program would that holds its lock.
fn lock(server: &TestServer) -> rusqlite::Connection {
    let file = server.folder.as_ref().unwrap().path().join("doorward.db");
    let connection = rusqlite::Connection::open(file).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    connection
}
