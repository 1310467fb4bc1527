//! Changing what is registered of a user.

use doorward_core::{
    api::Role,
    clock::Timestamp,
    holder::Holder,
    id::{ApiId, UserId},
    user::UserMetadata,
    username,
};

use super::by_username;
use crate::{
    ChangeKind, append_change,
    audit::{AuditAction, AuditContext},
    record::{Updated, replace_metadata},
    roles::RolesOf,
    tx::{Operation, Tx, TxError},
};

/// Changes what is registered of a user. [`TxError::Conflict`] if another user has the new name, in any form.
#[derive(Clone, Debug)]
pub struct UpdateUser {
    /// The user to change.
    pub id: UserId,
    /// What the change started from.
    pub from: UserMetadata,
    /// What is registered from now on.
    pub to: UserMetadata,
    /// The roles when the user was read, if the change depends on them.
    pub roles_from: Option<Vec<(ApiId, Role)>>,
    /// The current time by the caller's clock.
    pub now: Timestamp,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

impl Operation for UpdateUser {
    type Output = Updated;

    async fn run(&self, tx: &mut impl Tx) -> Result<Updated, TxError> {
        let id = self.id.as_str();
        let lock = "UPDATE users SET disabled_at = disabled_at WHERE id = $1 AND deleted_at IS NULL RETURNING metadata";
        let Some(mut row) = tx.query_opt(lock, &[id.into()]).await? else { return Ok(Updated::Unknown) };
        let Some(replaced) = replace_metadata(&mut row, &self.from, &self.to)? else { return Ok(Updated::Changed) };
        if let Some(roles) = &self.roles_from
            && (RolesOf { holder: Holder::User(self.id.clone()) }).run(tx).await? != *roles
        {
            return Ok(Updated::Changed);
        }
        if replaced.members.is_empty() {
            return Ok(Updated::Done);
        }
        // A name of an older program stays in the form in which it is stored, until it changes.
        if self.to.username != self.from.username {
            if by_username(tx, &self.to.username).await?.is_some_and(|other| other.id != self.id) {
                return Err(TxError::Conflict);
            }
            let row = [username::counted_as(&self.to.username).into(), id.into()];
            tx.execute("UPDATE users SET username_folded = $1 WHERE id = $2", &row).await?;
        }
        let row = [replaced.metadata, self.now.into(), id.into()];
        tx.execute("UPDATE users SET metadata = $1, updated_at = $2 WHERE id = $3", &row).await?;
        let event = self.audit.event(AuditAction::UserUpdated).about(id);
        event.with("changed", replaced.members).append(tx).await?;
        append_change(tx, ChangeKind::User, id, self.now).await?;
        Ok(Updated::Done)
    }
}
