//! What commands print: tables for people, JSON for programs.
//!
//! Easy to get wrong: standard output can be a full disk or a pipe that nobody reads. A command that could not print
//! has failed, and a secret is printed before the thing that it belongs to is created, so that it can't be lost.

use std::io::{self, Write};

use comfy_table::{Table, presets};
use doorward_core::{clock::Timestamp, text::presentable};
pub(crate) use doorward_server::manage::times::rfc3339 as time;
use serde::Serialize;

use crate::failure::Failure;

/// How a command prints.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// Whether JSON was asked for.
    pub(crate) json: bool,
}

impl Output {
    /// Prints JSON if that was asked for, else what `human` writes. A reader that has read enough and went away is no
    /// failure of the command.
    pub(crate) fn print(self, value: &impl Serialize, human: impl FnOnce() -> String) -> Result<(), Failure> {
        match line(self.text(value, human).trim_end()) {
            Err(Failure::ReaderGone) => Ok(()),
            printed => printed,
        }
    }

    /// Prints what can be shown once only. Here a reader that went away is a failure too.
    pub(crate) fn print_once(self, value: &impl Serialize, human: impl FnOnce() -> String) -> Result<(), Failure> {
        if is_closed() {
            return Err(Failure::System("standard output is closed. Nothing was changed".to_owned()));
        }
        write(self.text(value, human).trim_end()).map_err(|error| not_written(&error, ". Nothing was changed"))
    }

    fn text(self, value: &impl Serialize, human: impl FnOnce() -> String) -> String {
        match self.json {
            true => serde_json::to_string(value).expect("a value of views, numbers and text with text as names"),
            false => shown(&human()),
        }
    }
}

/// Writes a line to standard output.
///
/// # Errors
/// [`Failure::ReaderGone`], which ends a command that would continue, without being a failure.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    write(text).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::ReaderGone,
        _ => not_written(&error, ""),
    })
}

/// Says something beside the result, which programs read. A closed standard error leaves nobody to tell.
pub(crate) fn warn(text: &str) {
    let _ = writeln!(io::stderr(), "warning: {text}");
}

/// Says how a command went, for people only: programs read the result.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Whether the process was started without a standard output. Then the runtime has put the null device in its place, for
/// reading and writing; who discards the output on purpose opens it for writing.
fn is_closed() -> bool {
    let out = io::stdout();
    let is_null = rustix::fs::fstat(&out).is_ok_and(|found| {
        std::fs::metadata("/dev/null").is_ok_and(|null| std::os::unix::fs::MetadataExt::rdev(&null) == found.st_rdev)
    });
    is_null && rustix::fs::fcntl_getfl(&out).is_ok_and(|flags| flags.contains(rustix::fs::OFlags::RDWR))
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush())
}

fn not_written(error: &io::Error, consequence: &str) -> Failure {
    Failure::System(format!("standard output can't be written: {error}{consequence}"))
}

/// A table with a row for each entry.
pub(crate) fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    let mut is_empty = true;
    for row in rows {
        table.add_row(row.map(|cell| shown(&cell)));
        is_empty = false;
    }
    if is_empty { "(none)".to_owned() } else { table.trim_fmt() }
}

/// Names with their values, one a line; those without a value are left out.
pub(crate) fn fields(fields: &[(&str, String)]) -> String {
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let given = fields.iter().filter(|(_, value)| !value.is_empty());
    given.map(|(name, value)| format!("{name:width$}  {}\n", shown(value))).collect()
}

/// A text of any origin, in a form that is safe for a terminal. Line breaks stay: only our own texts have them.
pub(crate) fn shown(text: &str) -> String {
    text.split('\n').map(presentable).collect::<Vec<_>>().join("\n")
}

/// A time in RFC 3339, or a word instead.
pub(crate) fn time_or(at: Option<Timestamp>, instead: &str) -> String {
    at.map_or_else(|| instead.to_owned(), time)
}
