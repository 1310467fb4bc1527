//! `doorward explain TRACE_ID`, and the page of all denials.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::PathBuf,
    time::Duration,
};

use clap::Args;
use doorward_core::{clock::Timestamp, denial::Denial, text::presentable, trace::TraceId};
use doorward_server::{
    App,
    manage::audit::{self, Explained, Story},
};
use serde_json::Value;

use super::log_line;
use crate::{
    failure::Failure,
    output::{Output, time, warn},
};

/// How long to wait for a trace that began a moment ago and is not there yet: refusals are written within a second.
const PATIENCE: Duration = Duration::from_millis(2_500);
/// The longest line of a log that is read.
const LONGEST_LINE: u64 = 1 << 20;

#[derive(Args, Debug)]
pub(super) struct ExplainArgs {
    /// The `trace_id` of the answer, the reference on the page, or a whole `traceparent`
    trace_id: String,
    /// Look in this log of an API's guard instead of in the server's audit
    #[arg(long, value_name = "FILE")]
    pub(super) log: Option<PathBuf>,
    /// How many events to show. A caller can give many requests one trace id
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
}

pub(super) async fn run(args: ExplainArgs, app: &App, output: Output) -> Result<(), Failure> {
    let id = parse(&args.trace_id)?;
    let trace_id = id.to_string();
    let mut story = audit::explain(app, &trace_id, args.limit).await?;
    // Only a new id may be on its way.
    while story.events.is_empty() && is_fresh(id, app.now()) {
        tokio::time::sleep(Duration::from_millis(250)).await;
        story = audit::explain(app, &trace_id, args.limit).await?;
    }
    tell(story, &trace_id, output)
}

/// Whether a trace id is so new that its refusal may not be written yet. An id of another program has no time in it.
fn is_fresh(id: TraceId, now: Timestamp) -> bool {
    let made_at = id.made_at();
    made_at <= now.plus(PATIENCE) && now.since(made_at) < PATIENCE
}

/// Reads the log of an API whose guard delivers to no server.
pub(super) fn from_log(args: ExplainArgs, output: Output) -> Result<(), Failure> {
    let trace_id = parse(&args.trace_id)?;
    let path = args.log.unwrap_or_default();
    let unreadable = |error| Failure::system(&path.display().to_string(), error);
    let mut log = BufReader::new(File::open(&path).map_err(unreadable)?);
    let (mut story, mut line) = (Story::default(), Vec::new());
    loop {
        line.clear();
        let read = std::io::Read::take(&mut log, LONGEST_LINE).read_until(b'\n', &mut line).map_err(unreadable)?;
        if read == 0 {
            break;
        }
        for event in log_line::events(&String::from_utf8_lossy(&line), trace_id) {
            match story.events.len() < args.limit as usize {
                true => story.events.push(Explained::from(event)),
                false => story.more += 1,
            }
        }
    }
    tell(story, &trace_id.to_string(), output)
}

fn parse(text: &str) -> Result<TraceId, Failure> {
    TraceId::read(text).map_err(|error| Failure::Usage(error.to_string()))
}

fn tell(story: Story, trace_id: &str, output: Output) -> Result<(), Failure> {
    let Story { events, more } = story;
    if events.is_empty() {
        return Err(Failure::NotDone(format!(
            "nothing is known of {trace_id}. Refusals are written within a second and kept for the audit's retention. \
             Floods of equal ones and requests for unknown addresses are only counted, and tokens are summed up after a \
             while. A guard elsewhere may have logged it: see --log."
        )));
    }
    output.print(&events, || events.iter().map(describe).collect::<Vec<_>>().join("\n"))?;
    if more > 0 {
        let shown = events.len();
        warn(&format!("{more} more events have this trace id; these are the oldest {shown}. See --limit."));
    }
    Ok(())
}

/// One event, for people.
pub(super) fn describe(event: &Explained) -> String {
    let text = |name: &str| event.details.get(name).and_then(Value::as_str).unwrap_or_default();
    let mut lines = Vec::new();
    let mut add = |name: &str, value: String| {
        if !value.is_empty() {
            lines.push(format!("  {name:<10} {}", presentable(&value)));
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
    add("answer", event.detail.clone().unwrap_or_default().into_owned());
    add("cause", event.cause.unwrap_or_default().to_owned());
    add("remedy", event.remedy.unwrap_or_default().to_owned());
    for (name, value) in event.details.iter().filter(|(name, _)| !matches!(name.as_str(), "method" | "path" | "at")) {
        add("fact", format!("{name} = {}", fact(name, value.as_str().unwrap_or_default())));
    }
    if event.count > 1 {
        add("count", format!("{} equal events", event.count));
    }
    format!("{}  {what}\n{}\n", time(event.at), lines.join("\n"))
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
        "# Denials\n\nEvery refusal of Doorward is one of this list. `doorward denials` prints this page. \
         The caller gets the status, the code and the sentence, with a `trace_id`; `doorward explain TRACE_ID` shows the \
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
