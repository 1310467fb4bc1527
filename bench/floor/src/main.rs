//! What no authorization server on this machine can pass: the same request and answer without the work in between, and
//! the signature alone.
//!
//! `doorward-bench-floor serve` answers `POST /token`; `doorward-bench-floor signatures SECONDS` signs and verifies.
//! Each prints one line of JSON.

#![forbid(unsafe_code)]

mod serve;
mod signatures;

use std::{error::Error, time::Duration};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve"] => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(serve::serve())
        }
        ["signatures", seconds] => signatures::measure(Duration::try_from_secs_f64(seconds.parse()?)?),
        _ => Err("usage: doorward-bench-floor serve | signatures SECONDS".into()),
    }
}
