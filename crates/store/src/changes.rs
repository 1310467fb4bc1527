//! The changes log: what caches in this and other processes must reload, in the order of the commits.
//!
//! A position is taken from one counter row, whose lock is held to the commit: a follower that has seen position n
//! has seen every commit before it. Sequences and time-ordered ids don't promise that.
//!
//! Easy to get wrong: followers must notice a gap. When the first change after a known position is not its successor,
//! or [`Store::position`] differs while there is no change after it, changes were swept (or a backup was restored):
//! then everything is reloaded.

use std::time::Duration;

use doorward_core::clock::Timestamp;
use tokio::time::{Instant, timeout_at};

use crate::error::StoreError;
use crate::sql::sql;
use crate::store::Store;
use crate::tx::{Operation, Row, Tx, TxError, Urgency, Value};

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// 1, 2, 3…: without holes, in the order of the commits.
    pub position: i64,
    /// What kind of thing changed; `None` for one that this program does not know, since a newer one appended it.
    pub kind: Option<ChangeKind>,
    /// The id of what changed.
    pub subject: String,
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: i64,
}

/// What kind of thing changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ChangeKind {
    /// An API or its metadata.
    Api,
    /// A client, or its roles.
    Client,
    /// A grant, which was ended.
    Grant,
    /// An API key, or its roles.
    Key,
    /// Any number of API keys. The subject is empty.
    Keys,
    /// A signing key was added or removed.
    SigningKey,
    /// An access token, which was revoked.
    Token,
    /// A user, or the roles of one.
    User,
}

impl ChangeKind {
    const ALL: [Self; 8] =
        [Self::Api, Self::Client, Self::Grant, Self::Key, Self::Keys, Self::SigningKey, Self::Token, Self::User];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Client => "client",
            Self::Grant => "grant",
            Self::Key => "key",
            Self::Keys => "keys",
            Self::SigningKey => "signing_key",
            Self::Token => "token",
            Self::User => "user",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// What an operation returned, with the changes that it appended.
#[derive(Clone, Debug)]
pub struct Committed<T> {
    /// The result of the operation.
    pub output: T,
    /// What others cache and must now read again.
    pub changes: Vec<Change>,
}

/// Appends a change in the transaction that makes it, and gives its position. Call it last: from here to the commit
/// every other change waits.
pub async fn append_change(tx: &mut impl Tx, kind: ChangeKind, subject: &str, at: Timestamp) -> Result<i64, TxError> {
    let sql = "UPDATE change_counter SET position = position + 1 WHERE id = 1 RETURNING position";
    let position = tx.query_one(sql, &[]).await?.int()?;
    let sql = sql!("INSERT INTO changes ({}) VALUES ($1, $2, $3, $4)", COLUMNS);
    tx.execute(sql, &[position.into(), kind.as_str().into(), subject.into(), at.into()]).await?;
    tx.announce(Change { position, kind: Some(kind), subject: subject.to_owned(), at_ms: at.as_millis() });
    Ok(position)
}

/// Takes the lock that every change is appended under: until the commit, nobody else changes what others cache.
pub(crate) async fn hold_changes(tx: &mut impl Tx) -> Result<(), TxError> {
    tx.execute("UPDATE change_counter SET position = position WHERE id = 1", &[]).await?;
    Ok(())
}

/// Empties the log, and continues at a position that no follower can have reached: every follower reads everything
/// again.
pub(crate) async fn leave_all_behind(tx: &mut impl Tx, at: Timestamp) -> Result<(), TxError> {
    tx.execute("DELETE FROM changes", &[]).await?;
    // By the time, so that two restores of one backup differ as well. Nobody makes so many changes in a millisecond, and
    // the product is still a whole number in JSON for thousands of years.
    let ahead = at.as_millis().saturating_mul(PER_MILLISECOND);
    let sql =
        "UPDATE change_counter SET position = $2 + CASE WHEN position < $1 THEN $1 ELSE position END WHERE id = 1";
    tx.execute(sql, &[ahead.into(), PER_MILLISECOND.into()]).await.map(drop)
}

const PER_MILLISECOND: i64 = 1_024;

/// Deletes the oldest changes, `limit` at most, and gives their number. Never leaves a hole among those that stay.
#[derive(Clone, Debug)]
pub struct SweepChanges {
    /// Changes from here on stay, and all that follow them. Milliseconds since the Unix epoch.
    pub before_ms: i64,
    /// How many to delete at most, so that one sweep stays short.
    pub limit: i64,
}

impl Operation for SweepChanges {
    type Output = u64;

    async fn run(&self, tx: &mut impl Tx) -> Result<u64, TxError> {
        tx.execute(
            "DELETE FROM changes
             WHERE position < (SELECT min(position) FROM changes) + $2
             AND position < coalesce(
                 (SELECT min(position) FROM changes WHERE at >= $1),
                 (SELECT max(position) + 1 FROM changes))",
            &[self.before_ms.into(), self.limit.into()],
        )
        .await
    }
}

impl Store {
    /// Runs an operation as [`Store::write`] does, and returns with its output what it appended to the changes log.
    pub async fn commit<O: Operation>(&self, operation: O) -> Result<Committed<O::Output>, StoreError> {
        self.write(Collecting(operation)).await
    }

    /// The position of the last committed change; 0 before the first.
    pub async fn position(&self) -> Result<i64, StoreError> {
        self.read(Position).await
    }

    /// The changes after `position`, oldest first, `limit` at most.
    pub async fn changes_after(&self, position: i64, limit: i64) -> Result<Vec<Change>, StoreError> {
        self.read(ChangesAfter { position, limit }).await
    }

    /// Waits until the log's position is another than `position`, whichever process wrote, or until `max_wait` is
    /// over. Gives the position found, which is `position` itself when nothing happened, and smaller when a backup
    /// was restored.
    pub async fn wait_for_change(&self, position: i64, max_wait: Duration) -> Result<i64, StoreError> {
        let deadline = Instant::now() + max_wait.min(LONGEST_WAIT);
        let mut hints = self.change_hints();
        loop {
            hints.mark_unchanged();
            let found = self.position().await?;
            let now = Instant::now();
            if found != position || now >= deadline {
                return Ok(found);
            }
            // Neither outcome needs handling: a hint and its absence both lead to another look.
            let _ = timeout_at(deadline.min(now + self.recheck_interval()), hints.changed()).await;
        }
    }
}

/// An operation whose changes are collected.
#[derive(Clone)]
struct Collecting<O>(O);

impl<O: Operation> Operation for Collecting<O> {
    type Output = Committed<O::Output>;

    const URGENCY: Urgency = O::URGENCY;

    async fn run(&self, tx: &mut impl Tx) -> Result<Self::Output, TxError> {
        let mut tx = Collector { tx, changes: Vec::new() };
        let output = self.0.run(&mut tx).await?;
        Ok(Committed { output, changes: tx.changes })
    }
}

struct Collector<'t, T> {
    tx: &'t mut T,
    changes: Vec<Change>,
}

impl<T: Tx> Tx for Collector<'_, T> {
    async fn query(&mut self, sql: &'static str, params: &[Value]) -> Result<Vec<Row>, TxError> {
        self.tx.query(sql, params).await
    }

    async fn execute(&mut self, sql: &'static str, params: &[Value]) -> Result<u64, TxError> {
        self.tx.execute(sql, params).await
    }

    fn announce(&mut self, change: Change) {
        self.changes.push(change.clone());
        self.tx.announce(change);
    }
}

#[derive(Clone)]
struct Position;

impl Operation for Position {
    type Output = i64;

    const URGENCY: Urgency = Urgency::Vital;

    async fn run(&self, tx: &mut impl Tx) -> Result<i64, TxError> {
        tx.query_one("SELECT position FROM change_counter WHERE id = 1", &[]).await?.int()
    }
}

#[derive(Clone)]
struct ChangesAfter {
    position: i64,
    limit: i64,
}

impl Operation for ChangesAfter {
    type Output = Vec<Change>;

    const URGENCY: Urgency = Urgency::Vital;

    async fn run(&self, tx: &mut impl Tx) -> Result<Vec<Change>, TxError> {
        let sql = sql!("SELECT {} FROM changes WHERE position > $1 ORDER BY position LIMIT $2", COLUMNS);
        tx.query(sql, &[self.position.into(), self.limit.into()]).await?.iter_mut().map(change).collect()
    }
}

const COLUMNS: &str = "position, kind, subject, at";

fn change(row: &mut Row) -> Result<Change, TxError> {
    Ok(Change { position: row.int()?, kind: ChangeKind::parse(&row.text()?), subject: row.text()?, at_ms: row.int()? })
}

/// Keeps the deadline representable.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);
