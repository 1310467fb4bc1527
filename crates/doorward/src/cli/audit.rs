//! `doorward audit …`

use std::{collections::BTreeSet, time::Duration};

use clap::{Args, Subcommand};
use doorward_core::{clock::Timestamp, denial::Denial, id::AuditId};
use doorward_server::{App, manage::audit};
use doorward_store::audit::{AuditAction, AuditFilter, UnknownAction, read_address};
use ipnet::IpNet;

use super::{explain::describe, moment::Moment};
use crate::{
    failure::Failure,
    output::{Output, line, warn},
};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// The newest events
    Tail(TailArgs),
}

#[derive(Args, Debug)]
pub(super) struct TailArgs {
    /// How many events, at most
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    lines: u32,
    #[command(flatten)]
    filter: FilterArgs,
    /// Only events older than the one with this ID, to continue a search
    #[arg(long, value_name = "ID", value_parser = AuditId::parse)]
    before: Option<AuditId>,
    /// Show new events as they are recorded, until Ctrl-C
    #[arg(short, long, conflicts_with_all = ["before", "until"])]
    follow: bool,
}

/// Which events: those that match every flag.
#[derive(Args, Debug)]
struct FilterArgs {
    /// Only events whose actor or subject has this ID; for a grant, also those of its tokens
    #[arg(long, value_name = "ID")]
    about: Option<String>,
    /// Only this action, for example client.created
    #[arg(long, value_name = "ACTION", value_parser = action)]
    action: Option<AuditAction>,
    /// Only refusals with this code, for example password_wrong; `doorward denials` lists the codes
    #[arg(long, value_name = "CODE", value_parser = code)]
    code: Option<Denial>,
    /// Only events recorded at this time or later: a time as in 2026-11-28T14:00:00Z, or how long ago, as in 2h
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Only events recorded before this time
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
    /// Only what was done by this ID, or by this os:… of a command on the server's machine, as events show it
    #[arg(long, value_name = "ID")]
    actor: Option<String>,
    /// Only what was done to this ID
    #[arg(long, value_name = "ID")]
    subject: Option<String>,
    /// Only events from this IP address or network, for example 192.0.2.7 or 2001:db8::/64
    #[arg(long, value_name = "ADDRESS", value_parser = read_address)]
    address: Option<IpNet>,
}

impl FilterArgs {
    fn at(self, now: Timestamp) -> Result<AuditFilter, Failure> {
        let [since, until] = [self.since, self.until].map(|moment| moment.map(|moment| moment.at(now)));
        if since.zip(until).is_some_and(|(since, until)| since >= until) {
            return Err(Failure::Usage("--since must be earlier than --until".to_owned()));
        }
        let Self { about, action, code, actor, subject, address, .. } = self;
        Ok(AuditFilter { about, action, code, actor, subject, address, since, until })
    }
}

/// Without it, clap would take any word as an action of a newer program.
fn action(text: &str) -> Result<AuditAction, UnknownAction> {
    text.parse()
}

fn code(text: &str) -> Result<Denial, &'static str> {
    Denial::from_code(text).ok_or("not a code of a refusal. `doorward denials` lists them")
}

/// How far back each look goes: refusals are written up to a second after state changes that came later.
const OVERLAP: Duration = Duration::from_secs(5);

pub(super) async fn run(verb: Verb, app: &App, output: Output) -> Result<(), Failure> {
    let Verb::Tail(args) = verb;
    let filter = args.filter.at(app.now())?;
    let mut shown = BTreeSet::new();
    let lines = args.lines as usize;
    let mut found = audit::tail(app, &filter, None, args.before, lines).await?;
    let unfinished = found.next.take().filter(|_| found.events.len() < lines);
    let searched = found.looked_at;
    loop {
        for event in found.events {
            let Some(id) = &event.id else { continue };
            if shown.insert(id.to_string()) {
                line(&match output.json {
                    true => serde_json::to_string(&event).expect("an event is numbers, texts and times"),
                    false => describe(&event).trim_end().to_owned(),
                })?;
            }
        }
        if !args.follow {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        let since = AuditId::floor(app.now().minus(OVERLAP));
        shown = shown.split_off(&since);
        found = audit::tail(app, &filter, Some(since), None, 1_000).await?;
    }
    if let Some(id) = unfinished {
        warn(&format!("older events may match: {searched} events were searched. Continue with --before {id}"));
    }
    Ok(())
}
