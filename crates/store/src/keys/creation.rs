//! Adding a key.

use doorward_core::{holder::Owner, id::UserId};

use super::{COLUMNS, KeyRecord};
use crate::{
    audit::{AuditAction, AuditContext},
    record::json,
    sql::sql,
    tx::{Operation, Tx, TxError},
};

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
            sql!(
                "INSERT INTO api_keys ({}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
                COLUMNS
            ),
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
                key.disabled_at.into(),
                key.leaked_at.into(),
                key.leak_source.clone().into(),
                key.last_used_at.into(),
                key.last_used_address.as_deref().into(),
                key.created_by.as_deref().into(),
            ],
        )
        .await?;
        for api in &key.metadata.apis {
            // An API that is named twice is one.
            let sql = "INSERT INTO key_apis (api_id, key_id) VALUES ($1, $2) ON CONFLICT (api_id, key_id) DO NOTHING";
            tx.execute(sql, &[api.as_str().into(), key.id.as_str().into()]).await?;
        }
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

/// Adds a key that a user made for himself or herself. The id comes from the form, so that a form that is sent twice makes
/// one key.
#[derive(Clone, Debug)]
pub struct CreateOwnKey {
    /// The key and its audit. Its owner is the user.
    pub create: CreateKey,
    /// Who makes it.
    pub user_id: UserId,
    /// How many keys that are not revoked the user may have.
    pub most: i64,
}

/// What became of a key that a user wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OwnKeyCreation {
    /// It is there now.
    Created,
    /// The same form was sent before.
    Before,
    /// The user has as many keys as may be.
    TooMany,
    /// The user is disabled or gone.
    UserDisabled,
}

impl Operation for CreateOwnKey {
    type Output = OwnKeyCreation;

    async fn run(&self, tx: &mut impl Tx) -> Result<OwnKeyCreation, TxError> {
        let user = self.user_id.as_str();
        // The lock: keys that one user makes at the same time are counted one after the other.
        let lock = "UPDATE users SET disabled_at = disabled_at
                    WHERE id = $1 AND disabled_at IS NULL AND deleted_at IS NULL RETURNING id";
        if tx.query_opt(lock, &[user.into()]).await?.is_none() {
            return Ok(OwnKeyCreation::UserDisabled);
        }
        let known = "SELECT id FROM api_keys WHERE id = $1";
        if tx.query_opt(known, &[self.create.key.id.as_str().into()]).await?.is_some() {
            return Ok(OwnKeyCreation::Before);
        }
        let count = "SELECT count(*) FROM (
                         SELECT 1 FROM api_keys WHERE owner IS NOT NULL AND owner = $1 AND revoked_at IS NULL LIMIT $2
                     ) AS live";
        if tx.query_one(count, &[user.into(), self.most.into()]).await?.int()? >= self.most {
            return Ok(OwnKeyCreation::TooMany);
        }
        self.create.run(tx).await?;
        Ok(OwnKeyCreation::Created)
    }
}
