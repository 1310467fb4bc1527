//! Benchmarks that need the store itself. `cargo xtask bench` runs them.
//!
//! `doorward-bench-store limits` measures how fast bare SQLite commits the rows that Doorward writes.
//! `doorward-bench-store scale` measures whether Doorward's cost stays flat as rows grow.
//! `doorward-bench-store keys` fills a database with API keys, and measures what verifying and managing them costs.

#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a benchmark reports on standard output")]

mod caller;
mod fill;
mod keys;
mod limits;
mod load;
mod scale;
mod sign_in;
mod site;
mod template;

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;
use mimalloc::MiMalloc;

/// The allocator of the program that is shipped, since memory is measured.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[derive(Debug, Parser)]
#[command(about = "Benchmarks that need the store itself")]
struct Options {
    /// The program to measure
    #[arg(long)]
    doorward: PathBuf,
    /// An empty folder for the data
    #[arg(long)]
    folder: PathBuf,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Fill a database with API keys, or measure one part of what they cost; prints one line of JSON
    #[command(subcommand)]
    Keys(keys::Part),
    /// Print how long bare SQLite takes for the rows of each durable answer, as one line of JSON
    Limits(limits::Options),
    /// Print how the cost of requests grows with the number of rows, as Markdown
    Scale(scale::Options),
}

fn main() -> Result<()> {
    let Options { doorward, folder, what } = Options::parse();
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match what {
        What::Keys(part) => keys::run(&doorward, &folder, &part),
        What::Limits(options) => runtime()?.block_on(limits::measure(&doorward, &folder, &options)),
        What::Scale(options) => runtime()?.block_on(scale::measure(&doorward, &folder, &options)),
    }
}
