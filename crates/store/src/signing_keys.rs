//! Signing keys: sealed, with the times that give their state.

use std::collections::BTreeSet;

use doorward_core::{
    clock::Timestamp,
    signing::{self, KeyTimes, RotationSchedule},
};

use crate::{
    ChangeKind, append_change,
    audit::{AuditAction, AuditContext},
    changes::hold_changes,
    record::readable,
    sql::sql,
    tx::{Operation, Row, Tx, TxError},
};

/// A signing key as it is remembered.
#[derive(Clone, Debug)]
pub struct SigningKeyRecord {
    /// Its id, algorithm and times.
    pub times: KeyTimes,
    /// The private key in PKCS #8, sealed.
    pub sealed: Vec<u8>,
    /// The id of the master key that it is sealed under.
    pub sealed_under: String,
    /// The public key as a JWK.
    pub public_jwk: String,
}

/// Every signing key whose algorithm this program knows.
#[derive(Clone, Debug)]
pub struct ListSigningKeys;

impl Operation for ListSigningKeys {
    type Output = Vec<SigningKeyRecord>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Self::Output, TxError> {
        let sql = sql!("SELECT {} FROM signing_keys ORDER BY id", COLUMNS);
        readable("signing key", tx.query(sql, &[]).await?, signing_key)
    }
}

/// The ids of the master keys that signing keys are sealed under, also those that this program can't use.
#[derive(Clone, Debug)]
pub struct SealingMasterKeys;

impl Operation for SealingMasterKeys {
    type Output = BTreeSet<String>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Self::Output, TxError> {
        let sql = "SELECT DISTINCT sealed_under FROM signing_keys";
        tx.query(sql, &[]).await?.iter_mut().map(Row::text).collect()
    }
}

/// Adds a signing key, unless another process was faster.
#[derive(Clone, Debug)]
pub struct AddSigningKey {
    /// The key's row, with the private half sealed.
    pub key: SigningKeyRecord,
    /// Add it only if by this schedule one is still due; `None`: in any case.
    pub only_if_due: Option<RotationSchedule>,
    /// The current time by the caller's clock.
    pub now: Timestamp,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

impl Operation for AddSigningKey {
    type Output = bool;

    async fn run(&self, tx: &mut impl Tx) -> Result<bool, TxError> {
        // Two processes that find a key due at the same time are settled here, before either reads.
        hold_changes(tx).await?;
        if let Some(schedule) = &self.only_if_due {
            let keys = ListSigningKeys.run(tx).await?;
            let times: Vec<_> = keys.into_iter().map(|key| key.times).collect();
            if signing::due(self.key.times.algorithm, &times, schedule, self.now).is_none() {
                return Ok(false);
            }
        }
        tx.execute(
            sql!("INSERT INTO signing_keys ({}) VALUES ($1, $2, $3, $4, $5, $6, $7)", COLUMNS),
            &[
                self.key.times.id.as_str().into(),
                self.key.times.algorithm.as_str().into(),
                self.key.times.published_at.into(),
                self.key.times.active_from.into(),
                self.key.sealed.clone().into(),
                self.key.sealed_under.as_str().into(),
                self.key.public_jwk.as_str().into(),
            ],
        )
        .await?;
        let times = &self.key.times;
        let event = self.audit.event(AuditAction::SigningKeyCreated).about(&times.id);
        event.with("algorithm", times.algorithm).append(tx).await?;
        append_change(tx, ChangeKind::SigningKey, self.key.times.id.as_str(), self.now).await?;
        Ok(true)
    }
}

/// Removes a signing key that is gone by its schedule.
#[derive(Clone, Debug)]
pub struct RemoveSigningKey {
    /// The key to delete.
    pub id: doorward_core::id::SigningKeyId,
    /// The current time by the caller's clock.
    pub now: Timestamp,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

impl Operation for RemoveSigningKey {
    type Output = bool;

    async fn run(&self, tx: &mut impl Tx) -> Result<bool, TxError> {
        if tx.execute("DELETE FROM signing_keys WHERE id = $1", &[self.id.as_str().into()]).await? == 0 {
            return Ok(false);
        }
        self.audit.event(AuditAction::SigningKeyRemoved).about(&self.id).append(tx).await?;
        append_change(tx, ChangeKind::SigningKey, self.id.as_str(), self.now).await?;
        Ok(true)
    }
}

const COLUMNS: &str = "id, algorithm, published_at, active_from, sealed, sealed_under, public_jwk";

fn signing_key(row: &mut Row) -> Result<SigningKeyRecord, TxError> {
    Ok(SigningKeyRecord {
        times: KeyTimes {
            id: row.parsed()?,
            algorithm: row.word()?,
            published_at: row.time()?,
            active_from: row.time()?,
        },
        sealed: row.bytes()?,
        sealed_under: row.text()?,
        public_jwk: row.text()?,
    })
}
