//! Logs: to standard error, as text or JSON.

use tracing_subscriber::{EnvFilter, fmt};

use crate::config::settings::{LogFormat, LogLevel, Program};

/// Begins to log. `RUST_LOG` wins over the configured level.
pub(crate) fn begin(program: &Program) {
    let level = match program.log_level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    begin_at(level, matches!(program.log_format, LogFormat::Json));
}

/// Begins to log at a level.
pub(crate) fn begin_at(level: &str, json: bool) {
    // Libraries below us log parts of requests at debug: only our own targets go that low.
    let ours = ["doorward", "doorward_server", "doorward_store", "doorward_guard", "doorward_notes"];
    let default: Vec<String> = ours.iter().map(|target| format!("{target}={level}")).collect();
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(format!("warn,{}", default.join(","))));
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let begun = match json {
        true => builder.json().flatten_event(true).try_init(),
        false => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
    };
    // Only a second call in one process fails, and then logs are on already.
    drop(begun);
}
