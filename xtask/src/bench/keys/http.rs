//! Verification over HTTP, by a server on one core with a load from the other.
//!
//! Easy to get wrong: the machine is not as fast in one minute as in the next. So the floor, the almost empty server and the
//! full one take turns, and a round's ratios are of that round's figures.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde::Deserialize;
use serde_json::json;

use super::{Programs, database::Database};
use crate::bench::{
    ROUNDS,
    http::{self, Request},
    load::Load,
    pinned,
    report::median,
    scene::Client,
};

/// Requests a second, the median of the rounds, and ratios of the rounds' figures.
pub(super) struct Rates {
    pub(super) hot: f64,
    pub(super) at_random: f64,
    /// Of the floor's requests, with one key.
    pub(super) of_floor: f64,
    /// How many times as long a request takes with many keys in the database as with few.
    pub(super) hot_growth: f64,
    pub(super) at_random_growth: f64,
}

struct Round {
    floor: f64,
    few: [f64; 2],
    many: [f64; 2],
}

pub(super) fn measure(programs: &Programs<'_>, few: &Database, many: &Database) -> Result<Rates> {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        rounds.push(Round { floor: floor(programs)?, few: rates(programs, few)?, many: rates(programs, many)? });
    }
    let of = |figure: fn(&Round) -> f64| median(rounds.iter().map(figure)).unwrap_or(f64::NAN);
    Ok(Rates {
        hot: of(|round| round.many[0]),
        at_random: of(|round| round.many[1]),
        of_floor: of(|round| round.many[0] / round.floor),
        hot_growth: of(|round| round.few[0] / round.many[0]),
        at_random_growth: of(|round| round.few[1] / round.many[1]),
    })
}

/// With one key, and with keys at random.
fn rates(programs: &Programs<'_>, database: &Database) -> Result<[f64; 2]> {
    let key = database.one_key()?;
    let request = verification(database, &key)?;
    let mut rates = [0.0; 2];
    for (rate, is_at_random) in rates.iter_mut().zip([false, true]) {
        let server = database.start(programs)?;
        let load = match is_at_random {
            false => Load::of_request(&request)?,
            true => Load::of_keys(&request, &database.sample())?,
        };
        *rate = loaded(&load, programs.time)?;
        server.stop()?;
    }
    Ok(rates)
}

fn verification(database: &Database, key: &str) -> Result<Request> {
    let request = http::post(database.port(), "/v1/keys/verify", "application/json");
    let question = json!({ "key": key, "scopes": ["notes:read"] }).to_string();
    Ok(request.header("Authorization", database.authorization()).body(question)?)
}

/// The bare handler that limits all servers.
fn floor(programs: &Programs<'_>) -> Result<f64> {
    #[derive(Deserialize)]
    struct Listening {
        port: u16,
    }
    let server = pinned::start(&[&programs.target("dist/doorward-bench-floor"), "serve"], &[], programs.folder)?;
    let Listening { port } = server.listening()?;
    let client = Client { client_id: "bench".to_owned(), client_secret: "a-secret-that-nobody-checks".to_owned() };
    let rate = loaded(&Load::of_request(&client.token(port, "notes:read")?)?, programs.time)?;
    server.stop()?;
    Ok(rate)
}

fn loaded(load: &Load, time: Duration) -> Result<f64> {
    load.warm_up(time)?;
    let sample = load.measure(time)?;
    ensure!(sample.errors == 0, "{} requests failed", sample.errors);
    Ok(sample.rate())
}
