//! Whether the database takes writes: found out by one.

use doorward_core::clock::Timestamp;

use crate::tx::{Operation, Tx, TxError, Urgency};

/// Writes one row that nobody reads. A full disk, a read-only file system and a replica all refuse it.
#[derive(Clone, Debug)]
pub struct ProbeWrite {
    /// The current time by the caller's clock.
    pub now: Timestamp,
}

impl Operation for ProbeWrite {
    type Output = ();

    const URGENCY: Urgency = Urgency::Vital;

    async fn run(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        let sql = "INSERT INTO probe (id, written_at) VALUES (1, $1)
                   ON CONFLICT (id) DO UPDATE SET written_at = excluded.written_at";
        tx.execute(sql, &[self.now.into()]).await?;
        Ok(())
    }
}
