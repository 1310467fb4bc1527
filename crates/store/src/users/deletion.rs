//! Deleting a user: at once for everybody who asks, and row by row for what refers to it.
//!
//! A user can have a million grants, which refer to the row. It stays without its name, metadata and password until the
//! sweeper has removed them, a step at a time. Nothing reads it meanwhile.
//!
//! Easy to get wrong: whatever reads users leaves out those with a `deleted_at`. They are disabled as well, so that a
//! statement that asks only for that refuses them.

use doorward_core::{clock::Timestamp, id::UserId, user::UserMetadata};
use serde::Deserialize;

use crate::{
    ChangeKind, ChangesOne, Seen, append_change,
    audit::{AuditAction, AuditContext},
    grants, sessions,
    sweep::Sweep,
    tx::{Operation, Tx, TxError, Urgency},
};

/// Deletes a user: ends the sessions and all that the user granted, takes the roles back, and frees the name. Keys that
/// the user owns are refused from now on. Returns whether there was such a user.
#[derive(Clone, Debug)]
pub struct DeleteUser {
    /// The user to delete.
    pub id: UserId,
    /// The current time by the caller's clock.
    pub now: Timestamp,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

impl Operation for DeleteUser {
    type Output = bool;

    async fn run(&self, tx: &mut impl Tx) -> Result<bool, TxError> {
        let id = self.id.as_str();
        // For the audit: after this the name is nowhere else.
        let sql = "UPDATE users SET known_browsers = known_browsers WHERE id = $1 AND deleted_at IS NULL
                   RETURNING metadata";
        let before = tx.query_opt(sql, &[id.into()]).await?;
        let named: Option<Named> = before.and_then(|mut row| row.json().ok());
        // No name begins with a space, so nobody can have or look for this one. `metadata` says what its readers need.
        let sql = "UPDATE users SET username_folded = ' ' || id, metadata = '{\"username\":\"\"}', password_hash = '',
                     disabled_at = COALESCE(disabled_at, $1), deleted_at = $1
                   WHERE id = $2 AND deleted_at IS NULL";
        if tx.execute(sql, &[self.now.into(), id.into()]).await? == 0 {
            return Ok(false);
        }
        sessions::end_all(tx, &self.id, None, self.now).await?;
        tx.execute("DELETE FROM role_grants WHERE holder = $1", &[id.into()]).await?;
        grants::end_later(tx, grants::AllOf::User(&self.id), "user_deleted", self.now).await?;
        let event = self.audit.event(AuditAction::UserDeleted).about(id);
        event.with_known("name", named.map(|user| user.username)).append(tx).await?;
        append_change(tx, ChangeKind::User, id, self.now).await?;
        Ok(true)
    }
}

/// What the audit says of a deleted user, also of one whose other metadata this program can't read.
#[derive(Deserialize)]
struct Named {
    username: String,
}

impl ChangesOne for DeleteUser {
    type Seen = Seen<UserMetadata>;

    async fn lock(&self, tx: &mut impl Tx) -> Result<Option<Self::Seen>, TxError> {
        super::lock_seen(tx, &self.id).await
    }
}

/// Removes what refers to deleted users, and then the users: at most [`Sweep::STEP`] rows. Returns how many.
#[derive(Clone)]
pub(crate) struct RemoveDeletedUsers;

impl Operation for RemoveDeletedUsers {
    type Output = u64;

    const URGENCY: Urgency = Urgency::Patient;

    async fn run(&self, tx: &mut impl Tx) -> Result<u64, TxError> {
        let sql = "SELECT id FROM users WHERE deleted_at IS NOT NULL ORDER BY id LIMIT $1";
        let mut removed = 0;
        for mut user in tx.query(sql, &[Sweep::STEP.into()]).await? {
            let id = user.text()?;
            // Until all grants are ended, their families need them. Those of the first users are ended first.
            let ending = "SELECT 1 AS found FROM ending_grants WHERE subject = $1";
            if tx.query_opt(ending, &[id.as_str().into()]).await?.is_some() {
                continue;
            }
            for sql in REFERRING {
                let left = Sweep::STEP.saturating_sub_unsigned(removed);
                removed += tx.execute(sql, &[id.as_str().into(), left.into()]).await?;
            }
            // With rows left that refer to the user, nothing may be left of the step.
            if removed >= Sweep::STEP.unsigned_abs() {
                break;
            }
            removed += tx.execute("DELETE FROM users WHERE id = $1 AND deleted_at IS NOT NULL", &[id.into()]).await?;
        }
        Ok(removed)
    }
}

const REFERRING: [&str; 4] = [
    "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE user_id = $1 LIMIT $2)",
    "DELETE FROM grants WHERE id IN (SELECT id FROM grants WHERE user_id = $1 LIMIT $2)",
    "DELETE FROM consents WHERE user_id = $1 AND client_id IN
       (SELECT client_id FROM consents WHERE user_id = $1 LIMIT $2)",
    "DELETE FROM role_grants WHERE holder = $1 AND (api_id, role) IN
       (SELECT api_id, role FROM role_grants WHERE holder = $1 LIMIT $2)",
];
