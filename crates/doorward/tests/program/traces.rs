//! Traces by OTLP, as a collector gets them. `cargo xtask test` builds the program with the feature.

use std::process::Stdio;

use crate::{
    serve::{configured, made},
    support::{Running, eventually, program},
};

/// Starts a server that sends its spans to `collector`.
fn serve(config: &std::path::Path, url: &str, collector: &str, log: impl Into<Stdio>) -> Running {
    let mut command = program();
    command.arg("serve").arg("--config").arg(config).stderr(log);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector).env("OTEL_BSP_SCHEDULE_DELAY", "50");
    let server = Running::start_by(command);
    eventually("it is ready", || crate::support::http("GET", &format!("{url}/health/ready"), &[], "").is_some());
    server
}

#[cfg(not(feature = "otlp"))]
#[test]
fn program_without_traces_says_so_where_a_collector_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (config, url) = made(folder.path());
    let log = folder.path().join("log");
    let file = std::fs::File::create(&log).expect("a file");
    let server = serve(&config, &url, "http://127.0.0.1:1", file);
    assert_eq!(server.terminate(), Some(0));
    let log = std::fs::read_to_string(log).expect("the log");
    assert!(log.contains("without the Cargo feature `otlp`"), "{log}");
    assert!(configured(&config, &["config", "check"]).status.success());
}

#[cfg(feature = "otlp")]
mod collected {
    use std::{
        collections::BTreeMap,
        io::{Read, Write},
        net::TcpListener,
        sync::{Arc, Mutex},
        thread,
        time::{Duration, Instant},
    };

    use base64::{Engine, prelude::BASE64_STANDARD as STANDARD};
    use opentelemetry_proto::tonic::{
        collector::trace::v1::ExportTraceServiceRequest,
        common::v1::any_value::Value::{IntValue, StringValue},
        trace::v1::Span,
    };
    use prost::Message;

    use super::*;
    use crate::support::http;

    /// A collector of traces: keeps what is sent.
    #[derive(Clone, Default)]
    struct Collector(Arc<Mutex<Vec<Vec<u8>>>>);

    impl Collector {
        fn start() -> (Self, String) {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            let url = format!("http://{}", listener.local_addr().expect("an address"));
            let collector = Self::default();
            let kept = collector.0.clone();
            thread::spawn(move || {
                for mut stream in listener.incoming().map_while(Result::ok) {
                    let mut read = Vec::new();
                    let mut part = [0; 65_536];
                    let body = loop {
                        let length = stream.read(&mut part).expect("a request");
                        read.extend_from_slice(&part[..length]);
                        if let Some(body) = body_of(&read) {
                            break body;
                        }
                        assert!(length > 0, "half a request");
                    };
                    kept.lock().expect("no thread panicked").push(body);
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                    stream.write_all(answer).expect("an answer");
                }
            });
            (collector, url)
        }

        /// The spans so far: the name, and its attributes as text.
        fn spans(&self) -> Vec<(Span, BTreeMap<String, String>)> {
            let bodies = self.0.lock().expect("no thread panicked");
            let requests = bodies.iter().map(|body| ExportTraceServiceRequest::decode(&**body).expect("OTLP"));
            let resources = requests.flat_map(|request| request.resource_spans);
            let spans = resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans);
            let attributes = |span: &Span| {
                let text = |value| match value {
                    Some(StringValue(text)) => text,
                    Some(IntValue(number)) => number.to_string(),
                    other => format!("{other:?}"),
                };
                let all = span.attributes.clone().into_iter();
                all.map(|one| (one.key, text(one.value.and_then(|value| value.value)))).collect()
            };
            spans.map(|span| (span.clone(), attributes(&span))).collect()
        }

        fn contains(&self, secret: &str) -> bool {
            let bodies = self.0.lock().expect("no thread panicked");
            bodies.iter().any(|body| body.windows(secret.len()).any(|part| part == secret.as_bytes()))
        }
    }

    /// The body of a request, when all of it has come.
    fn body_of(read: &[u8]) -> Option<Vec<u8>> {
        let end = read.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(&read[..end]).to_lowercase();
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: "))?.trim().parse::<usize>().ok()?;
        read.get(end..end + length).map(<[u8]>::to_vec)
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn request_is_a_span_of_the_callers_trace_without_secrets() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (config, url) = made(folder.path());
        let (collector, endpoint) = Collector::start();
        let server = serve(&config, &url, &endpoint, Stdio::null());

        let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        let traceparent = format!("00-{trace}-{parent}-01");
        let secret = "dw_at_canarycanarycanary";
        let headers = [("traceparent", &*traceparent), ("authorization", &format!("Bearer {secret}"))];
        let refused = http("GET", &format!("{url}/userinfo?canary=1"), &headers, "").expect("an answer");
        assert_eq!((refused.status, refused.json()["trace_id"].as_str()), (401, Some(trace)));
        let own = http("GET", &format!("{url}/nowhere/canary"), &[], "").expect("an answer").json();

        let of = |trace: &str| {
            let spans = collector.spans().into_iter();
            spans.filter(|(span, _)| hex(&span.trace_id) == trace).collect::<Vec<_>>()
        };
        eventually("both are collected", || {
            of(own["trace_id"].as_str().expect("a trace id")).len() == 1 && !of(trace).is_empty()
        });
        let spans = of(trace);
        let (span, attributes) = spans.iter().find(|(span, _)| hex(&span.parent_span_id) == parent).expect("a child");
        assert_eq!(span.name, "GET /userinfo");
        for (name, value) in [
            ("http.request.method", "GET"),
            ("http.route", "/userinfo"),
            ("http.response.status_code", "401"),
            ("error.type", refused.json()["code"].as_str().expect("a code")),
        ] {
            assert_eq!(attributes.get(name).map(String::as_str), Some(value), "{name}: {attributes:?}");
        }
        let (unknown, _) = of(own["trace_id"].as_str().expect("a trace id")).remove(0);
        assert_eq!((&*unknown.name, unknown.parent_span_id.len()), ("GET", 0), "no route, and no caller's span");
        for canary in [secret, "canary"] {
            assert!(!collector.contains(canary), "{canary} was sent");
        }
        assert_eq!(server.terminate(), Some(0));
    }

    #[test]
    fn operations_of_the_store_are_children_of_their_request() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (config, url) = made(folder.path());
        let (collector, endpoint) = Collector::start();
        let create = |arguments: &[&str]| -> serde_json::Value {
            serde_json::from_slice(&configured(&config, arguments).stdout).expect("JSON")
        };
        let api = create(&["api", "create", "--name", "notes", "--identifier", "https://notes.example", "--json"]);
        let key = create(&["key", "create", "--name", "ci", "--api", "notes", "--json"]);
        let server = serve(&config, &url, &endpoint, Stdio::null());
        let text = |value: &serde_json::Value, member: &str| value[member].as_str().expect("a text").to_owned();
        let basic = format!("Basic {}", STANDARD.encode(text(&api, "client_id") + ":" + &text(&api, "client_secret")));
        let headers = [("authorization", &*basic), ("content-type", "application/json")];
        let body = serde_json::json!({ "key": text(&key, "secret") }).to_string();
        let verdict = http("POST", &format!("{url}/v1/keys/verify"), &headers, &body).expect("an answer").json();
        assert_eq!(verdict["valid"], true);

        eventually("a child is collected", || {
            let spans = collector.spans();
            spans.iter().any(|(span, attributes)| {
                let is_parent = |(other, _): &&(Span, _)| other.span_id == span.parent_span_id;
                let parent = spans.iter().find(is_parent);
                attributes.contains_key("db.operation.name")
                    && parent.is_some_and(|(parent, _)| parent.name == "POST /v1/keys/verify")
            })
        });
        assert_eq!(server.terminate(), Some(0));
    }

    #[test]
    fn collector_that_is_away_delays_neither_answers_nor_the_end() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (config, url) = made(folder.path());
        // It accepts connections, and answers none.
        let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = format!("http://{}", silent.local_addr().expect("an address"));
        let server = serve(&config, &url, &endpoint, Stdio::null());
        let start = Instant::now();
        for _ in 0..50 {
            assert_eq!(http("GET", &format!("{url}/jwks"), &[], "").expect("an answer").status, 200);
        }
        assert_eq!(server.terminate(), Some(0));
        // Ten seconds are the exporter's own timeout: the end does not wait for that.
        assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    }
}
