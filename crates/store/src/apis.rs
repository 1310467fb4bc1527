//! APIs: few, read whole into a snapshot.

use std::{collections::BTreeSet, time::Duration};

use doorward_core::{
    api::{Api, DescribedScope},
    client::Client,
    id::ApiId,
};

use crate::{
    ChangeKind, append_change,
    audit::{AuditAction, AuditContext},
    clients,
    record::{json, word},
    sql::sql,
    tx::{Operation, Row, Tx, TxError},
};

/// Adds an API and its credential. [`TxError::Conflict`] if its name, its identifier or one of its scopes is taken.
#[derive(Clone, Debug)]
pub struct CreateApi {
    /// The API.
    pub api: Api,
    /// Its own credential.
    pub credential: Client,
    /// Who does it.
    pub audit: AuditContext,
}

impl Operation for CreateApi {
    type Output = ();

    async fn run(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        let api = &self.api;
        tx.execute(
            sql!("INSERT INTO apis ({}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)", COLUMNS),
            &[
                api.id.as_str().into(),
                api.name.as_str().into(),
                api.identifier.as_str().into(),
                json(&api.scopes),
                json(&api.roles),
                word(&api.token_format),
                api.signing_algorithm.as_str().into(),
                i64::try_from(api.access_token_ttl.as_millis()).unwrap_or(i64::MAX).into(),
                api.key_prefix.as_str().into(),
                api.created_at.into(),
            ],
        )
        .await?;
        for DescribedScope { scope, .. } in &api.scopes {
            let row = [scope.as_str().into(), api.id.as_str().into()];
            tx.execute("INSERT INTO api_scopes (scope, api_id) VALUES ($1, $2)", &row).await?;
        }
        clients::insert(tx, &self.credential).await?;
        let event = self.audit.event(AuditAction::ApiCreated).about(&api.id);
        event.with("name", &api.name).with("identifier", &api.identifier).append(tx).await?;
        append_change(tx, ChangeKind::Api, api.id.as_str(), api.created_at).await?;
        Ok(())
    }
}

/// APIs in the order that they were made.
#[derive(Clone, Debug)]
pub struct ListApis {
    /// Only APIs made after this one.
    pub after: Option<ApiId>,
    /// At most so many.
    pub limit: i64,
}

impl ListApis {
    /// Every API: they are few.
    pub const ALL: Self = Self { after: None, limit: i64::MAX };
}

impl Operation for ListApis {
    type Output = Vec<Api>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Vec<Api>, TxError> {
        let after = self.after.as_ref().map_or("", ApiId::as_str);
        let sql = sql!("SELECT {} FROM apis WHERE id > $1 ORDER BY id LIMIT $2", COLUMNS);
        tx.query(sql, &[after.into(), self.limit.into()]).await?.iter_mut().map(api).collect()
    }
}

const COLUMNS: &str = "id, name, identifier, scopes, roles, token_format, signing_algorithm, access_token_ttl_ms, \
                       key_prefix, created_at";

fn api(row: &mut Row) -> Result<Api, TxError> {
    Ok(Api {
        id: row.parsed()?,
        name: row.text()?,
        identifier: row.parsed()?,
        scopes: row.json()?,
        roles: row.json::<BTreeSet<_>>()?,
        token_format: row.word()?,
        signing_algorithm: row.word()?,
        access_token_ttl: Duration::from_millis(u64::try_from(row.int()?).unwrap_or(0)),
        key_prefix: row.parsed()?,
        created_at: row.time()?,
    })
}
