//! How a test run ends: a table by part, what was left out and why, and the plain line `N passed, M failed`.
//!
//! Easy to get wrong: what did not run must not look like what passed, so it has its own column and a reason.

use std::fmt;

use super::counts::Counts;

/// The parts of one run, in the order in which they ran: name, counts and a note.
#[derive(Debug, Default)]
pub(super) struct Summary {
    rows: Vec<(String, Counts, String)>,
}

impl Summary {
    /// A part that ran.
    pub(super) fn ran(&mut self, part: impl Into<String>, counts: Counts) {
        self.rows.push((part.into(), counts, String::new()));
    }

    /// A part that failed as a whole beyond its own counts: it counts at least one failure.
    pub(super) fn broke(&mut self, part: impl Into<String>, counts: Counts, why: impl Into<String>) {
        self.rows.push((part.into(), Counts { failed: counts.failed.max(1), ..counts }, why.into()));
    }

    /// A part that did not run. It counts as one test left out because its tests are not known.
    pub(super) fn left_out(&mut self, part: impl Into<String>, why: impl Into<String>) {
        self.rows.push((part.into(), Counts { left_out: 1, ..Counts::default() }, why.into()));
    }

    /// Whether nothing failed and something passed.
    pub(super) fn is_success(&self) -> bool {
        let total = self.total();
        total.failed == 0 && total.passed > 0
    }

    fn total(&self) -> Counts {
        let mut total = Counts::default();
        self.rows.iter().for_each(|(_, counts, _)| total += *counts);
        total
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
        let Counts { passed, failed, left_out } = self.total();
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
    fn last_line_is_the_sum_of_all_parts() {
        let mut summary = Summary::default();
        summary.ran("unit", counts(812, 0, 3));
        summary.ran("clients/authlib", counts(14, 2, 0));

        assert_eq!(summary.to_string().lines().last(), Some("826 passed, 2 failed"));
        assert!(!summary.is_success());
    }

    #[test]
    fn part_left_out_has_its_reason_and_is_no_success_by_itself() {
        let mut summary = Summary::default();
        summary.left_out("clients/go", "--without clients");
        assert!(!summary.is_success());
        summary.ran("unit", counts(1, 0, 2));

        let text = summary.to_string();
        assert!(text.contains("\nclients/go       0       0         1  --without clients\n"), "{text}");
        assert!(text.contains("\n3 left out\n"), "{text}");
        assert!(summary.is_success());
    }

    #[test]
    fn broken_part_is_a_failure_even_if_its_tests_passed() {
        let mut summary = Summary::default();
        summary.broke("unit", counts(5, 0, 0), "a test program crashed");

        assert_eq!(summary.to_string().lines().last(), Some("5 passed, 1 failed"));
        assert!(!summary.is_success());
    }
}
