//! Ending grants: one at once, or all of a client or a user by one row first and the grants' own rows afterwards.
//!
//! A client can have a million live grants. What refuses them is therefore one row, which says that those given before a
//! time have ended. Their own rows say so later, in steps that no other writer notices, and then that row goes.
//!
//! Easy to get wrong: who asks whether a grant lives must ask [`ENDED_AT`], never the row's own column alone. And several
//! servers end the same grants: that one found nothing to end does not say that nothing is left.

use doorward_core::{
    clock::Timestamp,
    id::{ClientId, GrantId, UserId},
};

use crate::{
    ChangeKind, append_change,
    sql::sql,
    tx::{Operation, Tx, TxError, Urgency, Value},
};

/// When the grant `g` ended, if it did: by its own row, or with all that its client or its user had by that time.
pub(crate) const ENDED_AT: &str = "COALESCE(g.ended_at,
    (SELECT max(before) FROM ending_grants WHERE subject IN (g.client_id, g.user_id) AND before >= g.created_at))";

/// Whose grants are ended at once.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Of<'a> {
    Grant(&'a GrantId),
    UserAtClient(&'a UserId, &'a ClientId),
}

/// Ends live grants, their refresh families, and the sealed successors in those. Returns how many grants.
pub(crate) async fn end_all(tx: &mut impl Tx, of: Of<'_>, why: &'static str, now: Timestamp) -> Result<u64, TxError> {
    // A condition for each, so that each finds its index.
    let (sql, whose) = match of {
        Of::Grant(grant) => (sql!("{} AND id = $3 RETURNING id", END), vec![grant.as_str()]),
        Of::UserAtClient(user, client) => {
            (sql!("{} AND user_id = $3 AND client_id = $4 RETURNING id", END), vec![user.as_str(), client.as_str()])
        }
    };
    let params: Vec<_> = [now.into(), why.into()].into_iter().chain(whose.into_iter().map(Value::from)).collect();
    let ended = tx.query(sql, &params).await?;
    let ended = ended.into_iter().map(|mut row| row.text()).collect::<Result<Vec<_>, _>>()?;
    for id in &ended {
        let sql = sql!("{} AND grant_id = $2", END_FAMILIES);
        tx.execute(sql, &[now.into(), id.as_str().into()]).await?;
    }
    // From the first change to the commit, every other change waits.
    for id in &ended {
        append_change(tx, ChangeKind::Grant, id, now).await?;
    }
    Ok(ended.len() as u64)
}

const END: &str = "UPDATE grants SET ended_at = $1, ended_why = $2 WHERE ended_at IS NULL";

const END_FAMILIES: &str = "UPDATE refresh_families SET
      ended_at = $1, expires_at = CASE WHEN expires_at > $1 THEN $1 ELSE expires_at END,
      successor_sealed = NULL, seal_counts_from = NULL
    WHERE ended_at IS NULL";

/// Whose grants are ended by one row.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AllOf<'a> {
    Client(&'a ClientId),
    User(&'a UserId),
}

/// Ends the grants that a client or a user has by now, also those that a node gave whose clock is ahead. [`EndGrants`]
/// writes that into their rows. The caller announces it with the client or the user.
pub(crate) async fn end_later(
    tx: &mut impl Tx,
    of: AllOf<'_>,
    why: &'static str,
    now: Timestamp,
) -> Result<(), TxError> {
    let (subject, newest) = match of {
        AllOf::Client(client) => (client.as_str(), sql!("{} client_id = $1 {}", NEWEST, NEWEST_FIRST)),
        AllOf::User(user) => (user.as_str(), sql!("{} user_id = $1 {}", NEWEST, NEWEST_FIRST)),
    };
    let newest = tx.query_opt(newest, &[subject.into()]).await?.map(|mut row| row.time()).transpose()?;
    let before = newest.map_or(now, |newest| newest.max(now));
    let sql = "INSERT INTO ending_grants (subject, before, why) VALUES ($1, $2, $3)
               ON CONFLICT (subject) DO UPDATE SET before = excluded.before, why = excluded.why";
    tx.execute(sql, &[subject.into(), before.into(), why.into()]).await?;
    Ok(())
}

const NEWEST: &str = "SELECT created_at FROM grants WHERE ended_at IS NULL AND";
const NEWEST_FIRST: &str = "ORDER BY created_at DESC LIMIT 1";

/// Writes into the rows of some grants that they have ended with their client or their user. Nothing depends on when this
/// happens.
#[derive(Clone, Debug)]
pub struct EndGrants;

impl EndGrants {
    /// Grants that one operation ends at most: no other writer waits for longer than a few milliseconds.
    pub const STEP: i64 = 16;
}

impl Operation for EndGrants {
    /// Whether nothing is left to be ended.
    type Output = bool;

    const URGENCY: Urgency = Urgency::Patient;

    async fn run(&self, tx: &mut impl Tx) -> Result<bool, TxError> {
        let sql = "SELECT subject, before, why FROM ending_grants ORDER BY subject LIMIT 1";
        let Some(mut ending) = tx.query_opt(sql, &[]).await? else { return Ok(true) };
        let (subject, before, why) = (ending.text()?, ending.time()?, ending.text()?);
        let (end, left) = match ClientId::parse(&subject) {
            Ok(_) => (OF_CLIENT, LEFT_OF_CLIENT),
            Err(_) => (OF_USER, LEFT_OF_USER),
        };
        let params = [before.into(), why.into(), subject.as_str().into(), Self::STEP.into()];
        let ended = tx.query(end, &params).await?;
        let mut families: Vec<Value> = vec![before.into()];
        for mut grant in ended {
            families.push(grant.text()?.into());
        }
        // The statement has a place for each grant of a whole step; no grant has the name of what fills the rest.
        families.resize(1 + Self::STEP as usize, "".into());
        tx.execute(sql!("{} AND grant_id IN ({})", END_FAMILIES, PLACES), &families).await?;
        let consents_left = forget_consents(tx, &subject).await?;
        // Asked again: another server may have ended all that were found above, and left others.
        let grants_left = tx.query_opt(left, &[before.into(), subject.as_str().into()]).await?.is_some();
        if !grants_left && !consents_left {
            // Another end that was noted meanwhile stays.
            let sql = "DELETE FROM ending_grants WHERE subject = $1 AND before = $2";
            tx.execute(sql, &[subject.into(), before.into()]).await?;
        }
        Ok(false)
    }
}

/// What was allowed without being asked again goes with a client that is gone, a step of it. Returns whether some is
/// left.
///
/// Whether the client is gone is asked first: as a condition beside the others, SQLite would look at each consent of a
/// client that is still there, in each step.
async fn forget_consents(tx: &mut impl Tx, subject: &str) -> Result<bool, TxError> {
    let exists = tx.query_opt("SELECT 1 AS found FROM clients WHERE id = $1", &[subject.into()]).await?.is_some();
    if exists {
        return Ok(false);
    }
    tx.execute(CONSENTS, &[subject.into(), EndGrants::STEP.into()]).await?;
    let left = "SELECT 1 AS found FROM consents WHERE client_id = $1 LIMIT 1";
    Ok(tx.query_opt(left, &[subject.into()]).await?.is_some())
}

/// As many as [`EndGrants::STEP`].
const PLACES: &str = "$2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17";

const CONSENTS: &str = "DELETE FROM consents WHERE client_id = $1 AND user_id IN
      (SELECT user_id FROM consents WHERE client_id = $1 LIMIT $2)";

const OF_CLIENT: &str = sql!(
    "{} AND id IN (SELECT id FROM grants WHERE client_id = $3 AND ended_at IS NULL AND created_at <= $1 LIMIT $4)
     RETURNING id",
    END
);
const OF_USER: &str = sql!(
    "{} AND id IN (SELECT id FROM grants WHERE user_id = $3 AND ended_at IS NULL AND created_at <= $1 LIMIT $4)
     RETURNING id",
    END
);

const LEFT_OF_CLIENT: &str = sql!("{} client_id = $2 {}", LEFT, LEFT_BY_THEN);
const LEFT_OF_USER: &str = sql!("{} user_id = $2 {}", LEFT, LEFT_BY_THEN);
const LEFT: &str = "SELECT 1 AS found FROM grants WHERE ended_at IS NULL AND";
const LEFT_BY_THEN: &str = "AND created_at <= $1 LIMIT 1";
