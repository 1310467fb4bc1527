//! When keys were used.

use doorward_core::{clock::Timestamp, digest::KeyedDigest, id::KeyId};

use crate::tx::{Operation, Tx, TxError};

/// Notes that keys were used, and digests them under the current pepper where they were under an older one.
#[derive(Clone, Debug)]
pub struct TouchKeys {
    /// The keys, when each was used, and its new digest if it needs one.
    pub uses: Vec<(KeyId, Timestamp, Option<KeyedDigest>)>,
}

impl Operation for TouchKeys {
    type Output = ();

    async fn run(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        // In one order, so that two servers that write at the same time never wait for each other in a circle.
        let mut uses: Vec<_> = self.uses.iter().collect();
        uses.sort_by(|(left, ..), (right, ..)| left.cmp(right));
        for (id, at, digest) in uses {
            let sql = "UPDATE api_keys SET last_used_at = $1 WHERE id = $2 AND COALESCE(last_used_at, 0) < $1";
            tx.execute(sql, &[(*at).into(), id.as_str().into()]).await?;
            if let Some(digest) = digest {
                // A key that was given another secret meanwhile has a digest under the current pepper.
                let sql = "UPDATE api_keys SET digest = $1, pepper = $2 WHERE id = $3 AND pepper <> $2";
                let row = [(&digest.digest).into(), digest.pepper.as_str().into(), id.as_str().into()];
                tx.execute(sql, &row).await?;
            }
        }
        Ok(())
    }
}
