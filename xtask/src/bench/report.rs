//! The table, in Markdown, and what was to be reached.
//!
//! Easy to get wrong: a limit is computed from figures of the same run, and never from those of another day. Where one
//! of them was not measured, nothing is said.

use std::fmt;

use serde_json::Value;

use super::failed_attempts::{FailedAttempts, Pair};
use super::load::Sample;
use super::machine::Machine;
use super::revocation::Revocation;
use super::rows::{FLOOR, Row};
use super::start::Start;

/// Everything that a run has to say.
#[derive(Debug)]
pub(super) struct Report<'a> {
    pub(super) command: String,
    pub(super) seconds: u64,
    pub(super) rounds: usize,
    pub(super) machine: Machine,
    pub(super) measured: Measured<'a>,
}

/// What was measured, round by round.
#[derive(Debug)]
pub(super) struct Measured<'a> {
    pub(super) rows: Vec<(&'a Row, Vec<Sample>)>,
    /// What `doorward-bench-floor signatures` prints.
    pub(super) signatures: Vec<Value>,
    /// What the example `guard` prints.
    pub(super) guard: Vec<Value>,
    pub(super) start: Option<Start>,
    pub(super) revocation: Option<Revocation>,
    pub(super) failed_attempts: Option<FailedAttempts>,
}

impl<'a> Measured<'a> {
    pub(super) fn new(rows: &[&'a Row]) -> Self {
        let rows = rows.iter().map(|row| (*row, Vec::new())).collect();
        Self { rows, signatures: Vec::new(), guard: Vec::new(), start: None, revocation: None, failed_attempts: None }
    }

    /// Requests a second of a row.
    fn rate(&self, name: &str) -> Option<f64> {
        let (_, samples) = self.rows.iter().find(|(row, _)| row.name == name)?;
        median(samples.iter().map(|sample| sample.rate))
    }

    /// What a row could do if nothing were done but the floor's work and the signature.
    fn limit(&self, row: &Row) -> Option<f64> {
        let signature = figure(&self.signatures, row.signature?, "sign_us")? / 1e6;
        Some(1.0 / (1.0 / self.rate(FLOOR)? + signature))
    }

    /// A row's share of its limit.
    fn of_limit(&self, row: &Row) -> Option<f64> {
        Some(self.rate(row.name)? / self.limit(row)?)
    }

    /// How many times as fast as its peer a row is.
    fn factor(&self, row: &Row) -> Option<f64> {
        Some(self.rate(row.name)? / self.rate(row.peer?)?)
    }

    /// What was to be reached, what was, and whether that is enough.
    fn targets(&self) -> Vec<(String, String, bool)> {
        let mut targets = Vec::new();
        for (row, _) in &self.rows {
            if let Some(share) = self.of_limit(row) {
                targets.push((format!("{}: 0.6 of the limit", row.name), format!("{share:.2}"), share >= 0.6));
            }
            if let Some(factor) = self.factor(row).filter(|_| row.signature.is_some()) {
                let target = format!("{}: 8 times oidc-provider", row.name);
                targets.push((target, format!("{factor:.1} times"), factor >= 8.0));
            }
        }
        if let Some(rate) = self.rate("refresh") {
            targets.push(("refresh: 8,000 a second".to_owned(), thousands(rate), rate >= 8_000.0));
        }
        for algorithm in GUARD_ALGORITHMS {
            if let Some([seen, new, raw]) = self.guard_ns(algorithm) {
                let (seen, ratio) = (seen / 1e3, new / raw);
                targets.push((
                    format!("guard, {algorithm}: seen before under 1 µs"),
                    format!("{seen:.2} µs"),
                    seen < 1.0,
                ));
                let target = format!("guard, {algorithm}: new within 1.3 times the signature check");
                targets.push((target, format!("{ratio:.2} times"), ratio <= 1.3));
            }
        }
        if let Some(Start { ready_ms, idle_kib }) = self.start {
            let idle = megabytes(idle_kib);
            targets.push(("ready in 100 ms".to_owned(), format!("{ready_ms:.0} ms"), ready_ms <= 100.0));
            targets.push(("25 MB idle".to_owned(), format!("{idle:.1} MB"), idle <= 25.0));
        }
        if let Some(Revocation { median_ms, .. }) = self.revocation {
            let target = "a revoked key is refused within 1,000 ms".to_owned();
            targets.push((target, format!("{} ms", thousands(median_ms)), median_ms < 1_000.0));
        }
        targets
    }

    /// Nanoseconds for a JWT seen before, for a new one, and for its signature alone.
    fn guard_ns(&self, algorithm: &str) -> Option<[f64; 3]> {
        let of = |name| figure(&self.guard, algorithm, name);
        Some([of("seen_ns")?, of("new_ns")?, of("raw_ns")?])
    }
}

impl Report<'_> {
    /// Whether every request of every row was answered with a success.
    pub(super) fn is_valid(&self) -> bool {
        self.measured.rows.iter().all(|(_, samples)| samples.iter().all(|sample| sample.errors == 0))
    }

    fn write_rows(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| what | requests/s | min–max | p50 ms | p99 ms | peak MB | errors | of the limit | × oidc-provider |\n\
             |---|--:|--:|--:|--:|--:|--:|--:|--:|"
        )?;
        for (row, samples) in &self.measured.rows {
            let of = |value: fn(&Sample) -> f64| samples.iter().map(value);
            let (Some(rate), Some(p50), Some(p99)) =
                (median(of(|s| s.rate)), median(of(|s| s.p50 as f64)), median(of(|s| s.p99 as f64)))
            else {
                continue;
            };
            let (least, most) = (of(|s| s.rate).fold(f64::MAX, f64::min), of(|s| s.rate).fold(0.0, f64::max));
            let peak = megabytes(samples.iter().map(|sample| sample.peak_kib).max().unwrap_or_default());
            let errors: u64 = samples.iter().map(|sample| sample.errors).sum();
            let errors = if errors == 0 { "0".to_owned() } else { format!("**{errors}: the row is invalid**") };
            let or_none =
                |ratio: Option<f64>, digits| ratio.map_or_else(String::new, |ratio| format!("{ratio:.digits$}"));
            writeln!(
                f,
                "| {} | {} | {}–{} | {:.2} | {:.2} | {peak:.0} | {errors} | {} | {} |",
                row.title,
                thousands(rate),
                thousands(least),
                thousands(most),
                p50 / 1e3,
                p99 / 1e3,
                or_none(self.measured.of_limit(row), 2),
                or_none(self.measured.factor(row), 1),
            )?;
        }
        writeln!(f)
    }

    fn write_signatures(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.measured.signatures.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "## Signatures alone\n\naws-lc-rs, 480 bytes, one core.\n\n\
             | algorithm | sign µs | signatures/s | verify µs |\n|---|--:|--:|--:|"
        )?;
        for algorithm in ["EdDSA", "ES256", "RS256"] {
            let of = |name| figure(&self.measured.signatures, algorithm, name);
            if let (Some(sign), Some(verify)) = (of("sign_us"), of("verify_us")) {
                writeln!(f, "| {algorithm} | {sign:.1} | {} | {verify:.1} |", thousands(1e6 / sign))?;
            }
        }
        writeln!(f)
    }

    fn write_guard(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.measured.guard.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "## The guard with a JWT\n\nIn the API's process, without HTTP; the signature check alone is of the same \
             tokens.\n\n| algorithm | seen before µs | new µs | signature check µs | new ÷ check |\n|---|--:|--:|--:|--:|"
        )?;
        for algorithm in GUARD_ALGORITHMS {
            if let Some([seen, new, raw]) = self.measured.guard_ns(algorithm) {
                let (ratio, seen, new, raw) = (new / raw, seen / 1e3, new / 1e3, raw / 1e3);
                writeln!(f, "| {algorithm} | {seen:.2} | {new:.1} | {raw:.1} | {ratio:.2} |")?;
            }
        }
        writeln!(f)
    }

    fn write_revocation(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Revocation { median_ms, most_ms }) = self.measured.revocation else { return Ok(()) };
        writeln!(
            f,
            "## A key that is revoked\n\nFrom the end of `doorward key revoke` to the first refusal by the notes API, \
             which the key is sent to without a pause.\n\n| median ms | most ms |\n|--:|--:|\n| {} | {} |\n",
            thousands(median_ms),
            thousands(most_ms)
        )
    }

    fn write_failed_attempts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(FailedAttempts { sign_in, token }) = self.measured.failed_attempts else { return Ok(()) };
        writeln!(
            f,
            "## Attempts that fail\n\nIn turns, the median of each: what the clock tells of who exists. Nothing is to be \
             reached; the tests count the work.\n\n| attempt | unknown ms | wrong ms | unknown ÷ wrong |\n|---|--:|--:|--:|"
        )?;
        for (attempt, pair) in [
            ("sign-in: a name that nobody has, a wrong password", sign_in),
            ("`/token`: a client that nobody registered, a wrong secret", token),
        ] {
            let Pair { unknown_ms, wrong_ms } = pair;
            writeln!(f, "| {attempt} | {unknown_ms:.2} | {wrong_ms:.2} | {:.2} |", pair.ratio())?;
        }
        writeln!(f)
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { command, seconds, rounds, machine, .. } = self;
        let Machine { date, commit, cores, cpu, kernel, file_system, rustc, node, load_before } = machine;
        writeln!(f, "# Measured\n\n`{command}` on {date}, commit {commit}.\n")?;
        writeln!(
            f,
            "{cpu}, {cores} cores, {kernel}, data on {file_system}; {rustc}, Node.js {node}; load average before it {load_before}.\n"
        )?;
        writeln!(
            f,
            "The server on core 0, `wrk` on core 1 with 32 connections. {rounds} rounds of {seconds} s for each row, the \
             rows one after the other in each round, each with a fresh server that was warmed up: the median of the \
             rounds, and the least and the most. The limit is `1 / (1/floor + signature)`. Absolute figures hold for \
             this hour on this machine; the ratios are what counts.\n"
        )?;
        if *seconds < LEAST_SECONDS {
            writeln!(f, "**So short a run shows that each row works, and not how fast it is.**\n")?;
        }
        self.write_rows(f)?;
        self.write_signatures(f)?;
        self.write_guard(f)?;
        self.write_revocation(f)?;
        self.write_failed_attempts(f)?;
        let targets = self.measured.targets();
        if !targets.is_empty() {
            writeln!(f, "## What was to be reached\n\n| to reach | measured | reached |\n|---|--:|---|")?;
            for (target, measured, is_reached) in targets {
                writeln!(f, "| {target} | {measured} | {} |", if is_reached { "yes" } else { "**no**" })?;
            }
        }
        Ok(())
    }
}

const GUARD_ALGORITHMS: [&str; 2] = ["EdDSA", "ES256"];

/// A run whose rows are shorter is no measurement.
const LEAST_SECONDS: u64 = 5;

/// The middle one; nothing of nothing.
pub(super) fn median(figures: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied()
}

fn figure(rounds: &[Value], algorithm: &str, name: &str) -> Option<f64> {
    median(rounds.iter().filter_map(|round| round[algorithm][name].as_f64()))
}

/// MB are a million bytes.
fn megabytes(kib: u64) -> f64 {
    kib as f64 * 1024.0 / 1e6
}

/// 12345.6 as `12,346`.
fn thousands(figure: f64) -> String {
    let digits = format!("{figure:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::rows::ROWS;
    use super::*;

    fn sample(rate: f64, errors: u64) -> Sample {
        Sample { rate, p50: 300, p99: 900, errors, peak_kib: 20_000 }
    }

    fn report(rates: &[(&str, [f64; 3])]) -> Report<'static> {
        let rows = ROWS.iter().filter_map(|row| {
            let (_, rates) = rates.iter().find(|(name, _)| *name == row.name)?;
            Some((row, rates.map(|rate| sample(rate, 0)).to_vec()))
        });
        let signatures = vec![json!({ "EdDSA": { "sign_us": 10.0, "verify_us": 37.0 } })];
        let measured = Measured { rows: rows.collect(), signatures, ..Measured::new(&[]) };
        Report { command: "cargo xtask bench".into(), seconds: 8, rounds: 3, machine: Machine::default(), measured }
    }

    #[test]
    fn ratios_are_of_medians_within_the_run() {
        let text = report(&[
            ("floor", [90_000.0, 100_000.0, 130_000.0]),
            ("client-credentials-eddsa", [29_000.0, 30_000.0, 36_000.0]),
            ("oidc-provider-eddsa", [2_900.0, 3_000.0, 3_100.0]),
        ])
        .to_string();

        // 1 / (1 / 100,000 + 10 µs) = 50,000.
        assert!(text.contains("| 30,000 | 29,000–36,000 | 0.30 | 0.90 | 20 | 0 | 0.60 | 10.0 |"), "{text}");
        assert!(text.contains("| client-credentials-eddsa: 8 times oidc-provider | 10.0 times | yes |"), "{text}");
    }

    #[test]
    fn what_was_not_measured_is_compared_with_nothing() {
        let text = report(&[("client-credentials-eddsa", [30_000.0; 3])]).to_string();

        assert!(text.contains("| 0 |  |  |"), "{text}");
        assert!(!text.contains("to be reached"), "{text}");
    }

    #[test]
    fn one_error_makes_the_row_and_the_run_invalid() {
        let mut report = report(&[("floor", [1.0; 3])]);
        assert!(report.is_valid());
        report.measured.rows[0].1[1].errors = 1;

        assert!(!report.is_valid());
        assert!(report.to_string().contains("**1: the row is invalid**"));
    }

    #[test]
    fn a_target_that_is_missed_is_said_to_be() {
        let text = report(&[("refresh", [7_000.0; 3])]).to_string();

        assert!(text.contains("| refresh: 8,000 a second | 7,000 | **no** |"), "{text}");
    }

    #[test]
    fn revocation_has_a_target_and_failed_attempts_have_a_ratio() {
        let mut report = report(&[]);
        report.measured.revocation = Some(Revocation { median_ms: 1_004.0, most_ms: 1_200.4 });
        let [sign_in, token] = [(30.0, 20.0), (1.0, 2.0)].map(|(unknown_ms, wrong_ms)| Pair { unknown_ms, wrong_ms });
        report.measured.failed_attempts = Some(FailedAttempts { sign_in, token });
        let text = report.to_string();

        assert!(text.contains("| 1,004 | 1,200 |"), "{text}");
        assert!(text.contains("| a revoked key is refused within 1,000 ms | 1,004 ms | **no** |"), "{text}");
        assert!(text.contains("a wrong password | 30.00 | 20.00 | 1.50 |"), "{text}");
        assert!(text.contains("a wrong secret | 1.00 | 2.00 | 0.50 |"), "{text}");
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([1.0, 999.4, 1_000.0, 1_234_567.0].map(thousands), ["1", "999", "1,000", "1,234,567"]);
    }
}
