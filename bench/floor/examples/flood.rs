//! How two floods of invented keys at a guarded API, each over 250 connections from one address, affect an honest
//! caller. Takes the file with the line that `doorward demo --json` printed, measures the notes API without and with
//! the flood, and prints one line of JSON: the honest caller's times in microseconds, and the number of answers by
//! kind.
//!
//! The guard knows the caller's key and asks the issuer about it every half a second. Linux only: it calls from several
//! addresses of 127.0.0.0/8.

#![forbid(unsafe_code)]

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    fs,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use doorward_core::{
    api_key::{ApiKey, Environment, KeyPrefix},
    random::SeededRng,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

type Failure = Box<dyn Error + Send + Sync>;

const HONEST: [u8; 4] = [127, 0, 0, 1];
const STRANGERS: [[u8; 4]; 2] = [[127, 0, 0, 2], [127, 0, 0, 3]];
const CONNECTIONS: usize = 250;
const SECONDS: u64 = 10;
/// The honest caller's pace, so that it is no flood of its own.
const PAUSE: Duration = Duration::from_millis(2);

#[derive(Default)]
struct Told(Mutex<BTreeMap<u16, u64>>);

impl Told {
    fn note(&self, status: u16) {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).entry(status).or_default() += 1;
    }

    fn json(&self) -> Value {
        json!(*self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let path = env::args().nth(1).ok_or("name the file with the demo's line of JSON")?;
    let demo: Value = serde_json::from_str(&fs::read_to_string(path)?)?;
    let text = |name: &str| demo[name].as_str().map(str::to_owned).ok_or(format!("the demo has no {name}"));
    let (api, key) = (text("api")?, text("api_key")?);
    let host = api.strip_prefix("http://").ok_or("the demo speaks plain HTTP")?.trim_end_matches('/').to_owned();
    let at = tokio::net::lookup_host(&host).await?.find(SocketAddr::is_ipv4).ok_or("the API has no IPv4 address")?;

    let alone = Told::default();
    let usual = honest(at, &host, &key, &alone).await?;

    let (told, ends, number) = (Arc::new(Told::default()), Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(1)));
    let strangers: Vec<_> = STRANGERS
        .iter()
        .flat_map(|address| std::iter::repeat_n(*address, CONNECTIONS))
        .map(|address| {
            let (told, ends, number, host) = (told.clone(), ends.clone(), number.clone(), host.clone());
            tokio::spawn(async move {
                while !ends.load(Ordering::Relaxed) {
                    // A connection that is closed is opened again.
                    let _ = stranger(address, at, &host, &told, &ends, &number).await;
                }
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let answered = Told::default();
    let under_flood = honest(at, &host, &key, &answered).await?;
    ends.store(true, Ordering::Relaxed);
    for stranger in strangers {
        stranger.await?;
    }
    let times = |times: &[Duration]| json!({"p50": at_share(times, 0.5), "p99": at_share(times, 0.99)});
    println!(
        "{}",
        json!({
            "usual": times(&usual), "usual_answers": alone.json(),
            "under_flood": times(&under_flood), "answers_under_flood": answered.json(), "strangers_answers": told.json(),
        })
    );
    Ok(())
}

async fn honest(at: SocketAddr, host: &str, key: &str, told: &Told) -> Result<Vec<Duration>, Failure> {
    let mut stream = connect(HONEST, at).await?;
    let (begun, mut times) = (Instant::now(), Vec::new());
    while begun.elapsed() < Duration::from_secs(SECONDS) {
        let start = Instant::now();
        told.note(ask(&mut stream, host, key).await?);
        times.push(start.elapsed());
        tokio::time::sleep(PAUSE).await;
    }
    times.sort();
    Ok(times)
}

async fn stranger(
    from: [u8; 4],
    at: SocketAddr,
    host: &str,
    told: &Told,
    ends: &AtomicBool,
    number: &AtomicU64,
) -> Result<(), Failure> {
    let mut stream = connect(from, at).await?;
    while !ends.load(Ordering::Relaxed) {
        let rng = SeededRng::new(number.fetch_add(1, Ordering::Relaxed));
        let key = ApiKey::generate(&KeyPrefix::default(), Environment::Live, &rng);
        told.note(ask(&mut stream, host, key.reveal()).await?);
    }
    Ok(())
}

async fn connect(from: [u8; 4], to: SocketAddr) -> Result<TcpStream, Failure> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(IpAddr::from(from), 0))?;
    let stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The status of an answer, read whole.
async fn ask(stream: &mut TcpStream, host: &str, key: &str) -> Result<u16, Failure> {
    let request = format!("GET /notes HTTP/1.1\r\nHost: {host}\r\nX-API-Key: {key}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let (mut answer, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut chunk).await?;
        if read == 0 {
            return Err("the connection was closed".into());
        }
        answer.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.to_lowercase();
        let length = length.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
        if length.is_some_and(|length: usize| body.len() >= length) {
            return Ok(head.split(' ').nth(1).ok_or("no status")?.parse()?);
        }
    }
}

fn at_share(sorted: &[Duration], share: f64) -> u128 {
    let at = ((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(0, Duration::as_micros)
}
