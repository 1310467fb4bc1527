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
    /// What applies instead after very many in a row.
    pub slow: Option<Slow>,
}

/// A slow pace that takes the place of growing waits, which guesses at any pace would keep from ever ending.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Slow {
    /// After how many failures in a row.
    pub after: u32,
    /// Where an attempt needs to be free, in the order of their subjects.
    pub lanes: Vec<Lane>,
}

/// One attempt at a time.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Lane {
    /// The key of the lane, as in its row.
    pub subject: String,
    /// How long after an attempt the next one is free.
    pub pace: Duration,
}

/// What became of a reservation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reservation {
    /// The attempt may continue; it was counted.
    Go,
    /// The attempt has to wait; it was not counted. So many failed in a row that only a slow pace is left.
    Slow(Duration),
    /// The attempt has to wait; it was not counted.
    Wait(Duration),
}

/// Counts an attempt at each counter, unless one of them says to wait.
#[derive(Clone, Debug)]
pub struct ReserveAttempt {
    /// The counters that the attempt belongs to.
    pub counters: Vec<Counter>,
    /// The longest wait that is imposed.
    pub max_wait: Duration,
    /// The current time by the caller's clock.
    pub now: Timestamp,
}

impl Operation for ReserveAttempt {
    type Output = Reservation;

    async fn run(&self, tx: &mut impl Tx) -> Result<Reservation, TxError> {
        // An attempt that has to wait writes nothing: rows are created only when no counter says to wait.
        let seen = self.survey(tx, Look::Read).await?;
        if let Some(refused) = seen.refused() {
            return Ok(refused);
        }
        let locked = self.survey(tx, Look::Lock).await?;
        if let Some(refused) = locked.refused() {
            return Ok(refused);
        }
        for (subject, failures) in locked.counted {
            write(tx, subject, &failures).await?;
        }
        Ok(Reservation::Go)
    }
}

/// How a counter is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Look {
    /// As it is; another attempt may be about to change it.
    Read,
    /// To be changed; it is created if need be.
    Lock,
}

/// What the counters say, and what they become if the attempt continues.
#[derive(Debug, Default)]
struct Survey<'a> {
    wait: Option<Duration>,
    is_slow: bool,
    counted: Vec<(&'a str, Failures)>,
}

impl Survey<'_> {
    fn refused(&self) -> Option<Reservation> {
        self.wait.map(if self.is_slow { Reservation::Slow } else { Reservation::Wait })
    }
}

impl ReserveAttempt {
    async fn survey(&self, tx: &mut impl Tx, look: Look) -> Result<Survey<'_>, TxError> {
        // In one order, so that two attempts never wait for each other.
        let mut counters: Vec<_> = self.counters.iter().collect();
        counters.sort();
        let mut survey = Survey::default();
        for counter in counters {
            let failures = find(tx, &counter.subject, look).await?;
            match counter.slow.as_ref().filter(|slow| failures.in_a_row >= slow.after) {
                None => survey.wait = survey.wait.max(failures.wait(counter.free, self.max_wait, self.now)),
                Some(slow) => {
                    survey.is_slow = true;
                    for lane in &slow.lanes {
                        let last = find(tx, &lane.subject, look).await?;
                        survey.wait = survey.wait.max(last.rest(lane.pace, self.now));
                        survey.counted.push((&lane.subject, self.counted(last, false)));
                    }
                }
            }
            survey.counted.push((&counter.subject, self.counted(failures, counter.slow.is_some())));
        }
        Ok(survey)
    }

    /// A counter with this attempt. Without a number in a row, the row may be removed once it has decayed.
    fn counted(&self, failures: Failures, in_a_row: bool) -> Failures {
        let next = failures.plus_one(self.now);
        Failures { in_a_row: if in_a_row { next.in_a_row } else { 0 }, ..next }
    }
}

async fn find(tx: &mut impl Tx, subject: &str, look: Look) -> Result<Failures, TxError> {
    let sql = match look {
        Look::Read => sql!("SELECT {} FROM failures WHERE subject = $1", COLUMNS),
        Look::Lock => sql!(
            "INSERT INTO failures (subject, {}) VALUES ($1, 0, 0, 0)
             ON CONFLICT (subject) DO UPDATE SET subject = excluded.subject RETURNING {}",
            COLUMNS,
            COLUMNS
        ),
    };
    let row = tx.query_opt(sql, &[subject.into()]).await?;
    row.map_or_else(|| Ok(Failures::default()), |mut row| failures(&mut row))
}

/// Settles a reservation that turned out to be no guess.
#[derive(Clone, Debug)]
pub struct SettleAttempt {
    /// Counters that start again: of the name and of the browser that proved themselves.
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
