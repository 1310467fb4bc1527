//! API keys. Looked up by digest; cached by the servers, so every change goes into the log of changes.

use doorward_core::{
    api::Role,
    api_key::{KeyFacts, KeyMetadata},
    clock::Timestamp,
    digest::KeyedDigest,
    holder::Owner,
    id::{ApiId, KeyId},
};

use crate::{
    ChangeKind, append_change,
    audit::{AuditAction, AuditContext},
    record::{Page, Updated, by_digest, json, readable_page, replace_metadata},
    roles,
    sql::sql,
    tx::{Operation, Row, Tx, TxError},
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
    /// When it got its scopes: those that were removed from their API since then don't count.
    pub scope_given_at: Timestamp,
    /// When it ends; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// Whether its owner is disabled or gone.
    pub owner_is_disabled: bool,
    /// Whether its owner is gone.
    pub owner_is_deleted: bool,
}

impl KeyRecord {
    /// What decides whether it may be used.
    pub fn facts(&self) -> KeyFacts {
        KeyFacts { revoked_at: self.revoked_at, expires_at: self.expires_at, owner_is_disabled: self.owner_is_disabled }
    }
}

/// Adds a key with its roles.
#[derive(Clone, Debug)]
pub struct CreateKey {
    /// The key's row, with the digest instead of the key.
    pub key: KeyRecord,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

impl Operation for CreateKey {
    type Output = ();

    async fn run(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        let key = &self.key;
        tx.execute(
            sql!("INSERT INTO api_keys ({}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)", COLUMNS),
            &[
                key.id.as_str().into(),
                key.digest.pepper.as_str().into(),
                (&key.digest.digest).into(),
                key.hint.as_str().into(),
                json(&key.metadata),
                key.owner.as_ref().map(Owner::as_str).into(),
                key.created_at.into(),
                key.scope_given_at.into(),
                key.expires_at.into(),
                key.revoked_at.into(),
                key.last_used_at.into(),
            ],
        )
        .await?;
        for (api, role) in &key.roles {
            let row = [key.id.as_str().into(), api.as_str().into(), role.as_str().into(), key.created_at.into()];
            let sql = "INSERT INTO role_grants (holder, api_id, role, created_at) VALUES ($1, $2, $3, $4)";
            tx.execute(sql, &row).await?;
        }
        let never = || "never".to_owned();
        let event = self.audit.event(AuditAction::KeyCreated).about(&key.id);
        let event = event.with("name", &key.metadata.name).with("scope", &key.metadata.scope);
        let expires_at = key.expires_at.map_or_else(never, |at| at.as_secs().to_string());
        event.with("expires_at", expires_at).append(tx).await
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

/// Which keys are listed.
#[derive(Clone, Debug, Default)]
pub struct KeyFilter {
    /// Only those of this owner.
    pub owner: Option<Owner>,
    /// Only those that were revoked, or only those that were not.
    pub revoked: Option<bool>,
}

/// Keys in order of creation.
#[derive(Clone, Debug)]
pub struct ListKeys {
    /// Which keys.
    pub filter: KeyFilter,
    /// Only keys created after this one.
    pub after: Option<KeyId>,
    /// Maximum number of rows.
    pub limit: i64,
}

impl Operation for ListKeys {
    type Output = Vec<KeyRecord>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Vec<KeyRecord>, TxError> {
        let KeyFilter { owner, revoked } = &self.filter;
        let sql = match (owner, revoked) {
            (None, None) => sql!("{} WHERE id > $1 ORDER BY id LIMIT $2", SELECT),
            (None, Some(true)) => sql!("{} WHERE id > $1 AND revoked_at IS NOT NULL ORDER BY id LIMIT $2", SELECT),
            (None, Some(false)) => sql!("{} WHERE id > $1 AND revoked_at IS NULL ORDER BY id LIMIT $2", SELECT),
            (Some(_), None) => sql!("{} WHERE {} ORDER BY owner, id LIMIT $2", SELECT, OF_OWNER),
            (Some(_), Some(true)) => {
                sql!("{} WHERE {} AND revoked_at IS NOT NULL ORDER BY owner, id LIMIT $2", SELECT, OF_OWNER)
            }
            (Some(_), Some(false)) => {
                sql!("{} WHERE {} AND revoked_at IS NULL ORDER BY owner, id LIMIT $2", SELECT, OF_OWNER)
            }
        };
        let after = [self.after.as_ref().map_or_else(String::new, KeyId::to_string)];
        let filter = owner.iter().map(|owner| owner.as_str().into()).collect();
        readable_page(tx, Page { kind: "key", sql, after, limit: self.limit, filter }, key).await
    }
}

/// As a range of both columns, so that PostgreSQL does not walk the primary key for an owner of many keys.
const OF_OWNER: &str = "owner IS NOT NULL AND (owner, id) > ($3, $1) AND owner <= $3";

/// What became of a revocation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyRevocation {
    /// It had been revoked before.
    Before,
    /// It is revoked now.
    Now,
    /// There is no such key.
    Unknown,
}

/// Revokes a key for good.
#[derive(Clone, Debug)]
pub struct RevokeKey {
    /// The key to revoke; revoking it again changes nothing.
    pub id: KeyId,
    /// The current time by the caller's clock.
    pub now: Timestamp,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

impl Operation for RevokeKey {
    type Output = KeyRevocation;

    async fn run(&self, tx: &mut impl Tx) -> Result<KeyRevocation, TxError> {
        let id = self.id.as_str();
        let sql = "UPDATE api_keys SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL";
        if tx.execute(sql, &[self.now.into(), id.into()]).await? == 0 {
            let exists = tx.query("SELECT id FROM api_keys WHERE id = $1", &[id.into()]).await?;
            return Ok(if exists.is_empty() { KeyRevocation::Unknown } else { KeyRevocation::Before });
        }
        self.audit.event(AuditAction::KeyRevoked).about(id).append(tx).await?;
        append_change(tx, ChangeKind::Key, id, self.now).await?;
        Ok(KeyRevocation::Now)
    }
}

/// Changes what is registered of a key, and its roles. The scopes count as given at a time that the
/// caller says.
#[derive(Clone, Debug)]
pub struct UpdateKey {
    /// The key to change.
    pub id: KeyId,
    /// What the change started from.
    pub from: KeyMetadata,
    /// What is registered from now on.
    pub to: KeyMetadata,
    /// When it had got its scopes when it was read.
    pub given_at_from: Timestamp,
    /// When it got its scopes, from now on.
    pub given_at_to: Timestamp,
    /// The roles that the change started from.
    pub roles_from: Vec<(ApiId, Role)>,
    /// The roles from now on.
    pub roles_to: Vec<(ApiId, Role)>,
    /// The current time by the caller's clock.
    pub now: Timestamp,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

impl Operation for UpdateKey {
    type Output = Updated;

    async fn run(&self, tx: &mut impl Tx) -> Result<Updated, TxError> {
        let id = self.id.as_str();
        let lock = "UPDATE api_keys SET revoked_at = revoked_at WHERE id = $1 RETURNING metadata, scope_given_at";
        let Some(mut row) = tx.query_opt(lock, &[id.into()]).await? else { return Ok(Updated::Unknown) };
        let Some(mut replaced) = replace_metadata(&mut row, &self.from, &self.to)? else { return Ok(Updated::Changed) };
        if row.time()? != self.given_at_from {
            return Ok(Updated::Changed);
        }
        if self.given_at_from != self.given_at_to {
            replaced.add("scope");
        }
        let Some(roles) = self.changed_roles(tx).await? else { return Ok(Updated::Changed) };
        if !replaced.members.is_empty() {
            let sql = "UPDATE api_keys SET metadata = $1, scope_given_at = $2 WHERE id = $3";
            tx.execute(sql, &[replaced.metadata, self.given_at_to.into(), id.into()]).await?;
        }
        for (api, role, is_granted) in &roles {
            roles::write(tx, id, api, role, *is_granted, self.now).await?;
        }
        let members = (!replaced.members.is_empty()).then_some(replaced.members);
        let changed: Vec<_> = members.into_iter().chain((!roles.is_empty()).then(|| "roles".to_owned())).collect();
        if !changed.is_empty() {
            let event = self.audit.event(AuditAction::KeyUpdated).about(id);
            event.with("changed", changed.join(" ")).append(tx).await?;
            append_change(tx, ChangeKind::Key, id, self.now).await?;
        }
        Ok(Updated::Done)
    }
}

impl UpdateKey {
    /// The roles to grant and to withdraw; `None` if somebody else changed the roles meanwhile.
    async fn changed_roles(&self, tx: &mut impl Tx) -> Result<Option<Vec<(&ApiId, &Role, bool)>>, TxError> {
        let sql = sql!("SELECT {} FROM api_keys WHERE id = $1", roles::OF_HOLDER);
        let mut row = tx.query_opt(sql, &[self.id.as_str().into()]).await?;
        let held = row.as_mut().map(roles::of_holder).transpose()?.unwrap_or_default();
        if held.len() != self.roles_from.len() || !held.iter().all(|role| self.roles_from.contains(role)) {
            return Ok(None);
        }
        let (from, to) = (&self.roles_from, &self.roles_to);
        let granted = to.iter().filter(|role| !from.contains(role)).map(|(api, role)| (api, role, true));
        let withdrawn = from.iter().filter(|role| !to.contains(role)).map(|(api, role)| (api, role, false));
        Ok(Some(withdrawn.chain(granted).collect()))
    }
}

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
                let sql = "UPDATE api_keys SET digest = $1, pepper = $2 WHERE id = $3";
                let row = [(&digest.digest).into(), digest.pepper.as_str().into(), id.as_str().into()];
                tx.execute(sql, &row).await?;
            }
        }
        Ok(())
    }
}

const COLUMNS: &str = "id, pepper, digest, hint, metadata, owner, created_at, scope_given_at, \
                       expires_at, revoked_at, last_used_at";

/// Keys with their roles, and whether their owner is disabled or gone: an owner is a user or a client.
const SELECT: &str = sql!(
    "SELECT {}, {},
       CASE WHEN owner IS NULL
              OR EXISTS (SELECT 1 FROM users WHERE users.id = owner AND disabled_at IS NULL)
              OR EXISTS (SELECT 1 FROM clients WHERE clients.id = owner AND disabled_at IS NULL)
            THEN 0
            WHEN EXISTS (SELECT 1 FROM users WHERE users.id = owner AND deleted_at IS NULL)
              OR EXISTS (SELECT 1 FROM clients WHERE clients.id = owner)
            THEN 1 ELSE 2 END AS owner_state
     FROM api_keys",
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
        last_used_at: row.opt_time()?,
        roles: roles::of_holder(row)?,
        owner_is_disabled: false,
        owner_is_deleted: false,
    };
    let owner = row.int()?;
    (key.owner_is_disabled, key.owner_is_deleted) = (owner > 0, owner > 1);
    Ok(key)
}
