//! `doorward audit …`

use std::time::Duration;

use clap::{Args, Subcommand};
use doorward_server::{App, audit::explain};

use super::explain::describe;
use crate::{
    failure::Failure,
    output::{Output, line},
};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// The newest events
    Tail(TailArgs),
}

#[derive(Args, Debug)]
pub(super) struct TailArgs {
    /// So many
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    lines: u32,
    /// Only about this id, as doer or as done to
    #[arg(long, value_name = "ID")]
    about: Option<String>,
    /// Go on with new events until Ctrl-C
    #[arg(short, long)]
    follow: bool,
}

pub(super) async fn run(verb: Verb, app: &App, output: Output) -> Result<(), Failure> {
    let Verb::Tail(args) = verb;
    let mut after = None;
    loop {
        let limit = if after.is_none() { i64::from(args.lines) } else { 1_000 };
        for (id, event) in explain::tail(app, after.clone(), args.about.clone(), limit).await? {
            match output.json {
                true => line(&serde_json::to_string(&event).unwrap_or_default()),
                false => line(describe(&event).trim_end()),
            }
            after = Some(id);
        }
        if !args.follow {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        after = after.or_else(|| Some(String::new()));
    }
}
