//! How often a key was used on each of the last days, drawn as bars.
//!
//! The server draws it, as SVG with attributes only: the pages allow neither inline styles nor scripts. Easy to get wrong: the
//! picture says nothing to people who can't see it. So the sums are a sentence, the days a table, and refused uses are
//! hollow as well as red.

use doorward_core::{
    clock::Timestamp,
    key_usage::{DailyUse, Day},
};

use crate::pages::time_in_words::Moment;

/// The width of a day in the picture, and of the gap before its bar.
const STEP: u64 = 10;
const GAP: u64 = 2;
/// The height of the picture, and of the highest bar in it.
const HEIGHT: u64 = 100;
const HIGHEST: u64 = 92;
/// The least height of a part of a bar that represents any use at all.
const LEAST: u64 = 4;

/// The picture, and the same in words and numbers.
#[derive(Debug)]
pub(super) struct UsageGraph {
    pub(super) bars: Vec<Bar>,
    /// The days with uses, the latest first.
    pub(super) days: Vec<UsedDay>,
    pub(super) allowed: u64,
    pub(super) refused: u64,
    /// The most uses on one day.
    pub(super) most: u64,
    pub(super) first: Moment,
    pub(super) last: Moment,
}

/// The bar of a day: refused uses on top of the allowed ones.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Bar {
    pub(super) x: u64,
    pub(super) allowed: Part,
    pub(super) refused: Part,
}

/// A part of a bar.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Part {
    pub(super) y: u64,
    pub(super) height: u64,
}

/// A day with uses.
#[derive(Debug)]
pub(super) struct UsedDay {
    pub(super) day: Moment,
    pub(super) allowed: u64,
    pub(super) refused: u64,
}

impl UsageGraph {
    /// The graph of these days, the first one first. `None` if there is no use on any of them.
    pub(super) fn of(uses: &[DailyUse], now: Timestamp) -> Option<Self> {
        let most = uses.iter().map(DailyUse::total).max().filter(|most| *most > 0)?;
        let (first, last) = (uses.first()?.day, uses.last()?.day);
        let moment = |day: Day| Moment { at: Timestamp::from_secs(day.0 * 86_400), now };
        let used = uses.iter().rev().filter(|of_day| of_day.total() > 0);
        Some(Self {
            bars: (0..).zip(uses).map(|(place, of_day)| Bar::of(place, of_day, most)).collect(),
            days: used
                .map(|&DailyUse { day, allowed, refused }| UsedDay { day: moment(day), allowed, refused })
                .collect(),
            allowed: uses.iter().map(|of_day| of_day.allowed).sum(),
            refused: uses.iter().map(|of_day| of_day.refused).sum(),
            most,
            first: moment(first),
            last: moment(last),
        })
    }

    pub(super) fn width(&self) -> u64 {
        self.bars.len() as u64 * STEP
    }
}

impl Bar {
    fn of(place: u64, uses: &DailyUse, most: u64) -> Self {
        let height = |count: u64| match count {
            0 => 0,
            // In 128 bits no count is too large to be scaled.
            _ => ((u128::from(count) * u128::from(HIGHEST) / u128::from(most)) as u64).max(LEAST),
        };
        let (allowed, refused) = (height(uses.allowed), height(uses.refused));
        Self {
            x: place * STEP + GAP,
            allowed: Part { y: HEIGHT - allowed, height: allowed },
            refused: Part { y: HEIGHT - allowed - refused, height: refused },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(uses: &[(u64, u64)]) -> Option<UsageGraph> {
        let days = (100..).zip(uses);
        let uses: Vec<_> =
            days.map(|(day, &(allowed, refused))| DailyUse { day: Day(day), allowed, refused }).collect();
        UsageGraph::of(&uses, Timestamp::from_secs(0))
    }

    #[test]
    fn bars_are_scaled_to_the_day_with_most_uses() {
        let graph = graph(&[(0, 0), (50, 0), (50, 50)]).unwrap();
        let heights: Vec<_> = graph.bars.iter().map(|bar| (bar.allowed.height, bar.refused.height)).collect();
        assert_eq!(heights, [(0, 0), (46, 0), (46, 46)]);
        assert_eq!(
            graph.bars[2],
            Bar { x: 22, allowed: Part { y: 54, height: 46 }, refused: Part { y: 8, height: 46 } }
        );
        assert_eq!((graph.allowed, graph.refused, graph.most, graph.width()), (100, 50, 100, 30));
    }

    #[test]
    fn single_use_beside_many_can_be_seen_and_fits() {
        let graph = graph(&[(u64::MAX / 2, 1), (1, 0)]).unwrap();
        assert_eq!((graph.bars[0].refused.height, graph.bars[1].allowed.height), (LEAST, LEAST));
        assert!(graph.bars.iter().all(|bar| bar.refused.y <= HEIGHT - LEAST), "{graph:?}");
    }

    #[test]
    fn table_has_only_days_with_uses_the_latest_first() {
        let graph = graph(&[(1, 0), (0, 0), (2, 3)]).unwrap();
        let days: Vec<_> = graph.days.iter().map(|of| (of.day.at.as_secs() / 86_400, of.allowed, of.refused)).collect();
        assert_eq!(days, [(102, 2, 3), (100, 1, 0)]);
    }

    #[test]
    fn days_without_a_use_are_no_graph() {
        assert!(graph(&[(0, 0), (0, 0)]).is_none());
        assert!(graph(&[]).is_none());
    }
}
