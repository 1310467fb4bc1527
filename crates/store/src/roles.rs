//! Roles: of an API, given to users, clients and keys.

use std::collections::BTreeSet;

use doorward_core::{
    api::{Api, Role},
    clock::Timestamp,
    holder::Holder,
    id::ApiId,
};
use serde::Deserialize;

use crate::{
    ChangeKind, append_change,
    audit::{AuditAction, AuditContext},
    clients,
    record::{Page, readable_page},
    sql::sql,
    tx::{Operation, Row, Tx, TxError, Value},
    users,
};

/// Gives a role to a holder, or takes it back. Returns whether anything changed.
#[derive(Clone, Debug)]
pub struct ChangeRole {
    /// The user, client or key.
    pub holder: Holder,
    /// The API that defines the role.
    pub api: ApiId,
    /// The role to grant or withdraw.
    pub role: Role,
    /// Whether it is given, or taken back.
    pub is_granted: bool,
    /// The current time by the caller's clock.
    pub now: Timestamp,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

impl Operation for ChangeRole {
    type Output = bool;

    async fn run(&self, tx: &mut impl Tx) -> Result<bool, TxError> {
        let holder = self.holder.as_str();
        lock(tx, &self.holder).await?;
        let is_changed = write(tx, holder, &self.api, &self.role, self.is_granted, self.now).await?;
        if is_changed {
            let action = if self.is_granted { AuditAction::RoleGranted } else { AuditAction::RoleWithdrawn };
            self.audit.event(action).about(holder).with("role", &self.role).append(tx).await?;
            let kind = match &self.holder {
                Holder::Client(_) => ChangeKind::Client,
                Holder::Key(_) => ChangeKind::Key,
                Holder::User(_) => ChangeKind::User,
            };
            append_change(tx, kind, holder, self.now).await?;
        }
        Ok(is_changed)
    }
}

/// Locks the row of a holder, if there is one: somebody may be changing the holder as it was with the roles before.
async fn lock(tx: &mut impl Tx, holder: &Holder) -> Result<(), TxError> {
    match holder {
        Holder::Client(id) => clients::lock(tx, id).await,
        Holder::Key(id) => {
            let sql = "UPDATE api_keys SET created_at = created_at WHERE id = $1";
            tx.execute(sql, &[id.as_str().into()]).await.map(drop)
        }
        Holder::User(id) => users::lock(tx, id).await.map(drop),
    }
}

/// Writes that a holder has a role from now on, or has it no more. Returns whether anything changed.
pub(crate) async fn write(
    tx: &mut impl Tx,
    holder: &str,
    api: &ApiId,
    role: &Role,
    is_granted: bool,
    now: Timestamp,
) -> Result<bool, TxError> {
    let (api, role) = (api.as_str().into(), role.as_str().into());
    let changed = match is_granted {
        true => {
            let sql = "INSERT INTO role_grants (holder, api_id, role, created_at)
                       SELECT $1, id, $2, CAST($3 AS bigint) FROM apis WHERE id = $4 AND deleted_at IS NULL
                       ON CONFLICT (holder, api_id, role) DO NOTHING";
            tx.execute(sql, &[holder.into(), role, now.into(), api]).await?
        }
        false => {
            let sql = "DELETE FROM role_grants WHERE holder = $1 AND api_id = $2 AND role = $3";
            tx.execute(sql, &[holder.into(), api, role]).await?
        }
    };
    Ok(changed > 0)
}

/// A role that somebody has.
#[derive(Clone, Debug)]
pub struct RoleGrant {
    /// The user, client or key that has it.
    pub holder: Holder,
    /// The API that defines the role.
    pub api: ApiId,
    /// The role that was granted.
    pub role: Role,
    /// The user's name, if the holder is a user.
    pub username: Option<String>,
    /// When it was granted.
    pub created_at: Timestamp,
}

/// Which role grants are listed.
#[derive(Clone, Debug, Default)]
pub struct RoleFilter {
    /// Only those of this user, client or key.
    pub holder: Option<Holder>,
    /// Only those at this API.
    pub api: Option<ApiId>,
    /// Only those of a role of this name.
    pub role: Option<Role>,
}

/// Who has which role, in the order of holder, API and role. Roles of a deleted API have no effect and are left out.
#[derive(Clone, Debug)]
pub struct ListRoleGrants {
    /// Which role grants.
    pub filter: RoleFilter,
    /// Only those after this one, which the filter let pass too.
    pub after: Option<(Holder, ApiId, Role)>,
    /// Maximum number of rows.
    pub limit: i64,
}

impl Operation for ListRoleGrants {
    type Output = Vec<RoleGrant>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Vec<RoleGrant>, TxError> {
        let RoleFilter { holder, api, role } = &self.filter;
        let sql = match (holder.is_some(), api.is_some(), role.is_some()) {
            (false, false, false) => ALL,
            (true, false, false) => OF_ONE_HOLDER,
            (false, true, false) => AT_API,
            (false, false, true) => OF_ROLE,
            (true, true, false) => OF_HOLDER_AT_API,
            (true, false, true) => OF_HOLDER_AND_ROLE,
            (false, true, true) => OF_ROLE_AT_API,
            (true, true, true) => ONE,
        };
        let after = self.after.as_ref();
        // What the filter fixes is the same in every row of the list.
        let first = |fixed: Option<&str>, last: Option<&str>| fixed.or(last).unwrap_or_default().to_owned();
        let key = [
            first(holder.as_ref().map(Holder::as_str), after.map(|(holder, ..)| holder.as_str())),
            first(api.as_ref().map(ApiId::as_str), after.map(|(_, api, _)| api.as_str())),
            first(role.as_ref().map(Role::as_str), after.map(|(.., role)| role.as_str())),
        ];
        let is_one = holder.is_some() && api.is_some() && role.is_some();
        let (after, filter) = match is_one {
            // There is none behind it.
            true if after.is_some() => return Ok(Vec::new()),
            true => (Default::default(), key.into_iter().map(Value::from).collect()),
            false => (key, vec![]),
        };
        readable_page(tx, Page { kind: "role grant", sql, after, limit: self.limit, filter }, role_grant).await
    }
}

// Each is a range of one index, of whose columns the filter fixes the first. As ranges also of those columns, so that
// PostgreSQL does not walk the primary key for an API or a role that many have.
const ALL: &str = sql!("{} (g.holder, g.api_id, g.role) > ($1, $2, $3) {}", SELECT, BY_HOLDER);
const OF_ONE_HOLDER: &str =
    sql!("{} (g.holder, g.api_id, g.role) > ($1, $2, $3) AND g.holder <= $1 {}", SELECT, BY_HOLDER);
const OF_HOLDER_AT_API: &str =
    sql!("{} (g.holder, g.api_id, g.role) > ($1, $2, $3) AND (g.holder, g.api_id) <= ($1, $2) {}", SELECT, BY_HOLDER);
const ONE: &str = sql!(
    "{} (g.holder, g.api_id, g.role) > ($1, $2, $3) AND g.holder = $5 AND g.api_id = $6 AND g.role = $7 {}",
    SELECT,
    BY_HOLDER
);
const AT_API: &str = sql!(
    "{} (g.api_id, g.holder, g.role) > ($2, $1, $3) AND g.api_id <= $2 ORDER BY g.api_id, g.holder, g.role LIMIT $4",
    SELECT
);
const OF_ROLE_AT_API: &str = sql!(
    "{} (g.api_id, g.role, g.holder) > ($2, $3, $1) AND (g.api_id, g.role) <= ($2, $3)
     ORDER BY g.api_id, g.role, g.holder LIMIT $4",
    SELECT
);
const OF_ROLE: &str = sql!("{} (g.role, g.holder, g.api_id) > ($3, $1, $2) AND g.role <= $3 {}", SELECT, BY_ROLE);
const OF_HOLDER_AND_ROLE: &str =
    sql!("{} (g.role, g.holder, g.api_id) > ($3, $1, $2) AND (g.role, g.holder) <= ($3, $1) {}", SELECT, BY_ROLE);

const SELECT: &str = "SELECT g.holder, g.api_id, g.role, g.created_at, u.metadata
     FROM role_grants g LEFT JOIN users u ON u.id = g.holder AND u.deleted_at IS NULL
     WHERE NOT EXISTS (SELECT 1 FROM apis a WHERE a.id = g.api_id AND a.deleted_at IS NOT NULL) AND";
const BY_HOLDER: &str = "ORDER BY g.holder, g.api_id, g.role LIMIT $4";
const BY_ROLE: &str = "ORDER BY g.role, g.holder, g.api_id LIMIT $4";

fn role_grant(row: &mut Row) -> Result<RoleGrant, TxError> {
    let holder = row.text()?.parse();
    let holder = holder.map_err(|_| row.unreadable())?;
    let (api, role, created_at) = (row.parsed()?, row.parsed()?, row.time()?);
    let user: Option<serde_json::Result<Named>> = row.opt_text()?.map(|text| serde_json::from_str(&text));
    let user = user.transpose().map_err(|_| row.unreadable())?;
    Ok(RoleGrant { holder, api, role, username: user.map(|user| user.username), created_at })
}

/// Of a user only the name is read: a newer program may have registered more.
#[derive(Deserialize)]
struct Named {
    username: String,
}

/// The roles of a holder at every API.
#[derive(Clone, Debug)]
pub struct RolesOf {
    /// The user, client or key to look up.
    pub holder: Holder,
}

impl Operation for RolesOf {
    type Output = Vec<(ApiId, Role)>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Vec<(ApiId, Role)>, TxError> {
        let sql = "SELECT api_id, role FROM role_grants g WHERE holder = $1
                     AND NOT EXISTS (SELECT 1 FROM apis a WHERE a.id = g.api_id AND a.deleted_at IS NOT NULL)
                   ORDER BY api_id, role";
        let pair = |row: &mut Row| Ok((row.parsed()?, row.parsed()?));
        tx.query(sql, &[self.holder.as_str().into()]).await?.iter_mut().map(pair).collect()
    }
}

/// In a SELECT from a table of holders, the roles of each: `api role` pairs with commas between.
///
/// Easy to get wrong: `id` is the holder's, since `role_grants` has no such column.
pub(crate) const OF_HOLDER: &str =
    "(SELECT string_agg(api_id || ' ' || role, ',') FROM role_grants WHERE holder = id) AS roles";

/// The field that [`OF_HOLDER`] gives.
pub(crate) fn of_holder(row: &mut Row) -> Result<Vec<(ApiId, Role)>, TxError> {
    let Some(pairs) = row.opt_text()? else { return Ok(Vec::new()) };
    let pair = |pair: &str| {
        let (api, role) = pair.split_once(' ')?;
        Some((ApiId::parse(api).ok()?, Role::parse(role).ok()?))
    };
    let mut roles: Vec<_> = pairs.split(',').map(pair).collect::<Option<_>>().ok_or_else(|| row.unreadable())?;
    roles.sort();
    Ok(roles)
}

/// The roles of a holder that count at one API.
pub(crate) async fn at_api(tx: &mut impl Tx, holder: &str, api: &Api) -> Result<BTreeSet<Role>, TxError> {
    let sql = "SELECT api_id, role FROM role_grants WHERE holder = $1 AND api_id = $2";
    let pair = |row: &mut Row| Ok((row.parsed()?, row.parsed()?));
    let rows = tx.query(sql, &[holder.into(), api.id.as_str().into()]).await?;
    let given = rows.into_iter().map(|mut row| pair(&mut row)).collect::<Result<Vec<_>, TxError>>()?;
    Ok(api.roles_among(&given))
}
