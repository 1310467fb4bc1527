//! Connections over a pipe, with the clock paused: what a client withholds, and what the server answers.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use axum::{
    Router,
    body::{Body, Bytes},
    routing::{get, post},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    sync::Notify,
    task::JoinHandle,
    time::Instant,
};

use super::*;
use crate::serve::Serve;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
/// Longer than any connection of these tests stays open.
const CEILING: Duration = Duration::from_secs(600);

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const END: u8 = 1;
const END_OF_HEAD: u8 = 4;

fn router() -> Router {
    Router::new()
        .route("/", get(async || "hello"))
        .route("/long", get(async || "a".repeat(300_000)))
        .route("/unread", post(async || "not read"))
        .route("/read", post(async |body: Bytes| body.len().to_string()))
}

/// A connection that is served, and its other end.
struct Served {
    far: DuplexStream,
    listening: Arc<Listening>,
    activity: Arc<Activity>,
    closing: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Served {
    fn start(router: Router, size: usize) -> Self {
        let (near, far) = duplex(size);
        let listening = Arc::new(Listening::new(Serve { router, ..Serve::default() }));
        let (closing, closed) = watch::channel(false);
        let place = listening.place();
        let activity = place.activity.clone();
        let nearest = SocketAddr::from(([127, 0, 0, 1], 4444)).into();
        let stream = Bounded::new(near, Limits::default().write_timeout);
        let task = tokio::spawn(exchange(stream, nearest, listening.clone(), place, closed));
        Self { far, listening, activity, closing, task }
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.far.write_all(bytes).await.unwrap();
    }

    /// What the server sends until it has nothing more to say.
    async fn answer(&mut self) -> String {
        let mut answer = Vec::new();
        let mut piece = [0; 4_096];
        while let Ok(Ok(length @ 1..)) = timeout(Duration::from_millis(500), self.far.read(&mut piece)).await {
            answer.extend_from_slice(&piece[..length]);
        }
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Begins HTTP/2 with a window for each answer.
    async fn begin_http2(&mut self, window: u32) {
        self.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        let payload = [&[0, 4], window.to_be_bytes().as_slice()].concat();
        self.send(&frame(SETTINGS, 0, 0, &payload)).await;
    }

    async fn get(&mut self, stream: u32, path: &str) {
        let length = u8::try_from(path.len()).unwrap();
        let head = [&[0x82, 0x86, 0x41, 1, b'x', 0x44, length], path.as_bytes()].concat();
        self.send(&frame(HEADERS, END | END_OF_HEAD, stream, &head)).await;
    }

    /// The next frame, as kind, flags and payload; `None` at the end of the connection.
    async fn frame(&mut self) -> Option<(u8, u8, Vec<u8>)> {
        let mut header = [0; 9];
        self.far.read_exact(&mut header).await.ok()?;
        let [high, middle, low, kind, flags, ..] = header;
        let mut payload = vec![0; usize::try_from(u32::from_be_bytes([0, high, middle, low])).unwrap()];
        self.far.read_exact(&mut payload).await.ok()?;
        Some((kind, flags, payload))
    }

    /// Answers pings, and does nothing else until the server closes the connection. Which kinds of frames came.
    async fn only_answer_pings(&mut self) -> Vec<u8> {
        let mut kinds = Vec::new();
        let begun = Instant::now();
        while let Some((kind, flags, payload)) = self.frame().await {
            assert!(begun.elapsed() < CEILING, "the connection is never closed");
            kinds.push(kind);
            if (kind, flags) == (PING, 0) && self.far.write_all(&frame(PING, 1, 0, &payload)).await.is_err() {
                break;
            }
        }
        kinds
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], stream.to_be_bytes().as_slice(), payload].concat()
}

#[tokio::test(start_paused = true)]
async fn http_2_connection_that_only_answers_pings_is_idle() {
    let mut served = Served::start(router(), 65_536);
    served.begin_http2(65_535).await;
    served.get(1, "/").await;
    let begun = Instant::now();
    let kinds = served.only_answer_pings().await;
    assert!(kinds.contains(&DATA) && kinds.contains(&GOAWAY), "{kinds:?}");
    let limits = Limits::default();
    assert!(begun.elapsed() >= limits.idle_timeout, "{:?}", begun.elapsed());
    assert!(begun.elapsed() <= limits.idle_timeout + GRACE + Duration::from_secs(2), "{:?}", begun.elapsed());
    served.task.await.unwrap();
}

/// Who could undo the end of a handler by a reset could guess passwords that nobody notes.
#[tokio::test(start_paused = true)]
async fn handler_goes_on_to_its_end_when_the_client_resets_its_stream() {
    let (begun, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counters = (begun.clone(), ended.clone());
    let slow = get(async move || {
        counters.0.fetch_add(1, Relaxed);
        tokio::time::sleep(Duration::from_secs(1)).await;
        counters.1.fetch_add(1, Relaxed);
        "done"
    });
    let mut served = Served::start(Router::new().route("/", slow), 65_536);
    served.begin_http2(65_535).await;
    let mut stream = 1;
    let mut reset = async |served: &mut Served| {
        served.get(stream, "/").await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        served.send(&frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())).await;
        stream += 2;
    };
    for _ in 0..10 {
        reset(&mut served).await;
    }
    assert_eq!((begun.load(Relaxed), ended.load(Relaxed)), (10, 0));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(ended.load(Relaxed), 10);
    // Resets make no more handlers work at once than answers do.
    for _ in 0..300 {
        reset(&mut served).await;
    }
    assert!(begun.load(Relaxed) - ended.load(Relaxed) <= 128);
    assert_eq!(begun.load(Relaxed), 10 + 128);
}

#[tokio::test(start_paused = true)]
async fn http_2_connection_that_leaves_answers_waiting_is_closed() {
    for path in ["/", "/long"] {
        let mut served = Served::start(router(), 65_536);
        served.begin_http2(0).await;
        served.get(1, path).await;
        let begun = Instant::now();
        let kinds = served.only_answer_pings().await;
        assert!(!kinds.contains(&DATA), "{kinds:?}");
        assert!(begun.elapsed() <= 2 * Limits::default().write_timeout + GRACE, "{:?}", begun.elapsed());
        served.task.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_answers_of_http_2_are_counted_until_they_are_gone() {
    let mut served = Served::start(router(), 65_536);
    served.begin_http2(0).await;
    for stream in 0..10 {
        served.get(2 * stream + 1, "/").await;
    }
    let activity = served.activity.clone();
    while activity.waiting() < 10 * "hello".len() {
        tokio::task::yield_now().await;
    }
    assert!(activity.idle_since().is_some(), "no handler is busy");
    // Half of them are given up, and half of them are taken.
    for stream in 0..5 {
        served.send(&frame(3, 0, 2 * stream + 1, &8_u32.to_be_bytes())).await;
        served.send(&frame(8, 0, 2 * stream + 11, &5_u32.to_be_bytes())).await;
    }
    while activity.waiting() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn flood_of_control_frames_ends_the_connection() {
    for (kind, payload) in [(PRIORITY, &[0, 0, 0, 0, 16][..]), (PING, &[0; 8]), (SETTINGS, &[]), (0xbe, b"unknown")] {
        let mut served = Served::start(router(), 65_536);
        served.begin_http2(65_535).await;
        served.get(1, "/").await;
        let stream = if kind == PRIORITY { 3 } else { 0 };
        let begun = Instant::now();
        let (mut far, sends) = tokio::io::split(served.far);
        let flood = frame(kind, 0, stream, payload).repeat(5_000);
        let sending = tokio::spawn(async move {
            let mut sends = sends;
            let _ = sends.write_all(&flood).await;
            sends
        });
        far.read_to_end(&mut Vec::new()).await.unwrap();
        served.task.await.unwrap();
        drop(sending.await.unwrap());
        assert_eq!(begun.elapsed(), Duration::ZERO, "it is not only idle");
    }
}

#[tokio::test(start_paused = true)]
async fn half_a_head_does_not_delay_the_end() {
    for sent in [&b"GET / HTTP/1.1\r\nHost"[..], b"PRI * HTTP/2.0\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b""] {
        let mut served = Served::start(router(), 65_536);
        served.send(sent).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let begun = Instant::now();
        served.closing.send_replace(true);
        served.task.await.unwrap();
        assert!(begun.elapsed() <= 2 * GRACE, "{:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn idle_connections_are_asked_to_close_at_shutdown() {
    let mut http1 = Served::start(router(), 65_536);
    http1.send(GET).await;
    assert!(http1.answer().await.ends_with("hello"));
    let mut http2 = Served::start(router(), 65_536);
    http2.begin_http2(65_535).await;
    http2.get(1, "/").await;
    while http2.frame().await.unwrap().0 != DATA {}
    let begun = Instant::now();
    for served in [&http1, &http2] {
        served.closing.send_replace(true);
    }
    assert_eq!(http1.far.read(&mut [0]).await.unwrap(), 0);
    assert!(http2.only_answer_pings().await.contains(&GOAWAY));
    assert!(begun.elapsed() <= GRACE);
}

#[tokio::test(start_paused = true)]
async fn request_running_at_shutdown_is_answered_with_close() {
    let finish = Arc::new(Notify::new());
    let finishes = finish.clone();
    let handler = async move || {
        finishes.notified().await;
        "finished"
    };
    let mut served = Served::start(Router::new().route("/", get(handler)), 65_536);
    served.send(GET).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    served.closing.send_replace(true);
    tokio::time::sleep(5 * GRACE).await;
    finish.notify_one();
    let answer = served.answer().await;
    assert!(answer.contains("connection: close") && answer.ends_with("finished"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn request_that_came_with_the_end_is_answered() {
    let mut served = Served::start(router(), 65_536);
    served.closing.send_replace(true);
    served.send(GET).await;
    assert!(served.answer().await.ends_with("hello"));
}

#[tokio::test(start_paused = true)]
async fn responses_before_shutdown_send_clients_elsewhere() {
    let mut served = Served::start(router(), 65_536);
    served.send(GET).await;
    assert!(!served.answer().await.contains("connection: close"));
    served.listening.leave();
    served.send(GET).await;
    let answer = served.answer().await;
    assert!(answer.contains("connection: close") && answer.ends_with("hello"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn answer_before_the_body_was_read_says_close() {
    let head = "POST /unread HTTP/1.1\r\nHost: x\r\n";
    let large = format!("{head}Content-Length: 1000000\r\n\r\n{}", "a".repeat(50_000));
    let slow = format!("{head}Content-Length: 100\r\n\r\na");
    let endless = format!("{head}Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n");
    let expecting = format!("{head}Content-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    for sent in [large, slow, endless, expecting] {
        let mut served = Served::start(router(), 65_536);
        served.send(sent.as_bytes()).await;
        let answer = served.answer().await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("connection: close"), "{sent:.100}: {answer}");
        // What the client still sends does not destroy the answer.
        served.send(&[b'a'; 100_000]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn connection_goes_on_after_a_short_body_that_nobody_read() {
    let mut served = Served::start(router(), 65_536);
    for path in ["/unread", "/read", "/unread"] {
        let body = "a".repeat(10_000);
        served.send(format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n{body}").as_bytes()).await;
        let answer = served.answer().await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && !answer.contains("connection: close"), "{path}: {answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn handler_that_answers_while_it_reads_keeps_its_body() {
    let echo = async |body: Body| body;
    let mut served = Served::start(Router::new().route("/", post(echo)), 65_536);
    served.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nab").await;
    assert!(served.answer().await.ends_with("ab"));
    served.send(b"cd").await;
    assert!(served.answer().await.ends_with("cd"));
}

#[tokio::test(start_paused = true)]
async fn request_without_a_valid_host_is_400() {
    for hosts in ["", "Host: a\r\nHost: a\r\n", "Host: \r\n", "Host: a/b\r\n", "Host: a@b\r\n"] {
        let mut served = Served::start(router(), 65_536);
        served.send(format!("GET / HTTP/1.1\r\n{hosts}\r\n").as_bytes()).await;
        let answer = served.answer().await;
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("connection: close"), "{hosts:?}: {answer}");
    }
}
