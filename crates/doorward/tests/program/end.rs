//! The end that an operator asks for: what is being answered is answered, and the exit code is 0.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use crate::support::{Running, eventually};

/// Sends half a request, ends the demo, sends the rest when new connections are refused, and returns the answer.
fn answer_to_a_request_in_flight(demo: Running, url: &str, head: &str, body: &str) -> String {
    let port: u16 = url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let connect = || TcpStream::connect(("127.0.0.1", port));
    let mut stream = connect().expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time-out");
    let length = body.len();
    let head = format!("{head}\r\nHost: localhost:{port}\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("the head is sent");
    // Said when the body is asked for: from here on the request is in flight.
    let go_on = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut printed = vec![0; go_on.len()];
    stream.read_exact(&mut printed).expect("an interim answer");
    assert_eq!(printed, go_on, "{}", String::from_utf8_lossy(&printed));
    let (first, second) = body.split_at(length / 2);
    stream.write_all(first.as_bytes()).expect("half the body is sent");

    demo.signal("TERM");
    eventually("new connections are refused", || connect().is_err());
    stream.write_all(second.as_bytes()).expect("the rest is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the answer comes, and the connection ends");
    assert_eq!(demo.exit_code(), Some(0));
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    let length = head.to_lowercase().split_once("content-length: ").expect("a length").1.to_owned();
    assert_eq!(length.lines().next(), Some(&*body.len().to_string()), "the answer is whole: {answer}");
    answer
}

#[test]
fn api_request_in_flight_at_shutdown_is_answered() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let demo = Running::demo(&folder.path().join("demo"));
    let (api, key) = (demo.get("api").to_owned(), demo.get("api_key"));
    let head = format!("POST /notes HTTP/1.1\r\nX-API-Key: {key}\r\nContent-Type: application/json");
    let answer = answer_to_a_request_in_flight(demo, &api, &head, r#"{"text":"written at the last moment"}"#);
    assert!(answer.starts_with("HTTP/1.1 201 ") && answer.contains("written at the last moment"), "{answer}");
}

#[test]
fn token_request_in_flight_at_shutdown_is_answered() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let demo = Running::demo(&folder.path().join("demo"));
    let issuer = demo.get("issuer").to_owned();
    let body = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}",
        demo.get("client_id"),
        demo.get("client_secret")
    );
    let head = "POST /token HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded";
    let answer = answer_to_a_request_in_flight(demo, &issuer, head, &body);
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"access_token\":\""), "{answer}");
}

#[test]
fn an_interrupt_is_a_clean_end() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let demo = Running::demo(&folder.path().join("demo"));
    demo.signal("INT");
    assert_eq!(demo.exit_code(), Some(0));
}
