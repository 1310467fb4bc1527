//! npm's better-auth with its API-key plugin, in one process of Node.js on the servers' core.

use anyhow::Result;
use serde::Deserialize;

use super::{
    Programs,
    lines::{Lines, Target, Unit},
};
use crate::bench::{pinned, report::thousands};

pub(super) fn measure(programs: &Programs<'_>, keys: u64, lines: &mut Lines) -> Result<()> {
    #[derive(Deserialize)]
    struct Figures {
        seconds: f64,
        hot: Quantiles,
        random: Quantiles,
        unknown: Quantiles,
    }
    #[derive(Deserialize)]
    struct Quantiles {
        p50_ns: f64,
        p99_ns: f64,
    }
    let folder = tempfile::Builder::new().prefix("better-auth-").tempdir_in(programs.folder)?;
    let database = folder.path().join("keys.db");
    let (script, keys) = (programs.target("bench/better-auth/verify.mjs"), keys.to_string());
    println!("filling better-auth: {keys} keys");
    let figures: Figures = pinned::figures(&["node", &script, &database.to_string_lossy(), &keys])?;
    println!("filled in {:.0} s", figures.seconds);
    let keys = thousands(keys.parse()?);
    for (what, found) in [("hot", &figures.hot), ("at random", &figures.random), ("unknown key", &figures.unknown)] {
        let what = format!("better-auth, SQLite, {keys} keys: verify in process, {what}");
        lines.add(format!("{what}, p50"), found.p50_ns / 1e3, Unit::Microseconds, Target::None);
        lines.add(format!("{what}, p99"), found.p99_ns / 1e3, Unit::Microseconds, Target::None);
    }
    Ok(())
}
