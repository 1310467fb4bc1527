//! Live grants, in the order in which they were given: all, or those of a user or of a client.
//!
//! The id of a grant begins with the time when it was given, so the indexes on that time serve this order, and only grants
//! of the same millisecond are sorted.
//!
//! Easy to get wrong: all million grants of a client may have ended by one row, which theirs say only later. So may those
//! of everybody. A page therefore looks at [`ListGrants::LOOK`] grants at most, and names the one after which the next
//! page continues.

use doorward_core::{
    clock::Timestamp,
    id::{ClientId, GrantId, UserId},
};

use super::{COLUMNS, ENDED_AT, GrantRecord, grant};
use crate::{
    record::readable,
    sql::sql,
    tx::{Operation, Row, Tx, TxError, Value},
};

/// The grant with this id, also one that has ended or expired.
#[derive(Clone, Debug)]
pub struct FindGrant {
    /// The id by which its tokens refer to it.
    pub id: GrantId,
}

impl Operation for FindGrant {
    type Output = Option<GrantRecord>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Option<GrantRecord>, TxError> {
        let sql = sql!("{} WHERE g.id = $1", SELECT);
        tx.query_opt(sql, &[self.id.as_str().into()]).await?.as_mut().map(grant).transpose()
    }
}

/// Which live grants are listed.
#[derive(Clone, Debug, Default)]
pub struct GrantFilter {
    /// Only those of this user.
    pub user_id: Option<UserId>,
    /// Only those of this client.
    pub client_id: Option<ClientId>,
}

/// Live grants in order of creation.
#[derive(Clone, Debug)]
pub struct ListGrants {
    /// Which grants.
    pub filter: GrantFilter,
    /// The current time by the caller's clock.
    pub now: Timestamp,
    /// Only grants given after this one: where the page before stopped.
    pub after: Option<GrantId>,
    /// Maximum number of rows.
    pub limit: i64,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct GrantPage {
    /// The live grants, oldest first; fewer than the limit, or none, where many have ended.
    pub grants: Vec<GrantRecord>,
    /// The last one that was looked at, where there may be more after it.
    pub next: Option<GrantId>,
}

impl ListGrants {
    /// Grants that a page looks at.
    pub const LOOK: i64 = 1_000;

    fn matches(&self, grant: &GrantRecord) -> bool {
        let GrantFilter { user_id, client_id } = &self.filter;
        grant.is_live(self.now)
            && user_id.as_ref().is_none_or(|user| *user == grant.user_id)
            && client_id.as_ref().is_none_or(|client| *client == grant.client_id)
    }

    /// The next grants that may match, after one of them.
    async fn candidates(&self, tx: &mut impl Tx, after: Option<&GrantId>, look: i64) -> Result<Vec<Row>, TxError> {
        let GrantFilter { user_id, client_id } = &self.filter;
        // Of a user who is named with a client: no user has as many grants as a client has.
        let (sql, subject) = match (user_id, client_id) {
            (None, None) => (ALL, None),
            (Some(user), _) => (OF_USER, Some(user.as_str())),
            (None, Some(client)) => (OF_CLIENT, Some(client.as_str())),
        };
        let mut params: Vec<Value> = vec![after.map_or("", GrantId::as_str).into(), look.into()];
        if let Some(subject) = subject {
            params.extend([subject.into(), after.map_or(i64::MIN, |id| id.made_at().as_millis()).into()]);
        }
        tx.query(sql, &params).await
    }
}

impl Operation for ListGrants {
    type Output = GrantPage;

    async fn run(&self, tx: &mut impl Tx) -> Result<GrantPage, TxError> {
        let limit = usize::try_from(self.limit).unwrap_or(0);
        let mut page = GrantPage { next: self.after.clone(), grants: Vec::new() };
        let (mut left, mut look) = (Self::LOOK, self.limit);
        while page.grants.len() < limit && left > 0 {
            look = look.min(left);
            let rows = self.candidates(tx, page.next.as_ref(), look).await?;
            let is_all = (rows.len() as i64) < look;
            for row in rows {
                if page.grants.len() == limit {
                    return Ok(page);
                }
                page.next = GrantId::parse(row.next_text().unwrap_or_default()).ok().or(page.next);
                page.grants
                    .extend(readable("grant", vec![row], grant)?.into_iter().filter(|grant| self.matches(grant)));
            }
            if is_all {
                return Ok(GrantPage { next: None, ..page });
            }
            // Where many have ended, few statements find that out.
            (left, look) = (left - look, look * 4);
        }
        Ok(page)
    }
}

const SELECT: &str = sql!("SELECT {g}, {} FROM grants g", COLUMNS, ENDED_AT);
const ALL: &str = sql!("{} WHERE g.id > $1 ORDER BY g.id LIMIT $2", SELECT);
// By equality: as a range, PostgreSQL takes another index, and sorts all grants of the user.
const OF_USER: &str = sql!("{} WHERE g.user_id = $3 AND {}", SELECT, LIVE_SINCE);
const OF_CLIENT: &str = sql!("{} WHERE g.client_id = $3 AND {}", SELECT, LIVE_SINCE);
const LIVE_SINCE: &str = "g.ended_at IS NULL AND (g.created_at, g.id) > ($4, $1) ORDER BY g.created_at, g.id LIMIT $2";
