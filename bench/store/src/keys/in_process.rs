//! What a guard in the server's process takes to verify a key: from the cache, from the database, and a key that nobody
//! issued.
//!
//! Easy to get wrong: a key that was not in the cache is there afterwards. So the database is measured with a cache that has
//! room for almost nothing.

use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::{
    fill::Filled,
    opened::{Opened, Room, clock, request, requests, resident_kib},
};
use crate::{
    fill,
    load::{Quantiles, Times},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How many keys that nobody issued are tried
    #[arg(long, default_value_t = 1_000_000)]
    unknown: u64,
}

#[derive(Serialize)]
pub(crate) struct Figures {
    clock_ns: f64,
    cached: Quantiles,
    stored: Quantiles,
    /// A key that nobody issued, for the first time.
    unknown: Quantiles,
    /// One of them again.
    negative: Quantiles,
    /// The memory before the unknown keys, after half of them, and after all.
    resident_kib: [u64; 3],
}

pub(crate) async fn measure(folder: &Path, options: &Options) -> Result<Figures> {
    let filled = Filled::read(folder)?;
    let clock_ns = clock().as_secs_f64() * 1e9;

    let server = Opened::new(folder, &filled, Room::Entries(1)).await?;
    server.admits(&requests(filled.at_random(2).take(WARM_UP))?).await?;
    let stored = server.admits(&requests(filled.at_random(3).take(STORED))?).await?.quantiles();
    server.stop().await;

    let server = Opened::new(folder, &filled, Room::Default).await?;
    let known = requests(filled.at_random(4).take(KEPT))?;
    server.admits(&known).await?;
    let mut cached = Vec::new();
    for _ in 0..REPEATS {
        cached.push(server.admits(&known).await?);
    }
    let cached = Times::all(cached).quantiles();

    let (unknown, negative, resident_kib) = strangers(&server, options.unknown).await?;
    server.stop().await;
    Ok(Figures { clock_ns, cached, stored, unknown, negative, resident_kib })
}

/// Tries keys that nobody issued, each once; and then some of them again, while they are remembered.
async fn strangers(server: &Opened, count: u64) -> Result<(Quantiles, Quantiles, [u64; 3])> {
    let before = resident_kib()?;
    let (mut unknown, mut negative, mut half) = (Vec::new(), Vec::new(), before);
    for start in (0..count).step_by(AT_ONCE) {
        let numbers = start..count.min(start + AT_ONCE as u64);
        unknown.push(server.refuses(&requests(numbers.map(|number| NOBODYS | number))?).await?);
        // One that is surely remembered, since this is its second time within half a second.
        let one = request(&fill::key(NOBODYS | start))?;
        server.refuses(std::slice::from_ref(&one)).await?;
        negative.push(server.refuses(&vec![one; AGAIN]).await?);
        if start < count / 2 {
            half = resident_kib()?;
        }
    }
    let after = resident_kib()?;
    Ok((Times::all(unknown).quantiles(), Times::all(negative).quantiles(), [before, half, after]))
}

/// Beyond the numbers of keys that exist.
const NOBODYS: u64 = 1 << 50;
const AT_ONCE: usize = 10_000;
const AGAIN: usize = 500;
const WARM_UP: usize = 2_000;
const STORED: usize = 20_000;
/// A tenth of what the cache has room for.
const KEPT: usize = 10_000;
const REPEATS: usize = 30;
