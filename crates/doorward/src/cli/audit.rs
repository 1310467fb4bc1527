//! `doorward audit …`

use std::{collections::BTreeSet, time::Duration};

use clap::{Args, Subcommand};
use doorward_core::id::AuditId;
use doorward_server::{App, manage::audit};

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
    /// How many events
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    lines: u32,
    /// Only events whose actor or subject has this id
    #[arg(long, value_name = "ID")]
    about: Option<String>,
    /// Go on with new events until Ctrl-C
    #[arg(short, long)]
    follow: bool,
}

/// How far back each look goes: refusals are written up to a second after state changes that came later.
const OVERLAP: Duration = Duration::from_secs(5);

pub(super) async fn run(verb: Verb, app: &App, output: Output) -> Result<(), Failure> {
    let Verb::Tail(args) = verb;
    let mut told = BTreeSet::new();
    let mut events = audit::tail(app, None, args.about.clone(), i64::from(args.lines)).await?;
    loop {
        for (id, event) in events {
            if told.insert(id) {
                line(&match output.json {
                    true => serde_json::to_string(&event).expect("an event is numbers, texts and times"),
                    false => describe(&event).trim_end().to_owned(),
                })?;
            }
        }
        if !args.follow {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        let since = AuditId::floor(app.now().minus(OVERLAP));
        told = told.split_off(&since);
        events = audit::tail(app, Some(since), args.about.clone(), 1_000).await?;
    }
}
