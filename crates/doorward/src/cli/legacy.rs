//! `doorward legacy …`

use std::collections::BTreeSet;

use clap::{Args, Subcommand};
use doorward_server::{
    App,
    actor::Actor,
    manage::legacy::{self, LegacyUseView},
};
use serde_json::json;

use super::every;
use crate::{
    failure::Failure,
    output::{Output, table, time},
};

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Show which keys still come by a legacy way, from where and when last, and how many are left
    Report(ReportArgs),
}

#[derive(Args, Debug)]
pub(super) struct ReportArgs {
    /// Only keys at this API
    #[arg(long)]
    api: Option<String>,
}

pub(super) async fn run(verb: Verb, app: &App, actor: &Actor, output: Output) -> Result<(), Failure> {
    let Verb::Report(ReportArgs { api }) = verb;
    let api = api.as_deref();
    let uses = every(async |after, limit| legacy::list(app, actor, api, after, limit).await).await?;
    let left = uses.iter().filter(|used| used.is_left).map(|used| &used.key).collect::<BTreeSet<_>>().len();
    output.print(&json!({"uses": uses, "keys_left": left}), || {
        let row = |used: &LegacyUseView| {
            let key = format!("{} ({})", used.name, used.hint);
            let from = used.network.clone().unwrap_or_else(|| "several networks".to_owned());
            let state = if used.is_left { "can be used" } else { "ended" };
            let (way, count) = (used.way.to_string(), used.count.to_string());
            [key, used.route.clone(), way, from, count, time(used.last_used_at), state.to_owned(), used.key.to_string()]
        };
        let header = ["KEY", "ROUTE", "WAY", "FROM", "USES", "LAST USE", "STATE", "ID"];
        let left = match left {
            0 => "No key is left.".to_owned(),
            1 => "1 key is left.".to_owned(),
            left => format!("{left} keys are left."),
        };
        format!("{}\n\n{left}", table(header, uses.iter().map(row)))
    })
}
