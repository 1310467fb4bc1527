//! What names an API, its scopes, a user or a client: what their deletion will end. For a person who is asked whether to go
//! on, so it may be a moment old.
//!
//! Easy to get wrong: a user can have a million grants. At most [`MOST`] rows of each kind are looked at.

use doorward_core::{
    api_key::KeyMetadata,
    client_metadata::ClientMetadata,
    clock::Timestamp,
    id::{ApiId, ClientId, UserId},
    scope::ScopeSet,
};
use serde::Serialize;

use crate::{
    grants::ENDED_AT,
    sql::sql,
    tx::{Operation, Row, Tx, TxError, Value},
};

/// How many rows of each kind are looked at.
pub const MOST: usize = 1_000;

/// What a deletion or a narrowing is about.
#[derive(Clone, Debug)]
pub enum Used {
    /// An API with all of its scopes.
    Api {
        /// The API.
        id: ApiId,
        /// Its scopes.
        scopes: ScopeSet,
    },
    /// A client.
    Client(ClientId),
    /// Some scopes of an API.
    Scopes(ScopeSet),
    /// A user.
    User(UserId),
}

/// Counts what names an API, scopes, a user or a client, and lives.
///
/// What a user or a client has is found by an index, and so are the roles at an API. There is none for scopes: of the
/// clients, keys and grants that may name one, only the newest [`MOST`] are looked at.
#[derive(Clone, Debug)]
pub struct UsesOf {
    /// What is to be deleted or narrowed.
    pub used: Used,
    /// The current time by the caller's clock.
    pub now: Timestamp,
}

/// How much of each kind names something.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Uses {
    /// Clients that are registered with one of the scopes, or limited to the API.
    pub clients: Count,
    /// Live grants.
    pub grants: Count,
    /// Keys that are neither revoked nor expired.
    pub keys: Count,
    /// Roles that were granted.
    pub role_grants: Count,
    /// Sessions that were not ended.
    pub sessions: Count,
}

/// A number that stops at a bound.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Count {
    /// How many were found.
    #[serde(rename = "count")]
    pub number: usize,
    /// Whether there are rows that were not looked at.
    #[serde(rename = "more")]
    pub is_more: bool,
}

impl Operation for UsesOf {
    type Output = Uses;

    async fn run(&self, tx: &mut impl Tx) -> Result<Uses, TxError> {
        let no_scopes = ScopeSet::default();
        let (api, scopes) = match &self.used {
            Used::Client(id) => return self.of_holder(tx, id.as_str(), GRANTS_OF_CLIENT, None).await,
            Used::User(id) => return self.of_holder(tx, id.as_str(), GRANTS_OF_USER, Some(SESSIONS)).await,
            Used::Api { id, scopes } => (Some(id), scopes),
            Used::Scopes(scopes) => (None, scopes),
        };
        let names_one = |given: &ScopeSet| given.difference(scopes) != *given && *scopes != no_scopes;
        let names_api = |key: &KeyMetadata| api.is_some_and(|id| key.apis.contains(id) || key.limited_to.contains(id));
        let has_client = |row: &mut Row| {
            let client: ClientMetadata = row.json()?;
            Ok(names_one(&client.scope) || api.is_some_and(|id| client.limited_to.contains(id)))
        };
        let has_key = |row: &mut Row| {
            let key: KeyMetadata = row.json()?;
            Ok(self.is_live_key(row)? && (names_api(&key) || names_one(&key.scope)))
        };
        let has_grant = |row: &mut Row| Ok(self.is_live_grant(row)? && names_one(&row.parsed()?));
        let role_grants = match api {
            None => Count::default(),
            Some(api) => count(tx, ROLES_AT_API, vec![api.as_str().into()], |_| Ok(true)).await?,
        };
        Ok(Uses {
            clients: count(tx, NEWEST_CLIENTS, vec![], has_client).await?,
            grants: count(tx, NEWEST_GRANTS, vec![], has_grant).await?,
            keys: count(tx, NEWEST_KEYS, vec![], has_key).await?,
            role_grants,
            sessions: Count::default(),
        })
    }
}

impl UsesOf {
    async fn of_holder(
        &self,
        tx: &mut impl Tx,
        id: &str,
        grants: &'static str,
        sessions: Option<&'static str>,
    ) -> Result<Uses, TxError> {
        let id = || vec![Value::from(id)];
        Ok(Uses {
            clients: Count::default(),
            grants: count(tx, grants, id(), |row| self.is_live_grant(row)).await?,
            keys: count(tx, KEYS_OF_OWNER, id(), |row| self.is_live_key(row)).await?,
            role_grants: count(tx, ROLES_OF_HOLDER, id(), |_| Ok(true)).await?,
            sessions: match sessions {
                None => Count::default(),
                Some(sessions) => count(tx, sessions, id(), |_| Ok(true)).await?,
            },
        })
    }

    fn is_live_grant(&self, row: &mut Row) -> Result<bool, TxError> {
        let (ended_at, expires_at) = (row.opt_time()?, row.time()?);
        Ok(ended_at.is_none() && expires_at > self.now)
    }

    fn is_live_key(&self, row: &mut Row) -> Result<bool, TxError> {
        let (revoked_at, expires_at) = (row.opt_time()?, row.opt_time()?);
        Ok(revoked_at.is_none() && expires_at.is_none_or(|at| at > self.now))
    }
}

/// Counts the rows for which `is_meant` holds. A row that this program can't read is counted as well: it may be one.
async fn count(
    tx: &mut impl Tx,
    sql: &'static str,
    mut parameters: Vec<Value>,
    is_meant: impl Fn(&mut Row) -> Result<bool, TxError>,
) -> Result<Count, TxError> {
    parameters.push(i64::try_from(MOST + 1).unwrap_or(i64::MAX).into());
    let mut rows = tx.query(sql, &parameters).await?;
    let is_more = rows.len() > MOST;
    rows.truncate(MOST);
    let mut number = 0;
    for row in &mut rows {
        number += usize::from(match is_meant(row) {
            Err(TxError::Unreadable { .. }) => true,
            is_meant => is_meant?,
        });
    }
    Ok(Count { number, is_more })
}

const NEWEST_CLIENTS: &str = "SELECT metadata FROM clients WHERE api_id IS NULL ORDER BY id DESC LIMIT $1";
const NEWEST_GRANTS: &str =
    sql!("SELECT {}, g.expires_at, g.scopes FROM grants g ORDER BY g.id DESC LIMIT $1", ENDED_AT);
const NEWEST_KEYS: &str = "SELECT metadata, revoked_at, expires_at FROM api_keys WHERE revoked_at IS NULL
     ORDER BY id DESC LIMIT $1";

const GRANTS_OF_CLIENT: &str = sql!(
    "SELECT {}, g.expires_at FROM grants g WHERE g.client_id = $1 AND g.ended_at IS NULL
     ORDER BY g.created_at DESC LIMIT $2",
    ENDED_AT
);
const GRANTS_OF_USER: &str = sql!(
    "SELECT {}, g.expires_at FROM grants g WHERE g.user_id = $1 AND g.ended_at IS NULL
     ORDER BY g.created_at DESC LIMIT $2",
    ENDED_AT
);
const KEYS_OF_OWNER: &str =
    "SELECT revoked_at, expires_at FROM api_keys WHERE owner = $1 AND revoked_at IS NULL LIMIT $2";
const ROLES_OF_HOLDER: &str = "SELECT role FROM role_grants WHERE holder = $1 LIMIT $2";
const ROLES_AT_API: &str = "SELECT role FROM role_grants WHERE api_id = $1 LIMIT $2";
const SESSIONS: &str = "SELECT id FROM sessions WHERE user_id = $1 AND ended_at IS NULL LIMIT $2";
