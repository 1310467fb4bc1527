//! How far long work has come: one line that is written over, for a person at a terminal.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use doorward_store::backup::{OnProgress, Progress};

use crate::output::Output;

/// A bar on standard error, or nothing where nobody watches. Its line is removed with it, for what is printed next.
pub(super) struct Bar {
    is_watched: bool,
}

impl Bar {
    pub(super) fn begin(output: Output) -> Self {
        Self { is_watched: !output.json && io::stderr().is_terminal() }
    }

    pub(super) fn show(&self) -> OnProgress {
        match self.is_watched {
            true => Arc::new(|progress| write(&line(progress))),
            false => Arc::new(|_| {}),
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if self.is_watched {
            write("");
        }
    }
}

/// Writes over the line. A terminal that is gone has nobody who misses it.
fn write(line: &str) {
    let mut out = io::stderr().lock();
    let _ = write!(out, "\r\x1b[K{line}").and_then(|()| out.flush());
}

fn line(Progress { step, table, done, total }: Progress<'_>) -> String {
    let (done, total) = (done.min(total), total.max(1));
    let filled = usize::try_from(done * WIDTH as u64 / total).unwrap_or(WIDTH);
    let (bar, percent) = (format!("{}{}", "#".repeat(filled), "-".repeat(WIDTH - filled)), done * 100 / total);
    format!("{step} [{bar}] {percent:3} %  {done} of {total} rows  {table}")
}

const WIDTH: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bar_is_empty_at_first_and_full_when_done() {
        let shown = |done, total| line(Progress { step: "Restoring", table: "grants", done, total });
        assert_eq!(shown(0, 0), "Restoring [------------------------]   0 %  0 of 1 rows  grants");
        assert_eq!(shown(50, 100), "Restoring [############------------]  50 %  50 of 100 rows  grants");
        assert_eq!(shown(100, 100), "Restoring [########################] 100 %  100 of 100 rows  grants");
    }
}
