//! How many tests passed, failed and were left out, read from what the runners report.
//!
//! Easy to get wrong: a runner that crashes reports nothing. Callers combine these counts with its exit status.

use std::ops::AddAssign;

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Counts {
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) left_out: u64,
}

impl Counts {
    /// From a line of `cargo test`: `test result: ok. 3 passed; 0 failed; 1 ignored; …`. Ignored tests are left out;
    /// those that a filter excluded are not counted.
    pub(super) fn from_cargo(line: &str) -> Option<Self> {
        let (_, figures) = line.strip_prefix("test result: ")?.split_once(". ")?;
        let figure = |what: &str| figures.split("; ").find_map(|figure| figure.strip_suffix(what)?.parse().ok());
        Some(Self { passed: figure(" passed")?, failed: figure(" failed")?, left_out: figure(" ignored")? })
    }

    /// From the root of a JUnit report: `<testsuites name="nextest-run" tests="3" skipped="0" failures="1" …>`. The
    /// tests include those skipped. Only newer versions of nextest count these.
    pub(super) fn from_junit(report: &str) -> Option<Self> {
        let root = report.split_once("<testsuites ")?.1.split_once('>')?.0;
        let figure = |name: &str| root.split_once(&format!(" {name}=\""))?.1.split('"').next()?.parse::<u64>().ok();
        let (left_out, failed) = (figure("skipped").unwrap_or(0), figure("failures")? + figure("errors")?);
        Some(Self { passed: figure("tests")?.checked_sub(failed + left_out)?, failed, left_out })
    }

    /// From the line `N passed, M failed`, alone on its line: how client suites, and this program, end.
    pub(super) fn from_suite(line: &str) -> Option<Self> {
        let (passed, failed) = line.trim_end().split_once(" passed, ")?;
        Some(Self { passed: passed.parse().ok()?, failed: failed.strip_suffix(" failed")?.parse().ok()?, left_out: 0 })
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

    fn counts(passed: u64, failed: u64, left_out: u64) -> Option<Counts> {
        Some(Counts { passed, failed, left_out })
    }

    #[test]
    fn cargo_result_is_counted_whether_good_or_bad() {
        for (line, counts) in [
            ("test result: ok. 12 passed; 0 failed; 2 ignored; 0 measured; 7 filtered out", counts(12, 0, 2)),
            ("test result: FAILED. 1 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out", counts(1, 3, 0)),
            ("running 3 tests", None),
            ("test result: ok", None),
            ("  test result: ok. 1 passed; 0 failed; 0 ignored", None),
        ] {
            assert_eq!(Counts::from_cargo(line), counts, "{line}");
        }
    }

    #[test]
    fn junit_report_is_counted_by_its_root() {
        for (figures, counts) in [
            (r#"tests="66" skipped="1" failures="2" errors="3""#, counts(60, 5, 1)),
            (r#"tests="66" failures="0" errors="0""#, counts(66, 0, 0)),
            ("", None),
        ] {
            let suite = r#"<testsuite name="x" tests="7" failures="7" errors="0"></testsuite>"#;
            let report = format!("<?xml version=\"1.0\"?>\n<testsuites name=\"nextest-run\" {figures}>{suite}");
            assert_eq!(Counts::from_junit(&report), counts, "{figures}");
        }
    }

    #[test]
    fn suite_is_counted_only_by_its_exact_line() {
        assert_eq!(Counts::from_suite("14 passed, 1 failed"), counts(14, 1, 0));
        for line in ["14 passed", "ok 14 passed, 1 failed", "14 passed, 1 failed in 3s", "-1 passed, 0 failed"] {
            assert_eq!(Counts::from_suite(line), None, "{line}");
        }
    }
}
