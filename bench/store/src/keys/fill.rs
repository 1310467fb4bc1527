//! A server's data with so many keys, and what the other parts need to know of it.

use std::{fs, io::Write, path::Path, time::Instant};

use anyhow::{Context, Result};
use doorward_core::random::{Rng, SeededRng};
use serde::{Deserialize, Serialize};

use crate::{
    fill,
    scale::settle,
    site::{Credential, Site},
};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How many keys
    #[arg(long)]
    keys: u64,
    /// An empty database of PostgreSQL; SQLite if left out
    #[arg(long, value_name = "URL")]
    postgres: Option<String>,
}

/// A filled database.
#[derive(Deserialize, Serialize)]
pub(crate) struct Filled {
    pub(crate) keys: u64,
    pub(crate) postgres: Option<String>,
    /// The port of the issuer.
    pub(crate) port: u16,
    /// The credential of the API that the keys are for.
    pub(crate) api: Credential,
    /// A key for the management API.
    pub(crate) management_key: String,
    /// The value of `Authorization` for the API.
    pub(crate) authorization: String,
    /// How long filling took.
    pub(crate) seconds: f64,
}

impl Filled {
    /// The one that was filled in this folder.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let text = fs::read(folder.join(FILLED)).context("this folder was not filled")?;
        Ok(serde_json::from_slice(&text)?)
    }

    pub(crate) fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Numbers of keys at random, with repetitions. `seed` says which.
    pub(crate) fn at_random(&self, seed: u64) -> impl Iterator<Item = u64> + use<> {
        let (rng, keys) = (SeededRng::new(seed), self.keys);
        std::iter::repeat_with(move || {
            let mut bytes = [0; 8];
            rng.fill(&mut bytes);
            u64::from_le_bytes(bytes) % keys
        })
    }
}

pub(crate) async fn fill(doorward: &Path, folder: &Path, options: &Options) -> Result<Filled> {
    #[derive(Deserialize)]
    struct Created {
        secret: String,
    }
    let start = Instant::now();
    let site = Site::create(doorward, folder, options.postgres.clone()).await?;
    let rights = "--scope keys:read --scope keys:write --never-expires";
    let created: Created = site.command(&format!("key create --name bench --api doorward {rights}")).await?;
    let store = site.store().await?;
    fill::keys(&site, &store, options.keys).await?;
    settle(&site, &store).await?;
    store.close().await;
    let filled = Filled {
        keys: options.keys,
        postgres: options.postgres.clone(),
        port: site.port(),
        api: site.api.clone(),
        management_key: created.secret,
        authorization: site.api.basic(),
        seconds: start.elapsed().as_secs_f64(),
    };
    let mut sample = std::io::BufWriter::new(fs::File::create(folder.join(SAMPLE))?);
    let sampled = SAMPLED.min(usize::try_from(options.keys)?.saturating_mul(10));
    for number in filled.at_random(OF_SAMPLE).take(sampled) {
        writeln!(sample, "{}", fill::key(number))?;
    }
    sample.flush()?;
    fs::write(folder.join(FILLED), serde_json::to_string(&filled)?)?;
    Ok(filled)
}

const FILLED: &str = "filled.json";
/// Keys at random, one a line, for loads over HTTP.
const SAMPLE: &str = "keys.txt";
/// More than a load asks for.
const SAMPLED: usize = 1_000_000;
const OF_SAMPLE: u64 = 1;
