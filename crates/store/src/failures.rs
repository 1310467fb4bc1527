//! Counters of failed attempts, shared by all servers.
//!
//! An attempt is counted before the secret is looked at; a success gives it back.

use std::time::Duration;

use doorward_core::{clock::Timestamp, throttle::Failures};

use crate::{
    sql::sql,
    tx::{Operation, Row, Tx, TxError},
};

/// One counter, and how many failures it lets pass.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Counter {
    /// What is counted: a digest of a name, an address, a browser.
    pub subject: String,
    /// How many failures are free.
    pub free: u32,
    /// After how many in a row nothing passes any more.
    pub most_in_a_row: Option<u32>,
}

/// What became of a reservation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reservation {
    /// The attempt may go on; it was counted.
    Go,
    /// Too many in a row; only another way in will do.
    Closed,
    /// The attempt has to wait; it was not counted.
    Wait(Duration),
}

/// Counts an attempt at each counter, unless one of them says to wait.
#[derive(Clone, Debug)]
pub struct ReserveAttempt {
    /// The counters.
    pub counters: Vec<Counter>,
    /// The longest wait.
    pub max_wait: Duration,
    /// When.
    pub now: Timestamp,
}

impl Operation for ReserveAttempt {
    type Output = Reservation;

    async fn run(&self, tx: &mut impl Tx) -> Result<Reservation, TxError> {
        // In one order, so that two attempts never wait for each other.
        let mut counters = self.counters.clone();
        counters.sort();
        let mut counted = Vec::new();
        let mut longest = None;
        for counter in &counters {
            let sql = sql!(
                "INSERT INTO failures (subject, {}) VALUES ($1, 0, 0, 0)
                 ON CONFLICT (subject) DO UPDATE SET subject = excluded.subject RETURNING {}",
                COLUMNS,
                COLUMNS
            );
            let failures = failures(&mut tx.query_one(sql, &[counter.subject.as_str().into()]).await?)?;
            if counter.most_in_a_row.is_some_and(|most| failures.in_a_row >= most) {
                return Ok(Reservation::Closed);
            }
            longest = longest.max(failures.wait(counter.free, self.max_wait, self.now));
            let mut next = failures.plus_one(self.now);
            if counter.most_in_a_row.is_none() {
                // Nobody asks for it, and without it the row may be removed once it has decayed.
                next.in_a_row = 0;
            }
            counted.push((counter, next));
        }
        if let Some(wait) = longest {
            return Ok(Reservation::Wait(wait));
        }
        for (counter, failures) in counted {
            write(tx, &counter.subject, &failures).await?;
        }
        Ok(Reservation::Go)
    }
}

/// Settles a reservation that turned out to be no guess.
#[derive(Clone, Debug)]
pub struct SettleAttempt {
    /// Counters that start anew: of the name and of the browser that proved themselves.
    pub clear: Vec<String>,
    /// Counters that get the one attempt back: of an address, which others share.
    pub give_back: Vec<String>,
}

impl Operation for SettleAttempt {
    type Output = ();

    async fn run(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        // Addresses before names, as reservations take them.
        for subject in &self.give_back {
            let sql = "UPDATE failures SET
                         recent = CASE WHEN recent > 0 THEN recent - 1 ELSE 0 END,
                         in_a_row = CASE WHEN in_a_row > 0 THEN in_a_row - 1 ELSE 0 END
                       WHERE subject = $1";
            tx.execute(sql, &[subject.as_str().into()]).await?;
        }
        for subject in &self.clear {
            tx.execute("DELETE FROM failures WHERE subject = $1", &[subject.as_str().into()]).await?;
        }
        Ok(())
    }
}

async fn write(tx: &mut impl Tx, subject: &str, failures: &Failures) -> Result<(), TxError> {
    let sql = "UPDATE failures SET recent = $1, in_a_row = $2, last_at = $3 WHERE subject = $4";
    let row = [
        i64::from(failures.recent).into(),
        i64::from(failures.in_a_row).into(),
        failures.last_at.into(),
        subject.into(),
    ];
    tx.execute(sql, &row).await?;
    Ok(())
}

const COLUMNS: &str = "recent, in_a_row, last_at";

fn failures(row: &mut Row) -> Result<Failures, TxError> {
    Ok(Failures {
        recent: u32::try_from(row.int()?).unwrap_or(u32::MAX),
        in_a_row: u32::try_from(row.int()?).unwrap_or(u32::MAX),
        last_at: row.time()?,
    })
}
