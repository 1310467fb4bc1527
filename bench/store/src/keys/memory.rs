//! The memory of the process after it verified many keys.
//!
//! What else a server remembers of a key that was used is as large with a small cache. So the caller measures with one that
//! has room for all the keys and with one that has room for none, in two processes, and compares.

use std::{path::Path, time::Duration};

use anyhow::Result;
use serde::Serialize;

use super::{
    fill::Filled,
    opened::{Opened, Room, requests, resident_kib},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How many keys are verified
    #[arg(long)]
    keys: u64,
    /// For how many keys the cache has room
    #[arg(long)]
    room: usize,
}

#[derive(Serialize)]
pub(crate) struct Figures {
    resident_kib: u64,
}

pub(crate) async fn measure(folder: &Path, options: &Options) -> Result<Figures> {
    let filled = Filled::read(folder)?;
    let server = Opened::new(folder, &filled, Room::Entries(options.room)).await?;
    for start in (0..options.keys).step_by(AT_ONCE) {
        let numbers = start..options.keys.min(start + AT_ONCE as u64);
        server.admits(&requests(numbers)?).await?;
    }
    // What waits to be written of their use is no part of the cache.
    server.app.flush_uses().await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let figures = Figures { resident_kib: resident_kib()? };
    server.stop().await;
    Ok(figures)
}

const AT_ONCE: usize = 10_000;
