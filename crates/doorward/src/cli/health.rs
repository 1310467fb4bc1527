//! `doorward health`: the health check of a container or a script, with nothing but this program.

use std::{net::SocketAddr, process::ExitCode};

use clap::Args;
use serde_json::{Value, json};

use crate::{
    config::Config,
    data::Place,
    failure::Failure,
    output::{Output, fields},
    probe::{self, Target},
    serve,
};

#[derive(Args, Debug)]
pub(super) struct HealthArgs {
    /// Check only that the process is alive, not that it can serve requests
    #[arg(long)]
    live: bool,
    /// Use this address instead of the first one in the configuration
    #[arg(long, value_name = "IP:PORT")]
    address: Option<SocketAddr>,
}

/// Asks the running server. Exits with 0 if it is healthy and 1 if it is not.
pub(super) fn run(args: &HealthArgs, place: &Place, output: Output) -> Result<ExitCode, Failure> {
    let Config { program, server, .. } = place.configuration()?;
    let first = program.addresses.first().copied();
    let Some(address) = args.address.or(first.map(probe::reachable)) else {
        return Err(Failure::Usage("listen.address is empty: give the address with --address IP:PORT".to_owned()));
    };
    let is_tls = program.tls.is_some();
    let speak_proxy_protocol = if program.proxy_protocol { server.trusted_proxies } else { Vec::new() };
    let target = Target { address, is_tls, speak_proxy_protocol };
    let asked = if args.live { "/health/live" } else { "/health/ready" };
    let answer = serve::runtime(1)?
        .block_on(probe::get(&target, asked))
        .map_err(|error| Failure::System(format!("the server at {address} can't be reached: {error}")))?;
    let told = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
    let view = json!({ "address": address, "status": answer.status.as_u16(), "answer": told });
    output.print(&view, || match &told["checks"] {
        Value::Object(checks) => {
            let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let checks: Vec<_> = checks.iter().map(|(name, state)| (name.as_str(), word(state))).collect();
            format!("{}\n{}", told["status"].as_str().unwrap_or("unknown"), fields(&checks))
        }
        _ => format!("status {}", answer.status.as_u16()),
    })?;
    Ok(if answer.status.is_success() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
