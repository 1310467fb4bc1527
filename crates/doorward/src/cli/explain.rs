//! `doorward explain TRACE_ID`, and the page of all denials.

use std::{fs, path::PathBuf, time::Duration};

use clap::Args;
use doorward_core::{clock::Timestamp, denial::Denial, event::RefusalEvent, trace::TraceId};
use doorward_server::{
    App,
    manage::audit::{self, Explained},
};
use serde_json::Value;

use crate::{
    failure::Failure,
    output::{Output, time},
};

/// How long to wait for a trace that is not there yet: refusals are written within a second.
const PATIENCE: Duration = Duration::from_millis(2_500);

#[derive(Args, Debug)]
pub(super) struct ExplainArgs {
    /// The `trace_id` of the answer, or the reference on the page
    trace_id: String,
    /// Look in this log of an API's guard instead of in the server's audit
    #[arg(long, value_name = "FILE")]
    pub(super) log: Option<PathBuf>,
}

pub(super) async fn run(args: ExplainArgs, app: &App, output: Output) -> Result<(), Failure> {
    let trace_id = parse(&args.trace_id)?.to_string();
    let mut story = audit::explain(app, &trace_id).await?;
    let mut waited = Duration::ZERO;
    while story.is_empty() && waited < PATIENCE {
        tokio::time::sleep(Duration::from_millis(250)).await;
        waited += Duration::from_millis(250);
        story = audit::explain(app, &trace_id).await?;
    }
    tell(story, &trace_id, output)
}

/// Reads the JSON lines that a guard logs where it delivers to no server.
pub(super) fn from_log(args: ExplainArgs, output: Output) -> Result<(), Failure> {
    let trace_id = parse(&args.trace_id)?;
    let path = args.log.unwrap_or_default();
    let log = fs::read_to_string(&path).map_err(|error| Failure::system(&path.display().to_string(), error))?;
    let mut story = Vec::new();
    for line in log.lines().filter(|line| line.contains(&trace_id.to_string())) {
        // The event stands alone, or inside a line of a JSON log.
        let Some(start) = line.find('{') else { continue };
        let Ok(value) = serde_json::from_str::<Value>(&line[start..]) else { continue };
        let nested = value.get("event").or_else(|| value.get("message")).and_then(Value::as_str);
        let event = serde_json::from_value(value.clone()).ok();
        let event: Option<RefusalEvent> = event.or_else(|| serde_json::from_str(nested?).ok());
        story.extend(event.filter(|event| event.trace_id == trace_id).map(Explained::from));
    }
    tell(story, &trace_id.to_string(), output)
}

fn parse(text: &str) -> Result<TraceId, Failure> {
    TraceId::parse(text.trim()).map_err(|error| Failure::Usage(error.to_string()))
}

fn tell(story: Vec<Explained>, trace_id: &str, output: Output) -> Result<(), Failure> {
    if story.is_empty() {
        return Err(Failure::NotDone(format!(
            "nothing is known of {trace_id}. Refusals are kept for the audit's retention; in a flood of equal ones the \
             rest are only counted. A guard elsewhere may have logged it: see --log."
        )));
    }
    output.print(&story, || story.iter().map(describe).collect::<Vec<_>>().join("\n"))?;
    Ok(())
}

/// One event, for people.
pub(super) fn describe(event: &Explained) -> String {
    let text = |name: &str| event.details.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut lines = Vec::new();
    let mut add = |name: &str, value: String| {
        if !value.is_empty() {
            lines.push(format!("  {name:<10} {value}"));
        }
    };
    let what = match (&event.code, event.status) {
        (Some(code), Some(status)) => format!("{} {status} {code}", event.action),
        (Some(code), None) => format!("{} {code}", event.action),
        _ => event.action.clone(),
    };
    add("request", format!("{} {}", text("method"), text("path")).trim().to_owned());
    add("where", text("at").to_owned());
    add("from", event.address.clone().unwrap_or_default());
    add("by", event.actor.clone().unwrap_or_default());
    add("about", event.subject.clone().unwrap_or_default());
    add("told", event.told.clone().unwrap_or_default().into_owned());
    add("cause", event.cause.unwrap_or_default().to_owned());
    add("remedy", event.remedy.unwrap_or_default().to_owned());
    for (name, value) in event.details.iter().filter(|(name, _)| !matches!(name.as_str(), "method" | "path" | "at")) {
        add("fact", format!("{name} = {}", fact(name, value.as_str().unwrap_or_default())));
    }
    if event.count > 1 {
        add("count", format!("{} equal events", event.count));
    }
    format!("{}  {what}\n{}\n", time(event.at()), lines.join("\n"))
}

/// The value of a fact; a time as people write it.
fn fact(name: &str, value: &str) -> String {
    let is_time = name.ends_with("_at") || matches!(name, "exp" | "valid_from");
    match value.parse() {
        Ok(secs) if is_time => time(Timestamp::from_secs(secs)),
        _ => value.to_owned(),
    }
}

/// The page of all denials for the documentation.
pub(super) fn page_of_denials() -> String {
    let mut page = String::from(
        "# Denials\n\nEvery refusal of Doorward is one of this list; this page is made from it by `doorward denials`. \
         The caller gets the status, the code and the sentence, with a `trace_id`; `doorward explain TRACE_ID` tells the \
         operator the cause and the remedy. Where a code is shown as another, the caller must not learn which it was.\n",
    );
    for denial in Denial::ALL {
        let shown = if denial.hides_cause() { format!(", shown as `{}`", denial.shown_as()) } else { String::new() };
        let error =
            if denial.error().is_empty() { String::new() } else { format!(", OAuth error `{}`", denial.error()) };
        page.push_str(&format!(
            "\n## {}\n\nStatus {}{error}{shown}.\n\n> {}\n\nCause: {}\n\nRemedy: {}\n",
            denial.code(),
            denial.status(),
            denial.sentence(),
            denial.cause(),
            denial.remedy(),
        ));
    }
    page
}
