//! Changes of something that the caller has read: refused if somebody else changed it meanwhile (RFC 9110 section 13.1.1).
//!
//! Updates have a `from` of their own. The others, such as deleting and disabling, are wrapped: in one transaction the row is
//! locked, compared with what the caller read, and changed.
//!
//! Easy to get wrong: roles are rows of their own. They are read after the lock, and who gives or withdraws one takes the lock
//! of the holder's row first.

use std::fmt::Debug;

use doorward_core::{api::Role, clock::Timestamp, id::ApiId};

use crate::{
    record::Updated,
    tx::{Operation, Tx, TxError, Urgency},
};

/// What a change may start from: what is registered of a client or user, whether it is disabled, and its roles.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Seen<M> {
    /// What is registered.
    pub metadata: M,
    /// When it was disabled, if it is.
    pub disabled_at: Option<Timestamp>,
    /// Its roles, in their order.
    pub roles: Vec<(ApiId, Role)>,
}

/// A change of one row, which it can lock and read before. Returns whether there is such a row.
pub trait ChangesOne: Operation<Output = bool> {
    /// What is read of the row.
    type Seen: Clone + Debug + PartialEq + Send + Sync + 'static;

    /// Locks the row until the end of the transaction, and reads it.
    fn lock(&self, tx: &mut impl Tx) -> impl Future<Output = Result<Option<Self::Seen>, TxError>> + Send;
}

/// A change that happens only if the row is as the caller read it.
#[derive(Clone, Debug)]
pub struct IfUnchanged<O: ChangesOne> {
    /// What the caller read.
    pub from: O::Seen,
    /// The change.
    pub change: O,
}

impl<O: ChangesOne> Operation for IfUnchanged<O> {
    type Output = Updated;

    const URGENCY: Urgency = O::URGENCY;

    async fn run(&self, tx: &mut impl Tx) -> Result<Updated, TxError> {
        match self.change.lock(tx).await? {
            None => Ok(Updated::Unknown),
            Some(present) if present != self.from => Ok(Updated::Changed),
            Some(_) => Ok(match self.change.run(tx).await? {
                true => Updated::Done,
                false => Updated::Unknown,
            }),
        }
    }
}
