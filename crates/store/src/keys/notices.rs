//! Searching for keys that end soon, or that are due for rotation. Each search walks an index in steps and remembers in the
//! transaction of its events how far it has come, so that each key is found once, over several servers and restarts.
//!
//! Easy to get wrong: the end of a search that has read everything is a time, not a key. What is created later belongs
//! behind it only if it ends later.

use std::time::Duration;

use doorward_core::{
    clock::Timestamp,
    id::{ApiId, KeyId},
    key_policy::KeyPolicy,
    webhook_event::EventType,
};

use super::{FindShownKey, ShownKey, events};
use crate::{
    audit::{AuditAction, AuditContext},
    tx::{Operation, Tx, TxError, Urgency, Value},
    webhooks::enqueue,
};

/// How far a search has come: behind the keys of this time and id.
struct Position {
    time: Timestamp,
    id: String,
}

impl Position {
    /// Locks a search and reads how far it has come; one that begins starts here.
    async fn of(tx: &mut impl Tx, search: &str, start: Timestamp) -> Result<Self, TxError> {
        let sql = "INSERT INTO key_searches (name, after_time, after_id) VALUES ($1, $2, '')
                   ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING after_time, after_id";
        let mut row = tx.query_one(sql, &[search.into(), start.into()]).await?;
        Ok(Self { time: row.time()?, id: row.text()? })
    }

    async fn keep(&self, tx: &mut impl Tx, search: &str) -> Result<(), TxError> {
        let sql = "UPDATE key_searches SET after_time = $2, after_id = $3 WHERE name = $1";
        tx.execute(sql, &[search.into(), self.time.into(), self.id.as_str().into()]).await.map(drop)
    }

    /// The next keys in the order in which they end, which end before a time.
    async fn next_by_end(
        &self,
        tx: &mut impl Tx,
        until: Timestamp,
        most: usize,
    ) -> Result<Vec<(Timestamp, KeyId)>, TxError> {
        let sql = "SELECT expires_at, id FROM api_keys WHERE revoked_at IS NULL AND expires_at IS NOT NULL
                   AND (expires_at, id) > ($1, $2) AND expires_at < $3 ORDER BY expires_at, id LIMIT $4";
        let params = [self.time.into(), self.id.as_str().into(), until.into(), limit(most)];
        let rows = tx.query(sql, &params).await?;
        rows.into_iter().map(|mut row| Ok((row.time()?, row.parsed()?))).collect()
    }

    /// The next keys in the order of their creation, which were created before a time.
    async fn next_by_age(
        &self,
        tx: &mut impl Tx,
        until: Timestamp,
        most: usize,
    ) -> Result<Vec<(Timestamp, KeyId)>, TxError> {
        let sql =
            "SELECT created_at, id FROM api_keys WHERE revoked_at IS NULL AND id > $1 AND id < $2 ORDER BY id LIMIT $3";
        let rows = tx.query(sql, &[self.id.as_str().into(), KeyId::floor(until).into(), limit(most)]).await?;
        rows.into_iter().map(|mut row| Ok((row.time()?, row.parsed()?))).collect()
    }
}

fn limit(most: usize) -> Value {
    i64::try_from(most).unwrap_or(i64::MAX).into()
}

/// Notes in the audit which keys end within some time: a step of them. A key that is replaced is left out, and so is one that
/// was created with a shorter lifetime than that.
#[derive(Clone, Debug)]
pub struct NoticeExpiring {
    /// How long before their end.
    pub ahead: Duration,
    /// The current time by a plausible clock.
    pub now: Timestamp,
    /// The audit rows that the step may write. As many keys are looked at.
    pub audits: Vec<AuditContext>,
}

impl Operation for NoticeExpiring {
    /// Whether there may be more.
    type Output = bool;

    const URGENCY: Urgency = Urgency::Patient;

    async fn run(&self, tx: &mut impl Tx) -> Result<bool, TxError> {
        let (search, until) = (format!("expiring/{}", self.ahead.as_secs()), self.now.plus(self.ahead));
        let position = Position::of(tx, &search, until).await?;
        let found = position.next_by_end(tx, until, self.audits.len()).await?;
        for ((expires_at, id), audit) in found.iter().zip(&self.audits) {
            let key = FindShownKey { id: id.clone() }.run(tx).await?;
            let is_replaced = |shown: &ShownKey| shown.rotations.replaced.is_some();
            let Some(ShownKey { key, .. }) = key.filter(|shown| !is_replaced(shown)) else { continue };
            if key.facts().check(self.now).is_ok() {
                let days_ahead = self.ahead.as_secs() / 86_400;
                let event = audit.event(AuditAction::KeyExpiring).about(id).with("name", &key.metadata.name);
                let event = event.with("expires_at", expires_at.as_secs());
                event.with("days_ahead", days_ahead).append(tx).await?;
                let event = events::event(&key, audit, EventType::KeyExpiring);
                enqueue(tx, &event.with("days_ahead", days_ahead)).await?;
            }
        }
        finish(tx, &search, found, self.audits.len(), until.max(position.time)).await
    }
}

/// Notes how far a search has come with what it found. Gives whether there may be more.
async fn finish(
    tx: &mut impl Tx,
    search: &str,
    found: Vec<(Timestamp, KeyId)>,
    most: usize,
    until: Timestamp,
) -> Result<bool, TxError> {
    let is_full = found.len() == most;
    let position = match found.into_iter().next_back().filter(|_| is_full) {
        Some((time, id)) => Position { time, id: id.to_string() },
        None => Position { time: until, id: String::new() },
    };
    position.keep(tx, search).await.map(|()| is_full)
}

/// What makes keys due.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DueBy {
    /// Their age.
    Age,
    /// Their end.
    End,
}

/// Marks keys that are due for rotation by the policy of an API: a step of them.
#[derive(Clone, Debug)]
pub struct MarkDue {
    /// The API.
    pub api: ApiId,
    /// Its policy.
    pub policy: KeyPolicy,
    /// Which keys are looked at.
    pub by: DueBy,
    /// The current time by a plausible clock.
    pub now: Timestamp,
    /// The audit rows that the step may write. As many keys are looked at.
    pub audits: Vec<AuditContext>,
}

impl Operation for MarkDue {
    /// Whether there may be more.
    type Output = bool;

    const URGENCY: Urgency = Urgency::Patient;

    async fn run(&self, tx: &mut impl Tx) -> Result<bool, TxError> {
        let most = self.audits.len();
        let secs = Duration::from_secs;
        match self.by {
            DueBy::End => {
                let (search, until) =
                    (format!("due_by_end/{}", self.api), self.now.plus(secs(self.policy.rotate_ahead)));
                let position = Position::of(tx, &search, self.now).await?;
                let found = position.next_by_end(tx, until, most).await?;
                self.mark(tx, &found).await?;
                finish(tx, &search, found, most, until.max(position.time)).await
            }
            DueBy::Age => {
                let (search, until) =
                    (format!("due_by_age/{}", self.api), self.now.minus(secs(self.policy.rotate_after)));
                let position = Position::of(tx, &search, self.now).await?;
                let found = position.next_by_age(tx, until, most).await?;
                self.mark(tx, &found).await?;
                let Some((time, id)) = found.last() else { return Ok(false) };
                Position { time: *time, id: id.to_string() }.keep(tx, &search).await?;
                Ok(found.len() == most)
            }
        }
    }
}

impl MarkDue {
    async fn mark(&self, tx: &mut impl Tx, found: &[(Timestamp, KeyId)]) -> Result<(), TxError> {
        for ((_, id), audit) in found.iter().zip(&self.audits) {
            let Some(ShownKey { key, rotations }) = (FindShownKey { id: id.clone() }).run(tx).await? else { continue };
            let is_of_api = key.metadata.apis.contains(&self.api) && rotations.replaced.is_none();
            let is_due = self.policy.due_at(key.created_at, key.expires_at) <= self.now;
            if !is_of_api || !is_due || key.facts().check(self.now).is_err() {
                continue;
            }
            let sql = "INSERT INTO keys_due (key_id, since) VALUES ($1, $2) ON CONFLICT (key_id) DO NOTHING";
            if tx.execute(sql, &[id.as_str().into(), self.now.into()]).await? > 0 {
                let event = audit.event(AuditAction::KeyRotationDue).about(id).with("name", &key.metadata.name);
                event.with("api", &self.api).append(tx).await?;
                let event = events::event(&key, audit, EventType::KeyRotationDue);
                enqueue(tx, &event.with("api_id", self.api.as_str())).await?;
            }
        }
        Ok(())
    }
}
