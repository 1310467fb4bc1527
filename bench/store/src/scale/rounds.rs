//! Start, key verification and refresh, in rounds that alternate between the two servers.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use anyhow::Result;
use serde_json::json;

use super::{Filled, median};
use crate::{
    caller::Target,
    fill,
    load::{refresh_each, send_each},
};

/// What one server did: milliseconds until it was ready, and microseconds for each request.
pub(super) struct Rounds {
    pub(super) ready_ms: f64,
    pub(super) same_key_us: f64,
    pub(super) new_key_us: f64,
    pub(super) refresh_us: f64,
}

/// The medians of the almost empty server and of the full one.
pub(super) async fn measure(few: &Filled, many: &Filled, rounds: u64) -> Result<[Rounds; 2]> {
    let mut servers = [Measured::new(few, rounds), Measured::new(many, rounds)];
    for round in 0..rounds {
        for server in &mut servers {
            eprintln!("round {} of {rounds}: {} grants", round + 1, server.of.size.grants);
            server.round(round).await?;
        }
    }
    Ok(servers.map(Measured::medians))
}

/// Requests with one key, which the server remembers.
const SAME_KEY: usize = 20_000;
/// Requests with keys that the server has not seen since it started.
const NEW_KEYS: u64 = 2_000;
const REFRESHES: usize = 3_000;

struct Measured<'a> {
    of: &'a Filled,
    tokens: Arc<Mutex<VecDeque<String>>>,
    ready: Vec<f64>,
    same_key: Vec<f64>,
    new_key: Vec<f64>,
    refresh: Vec<f64>,
}

impl<'a> Measured<'a> {
    fn new(of: &'a Filled, rounds: u64) -> Self {
        let crowd = of.size.shares().crowd;
        // The last ones are for those who look when the client is refused.
        let count = (crowd.end - crowd.start - RESERVED).min(rounds * REFRESHES as u64);
        let numbers = spread(count, crowd.end - crowd.start - RESERVED, 0);
        let tokens: VecDeque<_> = numbers.map(|number| fill::refresh_token(crowd.start + number)).collect();
        let tokens = Arc::new(Mutex::new(tokens));
        Self { of, tokens, ready: vec![], same_key: vec![], new_key: vec![], refresh: vec![] }
    }

    async fn round(&mut self, round: u64) -> Result<()> {
        let Filled { site, size } = self.of;
        let (server, ready) = site.start().await?;
        let verify = Target {
            path: "/v1/keys/verify".into(),
            authorization: site.api.basic(),
            content_type: "application/json",
        };
        let body = |number| json!({ "key": fill::key(number), "scopes": ["notes:read"] }).to_string();
        let same = vec![body(0); SAME_KEY];
        let new = spread(NEW_KEYS, size.keys, round * NEW_KEYS).map(body).collect();
        let us = |rate: f64| 1e6 / rate;
        self.ready.push(ready.as_secs_f64() * 1e3);
        self.same_key.push(us(send_each(&server, &verify, same).await?));
        self.new_key.push(us(send_each(&server, &verify, new).await?));
        let refresh = self.of.refresh(&site.crowd);
        self.refresh.push(us(refresh_each(&server, &refresh, &self.tokens, REFRESHES).await?));
        server.stop().await
    }

    fn medians(self) -> Rounds {
        Rounds {
            ready_ms: median(self.ready),
            same_key_us: median(self.same_key),
            new_key_us: median(self.new_key),
            refresh_us: median(self.refresh),
        }
    }
}

/// Grants at the end of a client's or a user's that no round uses.
pub(super) const RESERVED: u64 = 10;

/// `count` different numbers below `of`, all over it.
fn spread(count: u64, of: u64, from: u64) -> impl Iterator<Item = u64> {
    // A prime that divides no round number.
    const STRIDE: u64 = 611_953;
    (from..from + count).map(move |nth| nth * STRIDE % of)
}
