//! What is measured without HTTP: the signatures, the commits of bare SQLite, and what a guard costs an API for each JWT.
//! The programs of bench/floor and bench/store measure by themselves and print one line of JSON in each round.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::report::{Section, median, target, thousands};

/// Figures by algorithm, round by round.
pub(super) type Rounds<T> = Vec<BTreeMap<String, T>>;

/// Microseconds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Signature {
    pub(super) sign_us: f64,
    verify_us: f64,
}

/// Microseconds for the rows of one answer, in a commit with those of as many answers as there are callers.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Commit {
    pub(super) commit_us: f64,
}

/// Nanoseconds for a JWT seen before, for a new one, and for its signature check.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Guard {
    seen_ns: f64,
    new_ns: f64,
    raw_ns: f64,
}

pub(super) fn median_of<T>(rounds: &Rounds<T>, algorithm: &str, figure: fn(&T) -> f64) -> Option<f64> {
    median(rounds.iter().filter_map(|round| round.get(algorithm)).map(figure))
}

pub(super) fn signatures(rounds: &Rounds<Signature>) -> Section {
    let row = |algorithm| {
        let sign = median_of(rounds, algorithm, |figures| figures.sign_us)?;
        let verify = median_of(rounds, algorithm, |figures| figures.verify_us)?;
        Some(format!("{algorithm} | {sign:.1} | {} | {verify:.1}", thousands(1e6 / sign)))
    };
    Section {
        header: include_str!("signatures.md"),
        rows: ["EdDSA", "ES256", "RS256"].into_iter().filter_map(row).collect(),
        targets: Vec::new(),
    }
}

pub(super) fn commits(rounds: &Rounds<Commit>) -> Section {
    let row = |name| {
        let us = median_of(rounds, name, |figures| figures.commit_us)?;
        Some(format!("{name} | {us:.1} | {}", thousands(1e6 / us)))
    };
    let rows = ["refresh", "opaque"].into_iter().filter_map(row).collect();
    Section { header: include_str!("commits.md"), rows, targets: Vec::new() }
}

pub(super) fn guard(rounds: &Rounds<Guard>) -> Section {
    let mut section = Section { header: include_str!("guard.md"), ..Section::default() };
    for algorithm in ["EdDSA", "ES256"] {
        let us = |figure| Some(median_of(rounds, algorithm, figure)? / 1e3);
        let figures = (us(|figures| figures.seen_ns), us(|figures| figures.new_ns), us(|figures| figures.raw_ns));
        let (Some(seen), Some(new), Some(raw)) = figures else { continue };
        let (of_seen, of_new) = (seen / raw, new / raw);
        section.rows.push(format!("{algorithm} | {seen:.2} | {new:.1} | {raw:.1} | {of_seen:.4} | {of_new:.2}"));
        let guard = format!("guard, {algorithm}");
        let seen = format!("{guard}: seen before under 0.02 of the signature check");
        let new = format!("{guard}: new within 1.3 times the signature check");
        section.targets.extend([
            target(seen, format!("{of_seen:.4}"), of_seen < 0.02),
            target(new, format!("{of_new:.2} times"), of_new <= 1.3),
        ]);
    }
    section
}
