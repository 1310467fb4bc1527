//! How many tests passed, failed and were left out, read from what the runners print.
//!
//! Easy to get wrong: a runner that crashes prints no result at all. Callers combine these counts with its exit status.

use std::ops::AddAssign;

/// Tests of one part.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) left_out: u64,
}

impl Counts {
    /// From a line of `cargo test`: `test result: ok. 3 passed; 0 failed; 1 ignored; …`. Ignored tests are left out;
    /// those that a filter took away are not counted.
    pub(crate) fn from_cargo(line: &str) -> Option<Self> {
        let (_, figures) = line.strip_prefix("test result: ")?.split_once(". ")?;
        let mut counts = Self::default();
        for figure in figures.split("; ") {
            let Some((number, what)) = figure.split_once(' ') else { continue };
            let target = match what {
                "passed" => &mut counts.passed,
                "failed" => &mut counts.failed,
                "ignored" => &mut counts.left_out,
                _ => continue,
            };
            *target = number.parse().ok()?;
        }
        Some(counts)
    }

    /// From the line `N passed, M failed`, alone on its line: the form in which client suites, and this program, end.
    pub(crate) fn from_suite(line: &str) -> Option<Self> {
        let (passed, failed) = line.trim_end().split_once(" passed, ")?;
        let failed = failed.strip_suffix(" failed")?;
        Some(Self { passed: passed.parse().ok()?, failed: failed.parse().ok()?, left_out: 0 })
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.left_out += other.left_out;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_of_cargo_test_is_counted_whether_good_or_bad() {
        let good = "test result: ok. 12 passed; 0 failed; 2 ignored; 0 measured; 7 filtered out; finished in 0.31s";
        let bad = "test result: FAILED. 1 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s";

        assert_eq!(Counts::from_cargo(good), Some(Counts { passed: 12, failed: 0, left_out: 2 }));
        assert_eq!(Counts::from_cargo(bad), Some(Counts { passed: 1, failed: 3, left_out: 0 }));
    }

    #[test]
    fn other_lines_of_cargo_test_count_nothing() {
        for line in [
            "",
            "running 3 tests",
            "test counts::tests::a_result ... ok",
            "test result: ok",
            "  test result: ok. 1 passed",
        ] {
            assert_eq!(Counts::from_cargo(line), None, "{line:?}");
        }
    }

    #[test]
    fn a_suite_is_counted_by_its_exact_line_only() {
        assert_eq!(Counts::from_suite("14 passed, 1 failed"), Some(Counts { passed: 14, failed: 1, left_out: 0 }));
        for line in [
            "14 passed",
            "ok 14 passed, 1 failed",
            "14 passed, 1 failed in 3s",
            "-1 passed, 0 failed",
            " passed,  failed",
        ] {
            assert_eq!(Counts::from_suite(line), None, "{line:?}");
        }
    }
}
