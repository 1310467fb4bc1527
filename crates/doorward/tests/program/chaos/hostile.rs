//! Two hostile callers with 250 connections each, beside honest callers: against the server and against a guarded API.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use doorward_core::{
    api_key::{ApiKey, Environment, KeyPrefix},
    random::SeededRng,
};
use socket2::{Domain, Socket, Type};

use super::{
    load::{self, Load, Shared},
    site::Target,
    tally::Kind,
};
use crate::support::{Running, eventually, http};

/// Each is another caller to the server.
const STRANGERS: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3)];
const CONNECTIONS_EACH: usize = 250;

/// The time between two requests of a stranger's connection. Without it, this machine would be what is measured.
const PACE: Duration = Duration::from_millis(250);

/// How long a hostile caller waits for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

const CALL: Kind = "call the API";

/// What a stranger's connection does again and again.
#[derive(Clone, Copy)]
enum Deed {
    HalfHead,
    InventedKey,
    InventedToken,
    WrongSecret,
}

impl Deed {
    const fn kind(self) -> Kind {
        match self {
            Self::HalfHead => "hostile: half a head",
            Self::InventedKey => "hostile: invented key",
            Self::InventedToken => "hostile: invented token",
            Self::WrongSecret => "hostile: wrong secret",
        }
    }

    /// A request that never comes twice.
    fn request(self, rng: &SeededRng) -> String {
        let key = ApiKey::generate(&KeyPrefix::default(), Environment::Live, rng);
        let key = key.reveal();
        let get = |path: &str, header: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n\r\n");
        match self {
            Self::HalfHead => "GET /jwks HTTP/1.1\r\nHost: loc".to_owned(),
            Self::InventedKey => get("/notes", &format!("X-API-Key: {key}")),
            Self::InventedToken => get("/userinfo", &format!("Authorization: Bearer {key}")),
            Self::WrongSecret => {
                let body = format!("grant_type=client_credentials&client_id={key}&client_secret={key}");
                let form = "Content-Type: application/x-www-form-urlencoded";
                let length = body.len();
                format!("POST /token HTTP/1.1\r\nHost: localhost\r\n{form}\r\nContent-Length: {length}\r\n\r\n{body}")
            }
        }
    }
}

/// One connection of a hostile caller, opened again whenever it ends.
fn stranger(load: &Shared, from: Ipv4Addr, to: SocketAddr, deed: Deed, seed: u64, is_over: &AtomicBool) {
    let rng = SeededRng::new(seed);
    let note = |outcome: &str, begun: Instant| load.tally.note(deed.kind(), outcome, begun.elapsed());
    while !is_over.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let Ok(stream) = connect(from, to) else {
            note("no connection", begun);
            thread::sleep(PACE);
            continue;
        };
        let mut stream = BufReader::new(stream);
        while !is_over.load(Ordering::Relaxed) {
            let begun = Instant::now();
            let sent = stream.get_ref().write_all(deed.request(&rng).as_bytes());
            match sent.ok().and_then(|()| answer(&mut stream)) {
                Some(status) => note(&status, begun),
                None => {
                    note("closed", begun);
                    break;
                }
            }
            thread::sleep(PACE);
        }
    }
}

fn connect(from: Ipv4Addr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    socket.connect_timeout(&to.into(), PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket.into())
}

/// The status of an answer, which is read to its end.
fn answer(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let (mut status, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let line = line.trim_end();
        if status.is_none() {
            status = Some(line.split(' ').nth(1)?.to_owned());
        } else if line.is_empty() {
            break;
        } else if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
            length = value.parse().ok()?;
        }
    }
    stream.take(length).read_to_end(&mut Vec::new()).ok()?;
    status
}

/// Honest calls of the API with a key that it knows.
fn calls(load: &Shared, url: &str, key: &str) {
    while !load.is_over() {
        let begun = Instant::now();
        let answer = http("GET", url, &[("X-API-Key", key)], "");
        load.tally.note(CALL, &load::outcome(answer.as_ref()), begun.elapsed());
    }
}

/// Honest callers are served as usual while hostile ones do these deeds.
fn nobody_is_refused(scenario: &'static str, deeds: &'static [Deed], port_of: &str) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("demo");
    let demo = Running::demo(&data);
    let loopback = |name: &str| demo.get(name).replace("localhost", "127.0.0.1");
    let victim: SocketAddr = loopback(port_of).trim_start_matches("http://").parse().expect("an address");
    let place = ["--data".to_owned(), data.display().to_string()];
    let load = Load::start(scenario, &Target::furnish(vec![loopback("issuer")], place));
    let tally = &load.shared().tally;
    let honest = {
        let (shared, url, key) = (load.shared().clone(), loopback("api") + "/notes", demo.get("api_key").to_owned());
        thread::spawn(move || calls(&shared, &url, &key))
    };
    load.phase("quiet");
    eventually("the API is called", || tally.count(CALL, "200") >= 300);

    load.phase("attacked");
    let is_over = Arc::new(AtomicBool::new(false));
    let strangers: Vec<_> = (0..CONNECTIONS_EACH * STRANGERS.len())
        .map(|number| {
            let (shared, is_over) = (load.shared().clone(), is_over.clone());
            let (from, deed) = (STRANGERS[number % STRANGERS.len()], deeds[number / 2 % deeds.len()]);
            thread::spawn(move || stranger(&shared, from, victim, deed, number as u64, &is_over))
        })
        .collect();
    for deed in deeds {
        eventually("the hostile callers are answered", || tally.total(deed.kind()) >= 150);
    }
    eventually("the API is called", || tally.count(CALL, "200") >= 300);
    load.until_fulfilled(50);
    load.phase("after");
    is_over.store(true, Ordering::Relaxed);
    load.until_fulfilled(10);
    for stranger in strangers {
        stranger.join().expect("it ends");
    }

    let shared = load.shared().clone();
    load.finish();
    honest.join().expect("it ends");
    let refused = shared.tally.outcomes(|kind, outcome, _| kind == CALL && outcome != "200");
    assert!(refused.is_empty() && shared.tally.failed() == 0, "{refused:?}");
    assert_eq!(demo.terminate(), Some(0));
}

#[test]
#[ignore = "chaos: cargo xtask test --long"]
fn hostile_load_at_the_server_costs_honest_callers_nothing() {
    let deeds = &[Deed::HalfHead, Deed::InventedToken, Deed::WrongSecret];
    nobody_is_refused("500 hostile connections at the server", deeds, "issuer");
}

#[test]
#[ignore = "chaos: cargo xtask test --long"]
fn hostile_load_at_an_api_costs_honest_callers_nothing() {
    nobody_is_refused("500 hostile connections at an API", &[Deed::InventedKey], "api");
}
