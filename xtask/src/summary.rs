//! What a test run ends with: a table by part, what was left out and why, and the plain line `N passed, M failed`.
//!
//! Easy to get wrong: what did not run must not look like what passed, so it has a column and a reason of its own.

use std::fmt;

use crate::counts::Counts;

/// The parts of one run, in the order in which they ran.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    part: String,
    counts: Counts,
    note: String,
}

impl Summary {
    /// A part that ran.
    pub(crate) fn ran(&mut self, part: impl Into<String>, counts: Counts) {
        self.rows.push(Row { part: part.into(), counts, note: String::new() });
    }

    /// A part that failed as a whole beyond its own counts: it counts one failure at least.
    pub(crate) fn broke(&mut self, part: impl Into<String>, mut counts: Counts, why: impl Into<String>) {
        counts.failed = counts.failed.max(1);
        self.rows.push(Row { part: part.into(), counts, note: why.into() });
    }

    /// A part that did not run; it counts as one thing left out, as its tests are not known.
    pub(crate) fn left_out(&mut self, part: impl Into<String>, why: impl Into<String>) {
        let counts = Counts { left_out: 1, ..Counts::default() };
        self.rows.push(Row { part: part.into(), counts, note: why.into() });
    }

    /// Whether nothing failed and something passed.
    pub(crate) fn is_success(&self) -> bool {
        let total = self.total();
        total.failed == 0 && total.passed > 0
    }

    fn total(&self) -> Counts {
        let mut total = Counts::default();
        for row in &self.rows {
            total += row.counts;
        }
        total
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|row| row.part.chars().count()).max().unwrap_or(0).max("part".len());
        writeln!(f, "{:width$}  passed  failed  left out", "part")?;
        for Row { part, counts, note } in &self.rows {
            let Counts { passed, failed, left_out } = counts;
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
    fn the_last_line_is_the_sum_of_all_parts_and_nothing_else() {
        let mut summary = Summary::default();
        summary.ran("unit", counts(812, 0, 3));
        summary.ran("clients/authlib", counts(14, 2, 0));

        assert_eq!(summary.to_string().lines().last(), Some("826 passed, 2 failed"));
        assert!(!summary.is_success());
    }

    #[test]
    fn what_was_left_out_is_counted_and_says_why() {
        let mut summary = Summary::default();
        summary.ran("unit", counts(1, 0, 2));
        summary.left_out("clients/go", "--without clients");

        let text = summary.to_string();
        let row = text.lines().find(|line| line.starts_with("clients/go")).expect("the part has a row");
        assert!(row.ends_with("--without clients"), "{text}");
        assert!(text.lines().any(|line| line == "3 left out"), "{text}");
        assert!(summary.is_success());
    }

    #[test]
    fn a_part_that_breaks_is_a_failure_even_when_its_tests_passed() {
        let mut summary = Summary::default();
        summary.broke("unit", counts(5, 0, 0), "a test program crashed");

        assert_eq!(summary.to_string().lines().last(), Some("5 passed, 1 failed"));
        assert!(!summary.is_success());
    }

    #[test]
    fn a_run_in_which_nothing_ran_is_no_success() {
        let mut summary = Summary::default();
        summary.left_out("unit", "--only clients");

        assert!(!summary.is_success());
    }
}
