//! Changing what is registered of a key.

use doorward_core::{
    api::Role,
    api_key::KeyMetadata,
    clock::Timestamp,
    id::{ApiId, KeyId},
};

use crate::{
    ChangeKind, append_change,
    audit::{AuditAction, AuditContext},
    record::{Updated, replace_metadata},
    roles,
    sql::sql,
    tx::{Operation, Tx, TxError},
};

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
