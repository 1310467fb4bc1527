//! Removing families that have ended, with their tokens.
//!
//! Easy to get wrong: a family can have tens of thousands of tokens, and only the chain leads to them. What is not
//! removed at once must still be reached the next time, so the family then names the newest token that is left.

use doorward_core::clock::Timestamp;

use crate::tx::{Tx, TxError};

/// Removes families that ended before `before`, with their tokens: at most `most` rows, and the family's beyond that.
/// Gives how many rows.
pub(crate) async fn remove_ended(tx: &mut impl Tx, before: Timestamp, most: i64) -> Result<u64, TxError> {
    let sql = "SELECT id, newest_digest FROM refresh_families WHERE expires_at < $1 ORDER BY expires_at LIMIT $2";
    let mut left = most;
    for family in tx.query(sql, &[before.into(), most.into()]).await? {
        if left <= 0 {
            break;
        }
        let id = family.text("id")?;
        let Some(newest) = family.opt_bytes("newest_digest")? else {
            left -= remove_family(tx, id).await?;
            continue;
        };
        let (removed, next) = remove_tokens(tx, newest, left).await?;
        left -= removed;
        match next {
            Some(next) => {
                let sql = "UPDATE refresh_families SET newest_digest = $1 WHERE id = $2";
                tx.execute(sql, &[next.into(), id.into()]).await?;
            }
            None => left -= remove_family(tx, id).await?,
        }
    }
    Ok(u64::try_from(most - left).unwrap_or_default())
}

/// Removes at most `most` tokens of the chain that begins with `newest`. Gives how many, and which one is then the newest.
async fn remove_tokens(tx: &mut impl Tx, newest: &[u8], most: i64) -> Result<(i64, Option<Vec<u8>>), TxError> {
    let sql = "WITH RECURSIVE chain (digest, predecessor, place) AS (
                 SELECT digest, predecessor, CAST(1 AS bigint) FROM refresh_tokens WHERE digest = $1
                 UNION ALL
                 SELECT t.digest, t.predecessor, chain.place + 1
                 FROM chain JOIN refresh_tokens t ON t.digest = chain.predecessor WHERE chain.place < $2)
               SELECT digest, predecessor FROM chain ORDER BY place";
    let chain = tx.query(sql, &[newest.into(), most.into()]).await?;
    for token in &chain {
        tx.execute("DELETE FROM refresh_tokens WHERE digest = $1", &[token.bytes("digest")?.into()]).await?;
    }
    let next = chain.last().map(|last| last.opt_bytes("predecessor")).transpose()?.flatten();
    Ok((i64::try_from(chain.len()).unwrap_or(most), next.map(<[u8]>::to_vec)))
}

async fn remove_family(tx: &mut impl Tx, id: &str) -> Result<i64, TxError> {
    let removed = tx.execute("DELETE FROM refresh_families WHERE id = $1", &[id.into()]).await?;
    Ok(i64::try_from(removed).unwrap_or_default())
}
