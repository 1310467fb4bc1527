//! Summing up issued tokens: after a while, one row a minute for each client represents all of one action.
//!
//! Issuance and rotation are most of an audit and the least of its worth. The rows of a minute are removed and their sum
//! is appended in one transaction, so that a crash neither loses nor repeats one. A minute that is gone through twice
//! stays as it is: its sums are single rows then.
//!
//! Easy to get wrong: a row that is committed between the look at a minute and its summing up must not be lost. What is
//! summed is what the DELETE itself returns.

use std::{collections::BTreeSet, time::Duration};

use doorward_core::{clock::Timestamp, id::AuditId};

use super::{
    AuditAction, AuditEvent, COLUMNS, Details, INSERT, event,
    tally::{Hours, Progress, SIZE, find_progress, lock},
};
use crate::{
    sql::sql,
    tx::{Operation, Tx, TxError, Urgency, Value},
};

const MINUTE: Duration = Duration::from_secs(60);
const MINUTE_MS: i64 = 60_000;

/// What is summed up.
const SUMMED: [AuditAction; 2] = [AuditAction::AccessTokenIssued, AuditAction::RefreshTokenRotated];

/// The detail of a sum that lists its addresses, where there are several.
pub(super) const ADDRESSES: &str = "addresses";
/// The detail that says that there were more.
const MORE_ADDRESSES: &str = "more_addresses";
/// The detail with the time of its last event, in seconds.
const LAST_AT: &str = "last_at";

/// Addresses that a sum lists.
const MAX_ADDRESSES: usize = 16;

/// A minute with rows that can be summed up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Minute {
    /// When it begins.
    pub begins: Timestamp,
    /// Each client and action with more than one row.
    pub groups: Vec<SummedGroup>,
}

/// The rows of one client and action in a minute.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SummedGroup {
    /// The client.
    pub actor: String,
    /// What happened.
    pub action: AuditAction,
    /// How many rows there are.
    pub rows: i64,
}

/// The oldest minute that has rows to be summed up and is over before a time; none where all are summed up.
#[derive(Clone, Debug)]
pub struct FindMinute {
    /// The time. `None` for all events that are counted.
    pub before: Option<Timestamp>,
}

impl Operation for FindMinute {
    type Output = Option<Minute>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Option<Minute>, TxError> {
        let Some(Progress { counted_to, summarized_to }) = find_progress(tx).await? else { return Ok(None) };
        let end = match self.before.map(AuditId::floor) {
            Some(before) => before.min(counted_to),
            None => counted_to,
        };
        let mut first: Option<AuditId> = None;
        for action in SUMMED {
            let row = [action.as_str().into(), summarized_to.as_str().into(), end.as_str().into()];
            let found = tx.query_opt(FIRST, &row).await?;
            let found: Option<AuditId> = found.map(|mut row| row.parsed()).transpose()?;
            first = [first, found].into_iter().flatten().min();
        }
        let Some(first) = first else { return Ok(None) };
        let begins = Timestamp::from_millis(first.made_at().as_millis().div_euclid(MINUTE_MS) * MINUTE_MS);
        let [from, to] = bounds(begins);
        if to > end {
            return Ok(None);
        }
        let mut groups = Vec::new();
        for action in SUMMED {
            for mut row in tx.query(GROUPS, &[action.as_str().into(), from.as_str().into(), to.as_str().into()]).await?
            {
                groups.push(SummedGroup { actor: row.text()?, action: action.clone(), rows: row.int()? });
            }
        }
        Ok(Some(Minute { begins, groups }))
    }
}

/// The ids between which the events of a minute lie.
fn bounds(begins: Timestamp) -> [String; 2] {
    [AuditId::floor(begins), AuditId::floor(begins.plus(MINUTE))]
}

/// Replaces the rows of each group by their sum, [`SumUp::STEP`] of a group at most. Gives how many rows it replaced.
#[derive(Clone, Debug)]
pub struct SumUp {
    /// When the minute begins.
    pub minute: Timestamp,
    /// The groups; [`SumUp::STEP`] rows together, or one group of any size.
    pub groups: Vec<SummedGroup>,
    /// Whether the minute is done with these.
    pub is_last: bool,
}

impl SumUp {
    /// Rows that a step replaces.
    pub const STEP: i64 = 256;
}

impl Operation for SumUp {
    type Output = u64;

    const URGENCY: Urgency = Urgency::Patient;

    async fn run(&self, tx: &mut impl Tx) -> Result<u64, TxError> {
        let Progress { counted_to, summarized_to } = lock(tx).await?;
        let [from, to] = bounds(self.minute);
        // Counting began again, or another server has summed up this minute.
        if to > counted_to || to <= summarized_to {
            return Ok(0);
        }
        let (mut replaced, mut gone, mut come) = (0, Hours::default(), Hours::default());
        for group in &self.groups {
            let events = take(tx, group, &from, &to, &mut gone).await?;
            replaced += events.len() as u64;
            if let Some(sum) = sum(events) {
                let bytes = tx.query_one(APPEND, &sum.values()).await?.int()?;
                come.add(&sum.id, &sum.action, bytes);
            }
        }
        gone.subtract(tx).await?;
        come.count(tx).await?;
        if self.is_last {
            tx.execute("UPDATE audit_tally SET summarized_to = $1 WHERE id = 1", &[to.into()]).await?;
        }
        Ok(replaced)
    }
}

/// Removes a step of the events of a group. Gives them, the oldest first.
async fn take(
    tx: &mut impl Tx,
    group: &SummedGroup,
    from: &str,
    to: &str,
    gone: &mut Hours,
) -> Result<Vec<AuditEvent>, TxError> {
    let row: [Value; 5] =
        [group.actor.as_str().into(), from.into(), to.into(), group.action.as_str().into(), SumUp::STEP.into()];
    let mut events = Vec::new();
    for mut row in tx.query(TAKE, &row).await? {
        let event = event(&mut row)?;
        gone.add(&event.id, &event.action, row.int()?);
        events.push(event);
    }
    events.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(events)
}

/// One event that represents several of one client and action, the oldest first. A single one stays as it is.
fn sum(events: Vec<AuditEvent>) -> Option<AuditEvent> {
    let (first, rest) = events.split_first()?;
    if rest.is_empty() {
        return Some(first.clone());
    }
    let addresses: BTreeSet<_> = events.iter().flat_map(addresses).map(str::to_owned).collect();
    let is_cut =
        addresses.len() > MAX_ADDRESSES || events.iter().any(|event| event.details.contains_key(MORE_ADDRESSES));
    let mut sum = AuditEvent {
        trace_id: None,
        subject: None,
        address: addresses.first().filter(|_| addresses.len() == 1 && !is_cut).cloned(),
        count: events.iter().map(|event| event.count).sum(),
        details: common(&events),
        ..first.clone()
    };
    if sum.address.is_none() && !addresses.is_empty() {
        let listed: Vec<_> = addresses.into_iter().take(MAX_ADDRESSES).collect();
        sum = sum.with(ADDRESSES, listed.join(", "));
    }
    if is_cut {
        sum = sum.with(MORE_ADDRESSES, "yes");
    }
    let last = events.iter().map(last_at).max();
    Some(sum.with(LAST_AT, last.unwrap_or_else(|| last_at(first))))
}

/// The addresses that an event came from: several, if it is a sum.
pub(super) fn addresses(event: &AuditEvent) -> impl Iterator<Item = &str> {
    let listed = event.details.get(ADDRESSES).and_then(serde_json::Value::as_str);
    event.address.as_deref().into_iter().chain(listed.into_iter().flat_map(|listed| listed.split(", ")))
}

/// When the last event happened that this one represents, in seconds.
fn last_at(event: &AuditEvent) -> i64 {
    let noted = event.details.get(LAST_AT).and_then(serde_json::Value::as_str);
    noted.and_then(|secs| secs.parse().ok()).unwrap_or_else(|| event.at.as_secs())
}

/// The details that all events have in common.
fn common(events: &[AuditEvent]) -> Details {
    let Some((first, rest)) = events.split_first() else { return Details::new() };
    let of_sums = [ADDRESSES, MORE_ADDRESSES, LAST_AT];
    let details = first.details.iter().filter(|(name, value)| {
        !of_sums.contains(&name.as_str()) && rest.iter().all(|event| event.details.get(*name) == Some(value))
    });
    details.map(|(name, value)| (name.clone(), value.clone())).collect()
}

const APPEND: &str = sql!("{} RETURNING {}", INSERT, SIZE);
const FIRST: &str =
    "SELECT id FROM audit WHERE (action, id) >= ($1, $2) AND (action, id) < ($1, $3) ORDER BY action, id LIMIT 1";
const GROUPS: &str = "SELECT actor, count(*) FROM audit
    WHERE action = $1 AND id >= $2 AND id < $3 AND actor IS NOT NULL GROUP BY actor HAVING count(*) > 1";
/// Easy to get wrong: beside a plain `action = $4`, SQLite goes through all events of the action, for each client again.
const TAKE: &str = sql!(
    "DELETE FROM audit WHERE id IN
       (SELECT id FROM audit WHERE actor IS NOT NULL AND (actor, id) >= ($1, $2) AND (actor, id) < ($1, $3) AND action || '' = $4
        ORDER BY actor, id LIMIT $5)
     RETURNING {}, {}",
    COLUMNS,
    SIZE
);

#[cfg(test)]
mod tests {
    use doorward_core::random::SeededRng;

    use super::*;

    fn issued(at: i64, address: &str, details: &[(&str, &str)]) -> AuditEvent {
        let time = Timestamp::from_secs(at);
        let event = AuditEvent {
            id: AuditId::new(time, &SeededRng::new(1)),
            at: time,
            trace_id: Some("0".repeat(32)),
            action: AuditAction::AccessTokenIssued,
            code: None,
            actor: Some("cli_1".to_owned()),
            subject: Some(format!("tok_{at}")),
            address: Some(address.to_owned()),
            count: 1,
            details: Details::new(),
        };
        details.iter().fold(event, |event, (name, value)| event.with(name, value))
    }

    #[test]
    fn sum_keeps_the_count_the_times_and_what_all_have_in_common() {
        let one = issued(60, "192.0.2.7", &[("api", "notes"), ("scope", "a")]);
        let two = AuditEvent { count: 5, ..issued(61, "192.0.2.7", &[("api", "notes"), ("scope", "b")]) };
        let sum = sum(vec![one.clone(), two]).unwrap();
        assert_eq!((sum.count, &sum.id, sum.at), (6, &one.id, one.at));
        assert_eq!((sum.address.as_deref(), sum.actor.as_deref()), (Some("192.0.2.7"), Some("cli_1")));
        assert_eq!((sum.subject, sum.trace_id), (None, None));
        let details: Vec<_> =
            sum.details.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
        assert_eq!(details, [("api", "notes"), ("last_at", "61")]);
    }

    #[test]
    fn sum_of_a_sum_and_more_events_is_the_sum_of_all() {
        let events: Vec<_> =
            (0..40).map(|n| issued(60 + n, &format!("192.0.2.{}", n / 4), &[("api", "notes")])).collect();
        let all = sum(events.clone()).unwrap();
        let half = sum(events[..20].to_vec()).unwrap();
        let two = sum([&[half], &events[20..]].concat()).unwrap();
        assert_eq!(two, all);
        assert_eq!((all.count, all.address.as_ref(), addresses(&all).count()), (40, None, 10));
        assert_eq!(last_at(&all), 99);
    }

    #[test]
    fn sum_lists_a_bounded_number_of_addresses_and_says_so() {
        let events: Vec<_> = (0..40).map(|n| issued(60 + n, &format!("192.0.2.{n}"), &[])).collect();
        let all = sum(events.clone()).unwrap();
        assert_eq!(addresses(&all).count(), MAX_ADDRESSES);
        assert_eq!(all.details["more_addresses"], "yes");
        let more = sum(vec![all, issued(110, "192.0.2.0", &[])]).unwrap();
        assert_eq!((more.count, &more.details["more_addresses"]), (41, &"yes".into()));
    }

    #[test]
    fn single_event_stays_as_it_is() {
        let one = issued(60, "192.0.2.7", &[("api", "notes")]);
        assert_eq!(sum(vec![one.clone()]), Some(one));
        assert_eq!(sum(Vec::new()), None);
    }
}
