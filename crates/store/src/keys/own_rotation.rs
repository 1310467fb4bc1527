//! Rotating a key by the user whom it belongs to. The id of the successor comes from the form, so that a form that is sent twice
//! makes one successor.

use super::{FindKey, RotateKey, rotation::lock};
use crate::tx::{Operation, Tx, TxError};

/// Gives a key a successor, unless the same form did so before.
#[derive(Clone, Debug)]
pub struct RotateOwnKey {
    /// The rotation, with a successor that has the id from the form.
    pub rotate: RotateKey,
}

/// What became of a rotation that a user asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OwnKeyRotation {
    /// The same form was sent before.
    Before,
    /// The key has its successor now.
    Rotated,
}

impl Operation for RotateOwnKey {
    type Output = OwnKeyRotation;

    async fn run(&self, tx: &mut impl Tx) -> Result<OwnKeyRotation, TxError> {
        lock(tx, &self.rotate.from.key.id).await?;
        if (FindKey { id: self.rotate.successor.id.clone() }).run(tx).await?.is_some() {
            return Ok(OwnKeyRotation::Before);
        }
        self.rotate.run(tx).await?;
        Ok(OwnKeyRotation::Rotated)
    }
}
