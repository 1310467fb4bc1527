//! Changes of a key that the caller has read: refused if somebody else changed it meanwhile (RFC 9110 section 13.1.1).
//!
//! Easy to get wrong: roles are rows of their own. They are read after the lock, and who gives or withdraws one takes the
//! lock of the key's row first.

use doorward_core::{
    api::Role,
    api_key::KeyMetadata,
    clock::Timestamp,
    holder::Owner,
    id::{ApiId, KeyId},
};

use super::{FindKey, KeyRecord};
use crate::tx::{Operation, Tx, TxError, Urgency};

/// What a change of a key may start from. Its uses are left out: they change nothing about it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SeenKey {
    metadata: KeyMetadata,
    owner: Option<Owner>,
    roles: Vec<(ApiId, Role)>,
    scope_given_at: Timestamp,
    /// When it ends, was revoked, was disabled and was reported as leaked, as far as it was.
    times: [Option<Timestamp>; 4],
}

impl KeyRecord {
    /// What a change of the key may start from.
    pub fn seen(&self) -> SeenKey {
        let mut roles = self.roles.clone();
        roles.sort();
        SeenKey {
            metadata: self.metadata.clone(),
            owner: self.owner.clone(),
            roles,
            scope_given_at: self.scope_given_at,
            times: [self.expires_at, self.revoked_at, self.disabled_at, self.leaked_at],
        }
    }
}

/// A change that happens only if the key is as the caller read it.
#[derive(Clone, Debug)]
pub struct IfKeyUnchanged<O> {
    /// The key.
    pub id: KeyId,
    /// What the caller read.
    pub from: SeenKey,
    /// The change.
    pub change: O,
}

impl<O: Operation> Operation for IfKeyUnchanged<O> {
    /// What the change returns; `None` if somebody else changed the key meanwhile, and nothing is changed.
    type Output = Option<O::Output>;

    const URGENCY: Urgency = O::URGENCY;

    async fn run(&self, tx: &mut impl Tx) -> Result<Self::Output, TxError> {
        super::rotation::lock(tx, &self.id).await?;
        let found = FindKey { id: self.id.clone() }.run(tx).await?;
        match found.is_none_or(|key| key.seen() == self.from) {
            // Of a key that is gone, the change says so itself.
            true => self.change.run(tx).await.map(Some),
            false => Ok(None),
        }
    }
}
