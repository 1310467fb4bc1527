//! Removing families that have ended, with their tokens.
//!
//! Easy to get wrong: a family can have tens of thousands of tokens, and only the chain leads to them. What is not
//! removed at once must still be reached the next time, so the family then names the newest token that is left; and of
//! two servers that sweep at the same time one must leave the family alone. Disabling a client ends hundreds of thousands
//! of families at the same time: what orders those in SQL sorts all of them in each step.

use std::collections::BTreeSet;

use doorward_core::clock::Timestamp;

use crate::{
    sweep::{AFTERGLOW, Sweep},
    tx::{Operation, Tx, TxError},
};

/// Removes families that ended a while ago, with their tokens: at most [`Sweep::STEP`] rows, and that of the last family
/// beyond.
#[derive(Clone, Debug)]
pub(crate) struct RemoveEndedFamilies {
    pub(crate) now: Timestamp,
}

impl Operation for RemoveEndedFamilies {
    /// How many rows were removed. As many as [`Sweep::STEP`]: more may be waiting.
    type Output = u64;

    async fn run(&self, tx: &mut impl Tx) -> Result<u64, TxError> {
        let sql = "SELECT id, newest_digest FROM refresh_families WHERE expires_at < $1 ORDER BY expires_at LIMIT $2";
        let mut families = Vec::new();
        for mut family in tx.query(sql, &[self.now.minus(AFTERGLOW).into(), Sweep::STEP.into()]).await? {
            families.push((family.text()?, family.opt_bytes()?));
        }
        // In the same order on each server: otherwise two that sweep could wait for each other.
        families.sort_unstable();
        let mut removed = 0;
        for (id, newest) in families {
            let left = Sweep::STEP - removed;
            if left <= 0 {
                break;
            }
            removed += match newest {
                Some(newest) => remove_tokens(tx, &id, &newest, left).await?,
                None => remove_family(tx, &id).await?,
            };
        }
        Ok(u64::try_from(removed).unwrap_or_default())
    }
}

/// Removes at most `most` tokens of a family, and with the last of them the family. Returns how many rows.
async fn remove_tokens(tx: &mut impl Tx, id: &str, newest: &[u8], most: i64) -> Result<i64, TxError> {
    // Who comes second waits here, and finds another name.
    let sql = "UPDATE refresh_families SET newest_digest = newest_digest WHERE id = $1 AND newest_digest = $2";
    if tx.execute(sql, &[id.into(), newest.into()]).await? == 0 {
        return Ok(0);
    }
    let sql = "DELETE FROM refresh_tokens WHERE digest IN (
                 WITH RECURSIVE chain (digest, predecessor, place) AS (
                   SELECT digest, predecessor, CAST(1 AS bigint) FROM refresh_tokens WHERE digest = $1
                   UNION ALL
                   SELECT t.digest, t.predecessor, chain.place + 1
                   FROM chain JOIN refresh_tokens t ON t.digest = chain.predecessor WHERE chain.place < $2)
                 SELECT digest FROM chain)
               RETURNING digest, predecessor";
    let gone = tx.query(sql, &[newest.into(), most.into()]).await?;
    let removed = i64::try_from(gone.len()).unwrap_or(most);
    let (mut digests, mut predecessors) = (BTreeSet::new(), Vec::new());
    for mut token in gone {
        digests.insert(token.bytes()?);
        predecessors.extend(token.opt_bytes()?);
    }
    let next = predecessors.into_iter().find(|predecessor| !digests.contains(predecessor));
    let Some(next) = next else { return Ok(removed + remove_family(tx, id).await?) };
    let sql = "UPDATE refresh_families SET newest_digest = $1 WHERE id = $2";
    tx.execute(sql, &[next.into(), id.into()]).await?;
    Ok(removed)
}

async fn remove_family(tx: &mut impl Tx, id: &str) -> Result<i64, TxError> {
    let removed = tx.execute("DELETE FROM refresh_families WHERE id = $1", &[id.into()]).await?;
    Ok(i64::try_from(removed).unwrap_or_default())
}
