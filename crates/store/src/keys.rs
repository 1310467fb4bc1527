//! API keys. Looked up by digest; cached by the servers, so every change goes into the log of changes.

use doorward_core::{
    api::Role,
    api_key::{KeyFacts, KeyMetadata},
    clock::Timestamp,
    digest::KeyedDigest,
    holder::Owner,
    id::{ApiId, KeyId},
    key_selection::SelectedKey,
};

use crate::{
    record::by_digest,
    roles,
    sql::sql,
    tx::{Operation, Row, Tx, TxError},
};

mod budget;
mod creation;
mod departure;
mod ending;
mod events;
mod leak;
mod list;
mod notices;
mod old_uses;
mod own_rotation;
mod revocation;
mod rotation;
mod selection;
mod unchanged;
mod unusual_uses;
mod update;
mod usage;

pub use self::{
    budget::{Budget, BudgetKind, ReserveUses, Reserved, ReservedUses, ReturnUses},
    creation::{CreateKey, CreateOwnKey, OwnKeyCreation},
    departure::{KeysOfLeaver, Leave, Leaves, select as select_keys_of_leaver},
    ending::{DisableKey, KeyRevocation, RevokeKey},
    leak::{Leak, ListLeakedKeys, ReportLeak},
    list::{KeyFilter, KeysOf, ListDueKeys, ListKeys, ListKeysOf, ListNewestKeys, ListShownKeys},
    notices::{DueBy, MarkDue, NoticeExpiring},
    old_uses::{NoteOldUses, OldUse, RotatingKeys},
    own_rotation::{OwnKeyRotation, RotateOwnKey},
    revocation::{CanReportRevocations, ReportRevocations, RevokeKeys},
    rotation::{DueRotations, EndRotation, KeyRotations, RotateKey, RotationRecord},
    selection::{FoundKey, SelectKeys, Selected},
    unchanged::{IfKeyUnchanged, SeenKey},
    unusual_uses::{KeyNetworkUse, NoteKeyNetworks, ReportUnusualUses, UnusualKeyUse},
    update::UpdateKey,
    usage::{CountUsage, KeyTouch, TouchKeys, UsageCount, UsageOf, WriteUses},
};

/// An API key as it is remembered.
#[derive(Clone, Debug)]
pub struct KeyRecord {
    /// Its id, which is not secret.
    pub id: KeyId,
    /// The digest of the key.
    pub digest: KeyedDigest,
    /// Its first characters, to be recognised by.
    pub hint: String,
    /// What is registered of it.
    pub metadata: KeyMetadata,
    /// Whom it belongs to.
    pub owner: Option<Owner>,
    /// Its roles, each at an API.
    pub roles: Vec<(ApiId, Role)>,
    /// When the key was created.
    pub created_at: Timestamp,
    /// Who created it, as the audit has it: the id of a user, client or key, or `os:name` for the command line. `None`
    /// where that is not known any more.
    pub created_by: Option<String>,
    /// When it got its scopes: those that were removed from their API since then don't count.
    pub scope_given_at: Timestamp,
    /// When it ends; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was disabled, if it is.
    pub disabled_at: Option<Timestamp>,
    /// When somebody found and reported it, if so.
    pub leaked_at: Option<Timestamp>,
    /// Where it was found, as the reporter said.
    pub leak_source: Option<String>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// From where it was last used, as far as that is kept.
    pub last_used_address: Option<String>,
    /// Whether its owner is disabled or gone.
    pub owner_is_disabled: bool,
    /// Whether its owner is gone.
    pub owner_is_deleted: bool,
}

impl KeyRecord {
    /// The key as which its uses are counted against its limits: of a successor, the first key of its rotations.
    pub fn counted_as(&self) -> &KeyId {
        self.metadata.counted_as.as_ref().unwrap_or(&self.id)
    }

    /// What decides whether it is among the keys that somebody means.
    pub fn selected(&self) -> SelectedKey<'_> {
        SelectedKey {
            metadata: &self.metadata,
            owner: self.owner.as_ref(),
            created_by: self.created_by.as_deref(),
            created_at: self.created_at,
        }
    }

    /// What decides whether it may be used.
    pub fn facts(&self) -> KeyFacts {
        KeyFacts {
            revoked_at: self.revoked_at,
            expires_at: self.expires_at,
            disabled_at: self.disabled_at,
            owner_is_disabled: self.owner_is_disabled,
        }
    }
}

/// The key with one of these digests.
#[derive(Clone, Debug)]
pub struct FindKeyByDigest {
    /// The digests under the live peppers.
    pub candidates: Vec<KeyedDigest>,
}

impl Operation for FindKeyByDigest {
    type Output = Option<KeyRecord>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Option<KeyRecord>, TxError> {
        let sql = sql!("{} WHERE digest = $1 AND pepper = $2", SELECT);
        by_digest(tx, sql, &self.candidates).await?.as_mut().map(key).transpose()
    }
}

/// The key with this id.
#[derive(Clone, Debug)]
pub struct FindKey {
    /// The id from its row.
    pub id: KeyId,
}

impl Operation for FindKey {
    type Output = Option<KeyRecord>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Option<KeyRecord>, TxError> {
        let found = tx.query_opt(sql!("{} WHERE id = $1", SELECT), &[self.id.as_str().into()]).await?;
        found.map(|mut row| key(&mut row)).transpose()
    }
}

/// A key with its rotations, as it is shown.
#[derive(Clone, Debug)]
pub struct ShownKey {
    /// The key.
    pub key: KeyRecord,
    /// What replaces it, and what it replaces.
    pub rotations: KeyRotations,
}

/// The key with this id, as it is shown.
#[derive(Clone, Debug)]
pub struct FindShownKey {
    /// The id from its row.
    pub id: KeyId,
}

impl Operation for FindShownKey {
    type Output = Option<ShownKey>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Option<ShownKey>, TxError> {
        let found = tx.query_opt(sql!("{} WHERE id = $1", SHOWN), &[self.id.as_str().into()]).await?;
        let mut found = found.map(|mut row| shown_key(&mut row)).transpose()?;
        if let Some(ShownKey { rotations, .. }) = found.as_mut().filter(|found| found.rotations.replaced.is_some()) {
            rotations.old_uses = old_uses::of_key(tx, &self.id).await?;
        }
        Ok(found)
    }
}

const COLUMNS: &str = "id, pepper, digest, hint, metadata, owner, created_at, scope_given_at, \
                       expires_at, revoked_at, disabled_at, leaked_at, leak_source, last_used_at, last_used_address, created_by";

/// Keys with their roles, and whether their owner is disabled or gone: an owner is a user or a client, or else somebody
/// whom only the API knows.
const SELECT: &str = sql!("SELECT {} FROM api_keys", FIELDS);

/// The same with their rotations.
const SHOWN: &str = sql!("SELECT {}, {} FROM api_keys {}", FIELDS, rotation::FIELDS, rotation::JOIN);

const FIELDS: &str = sql!(
    "{}, {},
       CASE WHEN owner IS NULL OR substr(owner, 1, 4) NOT IN ('usr_', 'cli_')
              OR EXISTS (SELECT 1 FROM users WHERE users.id = owner AND disabled_at IS NULL)
              OR EXISTS (SELECT 1 FROM clients WHERE clients.id = owner AND disabled_at IS NULL)
            THEN 0
            WHEN EXISTS (SELECT 1 FROM users WHERE users.id = owner AND deleted_at IS NULL)
              OR EXISTS (SELECT 1 FROM clients WHERE clients.id = owner)
            THEN 1 ELSE 2 END AS owner_state",
    COLUMNS,
    roles::OF_HOLDER
);

fn key(row: &mut Row) -> Result<KeyRecord, TxError> {
    let mut key = KeyRecord {
        id: row.parsed()?,
        digest: row.keyed_digest()?,
        hint: row.text()?,
        metadata: row.json()?,
        owner: row.opt_parsed()?,
        created_at: row.time()?,
        scope_given_at: row.time()?,
        expires_at: row.opt_time()?,
        revoked_at: row.opt_time()?,
        disabled_at: row.opt_time()?,
        leaked_at: row.opt_time()?,
        leak_source: row.opt_text()?,
        last_used_at: row.opt_time()?,
        last_used_address: row.opt_text()?,
        created_by: row.opt_text()?,
        roles: roles::of_holder(row)?,
        owner_is_disabled: false,
        owner_is_deleted: false,
    };
    let owner = row.int()?;
    (key.owner_is_disabled, key.owner_is_deleted) = (owner > 0, owner > 1);
    Ok(key)
}

fn shown_key(row: &mut Row) -> Result<ShownKey, TxError> {
    Ok(ShownKey { key: key(row)?, rotations: rotation::rotations(row)? })
}
