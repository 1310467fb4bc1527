//! What API keys cost with few and with many of them in the database. `cargo xtask bench keys` runs each part in a process
//! of its own, on the core where it belongs.
//!
//! The parts share a folder: [`fill`] leaves in it what the others need.

mod fill;
mod in_process;
mod management;
mod memory;
mod opened;
mod revocation;

use std::path::Path;

use anyhow::Result;
use serde::Serialize;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Part {
    /// Create a server's data and fill it with keys
    Fill(fill::Options),
    /// Verify keys with a guard in the process of the server
    InProcess(in_process::Options),
    /// List all keys a page at a time, and create many; the server must be running
    Management(management::Options),
    /// Print the memory after verifying keys that the cache has room for, or not
    Memory(memory::Options),
    /// Revoke keys that a guard in this process uses; the server must be running
    Revocation(revocation::Options),
}

pub(crate) fn run(doorward: &Path, folder: &Path, part: &Part) -> Result<()> {
    // One thread: what is measured has one core. What the server does beside needs a thread too, or else it would wait until
    // a measurement is over.
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if !matches!(part, Part::Fill(_)) {
        runtime.worker_threads(1);
    }
    let runtime = runtime.enable_all().build()?;
    runtime.block_on(async {
        match part {
            Part::Fill(options) => print(&fill::fill(doorward, folder, options).await?),
            Part::InProcess(options) => print(&in_process::measure(folder, options).await?),
            Part::Management(options) => print(&management::measure(folder, options).await?),
            Part::Memory(options) => print(&memory::measure(folder, options).await?),
            Part::Revocation(options) => print(&revocation::measure(folder, options).await?),
        }
    })
}

fn print(figures: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string(figures)?);
    Ok(())
}
