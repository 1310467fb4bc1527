//! APIs: few, read whole into a snapshot.

use doorward_core::{
    api::{Api, ApiMetadata, DescribedScope},
    client::Client,
    clock::Timestamp,
    id::ApiId,
    scope::Scope,
};

mod deletion;
mod ended_scopes;
mod update;

pub use self::{deletion::DeleteApi, ended_scopes::ListEndedScopes, update::UpdateApi};
pub(crate) use self::{deletion::RemoveDeletedApis, ended_scopes::ended_since};
use crate::{
    ChangeKind, ChangesOne, append_change,
    audit::{AuditAction, AuditContext},
    clients::{self, ChangeClient},
    record::{Page, json, readable_page, replace_metadata},
    sql::sql,
    tx::{Operation, Row, Tx, TxError},
};

/// Adds an API and its credential. [`TxError::Conflict`] if its name, its identifier or one of its scopes is taken.
#[derive(Clone, Debug)]
pub struct CreateApi {
    /// The new API, with its metadata.
    pub api: Api,
    /// Its own credential, stored as a client in the same transaction.
    pub credential: Client,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

impl Operation for CreateApi {
    type Output = ();

    async fn run(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        let api = &self.api;
        tx.execute(
            sql!("INSERT INTO apis (name, identifier, {}) VALUES ($1, $2, $3, $4, $5)", COLUMNS),
            &[
                api.metadata.name.as_str().into(),
                api.metadata.identifier.as_str().into(),
                api.id.as_str().into(),
                json(&api.metadata),
                api.created_at.into(),
            ],
        )
        .await?;
        insert_scopes(tx, &api.id, &api.metadata.scopes).await?;
        clients::insert(tx, &self.credential).await?;
        let event = self.audit.event(AuditAction::ApiCreated).about(&api.id);
        event.with("name", &api.metadata.name).with("identifier", &api.metadata.identifier).append(tx).await?;
        append_change(tx, ChangeKind::Api, api.id.as_str(), api.created_at).await?;
        Ok(())
    }
}

/// Adds scopes to an API. [`TxError::Conflict`] if one of them is taken.
#[derive(Clone, Debug)]
pub struct AddApiScopes {
    /// The API to which the scopes are added.
    pub id: ApiId,
    /// The scopes to add; those that it has are kept.
    pub scopes: Vec<DescribedScope>,
    /// The current time by the caller's clock.
    pub now: Timestamp,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

impl Operation for AddApiScopes {
    /// Whether there is such an API.
    type Output = bool;

    async fn run(&self, tx: &mut impl Tx) -> Result<bool, TxError> {
        // Two servers that start at the same time are settled by the lock, before either reads.
        let Some(mut row) = lock(tx, &self.id).await? else { return Ok(false) };
        let from: ApiMetadata = row.json()?;
        let has_it = |scope: &Scope| from.scopes.iter().any(|described| described.scope == *scope);
        let new: Vec<_> = self.scopes.iter().filter(|described| !has_it(&described.scope)).cloned().collect();
        let scopes = [from.scopes.clone(), new.clone()].concat();
        let to = ApiMetadata { scopes, ..from.clone() };
        let replaced = replace_metadata(&mut row, &from, &to)?;
        let Some(replaced) = replaced.filter(|replaced| !replaced.members.is_empty()) else { return Ok(true) };
        insert_scopes(tx, &self.id, &new).await?;
        let row = [replaced.metadata, self.id.as_str().into()];
        tx.execute("UPDATE apis SET metadata = $1 WHERE id = $2", &row).await?;
        self.audit.event(AuditAction::ApiScopesAdded).about(&self.id).append(tx).await?;
        append_change(tx, ChangeKind::Api, self.id.as_str(), self.now).await?;
        Ok(true)
    }
}

/// Locks an API, and reads its metadata two times: what is written back is the stored text with changes.
async fn lock(tx: &mut impl Tx, id: &ApiId) -> Result<Option<Row>, TxError> {
    let sql =
        "UPDATE apis SET created_at = created_at WHERE id = $1 AND deleted_at IS NULL RETURNING metadata, metadata";
    tx.query_opt(sql, &[id.as_str().into()]).await
}

/// An API, locked, as a change may start from it.
async fn lock_seen(tx: &mut impl Tx, id: &ApiId) -> Result<Option<ApiMetadata>, TxError> {
    lock(tx, id).await?.as_mut().map(Row::json).transpose()
}

/// Replaces the secret of an API's credential. Returns whether there is one.
#[derive(Clone, Debug)]
pub struct RotateApiSecret {
    /// The API that it belongs to.
    pub api: ApiId,
    /// The change of the credential, which is a client.
    pub credential: ChangeClient,
}

impl Operation for RotateApiSecret {
    type Output = bool;

    async fn run(&self, tx: &mut impl Tx) -> Result<bool, TxError> {
        self.credential.run(tx).await
    }
}

impl ChangesOne for RotateApiSecret {
    type Seen = ApiMetadata;

    async fn lock(&self, tx: &mut impl Tx) -> Result<Option<ApiMetadata>, TxError> {
        lock_seen(tx, &self.api).await
    }
}

/// The names of scopes are unique across all APIs.
async fn insert_scopes(tx: &mut impl Tx, api: &ApiId, scopes: &[DescribedScope]) -> Result<(), TxError> {
    for DescribedScope { scope, .. } in scopes {
        let row = [scope.as_str().into(), api.as_str().into()];
        tx.execute("INSERT INTO api_scopes (scope, api_id) VALUES ($1, $2)", &row).await?;
    }
    Ok(())
}

/// APIs in order of creation. An API whose metadata this program can't read is left out: nothing is issued for it here,
/// and nothing of it is accepted.
#[derive(Clone, Debug)]
pub struct ListApis {
    /// Only APIs created after this one.
    pub after: Option<ApiId>,
    /// Maximum number of rows.
    pub limit: i64,
}

impl ListApis {
    /// Every API: they are few.
    pub const ALL: Self = Self { after: None, limit: i64::MAX };
}

impl Operation for ListApis {
    type Output = Vec<Api>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Vec<Api>, TxError> {
        let after = [self.after.as_ref().map_or_else(String::new, ApiId::to_string)];
        let sql = sql!("SELECT {} FROM apis WHERE id > $1 AND deleted_at IS NULL ORDER BY id LIMIT $2", COLUMNS);
        let page = Page { kind: "API", sql, after, limit: self.limit, filter: vec![] };
        readable_page(tx, page, api).await
    }
}

const COLUMNS: &str = "id, metadata, created_at";

fn api(row: &mut Row) -> Result<Api, TxError> {
    Ok(Api { id: row.parsed()?, metadata: row.json()?, created_at: row.time()? })
}
