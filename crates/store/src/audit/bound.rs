//! The number of refusals that are kept.
//!
//! Anybody can cause refusals, so their age bounds nothing. What changes a state needs a credential and stays for its
//! whole time.

use doorward_core::id::AuditId;

use crate::{
    sweep::Sweep,
    tx::{Operation, Tx, TxError},
};

/// The oldest refusal that is kept where there are more than `most`; none where there are not.
#[derive(Clone, Debug)]
pub struct OldestRefusalKept {
    /// How many are kept.
    pub most: i64,
}

impl Operation for OldestRefusalKept {
    type Output = Option<AuditId>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Option<AuditId>, TxError> {
        // One more than are kept, so that nothing is to be done where there are just as many.
        let sql = "SELECT id FROM audit WHERE action = 'request.refused' ORDER BY id DESC LIMIT 2 OFFSET $1";
        let offset = (self.most - 1).max(0);
        match &mut tx.query(sql, &[offset.into()]).await?[..] {
            [oldest, _] => Ok(Some(oldest.parsed()?)),
            _ => Ok(None),
        }
    }
}

/// Removes refusals that are older than one that is kept, [`Sweep::STEP`] at most. Gives how many were removed.
#[derive(Clone, Debug)]
pub struct RemoveRefusals {
    /// The oldest that is kept.
    pub before: AuditId,
}

impl Operation for RemoveRefusals {
    type Output = u64;

    async fn run(&self, tx: &mut impl Tx) -> Result<u64, TxError> {
        let sql = "DELETE FROM audit WHERE id IN
                     (SELECT id FROM audit WHERE action = 'request.refused' AND id < $1 ORDER BY id LIMIT $2)";
        tx.execute(sql, &[self.before.as_str().into(), Sweep::STEP.into()]).await
    }
}
