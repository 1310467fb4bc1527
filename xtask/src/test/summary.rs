//! How a test run ends: a table by part, what was left out and why, and the plain line `N passed, M failed`.
//!
//! Easy to get wrong: what did not run must not look like what passed, so it has its own column and a reason.

use std::fmt;

use super::counts::Counts;

/// The parts of one run, in the order in which they ran: name, counts and a note.
#[derive(Default)]
pub(super) struct Summary {
    rows: Vec<(String, Counts, String)>,
    total: Counts,
}

impl Summary {
    /// A part that ran. One that is broken beyond its own counts has at least one failure.
    pub(super) fn ran(&mut self, part: String, mut counts: Counts, broken: Option<String>) {
        counts.failed = counts.failed.max(u64::from(broken.is_some()));
        self.total += counts;
        self.rows.push((part, counts, broken.unwrap_or_default()));
    }

    /// A part that did not run. It counts as one test left out because its tests are not known.
    pub(super) fn left_out(&mut self, part: String, why: String) {
        self.total.left_out += 1;
        self.rows.push((part, Counts { left_out: 1, ..Counts::default() }, why));
    }

    /// Whether nothing failed and something passed.
    pub(super) fn is_success(&self) -> bool {
        self.total.failed == 0 && self.total.passed > 0
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|(part, ..)| part.chars().count()).fold("part".len(), usize::max);
        writeln!(f, "{:width$}  passed  failed  left out", "part")?;
        for (part, Counts { passed, failed, left_out }, note) in &self.rows {
            let line = format!("{part:width$}  {passed:>6}  {failed:>6}  {left_out:>8}  {note}");
            writeln!(f, "{}", line.trim_end())?;
        }
        let Counts { passed, failed, left_out } = self.total;
        if left_out > 0 {
            writeln!(f, "{left_out} left out")?;
        }
        write!(f, "{passed} passed, {failed} failed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(passed: u64, failed: u64, left_out: u64) -> Counts {
        Counts { passed, failed, left_out }
    }

    #[test]
    fn last_line_is_the_sum_and_failed_or_empty_runs_are_no_success() {
        let mut summary = Summary::default();
        summary.left_out("clients/go".into(), "--without clients".into());
        assert!(!summary.is_success());
        summary.ran("unit".into(), counts(812, 0, 2), None);
        assert!(summary.is_success());
        summary.ran("clients/node".into(), counts(14, 0, 0), Some("its demo crashed".into()));
        assert!(!summary.is_success());

        let lines = [
            "part          passed  failed  left out",
            "clients/go         0       0         1  --without clients",
            "unit             812       0         2",
            "clients/node      14       1         0  its demo crashed",
            "3 left out",
            "826 passed, 1 failed",
        ];
        assert_eq!(summary.to_string(), lines.join("\n"));
    }
}
