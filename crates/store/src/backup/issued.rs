//! What a restored server does with what was issued before: the backup does not know what was revoked since, so
//! everything that could have been is ended. Sessions, grants with their codes and refresh tokens, opaque access
//! tokens, and what users had allowed without being asked again. Access tokens of every client that were issued before
//! this moment are refused wherever the server itself checks them.
//!
//! That moment decides who gets in, so it is not this machine's clock alone: see [`Issued`].
//!
//! API keys stay as they were, because their holders can't get new ones by themselves.
//!
//! The work is done in steps, while nothing serves: none holds a lock for long, and a start before the last one is
//! refused by the mark of the restore.

use doorward_core::clock::Timestamp;

use super::BackupError;
use crate::store::Store;
use crate::tx::{Operation, Tx, TxError};

/// What becomes of what was issued before a restore.
#[derive(Clone, Copy, Debug)]
pub enum Issued {
    /// Everything stays as it was in the backup.
    Kept,
    /// It ends at the latest of the current time and all times in the database or its backup. If the clock is behind,
    /// what a correct clock issued still ends.
    Ended,
    /// It ends at the current time, because an operator says that the clock is right: what was written by one that was
    /// ahead is corrected.
    EndedNow,
}

/// How much was ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedByRestore {
    /// Access tokens that were issued before this are refused for every client.
    pub moment: Timestamp,
    /// Grants, each with its refresh tokens.
    pub grants: u64,
    /// Ended sessions of all users.
    pub sessions: u64,
    /// Opaque access tokens that were ended.
    pub access_tokens: u64,
    /// What users had allowed without being asked again.
    pub consents: u64,
}

impl Store {
    /// Ends all that was issued before `moment`. It is `now`.
    pub(super) async fn end_issued(&self, now: Timestamp, moment: Timestamp) -> Result<EndedByRestore, BackupError> {
        // Tokens name whole seconds: what is issued in this one, later, is not to be refused.
        let moment = Timestamp::from_secs(moment.as_secs());
        self.write_long(EndTokensOfClients { moment }).await?;
        self.end_rows(FAMILIES, now).await?;
        let ended = EndedByRestore {
            moment,
            grants: self.end_rows(GRANTS, now).await?,
            sessions: self.end_rows(SESSIONS, now).await?,
            access_tokens: self.remove_rows(ACCESS_TOKENS).await?,
            consents: self.remove_rows(CONSENTS).await?,
        };
        self.remove_rows(REQUESTS).await?;
        Ok(ended)
    }

    async fn end_rows(&self, rows: Ending, now: Timestamp) -> Result<u64, BackupError> {
        let (mut ended, mut after) = (0, Some(String::new()));
        while let Some(id) = after {
            let changed;
            (changed, after) = self.write_long(EndRows { rows, after: id, now }).await?;
            ended += changed;
        }
        Ok(ended)
    }

    async fn remove_rows(&self, sql: &'static str) -> Result<u64, BackupError> {
        let mut removed = 0;
        loop {
            match self.write_long(RemoveRows { sql }).await? {
                0 => return Ok(removed),
                step => removed += step,
            }
        }
    }
}

/// How rows of one kind are ended.
#[derive(Clone, Copy)]
struct Ending {
    /// The id of the last row of a step: the first rows behind `$1`, `$2` at most.
    last: &'static str,
    /// Ends at `$1` those behind `$2` up to `$3`.
    update: &'static str,
}

/// Ends the rows of one step. Returns how many, and the id from which on to continue.
#[derive(Clone)]
struct EndRows {
    rows: Ending,
    after: String,
    now: Timestamp,
}

impl Operation for EndRows {
    type Output = (u64, Option<String>);

    async fn run(&self, tx: &mut impl Tx) -> Result<Self::Output, TxError> {
        let last = tx.query_one(self.rows.last, &[self.after.as_str().into(), STEP.into()]).await?.opt_text()?;
        let Some(last) = last else { return Ok((0, None)) };
        let parameters = [self.now.into(), self.after.as_str().into(), last.as_str().into()];
        Ok((tx.execute(self.rows.update, &parameters).await?, Some(last)))
    }
}

const FAMILIES: Ending = Ending {
    last: "SELECT max(id) FROM (SELECT id FROM refresh_families WHERE id > $1 ORDER BY id LIMIT $2) AS t",
    update: "UPDATE refresh_families SET
               ended_at = $1, expires_at = CASE WHEN expires_at > $1 THEN $1 ELSE expires_at END,
               successor_sealed = NULL, seal_counts_from = NULL
             WHERE ended_at IS NULL AND id > $2 AND id <= $3",
};
const GRANTS: Ending = Ending {
    last: "SELECT max(id) FROM (SELECT id FROM grants WHERE id > $1 ORDER BY id LIMIT $2) AS t",
    update: "UPDATE grants SET ended_at = $1, ended_why = 'restored'
             WHERE ended_at IS NULL AND id > $2 AND id <= $3",
};
const SESSIONS: Ending = Ending {
    last: "SELECT max(id) FROM (SELECT id FROM sessions WHERE id > $1 ORDER BY id LIMIT $2) AS t",
    update: "UPDATE sessions SET ended_at = $1 WHERE ended_at IS NULL AND id > $2 AND id <= $3",
};

/// Removes the rows of one step, and says how many it were.
#[derive(Clone)]
struct RemoveRows {
    sql: &'static str,
}

impl Operation for RemoveRows {
    type Output = u64;

    async fn run(&self, tx: &mut impl Tx) -> Result<u64, TxError> {
        tx.execute(self.sql, &[STEP.into()]).await
    }
}

const ACCESS_TOKENS: &str =
    "DELETE FROM access_tokens WHERE digest IN (SELECT digest FROM access_tokens ORDER BY digest LIMIT $1)";
const CONSENTS: &str = "DELETE FROM consents WHERE (user_id, client_id) IN
    (SELECT user_id, client_id FROM consents ORDER BY user_id, client_id LIMIT $1)";
const REQUESTS: &str = "DELETE FROM authorization_requests WHERE digest IN
    (SELECT digest FROM authorization_requests ORDER BY digest LIMIT $1)";

/// Refuses the access tokens that each client has got so far, JWTs among them, which have no row.
#[derive(Clone)]
struct EndTokensOfClients {
    moment: Timestamp,
}

impl Operation for EndTokensOfClients {
    type Output = u64;

    async fn run(&self, tx: &mut impl Tx) -> Result<u64, TxError> {
        // Also in the place of a later time: by a clock that was ahead, new tokens would be refused for as long.
        let sql = "UPDATE clients SET tokens_ended_at = $1";
        tx.execute(sql, &[self.moment.into()]).await
    }
}

/// Rows that one transaction changes.
const STEP: i64 = 5_000;

#[cfg(test)]
mod tests {
    use super::super::tables::of_schema;
    use crate::migrate::KNOWN_SCHEMA;

    /// What was issued, and is ended or removed: by its own row, or by that of its grant or client.
    const ENDED: &[&str] = &[
        "access_tokens",
        "authorization_requests",
        "codes",
        "consents",
        "grants",
        "refresh_families",
        "refresh_tokens",
        "sessions",
    ];

    /// What was registered, what refuses, and what is remembered about it.
    const KEPT: &[&str] = &[
        "api_keys",
        "api_scopes",
        "apis",
        "assertion_ids",
        "audit",
        "audit_hours",
        "audit_removed",
        "audit_tally",
        "change_counter",
        "changes",
        "clients",
        "ended_scopes",
        "ending_grants",
        "failures",
        "kept_answers",
        "key_apis",
        "key_budgets",
        "key_networks",
        "key_old_uses",
        "key_rotations",
        "key_searches",
        "key_unusual_uses",
        "key_usage",
        "keys_due",
        "legacy_uses",
        "probe",
        "revocations_to_report",
        "revoked_tokens",
        "role_grants",
        "signing_keys",
        "trusted_clock",
        "users",
        "webhook_deliveries",
        "webhooks",
    ];

    #[test]
    fn each_table_is_either_ended_or_kept() {
        let mut decided = [ENDED, KEPT].concat();
        decided.sort_unstable();
        let mut tables: Vec<_> = of_schema(KNOWN_SCHEMA).unwrap().iter().map(|table| table.name.clone()).collect();
        tables.sort_unstable();
        assert_eq!(tables, decided, "decide for a new table whether a restore ends what is in it");
    }
}
