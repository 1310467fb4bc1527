//! How a key was used, by day and outcome.

use doorward_core::{
    denial::Denial,
    id::KeyId,
    key_usage::{DailyUse, Day},
};
use doorward_store::keys::{UsageCount, UsageOf};
use serde::Serialize;
use utoipa::ToSchema;

use super::find_reached;
use crate::{
    actor::Actor,
    app::App,
    manage::{ManageError, page::Page, times},
};

/// How often a key was verified on a day, with one outcome.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = KeyUsage)]
pub struct UsageView {
    /// The day of UTC, as `2026-11-28`.
    #[schema(format = Date)]
    pub day: String,
    /// `valid`, or the code of the denial.
    pub outcome: String,
    /// How often.
    pub count: u64,
    /// How many of them took at most a millisecond.
    pub within_1ms: u64,
    /// How many took longer, and at most 10 ms.
    pub within_10ms: u64,
    /// How many took longer, and at most 100 ms.
    pub within_100ms: u64,
    /// How many took longer than that.
    pub slower: u64,
}

impl From<UsageCount> for UsageView {
    fn from(counted: UsageCount) -> Self {
        let [within_1ms, within_10ms, within_100ms, slower] = counted.latencies.0;
        Self {
            day: times::date(counted.day),
            outcome: counted.outcome,
            count: counted.latencies.total(),
            within_1ms,
            within_10ms,
            within_100ms,
            slower,
        }
    }
}

/// Which days of usage are shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct UsageDays {
    /// The first day; all there are if it is not given.
    pub since: Option<Day>,
    /// The last day; today if it is not given.
    pub until: Option<Day>,
}

/// A page of the usage of a key, by its id or by the key itself, the oldest day first.
pub async fn usage(
    app: &App,
    actor: &Actor,
    id: &str,
    days: UsageDays,
    after: Option<(i64, String)>,
    limit: usize,
) -> Result<Page<UsageView, (i64, String)>, ManageError> {
    let key = find_reached(app, actor, id).await?;
    let (since, until) = (days.since.unwrap_or(Day(0)), days.until.unwrap_or(Day::of(app.now())));
    let after = after.map(|(day, outcome)| (Day(day), outcome));
    // One more shows whether there is another page.
    let read = i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX);
    let mut counts = app.store.read(UsageOf { key: key.key.id, since, until, after, limit: read }).await?;
    let is_last = counts.len() <= limit;
    counts.truncate(limit);
    let next = counts.last().filter(|_| !is_last).map(|last| (last.day.0, last.outcome.clone()));
    Ok(Page { items: counts.into_iter().map(UsageView::from).collect(), next })
}

/// How often a key was used on each of the last days, today included, the first one first.
pub(super) async fn daily_uses(app: &App, key: &KeyId, days: u16) -> Result<Vec<DailyUse>, ManageError> {
    let until = Day::of(app.now());
    let since = Day(until.0 - i64::from(days) + 1);
    // An outcome is `valid` or a denial.
    let limit = i64::from(days) * (Denial::ALL.len() as i64 + 1);
    let counts = app.store.read(UsageOf { key: key.clone(), since, until, after: None, limit }).await?;
    let counted = counts.iter().map(|of| (of.day, of.outcome.as_str(), of.latencies.total()));
    Ok(DailyUse::of_days(until, days, counted))
}
