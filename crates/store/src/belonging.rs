//! What a database says of the server that it belongs to, in any schema: before it is migrated, or anything else is
//! written into it.

use std::collections::BTreeSet;

use doorward_core::{
    api::{ApiMetadata, ResourceIdentifier},
    clock::Timestamp,
};

use crate::{
    ChangeKind, append_change,
    audit::{AuditAction, AuditContext},
    backup::{BackupError, FROM_A_BACKUP, IN_PLACE},
    changes::hold_changes,
    error::StoreError,
    migrate::{newest, restoring},
    record::json,
    signing_keys::SealingMasterKeys,
    store::Store,
    tx::{Operation, Tx, TxError},
};

/// What a database says of the server that it belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Belonging {
    /// The newest migration that was applied; 0 for an empty database.
    pub schema: i64,
    /// Whether it has rows beside those that the migrations write.
    pub has_data: bool,
    /// Whether it is being filled from a backup, or that was killed.
    pub is_being_filled: bool,
    /// Whether a restore in place is under way, or was killed.
    pub is_being_restored: bool,
    /// The ids of the master keys that its signing keys are sealed under.
    pub master_keys: BTreeSet<String>,
    /// The identifier of the management API, which names the issuer.
    pub management: Option<String>,
}

impl Store {
    /// What the database says of the server that it belongs to. Changes nothing.
    pub async fn belonging(&self, management: &'static str) -> Result<Belonging, StoreError> {
        let mut found = self.read(ReadBelonging { catalogue: self.catalogue(), management }).await?;
        // Nearly every start needs no more than these: to know every table takes longer than the rest of a start.
        found.has_data = !found.is_being_filled
            && (!found.master_keys.is_empty() || found.management.is_some() || self.has_rows().await?);
        Ok(found)
    }

    async fn has_rows(&self) -> Result<bool, StoreError> {
        match self.find_rows(false).await {
            Ok(found) => Ok(found.is_some()),
            // Where a newer version has worked there is data.
            Err(BackupError::Store(StoreError::SchemaNewer { .. })) => Ok(true),
            Err(BackupError::Store(error)) => Err(error),
            Err(error) => Err(StoreError::Fault(error.to_string())),
        }
    }
}

/// What can be read without knowing every table: all but [`Belonging::has_data`].
#[derive(Clone)]
struct ReadBelonging {
    catalogue: &'static str,
    management: &'static str,
}

impl Operation for ReadBelonging {
    type Output = Belonging;

    async fn run(&self, tx: &mut impl Tx) -> Result<Belonging, TxError> {
        if tx.query(self.catalogue, &[]).await?.is_empty() {
            return Ok(Belonging::default());
        }
        let restoring = restoring(tx).await?;
        let mut found = Belonging {
            schema: newest(tx).await?,
            is_being_filled: restoring == Some(FROM_A_BACKUP),
            is_being_restored: restoring == Some(IN_PLACE),
            ..Belonging::default()
        };
        if found.schema < FIRST_TABLES {
            return Ok(found);
        }
        found.master_keys = SealingMasterKeys.run(tx).await?;
        let named = tx.query_opt("SELECT identifier FROM apis WHERE name = $1", &[self.management.into()]).await?;
        found.management = named.map(|mut row| row.text()).transpose()?;
        Ok(found)
    }
}

/// The migration that brings the tables of APIs and signing keys.
const FIRST_TABLES: i64 = 2;

/// Gives the management API the identifier of another issuer.
#[derive(Clone, Debug)]
pub struct ChangeIssuer {
    /// The management API's name.
    pub management: &'static str,
    /// The new identifier of the management API.
    pub identifier: ResourceIdentifier,
    /// The current time by the caller's clock.
    pub now: Timestamp,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

impl Operation for ChangeIssuer {
    type Output = ();

    async fn run(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        hold_changes(tx).await?;
        let sql = "SELECT id, metadata FROM apis WHERE name = $1";
        let Some(mut row) = tx.query_opt(sql, &[self.management.into()]).await? else { return Ok(()) };
        let (id, metadata) = (row.text()?, row.json::<ApiMetadata>()?);
        let (before, identifier) = (metadata.identifier, self.identifier.clone());
        let metadata = ApiMetadata { identifier: identifier.clone(), ..metadata };
        let sql = "UPDATE apis SET identifier = $1, metadata = $2 WHERE id = $3";
        tx.execute(sql, &[identifier.as_str().into(), json(&metadata), id.as_str().into()]).await?;
        let event = self.audit.event(AuditAction::IssuerChanged).about(&id);
        event.with("before", before).with("after", identifier).append(tx).await?;
        append_change(tx, ChangeKind::Api, &id, self.now).await?;
        Ok(())
    }
}
