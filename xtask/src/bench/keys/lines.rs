//! The table: what was measured, what is to be reached, and whether it was.

use crate::bench::report::{short, target, thousands};

#[derive(Default)]
pub(super) struct Lines(Vec<String>);

/// What a figure is to be.
#[derive(Clone, Copy)]
pub(super) enum Target {
    /// At least so much.
    AtLeast(f64),
    /// At most so much.
    AtMost(f64),
    /// Less than so much.
    Below(f64),
    /// It is shown for comparison.
    None,
}

/// The unit of a figure.
#[derive(Clone, Copy)]
pub(super) enum Unit {
    Bytes,
    MegabytesPerSecond,
    Mebibytes,
    Milliseconds,
    Microseconds,
    PerSecond,
    Seconds,
    Share,
    Times,
}

impl Lines {
    /// Adds a figure.
    pub(super) fn add(&mut self, what: impl AsRef<str>, measured: f64, unit: Unit, to_reach: Target) {
        let (what, shown) = (what.as_ref(), unit.show(measured));
        // What was not measured is a number to nobody, and reaches nothing.
        let (limit, is_reached) = match to_reach {
            Target::AtLeast(least) => (format!("≥ {}", unit.show(least)), measured >= least),
            Target::AtMost(most) => (format!("≤ {}", unit.show(most)), measured <= most),
            Target::Below(most) => (format!("< {}", unit.show(most)), measured < most),
            Target::None => {
                println!("{what}: {shown}");
                self.0.push(format!("{what} |  | {shown} | "));
                return;
            }
        };
        println!("{what}: {shown}, to reach {limit}");
        self.0.push(target(format!("{what} | {limit}"), shown, is_reached));
    }

    /// The whole text. `setting` is the command and the machine.
    pub(super) fn report(&self, setting: &str, seconds: u64) -> String {
        let table = self.0.iter().map(|line| format!("| {line} |\n")).collect::<String>();
        format!(include_str!("lines.md"), setting = setting, seconds = seconds, short = short(seconds)) + &table
    }
}

impl Unit {
    fn show(self, figure: f64) -> String {
        match self {
            Self::Bytes => format!("{} bytes", thousands(figure)),
            Self::MegabytesPerSecond => format!("{} MB/s", thousands(figure)),
            Self::Mebibytes => format!("{figure:.1} MiB"),
            Self::Milliseconds => format!("{figure:.2} ms"),
            Self::Microseconds => format!("{figure:.2} µs"),
            Self::PerSecond => format!("{}/s", thousands(figure)),
            Self::Seconds => format!("{figure:.2} s"),
            Self::Share => format!("{figure:.2}"),
            Self::Times => format!("{figure:.2} times"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_says_its_target_and_whether_it_was_reached() {
        let mut lines = Lines::default();
        lines.add("cached", 0.5, Unit::Microseconds, Target::Below(1.0));
        lines.add("edge", 1.0, Unit::Microseconds, Target::Below(1.0));
        lines.add("share", 0.6, Unit::Share, Target::AtLeast(0.6));
        lines.add("memory", 955.4, Unit::Bytes, Target::AtMost(300.0));
        lines.add("nothing", f64::NAN, Unit::Times, Target::AtMost(1.3));
        lines.add("rate", 12_345.6, Unit::PerSecond, Target::None);

        let text = lines.report("", 5);

        for line in [
            "| cached | < 1.00 µs | 0.50 µs | yes |\n",
            "| edge | < 1.00 µs | 1.00 µs | **no** |\n",
            "| share | ≥ 0.60 | 0.60 | yes |\n",
            "| memory | ≤ 300 bytes | 955 bytes | **no** |\n",
            "| nothing | ≤ 1.30 times | NaN times | **no** |\n",
            "| rate |  | 12,346/s |  |\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
