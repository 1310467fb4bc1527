//! The program: command line, configuration, wiring. Nothing here decides anything.
#![forbid(unsafe_code)]

mod cli;
mod config;
mod data;
mod demo;
mod failure;
mod init;
mod logging;
mod output;
mod serve;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match cli::run(cli) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}
