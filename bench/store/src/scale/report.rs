//! The figures of one engine as Markdown.

use std::fmt;

use doorward_store::Location;

use super::{ending::Endings, rounds::Rounds, sweeping::Sweeping};
use crate::{fill::Size, load::Times};

pub(super) struct Report {
    heading: String,
    costs: Vec<String>,
    others: Vec<String>,
    targets: Vec<String>,
}

impl Report {
    pub(super) fn new(location: &Location, size: Size, ended: u64) -> Self {
        let (engine, servers) = match location {
            Location::Sqlite(_) => ("SQLite", "one server"),
            Location::Postgres(_) => ("PostgreSQL", "two servers"),
        };
        let Size { keys, grants } = size;
        let (keys, grants, ended) = (thousands(keys), thousands(grants), thousands(ended));
        let heading = format!("{engine}: {keys} keys, {grants} live grants, then {ended} ended families; {servers}");
        Self { heading, costs: vec![], others: vec![], targets: vec![] }
    }

    pub(super) fn rounds(&mut self, [few, many]: &[Rounds; 2]) {
        self.cost("ready after the start, ms", few.ready_ms, many.ready_ms);
        self.cost("key verification, a key seen before, µs", few.same_key_us, many.same_key_us);
        self.cost("key verification, a key at random for the first time, µs", few.new_key_us, many.new_key_us);
        self.cost("refresh, each of another grant at random, µs", few.refresh_us, many.refresh_us);
    }

    pub(super) fn endings(&mut self, few: &Endings, many: &Endings) {
        let ms = |time: std::time::Duration| time.as_secs_f64() * 1e3;
        for (command, few, of_many) in
            [("`user disable`", &few.user, &many.user), ("`client disable`", &few.client, &many.client)]
        {
            self.cost(&format!("{command} until refused everywhere, ms"), ms(few.refused), ms(of_many.refused));
            let name = format!("{command}, {} grants", thousands(of_many.grants));
            self.target(format!("{name}: refused everywhere within 1,000 ms"), ms(of_many.refused), " ms", 1_000.0);
            self.meanwhile(&name, of_many.ended.as_secs_f64(), &many.usual, &of_many.others);
        }
    }

    pub(super) fn sweeping(&mut self, sweeping: &Sweeping, before: &Endings) {
        self.target("ready with the ended families within 100 ms".to_owned(), sweeping.ready_ms, " ms", 100.0);
        let name = format!("sweeping, {} families removed", thousands(sweeping.removed));
        self.meanwhile(&name, sweeping.time.as_secs_f64(), &before.usual, &sweeping.others);
    }

    /// A cost is flat within half as much again: a deeper index costs a little.
    fn cost(&mut self, what: &str, few: f64, many: f64) {
        let ratio = many / few;
        self.costs.push(format!("{what} | {few:.1} | {many:.1} | {ratio:.2}"));
        self.target(format!("{what}: at most 1.5 times the almost empty database"), ratio, " times", 1.5);
    }

    fn meanwhile(&mut self, what: &str, seconds: f64, usual: &Times, others: &Times) {
        let (p50, p99) = ([usual.ms(0.5), others.ms(0.5)], [usual.ms(0.99), others.ms(0.99)]);
        let (ratio, most, count) = (p99[1] / p99[0], others.ms(1.0), others.len());
        self.others.push(format!(
            "{what} | {seconds:.1} | {count} | {:.2} | {:.2} | {:.2} | {:.2} | {ratio:.2} | {most:.1}",
            p50[0], p50[1], p99[0], p99[1]
        ));
        self.target(format!("{what}: p99 of other callers' refresh within twice its usual"), ratio, " times", 2.0);
    }

    fn target(&mut self, what: String, measured: f64, unit: &str, most: f64) {
        let reached = if measured <= most { "yes" } else { "**no**" };
        let measured = if unit == " ms" { format!("{measured:.0}") } else { format!("{measured:.2}") };
        self.targets.push(format!("{what} | {measured}{unit} | {reached}"));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { heading, costs, others, targets } = self;
        let table = |rows: &[String]| format!("| {} |\n", rows.join(" |\n| "));
        writeln!(f, "## {heading}\n\n| cost | almost empty | full | ratio |\n|---|--:|--:|--:|\n{}", table(costs))?;
        writeln!(
            f,
            "| meanwhile | took s | refreshes of others | p50 ms usual | p50 ms | p99 ms usual | p99 ms | ratio | most ms |\n\
             |---|--:|--:|--:|--:|--:|--:|--:|--:|\n{}",
            table(others)
        )?;
        write!(f, "| to reach | measured | reached |\n|---|--:|---|\n{}", table(targets))
    }
}

/// 12345 as `12,345`.
fn thousands(figure: u64) -> String {
    let digits = figure.to_string();
    digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect::<Vec<_>>().join(",")
}
