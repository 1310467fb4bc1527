//! Who still uses a key that is being replaced: the latest address and user agent of each caller, bounded.

use doorward_core::{clock::Timestamp, id::KeyId};

use crate::tx::{Operation, Tx, TxError};

/// A use of a key that is being replaced.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OldUse {
    /// The caller's address; empty if the API did not say it.
    pub address: String,
    /// The caller's user agent, as it may be shown; empty if the API did not say it.
    pub user_agent: String,
    /// When it was last used so.
    pub last_used_at: Timestamp,
}

impl OldUse {
    /// Callers that are kept for each key.
    pub const MOST: i64 = 10;
}

/// The keys that are being replaced, those first whose rotation is looked at last.
#[derive(Clone, Debug)]
pub struct RotatingKeys {
    /// Maximum number of keys.
    pub limit: i64,
}

impl Operation for RotatingKeys {
    type Output = Vec<KeyId>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Vec<KeyId>, TxError> {
        let sql = "SELECT key_id FROM key_rotations WHERE ended_at IS NULL ORDER BY check_at DESC LIMIT $1";
        let rows = tx.query(sql, &[self.limit.into()]).await?;
        rows.into_iter().map(|mut row| row.parsed()).collect()
    }
}

/// Notes who used keys that are being replaced, and forgets all but the latest of each key.
#[derive(Clone, Debug)]
pub struct NoteOldUses {
    /// The keys, and who used each.
    pub uses: Vec<(KeyId, OldUse)>,
}

impl Operation for NoteOldUses {
    type Output = ();

    async fn run(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        // In one order, so that two servers that write at the same time never wait for each other in a circle.
        let mut uses: Vec<_> = self.uses.iter().collect();
        uses.sort_by(|(one, a), (other, b)| (one, &a.address, &a.user_agent).cmp(&(other, &b.address, &b.user_agent)));
        for (id, used) in &uses {
            let sql = "INSERT INTO key_old_uses (key_id, address, user_agent, last_used_at) VALUES ($1, $2, $3, $4)
                       ON CONFLICT (key_id, address, user_agent) DO UPDATE SET last_used_at = excluded.last_used_at
                       WHERE key_old_uses.last_used_at < excluded.last_used_at";
            let row = [
                id.as_str().into(),
                used.address.as_str().into(),
                used.user_agent.as_str().into(),
                used.last_used_at.into(),
            ];
            tx.execute(sql, &row).await?;
        }
        uses.dedup_by(|(one, _), (other, _)| one == other);
        for (id, _) in uses {
            let sql = "DELETE FROM key_old_uses WHERE key_id = $1 AND (address, user_agent) NOT IN
                       (SELECT address, user_agent FROM key_old_uses WHERE key_id = $1
                        ORDER BY last_used_at DESC, address, user_agent LIMIT $2)";
            tx.execute(sql, &[id.as_str().into(), OldUse::MOST.into()]).await?;
        }
        Ok(())
    }
}

/// Who used a key while it was being replaced, the latest first.
pub(super) async fn of_key(tx: &mut impl Tx, id: &KeyId) -> Result<Vec<OldUse>, TxError> {
    let sql = "SELECT address, user_agent, last_used_at FROM key_old_uses WHERE key_id = $1
               ORDER BY last_used_at DESC, address, user_agent";
    let rows = tx.query(sql, &[id.as_str().into()]).await?;
    let read = |mut row: crate::tx::Row| {
        Ok(OldUse { address: row.text()?, user_agent: row.text()?, last_used_at: row.time()? })
    };
    rows.into_iter().map(read).collect()
}
