//! Adding a key.

use doorward_core::holder::Owner;

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
                "INSERT INTO api_keys ({}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
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
