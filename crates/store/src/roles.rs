//! Roles: of an API, given to users, clients and keys.

use std::collections::BTreeSet;

use doorward_core::{api::Role, clock::Timestamp, holder::Holder, id::ApiId, user::UserMetadata};

use crate::{
    ChangeKind, append_change,
    audit::{AuditAction, AuditContext},
    tx::{Operation, Row, Tx, TxError},
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
        let (holder, api, role) = (self.holder.as_str(), self.api.as_str(), self.role.as_str());
        let changed = match self.is_granted {
            true => {
                let sql = "INSERT INTO role_grants (holder, api_id, role, created_at) VALUES ($1, $2, $3, $4)
                           ON CONFLICT (holder, api_id, role) DO NOTHING";
                tx.execute(sql, &[holder.into(), api.into(), role.into(), self.now.into()]).await?
            }
            false => {
                let sql = "DELETE FROM role_grants WHERE holder = $1 AND api_id = $2 AND role = $3";
                tx.execute(sql, &[holder.into(), api.into(), role.into()]).await?
            }
        };
        if changed > 0 {
            let action = if self.is_granted { AuditAction::RoleGranted } else { AuditAction::RoleWithdrawn };
            self.audit.event(action).about(holder).with("role", &self.role).append(tx).await?;
            let kind = match &self.holder {
                Holder::Client(_) => ChangeKind::Client,
                Holder::Key(_) => ChangeKind::Key,
                Holder::User(_) => ChangeKind::User,
            };
            append_change(tx, kind, holder, self.now).await?;
        }
        Ok(changed > 0)
    }
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

/// Who has which role, in the order of holder, API and role.
#[derive(Clone, Debug)]
pub struct ListRoleGrants {
    /// Only those after this one.
    pub after: Option<(Holder, ApiId, Role)>,
    /// Maximum number of rows.
    pub limit: i64,
}

impl Operation for ListRoleGrants {
    type Output = Vec<RoleGrant>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Vec<RoleGrant>, TxError> {
        let after = self.after.as_ref();
        let (holder, api, role) =
            after.map_or(("", "", ""), |(holder, api, role)| (holder.as_str(), api.as_str(), role.as_str()));
        let sql = "SELECT g.holder, g.api_id, g.role, g.created_at, u.metadata
                   FROM role_grants g LEFT JOIN users u ON u.id = g.holder
                   WHERE (g.holder, g.api_id, g.role) > ($1, $2, $3)
                   ORDER BY g.holder, g.api_id, g.role LIMIT $4";
        let parameters = [holder.into(), api.into(), role.into(), self.limit.into()];
        tx.query(sql, &parameters).await?.iter_mut().map(role_grant).collect()
    }
}

fn role_grant(row: &mut Row) -> Result<RoleGrant, TxError> {
    let holder = row.text()?.parse();
    let holder = holder.map_err(|_| row.unreadable())?;
    let (api, role, created_at) = (row.parsed()?, row.parsed()?, row.time()?);
    let user: Option<serde_json::Result<UserMetadata>> = row.opt_text()?.map(|text| serde_json::from_str(&text));
    let user = user.transpose().map_err(|_| row.unreadable())?;
    Ok(RoleGrant { holder, api, role, username: user.map(|user| user.username), created_at })
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
        let sql = "SELECT api_id, role FROM role_grants WHERE holder = $1 ORDER BY api_id, role";
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

/// The roles of a holder at one API.
pub(crate) async fn at_api(tx: &mut impl Tx, holder: &str, api: &ApiId) -> Result<BTreeSet<Role>, TxError> {
    let sql = "SELECT role FROM role_grants WHERE holder = $1 AND api_id = $2";
    tx.query(sql, &[holder.into(), api.as_str().into()]).await?.iter_mut().map(Row::parsed).collect()
}
