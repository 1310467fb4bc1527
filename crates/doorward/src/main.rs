//! The program: command line, configuration, wiring. Nothing here decides anything.
#![forbid(unsafe_code)]

mod belonging;
mod certificate;
mod cli;
mod collector;
mod config;
mod data;
mod demo;
mod failure;
mod init;
mod listening;
mod logging;
mod os_user;
mod output;
mod probe;
mod reload;
mod scan;
mod serve;
#[cfg_attr(not(feature = "otlp"), path = "traces_off.rs")]
mod traces;

use std::process::ExitCode;

use mimalloc::MiMalloc;

// A request makes some fifty small allocations; the platform's allocator takes a tenth of its time for them.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let cli = match cli::Cli::read() {
        Ok(cli) => cli,
        Err(error) => return cli::refuse(&error),
    };
    let output = cli.output();
    match cli::run(cli) {
        Ok(code) => code,
        Err(failure) => failure.report(output),
    }
}
