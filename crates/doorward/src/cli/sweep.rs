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
        let why = "this machine's clock is further ahead than time can have passed since a server last looked at it: \
                   nothing was removed. Set it right, or say that it is right with --trust-clock";
        return Err(Failure::NotDone(why.to_owned()));
    }
    output.print(&json!({"swept": true}), || "What has ended is removed.".to_owned())
}
