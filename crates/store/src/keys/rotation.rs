//! Rotating a key: its successor is created in the transaction that gives the old key its deadline, so a server that is killed
//! in between leaves either the old key as it was, or both.
//!
//! Easy to get wrong: a rotation that is not as the caller planned it must roll back what is kept for its `Idempotency-Key`.
//! So that is an error here, and no outcome.

use std::time::Duration;

use doorward_core::{
    api_key::KeyFacts,
    clock::Timestamp,
    id::KeyId,
    key_rotation::{self, Overlap, RotatedKey, Rotation, RotationEnd, RotationStep},
};

use super::{CreateKey, FindShownKey, KeyRecord, OldUse, ShownKey};
use crate::{
    ChangeKind, append_change,
    audit::{AuditAction, AuditContext},
    tx::{Operation, Row, Tx, TxError},
};

/// The rotation of a key as it is remembered.
#[derive(Clone, Debug)]
pub struct RotationRecord {
    /// The key that replaces it.
    pub successor: KeyId,
    /// When the successor was issued.
    pub rotated_at: Timestamp,
    /// When the old key ends at the latest.
    pub deadline: Timestamp,
    /// For how long the old key must be unused to end earlier.
    pub quiet_for: Duration,
    /// When the key would have ended without the rotation.
    pub original_end: Option<Timestamp>,
    /// When the rotation was found to be over.
    pub ended_at: Option<Timestamp>,
    /// When the successor was revoked.
    successor_revoked_at: Option<Timestamp>,
    /// When the successor ends.
    pub successor_expires_at: Option<Timestamp>,
    /// When the successor was disabled.
    successor_disabled_at: Option<Timestamp>,
    /// When the successor was last used.
    pub successor_last_used_at: Option<Timestamp>,
    /// When the successor was created.
    pub successor_created_at: Timestamp,
}

impl RotationRecord {
    /// The facts about the rotation of this key.
    pub fn of(&self, key: &KeyRecord) -> Rotation {
        let old = RotatedKey { facts: key.facts(), last_used_at: key.last_used_at };
        let facts = KeyFacts {
            revoked_at: self.successor_revoked_at,
            expires_at: self.successor_expires_at,
            disabled_at: self.successor_disabled_at,
            ..old.facts
        };
        let successor = RotatedKey { facts, last_used_at: self.successor_last_used_at };
        Rotation { rotated_at: self.rotated_at, deadline: self.deadline, quiet_for: self.quiet_for, old, successor }
    }
}

/// What is shown of a key's rotation: the one in which it is replaced, and the one in which it replaces another.
#[derive(Clone, Debug, Default)]
pub struct KeyRotations {
    /// The rotation that replaces it.
    pub replaced: Option<RotationRecord>,
    /// The key that it replaces.
    pub predecessor: Option<KeyId>,
    /// Whether that key has not ended yet, as far as the rotation was followed.
    pub predecessor_is_open: bool,
    /// Since when a successor is due by the policy of one of its APIs.
    pub due_since: Option<Timestamp>,
    /// Who used the key since its rotation, the latest first. Lists leave it out.
    pub old_uses: Vec<OldUse>,
}

/// The fields that [`rotations`] reads.
pub(super) const FIELDS: &str = "replaced.successor_id, replaced.rotated_at, replaced.deadline, replaced.quiet_for,
       replaced.original_end, replaced.ended_at,
       (SELECT s.revoked_at FROM api_keys s WHERE s.id = replaced.successor_id) AS successor_revoked_at,
       (SELECT s.expires_at FROM api_keys s WHERE s.id = replaced.successor_id) AS successor_expires_at,
       (SELECT s.disabled_at FROM api_keys s WHERE s.id = replaced.successor_id) AS successor_disabled_at,
       (SELECT s.last_used_at FROM api_keys s WHERE s.id = replaced.successor_id) AS successor_last_used_at,
       (SELECT s.created_at FROM api_keys s WHERE s.id = replaced.successor_id) AS successor_created_at,
       (SELECT r.key_id FROM key_rotations r WHERE r.successor_id = id) AS predecessor,
       (SELECT r.ended_at FROM key_rotations r WHERE r.successor_id = id) AS predecessor_ended_at,
       (SELECT d.since FROM keys_due d WHERE d.key_id = id) AS due_since";

/// What [`FIELDS`] needs beside the table of keys.
pub(super) const JOIN: &str = "LEFT JOIN key_rotations replaced ON replaced.key_id = id";

pub(super) fn rotations(row: &mut Row) -> Result<KeyRotations, TxError> {
    let successor: Option<KeyId> = row.opt_parsed()?;
    let (rotated_at, deadline, quiet_for) = (row.opt_time()?, row.opt_time()?, row.opt_int()?);
    let (original_end, ended_at) = (row.opt_time()?, row.opt_time()?);
    let of_successor = [row.opt_time()?, row.opt_time()?, row.opt_time()?, row.opt_time()?, row.opt_time()?];
    let [revoked_at, expires_at, disabled_at, last_used_at, created_at] = of_successor;
    let replaced = match (successor, rotated_at, deadline, quiet_for, created_at) {
        (Some(successor), Some(rotated_at), Some(deadline), Some(quiet_for), Some(successor_created_at)) => {
            Some(RotationRecord {
                successor,
                rotated_at,
                deadline,
                quiet_for: Duration::from_millis(quiet_for.unsigned_abs()),
                original_end,
                ended_at,
                successor_revoked_at: revoked_at,
                successor_expires_at: expires_at,
                successor_disabled_at: disabled_at,
                successor_last_used_at: last_used_at,
                successor_created_at,
            })
        }
        _ => None,
    };
    let (predecessor, predecessor_ended_at): (Option<KeyId>, _) = (row.opt_parsed()?, row.opt_time()?);
    let predecessor_is_open = predecessor.is_some() && predecessor_ended_at.is_none();
    Ok(KeyRotations { replaced, predecessor, predecessor_is_open, due_since: row.opt_time()?, old_uses: Vec::new() })
}

/// Gives a key a successor, or the successor that nobody has used another secret. [`TxError::Conflict`], and nothing is
/// changed, if the key is not as it was read.
#[derive(Clone, Debug)]
pub struct RotateKey {
    /// The key as it was read.
    pub from: Box<ShownKey>,
    /// Whether a successor that nobody has used gets another secret.
    pub replace_unused: bool,
    /// The successor; of one that has only another secret, its id, its digest and hint, and when it ends.
    pub successor: Box<KeyRecord>,
    /// How the old key comes to its end.
    pub overlap: Overlap,
    /// The current time by the caller's clock.
    pub now: Timestamp,
    /// The actor and origin for the audit row of the rotation.
    pub audit: AuditContext,
    /// The same for that of the new key.
    pub audit_of_successor: AuditContext,
}

impl RotateKey {
    /// When the old key ends at the latest.
    pub fn deadline(from: &ShownKey, overlap: Overlap, now: Timestamp) -> Timestamp {
        overlap.deadline(now, Self::original_end(from))
    }

    /// When the key would end if it had never been rotated.
    pub fn original_end(from: &ShownKey) -> Option<Timestamp> {
        from.rotations.replaced.as_ref().map_or(from.key.expires_at, |replaced| replaced.original_end)
    }
}

impl Operation for RotateKey {
    type Output = ();

    async fn run(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        let (from, successor, id) = (&self.from.key, &self.successor, self.from.key.id.as_str());
        lock(tx, &from.id).await?;
        let found = FindShownKey { id: from.id.clone() }.run(tx).await?.ok_or(TxError::Conflict)?;
        let facts =
            |shown: &ShownKey| shown.rotations.replaced.as_ref().map(|replaced| replaced.of(&shown.key).successor);
        let is_same = found.key.metadata == from.metadata
            && (found.key.scope_given_at, found.key.expires_at) == (from.scope_given_at, from.expires_at)
            && (&found.key.roles, &found.key.owner) == (&from.roles, &from.owner);
        let step = key_rotation::rotate(&found.key.facts(), facts(&found).as_ref(), self.replace_unused, self.now);
        let step = step.ok().filter(|_| is_same).ok_or(TxError::Conflict)?;
        match (step, &found.rotations.replaced) {
            (RotationStep::Begin, _) => {
                let audit = self.audit_of_successor.clone().with("predecessor", id);
                CreateKey { key: KeyRecord::clone(successor), audit }.run(tx).await?;
                // Otherwise the first use of the successor would be from a known network, wherever that is.
                let sql = "INSERT INTO key_networks (key_id, network, last_used_at)
                           SELECT $1, network, last_used_at FROM key_networks WHERE key_id = $2";
                tx.execute(sql, &[successor.id.as_str().into(), id.into()]).await?;
            }
            (RotationStep::Reissue, Some(replaced)) if replaced.successor == successor.id => {
                lock(tx, &successor.id).await?;
                // The caller who replaces the secret has the key: in a breach, the key is found by that creator.
                let sql = "UPDATE api_keys SET digest = $1, pepper = $2, hint = $3, expires_at = $4, created_by = $5
                           WHERE id = $6 AND last_used_at IS NULL";
                let row = [
                    (&successor.digest.digest).into(),
                    successor.digest.pepper.as_str().into(),
                    successor.hint.as_str().into(),
                    successor.expires_at.into(),
                    successor.created_by.as_deref().into(),
                    successor.id.as_str().into(),
                ];
                if tx.execute(sql, &row).await? == 0 {
                    return Err(TxError::Conflict);
                }
                append_change(tx, ChangeKind::Key, successor.id.as_str(), self.now).await?;
            }
            (RotationStep::Reissue, _) => return Err(TxError::Conflict),
        }
        let deadline = Self::deadline(&self.from, self.overlap, self.now);
        let quiet_for = i64::try_from(self.overlap.quiet_for.as_millis()).unwrap_or(i64::MAX);
        let check_at = deadline.min(self.now.plus(self.overlap.quiet_for));
        tx.execute("DELETE FROM key_rotations WHERE key_id = $1", &[id.into()]).await?;
        let sql = "INSERT INTO key_rotations
                       (key_id, successor_id, rotated_at, deadline, quiet_for, original_end, ended_at, check_at)
                   VALUES ($1, $2, $3, $4, $5, $6, NULL, $7)";
        let row = [
            id.into(),
            successor.id.as_str().into(),
            self.now.into(),
            deadline.into(),
            quiet_for.into(),
            Self::original_end(&self.from).into(),
            check_at.into(),
        ];
        tx.execute(sql, &row).await?;
        tx.execute("UPDATE api_keys SET expires_at = $1 WHERE id = $2", &[deadline.into(), id.into()]).await?;
        tx.execute("DELETE FROM key_old_uses WHERE key_id = $1", &[id.into()]).await?;
        tx.execute("DELETE FROM keys_due WHERE key_id = $1", &[id.into()]).await?;
        let event = self.audit.event(AuditAction::KeyRotated).about(id).with("successor", &successor.id);
        let event = event.with("deadline", deadline.as_secs()).with("is_reissue", step == RotationStep::Reissue);
        event.append(tx).await?;
        append_change(tx, ChangeKind::Key, id, self.now).await.map(drop)
    }
}

/// Rotations that are open and that it is time to look at, in the order of that time.
#[derive(Clone, Debug)]
pub struct DueRotations {
    /// The current time by a plausible clock.
    pub now: Timestamp,
    /// Maximum number of keys.
    pub limit: i64,
}

impl Operation for DueRotations {
    /// The keys that are replaced.
    type Output = Vec<KeyId>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Vec<KeyId>, TxError> {
        let sql =
            "SELECT key_id FROM key_rotations WHERE ended_at IS NULL AND check_at <= $1 ORDER BY check_at LIMIT $2";
        let rows = tx.query(sql, &[self.now.into(), self.limit.into()]).await?;
        rows.into_iter().map(|mut row| row.parsed()).collect()
    }
}

/// Ends a rotation that is over, and with it the old key, or notes when to look at it again.
#[derive(Clone, Debug)]
pub struct EndRotation {
    /// The key that is replaced.
    pub id: KeyId,
    /// The current time by a plausible clock.
    pub now: Timestamp,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

impl Operation for EndRotation {
    /// Why it is over, if it was this operation that ended it.
    type Output = Option<RotationEnd>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Option<RotationEnd>, TxError> {
        let id = self.id.as_str();
        lock(tx, &self.id).await?;
        let Some(ShownKey { key, rotations }) = FindShownKey { id: self.id.clone() }.run(tx).await? else {
            return Ok(None);
        };
        let Some(replaced) = rotations.replaced.filter(|replaced| replaced.ended_at.is_none()) else { return Ok(None) };
        let rotation = replaced.of(&key);
        let Some(end) = rotation.end(self.now) else {
            let sql = "UPDATE key_rotations SET check_at = $1 WHERE key_id = $2";
            tx.execute(sql, &[rotation.next_check(self.now).into(), id.into()]).await?;
            return Ok(None);
        };
        let sql = "UPDATE key_rotations SET ended_at = $1 WHERE key_id = $2";
        tx.execute(sql, &[self.now.into(), id.into()]).await?;
        if end == RotationEnd::Quiet {
            tx.execute("UPDATE api_keys SET expires_at = $1 WHERE id = $2", &[self.now.into(), id.into()]).await?;
            append_change(tx, ChangeKind::Key, id, self.now).await?;
        }
        let event = self.audit.event(AuditAction::KeyRotationEnded).about(id);
        event.with("successor", &replaced.successor).with("reason", end.as_str()).append(tx).await?;
        Ok(Some(end))
    }
}

/// Locks the row of a key until the end of the transaction: rotating, revoking and ending take turns.
pub(super) async fn lock(tx: &mut impl Tx, id: &KeyId) -> Result<(), TxError> {
    tx.execute("UPDATE api_keys SET revoked_at = revoked_at WHERE id = $1", &[id.as_str().into()]).await.map(drop)
}
