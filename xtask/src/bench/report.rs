//! The tables in Markdown, and what was to be reached.
//!
//! Easy to get wrong: a limit is computed from figures of the same run, and never from those of another day. If one of
//! them was not measured, nothing is reported.

use super::alone::{self, Commit, Rounds, Signature};
use super::rows::{FLOOR, Row};
use super::{ROUNDS, load::Sample};

/// One table of the report, with the targets of what it shows.
#[derive(Default)]
pub(super) struct Section {
    pub(super) header: &'static str,
    pub(super) rows: Vec<String>,
    pub(super) targets: Vec<String>,
}

/// What was to be reached, what was, and whether that is enough.
pub(super) fn target(what: impl AsRef<str>, measured: impl AsRef<str>, is_reached: bool) -> String {
    format!("{} | {} | {}", what.as_ref(), measured.as_ref(), if is_reached { "yes" } else { "**no**" })
}

/// What a reader must know of a run whose rows took only so long: it is no measurement.
pub(super) fn short(seconds: u64) -> &'static str {
    if seconds < 5 { "\n**So short a run shows that each row works, and not how fast it is.**\n" } else { "" }
}

/// The whole text. `setting` is the command and the machine.
pub(super) fn report(setting: &str, seconds: u64, sections: Vec<Section>) -> String {
    let mut text = format!(include_str!("intro.md"), setting = setting, rounds = ROUNDS, seconds = seconds);
    text += short(seconds);
    let targets = sections.iter().flat_map(|section| section.targets.clone()).collect();
    let header = include_str!("targets.md");
    for Section { header, rows, .. } in sections.into_iter().chain([Section { header, rows: targets, targets: vec![] }])
    {
        if !rows.is_empty() {
            text += &format!("\n{header}| {} |\n", rows.join(" |\n| "));
        }
    }
    text
}

/// The rows, round by round, and the signatures and commits that limit them.
pub(super) struct Rows<'a> {
    pub(super) samples: Vec<(&'a Row, Vec<Sample>)>,
    pub(super) signatures: Rounds<Signature>,
    pub(super) commits: Rounds<Commit>,
}

impl Rows<'_> {
    /// Whether every request was answered with a success.
    pub(super) fn are_valid(&self) -> bool {
        self.samples.iter().all(|(_, samples)| samples.iter().all(|sample| sample.errors == 0))
    }

    pub(super) fn section(&self) -> Section {
        let targets = self.samples.iter().flat_map(|(row, _)| {
            let least = row.limit.as_ref().and_then(|limit| limit.to_reach);
            let share = least.zip(self.of_limit(row)).map(|(least, share)| {
                target(format!("{}: {least} of the limit", row.name), format!("{share:.2}"), share >= least)
            });
            let is_signed = row.limit.as_ref().is_some_and(|limit| !limit.signatures.is_empty());
            let factor = self.factor(row).filter(|_| is_signed).map(|factor| {
                target(format!("{}: 8 times oidc-provider", row.name), format!("{factor:.1} times"), factor >= 8.0)
            });
            share.into_iter().chain(factor)
        });
        Section {
            header: include_str!("rows.md"),
            rows: self.samples.iter().filter_map(|(row, samples)| self.row(row, samples)).collect(),
            targets: targets.collect(),
        }
    }

    fn row(&self, row: &Row, samples: &[Sample]) -> Option<String> {
        let rates = || samples.iter().map(Sample::rate);
        let (rate, least, most) = (median(rates())?, rates().fold(f64::MAX, f64::min), rates().fold(0.0, f64::max));
        let ms = |of: fn(&Sample) -> f64| Some(median(samples.iter().map(of))? / 1e3);
        let (p50, p99) = (ms(|sample| sample.p50)?, ms(|sample| sample.p99)?);
        let peak = megabytes(samples.iter().map(|sample| sample.peak_kib).max()?);
        let errors = match samples.iter().map(|sample| sample.errors).sum() {
            0_u64 => "0".to_owned(),
            errors => format!("**{errors}: the row is invalid**"),
        };
        let share = self.of_limit(row).map_or_else(String::new, |share| format!("{share:.2}"));
        let factor = self.factor(row).map_or_else(String::new, |factor| format!("{factor:.1}"));
        let ([rate, least, most], title) = ([rate, least, most].map(thousands), row.title);
        Some(format!(
            "{title} | {rate} | {least}–{most} | {p50:.2} | {p99:.2} | {peak:.0} | {errors} | {share} | {factor}"
        ))
    }

    fn rate(&self, name: &str) -> Option<f64> {
        let (_, samples) = self.samples.iter().find(|(row, _)| row.name == name)?;
        median(samples.iter().map(Sample::rate))
    }

    /// A row's share of what it could do with only the floor's work, the signatures and the commit.
    fn of_limit(&self, row: &Row) -> Option<f64> {
        let limit = row.limit.as_ref()?;
        let mut us = 1e6 / self.rate(FLOOR)?;
        for algorithm in limit.signatures {
            us += alone::median_of(&self.signatures, algorithm, |signature| signature.sign_us)?;
        }
        if let Some(commit) = limit.commit {
            us += alone::median_of(&self.commits, commit, |commit| commit.commit_us)?;
        }
        Some(self.rate(row.name)? * us / 1e6)
    }

    /// How many times as fast as its peer a row is.
    fn factor(&self, row: &Row) -> Option<f64> {
        Some(self.rate(row.name)? / self.rate(row.peer?)?)
    }
}

/// The middle one. `None` without figures.
pub(super) fn median(figures: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied()
}

/// MB are a million bytes.
pub(super) fn megabytes(kib: u64) -> f64 {
    kib as f64 * 1024.0 / 1e6
}

/// 12345.6 as `12,346`.
pub(super) fn thousands(figure: f64) -> String {
    let digits = format!("{figure:.0}");
    digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::{super::rows::ROWS, *};

    fn rows(rates: &[(&str, [f64; 3])], errors: u64) -> Rows<'static> {
        let sample = |rate| Sample { requests: rate, duration: 1e6, p50: 300.0, p99: 900.0, errors, peak_kib: 20_000 };
        let row = |name| ROWS.iter().find(|row| row.name == name).expect("the row exists");
        let samples = rates.iter().map(|(name, rates)| (row(*name), rates.map(sample).to_vec())).collect();
        let signatures = vec![
            serde_json::from_str(
                r#"{"EdDSA": {"sign_us": 10.0, "verify_us": 37.0}, "ES256": {"sign_us": 20.0, "verify_us": 50.0}}"#,
            )
            .unwrap(),
        ];
        let commits = vec![serde_json::from_str(r#"{"refresh": {"commit_us": 30.0}}"#).unwrap()];
        Rows { samples, signatures, commits }
    }

    fn text(rows: &Rows) -> String {
        report("", 8, vec![rows.section()])
    }

    #[test]
    fn ratios_are_of_medians_and_of_what_the_run_measured() {
        let eddsa = ("client-credentials-eddsa", [29_000.0, 30_000.0, 36_000.0]);
        let floor = ("floor", [90_000.0, 100_000.0, 130_000.0]);

        let all = text(&rows(&[floor, eddsa, ("oidc-provider-eddsa", [2_900.0, 3_000.0, 3_100.0])], 0));
        let one = text(&rows(&[eddsa], 0));

        // 1 / (1 / 100,000 + 10 µs) = 50,000.
        assert!(all.contains("| 30,000 | 29,000–36,000 | 0.30 | 0.90 | 20 | 0 | 0.60 | 10.0 |\n"), "{all}");
        assert!(all.contains("| client-credentials-eddsa: 8 times oidc-provider | 10.0 times | yes |\n"), "{all}");
        assert!(one.contains("| 0 |  |  |\n") && !one.contains("to be reached"), "{one}");
    }

    #[test]
    fn errors_and_missed_targets_are_reported() {
        let rows = rows(&[("floor", [100_000.0; 3]), ("refresh", [7_000.0, 999.4, 1_234_567.0])], 1);

        let text = text(&rows);

        assert!(!rows.are_valid());
        assert!(text.contains("| 7,000 | 999–1,234,567 | 0.30 | 0.90 | 20 | **3: the row is invalid** |"), "{text}");
        // 10 µs of the floor, 20 µs for the signature and 30 µs for the commit.
        assert!(text.contains("| refresh: 0.6 of the limit | 0.42 | **no** |\n"), "{text}");
    }
}
