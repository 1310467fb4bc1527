//! Deleting an API: at once for everybody who asks, and row by row for what refers to it.
//!
//! Any number of holders can have roles of an API, and those rows refer to its row. It stays without its name and
//! identifier until the sweeper has removed them, a step at a time. Nothing reads it meanwhile.

use doorward_core::{api::ApiMetadata, clock::Timestamp, id::ApiId, scope::Scope};

use super::{ended_scopes::end_scopes, lock};
use crate::{
    ChangeKind, ChangesOne,
    apis::lock_seen,
    append_change,
    audit::{AuditAction, AuditContext},
    signing_keys::note_unused,
    sweep::Sweep,
    tx::{Operation, Row, Tx, TxError, Urgency},
};

/// Deletes an API with its scopes, which end, and its credential; frees its name and its identifier. Roles that were
/// granted at it have no effect any more. Returns whether there was such an API.
#[derive(Clone, Debug)]
pub struct DeleteApi {
    /// The API to delete.
    pub id: ApiId,
    /// The current time by the caller's clock.
    pub now: Timestamp,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

impl Operation for DeleteApi {
    type Output = bool;

    async fn run(&self, tx: &mut impl Tx) -> Result<bool, TxError> {
        let id = self.id.as_str();
        let Some(mut row) = lock(tx, &self.id).await? else { return Ok(false) };
        let metadata: Option<ApiMetadata> = serde_json::from_str(&row.text()?).ok();
        // By the table and not by the metadata, so that an API which this program can't read ends as well.
        let mut rows = tx.query("SELECT scope FROM api_scopes WHERE api_id = $1", &[id.into()]).await?;
        let scopes: Vec<Scope> = rows.iter_mut().map(Row::parsed).collect::<Result<_, _>>()?;
        end_scopes(tx, &self.id, scopes.iter(), self.now).await?;
        let credentials = tx.query("DELETE FROM clients WHERE api_id = $1 RETURNING id", &[id.into()]).await?;
        // No API can have such a name or identifier.
        let sql = "UPDATE apis SET name = ' ' || id, identifier = ' ' || id, deleted_at = $1 WHERE id = $2";
        tx.execute(sql, &[self.now.into(), id.into()]).await?;
        let event = self.audit.event(AuditAction::ApiDeleted).about(id);
        event.with_known("name", metadata.as_ref().map(|api| &api.name)).append(tx).await?;
        if let Some(api) = metadata {
            note_unused(tx, api.signing_algorithm, self.now).await?;
        }
        append_change(tx, ChangeKind::Api, id, self.now).await?;
        for mut credential in credentials {
            append_change(tx, ChangeKind::Client, &credential.text()?, self.now).await?;
        }
        Ok(true)
    }
}

impl ChangesOne for DeleteApi {
    type Seen = ApiMetadata;

    async fn lock(&self, tx: &mut impl Tx) -> Result<Option<ApiMetadata>, TxError> {
        lock_seen(tx, &self.id).await
    }
}

/// Removes the role grants of deleted APIs, the rows by which their keys are found, and then the APIs: at most [`Sweep::STEP`] rows. Returns how many.
#[derive(Clone)]
pub(crate) struct RemoveDeletedApis;

impl Operation for RemoveDeletedApis {
    type Output = u64;

    const URGENCY: Urgency = Urgency::Patient;

    async fn run(&self, tx: &mut impl Tx) -> Result<u64, TxError> {
        let sql = "SELECT id FROM apis WHERE deleted_at IS NOT NULL ORDER BY id LIMIT 1";
        let Some(mut api) = tx.query_opt(sql, &[]).await? else { return Ok(0) };
        let id = api.text()?;
        let mut removed = 0;
        for sql in REFERRING {
            let left = Sweep::STEP.saturating_sub_unsigned(removed);
            removed += tx.execute(sql, &[id.as_str().into(), left.into()]).await?;
        }
        if removed >= Sweep::STEP.unsigned_abs() {
            return Ok(removed);
        }
        Ok(removed + tx.execute("DELETE FROM apis WHERE id = $1 AND deleted_at IS NOT NULL", &[id.into()]).await?)
    }
}

const REFERRING: [&str; 2] = [
    "DELETE FROM role_grants WHERE api_id = $1 AND (holder, role) IN
       (SELECT holder, role FROM role_grants WHERE api_id = $1 ORDER BY holder, role LIMIT $2)",
    "DELETE FROM key_apis WHERE api_id = $1 AND key_id IN
       (SELECT key_id FROM key_apis WHERE api_id = $1 ORDER BY key_id LIMIT $2)",
];
