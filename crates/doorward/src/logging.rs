//! Logs: to standard error, as text or JSON.
//!
//! Easy to get wrong: standard error can be a full disk, a pipe that nobody reads, or one that is read too slowly. A thread
//! of its own writes, from a bounded queue: a line may be lost, and nothing else waits or fails.

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{EnvFilter, Layer, fmt, layer::SubscriberExt, reload, util::SubscriberInitExt};

use crate::{
    collector,
    config::settings::{LogFormat, LogLevel, Program},
    traces::Traces,
};

/// Lines that may wait to be written.
const WAITING: usize = 8_192;

/// The log of this process. Writes the lines that wait when it is dropped, as far as that is possible within a second.
#[must_use = "what waits is written when this is dropped"]
pub(crate) struct Logging {
    set_filter: Option<Box<dyn Fn(EnvFilter) -> bool + Send + Sync>>,
    _worker: WorkerGuard,
    _traces: Option<Traces>,
}

impl Logging {
    /// Changes the level. Returns whether it could: `RUST_LOG` overrides it.
    pub(crate) fn set_level(&self, level: LogLevel) -> bool {
        self.set_filter.as_ref().is_some_and(|set| set(filter(word(level))))
    }
}

/// Begins to log. `RUST_LOG` wins over the configured level.
pub(crate) fn begin(program: &Program) -> Logging {
    begin_at(word(program.log_level), matches!(program.log_format, LogFormat::Json))
}

/// Begins to log at a level, and to send traces if a collector is named.
pub(crate) fn begin_at(level: &str, json: bool) -> Logging {
    let traces = Traces::begin();
    let given = EnvFilter::try_from_default_env().ok();
    let may_change = given.is_none();
    let (writer, worker) = NonBlockingBuilder::default()
        .buffered_lines_limit(WAITING)
        .thread_name("doorward-log")
        .finish(std::io::stderr());
    let (filter, handle) = reload::Layer::new(given.unwrap_or_else(|| filter(level)));
    let set_filter = Box::new(move |filter| handle.reload(filter).is_ok()) as Box<dyn Fn(_) -> bool + Send + Sync>;
    // What can't be written must not be complained about on the same stream: that would panic.
    let lines = fmt::layer().with_writer(writer).log_internal_errors(false);
    let lines = match json {
        true => lines.json().flatten_event(true).boxed(),
        false => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed(),
    };
    // The level is the log's alone: spans are not its business.
    let traced = traces.as_ref().map(Traces::layer);
    let begun = tracing_subscriber::registry().with(traced).with(lines.with_filter(filter)).try_init();
    // Only a second call in one process fails, and then logs are on already.
    drop(begun);
    collector::warn();
    Logging { set_filter: may_change.then_some(set_filter), _worker: worker, _traces: traces }
}

fn word(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    }
}

/// Libraries below us log parts of requests at debug: only our own targets go that low.
fn filter(level: &str) -> EnvFilter {
    let ours = ["doorward", "doorward_server", "doorward_store", "doorward_guard", "doorward_listen", "doorward_notes"];
    let ours: Vec<String> = ours.iter().map(|target| format!("{target}={level}")).collect();
    EnvFilter::new(format!("warn,{}", ours.join(",")))
}
