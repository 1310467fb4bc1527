//! Signing keys: sealed, with the times that give their state.

use std::collections::BTreeSet;

use doorward_core::{
    clock::Timestamp,
    id::SigningKeyId,
    jwk::Algorithm,
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

/// Adds a signing key, unless another process was faster. [`TxError::Conflict`] if enough keys wait to sign already.
#[derive(Clone, Debug)]
pub struct AddSigningKey {
    /// The key's row, with the private half sealed.
    pub key: SigningKeyRecord,
    /// Add it only if by this schedule one is still due; `None`: somebody asked for it.
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
        let (algorithm, keys) = (self.key.times.algorithm, ListSigningKeys.run(tx).await?);
        let times: Vec<_> = keys.into_iter().map(|key| key.times).collect();
        match &self.only_if_due {
            Some(schedule) if signing::due(algorithm, &times, schedule, self.now).is_none() => return Ok(false),
            None if !signing::may_add(algorithm, &times, self.now) => return Err(TxError::Conflict),
            _ => {}
        }
        insert(tx, &self.key).await?;
        let times = &self.key.times;
        let event = self.audit.event(AuditAction::SigningKeyCreated).about(&times.id);
        event.with("algorithm", times.algorithm).append(tx).await?;
        append_change(tx, ChangeKind::SigningKey, self.key.times.id.as_str(), self.now).await?;
        Ok(true)
    }
}

async fn insert(tx: &mut impl Tx, key: &SigningKeyRecord) -> Result<(), TxError> {
    tx.execute(
        sql!("INSERT INTO signing_keys ({}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)", COLUMNS),
        &[
            key.times.id.as_str().into(),
            key.times.algorithm.as_str().into(),
            key.times.published_at.into(),
            key.times.active_from.into(),
            key.times.unused_since.into(),
            key.sealed.clone().into(),
            key.sealed_under.as_str().into(),
            key.public_jwk.as_str().into(),
        ],
    )
    .await?;
    Ok(())
}

/// Removes a signing key that is gone by its schedule.
#[derive(Clone, Debug)]
pub struct RemoveSigningKey {
    /// The key to delete.
    pub id: SigningKeyId,
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

/// Withdraws a signing key that is known to others: nothing that it signed is accepted from now on. If it is the one that
/// signs, its successor signs at once. Returns whether there was such a key.
#[derive(Clone, Debug)]
pub struct WithdrawSigningKey {
    /// The key to withdraw.
    pub id: SigningKeyId,
    /// A key of the same algorithm, which is added if the withdrawn one signs.
    pub successor: SigningKeyRecord,
    /// The current time by the caller's clock.
    pub now: Timestamp,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

impl Operation for WithdrawSigningKey {
    type Output = bool;

    async fn run(&self, tx: &mut impl Tx) -> Result<bool, TxError> {
        // Two processes that withdraw keys at the same time are settled here, before either reads.
        hold_changes(tx).await?;
        let keys = ListSigningKeys.run(tx).await?;
        let times: Vec<_> = keys.into_iter().map(|key| key.times).collect();
        if tx.execute("DELETE FROM signing_keys WHERE id = $1", &[self.id.as_str().into()]).await? == 0 {
            return Ok(false);
        }
        let event = self.audit.event(AuditAction::SigningKeyWithdrawn).about(&self.id);
        append_change(tx, ChangeKind::SigningKey, self.id.as_str(), self.now).await?;
        let signing = signing::active(self.successor.times.algorithm, &times, self.now);
        if signing.is_none_or(|signing| signing.id != self.id) {
            event.append(tx).await?;
            return Ok(true);
        }
        insert(tx, &self.successor).await?;
        let successor = &self.successor.times.id;
        append_change(tx, ChangeKind::SigningKey, successor.as_str(), self.now).await?;
        event.with("successor", successor).append(tx).await?;
        Ok(true)
    }
}

/// Notes that something was signed with `algorithm` until now and is not any more. Whether something else still is does
/// not matter: the time counts only once nothing is.
pub(crate) async fn note_unused(tx: &mut impl Tx, algorithm: Algorithm, now: Timestamp) -> Result<(), TxError> {
    let sql = "UPDATE signing_keys SET unused_since = $1 WHERE algorithm = $2";
    if tx.execute(sql, &[now.into(), algorithm.as_str().into()]).await? > 0 {
        append_change(tx, ChangeKind::SigningKey, algorithm.as_str(), now).await?;
    }
    Ok(())
}

const COLUMNS: &str = "id, algorithm, published_at, active_from, unused_since, sealed, sealed_under, public_jwk";

fn signing_key(row: &mut Row) -> Result<SigningKeyRecord, TxError> {
    Ok(SigningKeyRecord {
        times: KeyTimes {
            id: row.parsed()?,
            algorithm: row.word()?,
            published_at: row.time()?,
            active_from: row.time()?,
            unused_since: row.opt_time()?,
        },
        sealed: row.bytes()?,
        sealed_under: row.text()?,
        public_jwk: row.text()?,
    })
}
