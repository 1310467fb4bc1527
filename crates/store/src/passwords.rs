//! Passwords of users: set by an operator, or changed by their user.
//!
//! Easy to get wrong: an operator's reset counts whatever the password was. What the old password allows takes effect only
//! while that password and that session are valid: the holder of a leaked one must not undo the reset by a change in progress.

use doorward_core::{
    clock::Timestamp,
    denial::Denial,
    id::{SessionId, UserId},
    secret::{ExposeSecret, SecretString},
    session::{self, UserSinceCheck},
};

use crate::{
    ChangeKind, append_change,
    audit::{AuditAction, AuditContext},
    sessions,
    tx::{Operation, Tx, TxError},
    users,
};

/// A password that replaces another, and what is deleted with that one.
#[derive(Clone, Debug)]
pub struct NewPassword {
    /// The hash in PHC form.
    pub hash: SecretString,
    /// Subjects of counters of failures to forget.
    pub forget_failures: Vec<String>,
}

impl NewPassword {
    /// Sets it, ends all sessions but `kept`, and forgets the failures. Returns whether the user exists.
    pub(crate) async fn set(
        &self,
        tx: &mut impl Tx,
        user: &UserId,
        kept: Option<&SessionId>,
        now: Timestamp,
    ) -> Result<bool, TxError> {
        let sql = "UPDATE users SET password_hash = $1 WHERE id = $2 AND deleted_at IS NULL";
        if tx.execute(sql, &[self.hash.expose_secret().into(), user.as_str().into()]).await? == 0 {
            return Ok(false);
        }
        sessions::end_all(tx, user, kept, now).await?;
        for subject in &self.forget_failures {
            tx.execute("DELETE FROM failures WHERE subject = $1", &[subject.as_str().into()]).await?;
        }
        Ok(true)
    }
}

/// Changes the password of a user who gave the old one, in a session that continues. Refused to a user who was
/// disabled, or whose password was changed, since the old one was checked, and in a session that was ended since.
#[derive(Clone, Debug)]
pub struct ChangePassword {
    /// The user whose password changes.
    pub user_id: UserId,
    /// The hash that the old password was checked against.
    pub checked_hash: SecretString,
    /// The session in which it is done.
    pub within: SessionId,
    /// The new hash, and the failure counters to forget.
    pub new: NewPassword,
    /// The current time by the caller's clock.
    pub now: Timestamp,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

impl Operation for ChangePassword {
    type Output = Result<(), Denial>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Self::Output, TxError> {
        let user = users::lock(tx, &self.user_id).await?.map(|user| UserSinceCheck {
            is_disabled: user.disabled_at.is_some(),
            has_other_password: user.password_hash.expose_secret() != self.checked_hash.expose_secret(),
        });
        let was_ended = sessions::was_ended(tx, &self.within).await?;
        if let Err(denial) = session::check_password_change(user, was_ended) {
            return Ok(Err(denial));
        }
        self.new.set(tx, &self.user_id, Some(&self.within), self.now).await?;
        self.audit.event(AuditAction::UserPasswordSet).about(&self.user_id).append(tx).await?;
        append_change(tx, ChangeKind::User, self.user_id.as_str(), self.now).await?;
        Ok(Ok(()))
    }
}
