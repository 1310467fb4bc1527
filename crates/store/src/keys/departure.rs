//! The keys of a user or client that is disabled: revoked, or handed over, in the same transaction.
//!
//! The change of the user or client is what other servers follow: they forget all keys of that owner.

use std::sync::LazyLock;

use doorward_core::{
    clock::Timestamp,
    holder::Owner,
    id::{ClientId, UserId},
    key_selection::KeySelection,
    rights::Rights,
};

use super::{
    SelectKeys, Selected,
    revocation::{CHUNK, among, revoke, with_ids},
};
use crate::{
    ChangesOne,
    audit::AuditContext,
    clients::{self, ChangeClient, FindClient},
    tx::{Operation, Tx, TxError, Urgency},
    users::{self, ChangeUser},
};

/// What becomes of the keys of somebody who leaves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum KeysOfLeaver {
    /// They belong to somebody else from now on, and go on to work.
    HandOver(Owner),
    /// They are revoked for good.
    Revoke,
}

/// A change that disables a user or a client.
pub trait Leaves: ChangesOne {
    /// Who leaves.
    fn owner(&self) -> Owner;
    /// When, and the audit row of the change.
    fn audit(&mut self) -> (Timestamp, &mut AuditContext);
}

impl Leaves for ChangeUser {
    fn owner(&self) -> Owner {
        Owner::User(self.id.clone())
    }

    fn audit(&mut self) -> (Timestamp, &mut AuditContext) {
        (self.now, &mut self.audit)
    }
}

impl Leaves for ChangeClient {
    fn owner(&self) -> Owner {
        Owner::Client(self.id.clone())
    }

    fn audit(&mut self) -> (Timestamp, &mut AuditContext) {
        (self.now, &mut self.audit)
    }
}

/// Disables a user or client, and revokes or hands over all keys. [`TxError::Conflict`], and nothing is changed, if there are
/// more keys than may be, if one of them has rights that the caller lacks, or if the new owner is disabled or gone.
#[derive(Clone, Debug)]
pub struct Leave<C: Leaves> {
    /// The change that disables. Its audit row also says what became of how many keys.
    pub change: C,
    /// What becomes of the keys.
    pub keys: KeysOfLeaver,
    /// The rights of the caller.
    pub rights: Rights,
    /// At most so many keys.
    pub most: usize,
}

impl<C: Leaves> Operation for Leave<C> {
    type Output = bool;

    const URGENCY: Urgency = Urgency::Patient;

    async fn run(&self, tx: &mut impl Tx) -> Result<bool, TxError> {
        let (mut change, leaver) = (self.change.clone(), self.change.owner());
        let selected = select(leaver, self.rights.clone(), self.most).run(tx).await?;
        let Selected::All { keys, beyond_rights: 0 } = selected else { return Err(TxError::Conflict) };
        let (now, audit) = change.audit();
        let count = keys.len().to_string();
        match &self.keys {
            KeysOfLeaver::Revoke => {
                audit.details.insert("keys_revoked".to_owned(), count.into());
                revoke(tx, &keys, &audit.id.clone(), now).await?;
            }
            KeysOfLeaver::HandOver(to) => {
                if !lock_enabled(tx, to).await? {
                    return Err(TxError::Conflict);
                }
                audit.details.insert("keys_handed_over".to_owned(), count.into());
                audit.details.insert("to".to_owned(), to.to_string().into());
                for chunk in keys.chunks(CHUNK) {
                    tx.execute(HAND_OVER.as_str(), &with_ids([to.as_str().into()], chunk)).await?;
                }
            }
        }
        change.run(tx).await
    }
}

impl<C: Leaves> ChangesOne for Leave<C> {
    type Seen = C::Seen;

    async fn lock(&self, tx: &mut impl Tx) -> Result<Option<Self::Seen>, TxError> {
        self.change.lock(tx).await
    }
}

/// All keys of somebody who leaves, as the caller may change them.
pub fn select(leaver: Owner, rights: Rights, most: usize) -> SelectKeys {
    SelectKeys { selection: KeySelection { owner: Some(leaver), ..KeySelection::default() }, rights, most }
}

/// Locks the new owner of keys, against being disabled meanwhile. Returns whether it is there and enabled.
async fn lock_enabled(tx: &mut impl Tx, owner: &Owner) -> Result<bool, TxError> {
    Ok(match owner {
        Owner::Client(id) => is_enabled_client(tx, id).await?,
        Owner::User(id) => is_enabled_user(tx, id).await?,
        // Whom only an API knows.
        Owner::External(_) => true,
    })
}

async fn is_enabled_client(tx: &mut impl Tx, id: &ClientId) -> Result<bool, TxError> {
    clients::lock(tx, id).await?;
    Ok(FindClient { id: id.clone() }.run(tx).await?.is_some_and(|client| client.disabled_at.is_none()))
}

async fn is_enabled_user(tx: &mut impl Tx, id: &UserId) -> Result<bool, TxError> {
    Ok(users::lock(tx, id).await?.is_some_and(|user| user.disabled_at.is_none()))
}

static HAND_OVER: LazyLock<String> =
    LazyLock::new(|| format!("UPDATE api_keys SET owner = $1 WHERE id {} AND revoked_at IS NULL", among(2)));
