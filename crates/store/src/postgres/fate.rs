//! What became of a transaction whose COMMIT was not answered (PostgreSQL manual, 9.27.8).
//!
//! Easy to get wrong: a number alone names no transaction. A server that crashed gives the numbers again whose
//! transactions had not reached its disk, and so does a promoted replica: the number is then "committed", by another one.

use deadpool_postgres::{Client, Transaction};

use super::connection::is_broken;
use super::transaction::explain;
use crate::tx::TxError;

/// The name of a transaction that writes, by which the server looks up its outcome.
pub(super) struct Name {
    number: String,
    /// The server's timeline, the first 8 digits of its log's file: a promoted replica begins another one.
    timeline: String,
    /// How far the log was on the disk after the number was given.
    flushed: String,
    /// How far the log was in all after the number was given.
    inserted: String,
}

impl Name {
    pub(super) async fn of(transaction: &Transaction<'_>) -> Result<Self, TxError> {
        let name = async {
            let statement = transaction.prepare_cached(NAME).await?;
            let row = transaction.query_one(&statement, &[]).await?;
            Ok(Self {
                number: row.try_get(0)?,
                timeline: row.try_get(1)?,
                flushed: row.try_get(2)?,
                inserted: row.try_get(3)?,
            })
        };
        name.await.map_err(|error: tokio_postgres::Error| match is_broken(&error) {
            true => TxError::Retry,
            false => explain(&error),
        })
    }

    /// `committed`, `aborted`, `in progress`, or nothing if that is not known.
    pub(super) async fn fate(&self, client: &Client) -> Result<String, TxError> {
        let name = [&self.number, &self.timeline, &self.flushed, &self.inserted];
        let row = client.query_one(FATE, &name.map(|part| part as _)).await.map_err(|error| explain(&error))?;
        row.try_get(0).map_err(|error| explain(&error))
    }
}

/// The columns are computed from left to right, so that the positions are those after the number was given.
const NAME: &str = "SELECT CAST(pg_current_xact_id() AS text), left(pg_walfile_name(pg_current_wal_lsn()), 8),
    CAST(pg_current_wal_flush_lsn() AS text), CAST(pg_current_wal_insert_lsn() AS text)";

/// Recovery from a crash ends with a checkpoint that begins where the log that was on the disk ends, and notes the number
/// to be given next.
///
/// - The last checkpoint began before `flushed`: there was no crash since, and the number is ours.
/// - It knows our number: that was in the log on the disk, or no crash happened before the number was given.
/// - It began after `inserted` and does not know our number: that was lost in a crash, so nothing was committed.
/// - In between, either may be true.
const FATE: &str = "SELECT CASE
        WHEN left(pg_walfile_name(pg_current_wal_lsn()), 8) <> $2 THEN ''
        WHEN redo_lsn < CAST(CAST($3 AS text) AS pg_lsn)
            OR CAST(split_part(next_xid, ':', 1) AS numeric) * 4294967296
                + CAST(split_part(next_xid, ':', 2) AS numeric) > CAST(CAST($1 AS text) AS numeric)
            THEN coalesce(pg_xact_status(CAST(CAST($1 AS text) AS xid8)), '')
        WHEN redo_lsn >= CAST(CAST($4 AS text) AS pg_lsn) THEN 'aborted'
        ELSE '' END
    FROM pg_control_checkpoint()";

#[cfg(test)]
mod tests {
    use super::super::Postgres;
    use super::*;
    use crate::tx::Urgency;

    /// The log's first and last positions: before and after any checkpoint.
    const START: &str = "0/0";
    const END: &str = "FFFFFFFF/FFFFFFFF";

    /// The fates of a committed transaction whose number came after the last checkpoint, if the positions are these.
    async fn fates<const N: usize>(postgres: &Postgres, positions: [(&str, &str); N]) -> [String; N] {
        loop {
            let mut client = postgres.client(Urgency::Request).await.expect("a connection");
            client.batch_execute("CHECKPOINT").await.expect("a superuser");
            let transaction = client.transaction().await.expect("a transaction");
            let name = Name::of(&transaction).await.expect("a name");
            transaction.commit().await.expect("it is committed");
            assert_eq!(name.fate(&client).await.as_deref(), Ok("committed"));
            let mut fates = Vec::new();
            for (flushed, inserted) in positions {
                let Name { number, timeline, .. } = &name;
                let name = Name {
                    number: number.clone(),
                    timeline: timeline.clone(),
                    flushed: flushed.to_owned(),
                    inserted: inserted.to_owned(),
                };
                fates.push(name.fate(&client).await.expect("a fate"));
            }
            let known = "SELECT split_part(next_xid, ':', 2) FROM pg_control_checkpoint()";
            let next: String = client.query_one(known, &[]).await.expect("a row").get(0);
            // Another test's checkpoint would make the number known.
            if next.parse::<u64>().expect("a number") <= name.number.parse().expect("a number") {
                return fates.try_into().expect("one for each");
            }
        }
    }

    #[tokio::test]
    async fn number_that_was_given_again_after_a_crash_is_not_ours() {
        let Ok(url) = std::env::var("DOORWARD_TEST_POSTGRES") else { return };
        let postgres = Postgres::open(&url).await.expect("PostgreSQL answers");

        let [crashed_since, perhaps, not_crashed] = fates(&postgres, [(START, START), (START, END), (END, END)]).await;

        assert_eq!(crashed_since, "aborted", "recovery began after our number was given, and does not know it");
        assert_eq!(perhaps, "", "nobody knows");
        assert_eq!(not_crashed, "committed");
    }
}
