//! What commands print: tables for people, JSON for programs.

use std::io::{self, Write};

use comfy_table::{Table, presets};
use doorward_core::clock::Timestamp;
pub(crate) use doorward_server::manage::times::rfc3339 as time;
use serde::Serialize;

/// How a command prints.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// Whether JSON was asked for.
    pub(crate) json: bool,
}

impl Output {
    /// Prints JSON if that was asked for, else what `human` writes.
    pub(crate) fn print(self, value: &impl Serialize, human: impl FnOnce() -> String) {
        let text = match self.json {
            true => serde_json::to_string(value).expect("a value of views, numbers and text with text as names"),
            false => human(),
        };
        line(text.trim_end());
    }
}

/// Writes a line to standard output. A reader that went away is no failure of the command.
pub(crate) fn line(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// A table with a row for each entry.
pub(crate) fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    let mut is_empty = true;
    for row in rows {
        table.add_row(row);
        is_empty = false;
    }
    if is_empty { "(none)".to_owned() } else { table.trim_fmt() }
}

/// Names with their values, one a line; those without a value are left out.
pub(crate) fn fields(fields: &[(&str, String)]) -> String {
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let shown = fields.iter().filter(|(_, value)| !value.is_empty());
    shown.map(|(name, value)| format!("{name:width$}  {value}\n")).collect()
}

/// A time in RFC 3339, or a word instead.
pub(crate) fn time_or(at: Option<Timestamp>, instead: &str) -> String {
    at.map_or_else(|| instead.to_owned(), time)
}
