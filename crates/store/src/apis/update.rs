//! Changing what is registered of an API.

use doorward_core::{
    api::{ApiMetadata, DescribedScope, TokenFormat},
    clock::Timestamp,
    id::ApiId,
    jwk::Algorithm,
};

use super::{ended_scopes::end_scopes, insert_scopes, lock};
use crate::{
    ChangeKind, append_change,
    audit::{AuditAction, AuditContext},
    record::{Updated, replace_metadata},
    signing_keys::note_unused,
    tx::{Operation, Tx, TxError},
};

/// Changes what is registered of an API. Scopes that it loses end: see [`ListEndedScopes`](super::ListEndedScopes). [`TxError::Conflict`] if the new
/// name or one of the new scopes is taken.
#[derive(Clone, Debug)]
pub struct UpdateApi {
    /// The API to change.
    pub id: ApiId,
    /// What the change started from.
    pub from: ApiMetadata,
    /// What is registered from now on.
    pub to: ApiMetadata,
    /// The current time by the caller's clock.
    pub now: Timestamp,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

impl Operation for UpdateApi {
    type Output = Updated;

    async fn run(&self, tx: &mut impl Tx) -> Result<Updated, TxError> {
        let Some(mut row) = lock(tx, &self.id).await? else { return Ok(Updated::Unknown) };
        let _: serde_json::Value = row.json()?;
        let Some(replaced) = replace_metadata(&mut row, &self.from, &self.to)? else { return Ok(Updated::Changed) };
        if replaced.members.is_empty() {
            return Ok(Updated::Done);
        }
        let missing_in = |other: &ApiMetadata, described: &DescribedScope| {
            other.scopes.iter().all(|known| known.scope != described.scope)
        };
        let lost = self.from.scopes.iter().filter(|described| missing_in(&self.to, described));
        end_scopes(tx, &self.id, lost.map(|described| &described.scope), self.now).await?;
        let new: Vec<_> =
            self.to.scopes.iter().filter(|described| missing_in(&self.from, described)).cloned().collect();
        insert_scopes(tx, &self.id, &new).await?;
        let (name, identifier) = (self.to.name.as_str(), self.to.identifier.as_str());
        let row = [name.into(), identifier.into(), replaced.metadata, self.id.as_str().into()];
        tx.execute("UPDATE apis SET name = $1, identifier = $2, metadata = $3 WHERE id = $4", &row).await?;
        let event = self.audit.event(AuditAction::ApiUpdated).about(&self.id);
        event.with("changed", replaced.members).append(tx).await?;
        if let Some(unused) = algorithm_given_up(&self.from, &self.to) {
            note_unused(tx, unused, self.now).await?;
        }
        append_change(tx, ChangeKind::Api, self.id.as_str(), self.now).await?;
        Ok(Updated::Done)
    }
}

/// The algorithm that signed the API's tokens before, if it does not any more.
fn algorithm_given_up(from: &ApiMetadata, to: &ApiMetadata) -> Option<Algorithm> {
    let signs = |api: &ApiMetadata| (api.token_format == TokenFormat::Jwt).then_some(api.signing_algorithm);
    signs(from).filter(|algorithm| signs(to) != Some(*algorithm))
}
