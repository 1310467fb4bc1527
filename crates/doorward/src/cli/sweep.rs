//! `doorward sweep`

use clap::Args;
use doorward_server::{App, tasks};
use serde_json::json;

use crate::{failure::Failure, output::Output};

#[derive(Args, Debug)]
pub(super) struct SweepArgs {
    /// Trust this machine's clock although it is further ahead than a server would accept
    #[arg(long)]
    trust_clock: bool,
}

pub(super) async fn run(args: SweepArgs, app: &App, output: Output) -> Result<(), Failure> {
    if args.trust_clock {
        app.trust_clock().await?;
    }
    if !tasks::sweep_all(app).await? {
        let why = "this machine's clock is implausibly far ahead of the last time that a server saw. Nothing was deleted. \
                   Set the clock, or use --trust-clock if it is right";
        return Err(Failure::NotDone(why.to_owned()));
    }
    output.print(&json!({"swept": true}), || "Expired data was deleted.".to_owned())
}
