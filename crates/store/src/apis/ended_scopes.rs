//! Scopes that were removed from an API.
//!
//! A user who allowed a scope, or an operator who gave it to a key, did so for what it meant then. When an API has a scope
//! of the same name later, what was given before must not come back to life.

use doorward_core::{
    clock::Timestamp,
    id::ApiId,
    scope::{EndedScopes, Scope},
};

use crate::tx::{Operation, Tx, TxError};

/// Removes scopes of an API. They don't count in what was granted or issued by now.
pub(super) async fn end_scopes<'a>(
    tx: &mut impl Tx,
    api: &ApiId,
    scopes: impl Iterator<Item = &'a Scope>,
    now: Timestamp,
) -> Result<(), TxError> {
    for scope in scopes {
        let row = [scope.as_str().into(), api.as_str().into()];
        tx.execute("DELETE FROM api_scopes WHERE scope = $1 AND api_id = $2", &row).await?;
        let sql = "INSERT INTO ended_scopes (scope, before) VALUES ($1, $2)
                   ON CONFLICT (scope) DO UPDATE SET before =
                     CASE WHEN ended_scopes.before < excluded.before THEN excluded.before ELSE ended_scopes.before END";
        tx.execute(sql, &[scope.as_str().into(), now.into()]).await?;
    }
    Ok(())
}

/// The scopes that were removed from an API, and when. What was granted or issued at or before that time does not allow
/// them, also when an API has them again. They are few.
#[derive(Clone, Debug)]
pub struct ListEndedScopes;

impl Operation for ListEndedScopes {
    type Output = EndedScopes;

    async fn run(&self, tx: &mut impl Tx) -> Result<EndedScopes, TxError> {
        ended_since(tx, Timestamp::from_millis(i64::MIN)).await
    }
}

/// The scopes that were removed at `since` or later. One that can't be read fails them all, since leaving it out would
/// bring it back to life.
pub(crate) async fn ended_since(tx: &mut impl Tx, since: Timestamp) -> Result<EndedScopes, TxError> {
    let mut rows = tx.query("SELECT scope, before FROM ended_scopes WHERE before >= $1", &[since.into()]).await?;
    rows.iter_mut().map(|row| Ok((row.parsed()?, row.time()?))).collect()
}
