//! Keys a page at a time.

use doorward_core::{holder::Owner, id::KeyId};

use super::{KeyRecord, SELECT, key};
use crate::{
    record::{Page, readable_page},
    sql::sql,
    tx::{Operation, Tx, TxError},
};

/// Which keys are listed.
#[derive(Clone, Debug, Default)]
pub struct KeyFilter {
    /// Only those of this owner.
    pub owner: Option<Owner>,
    /// Only those that were revoked, or only those that were not.
    pub revoked: Option<bool>,
}

/// Keys in order of creation.
#[derive(Clone, Debug)]
pub struct ListKeys {
    /// Which keys.
    pub filter: KeyFilter,
    /// Only keys created after this one.
    pub after: Option<KeyId>,
    /// Maximum number of rows.
    pub limit: i64,
}

impl Operation for ListKeys {
    type Output = Vec<KeyRecord>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Vec<KeyRecord>, TxError> {
        let KeyFilter { owner, revoked } = &self.filter;
        let sql = match (owner, revoked) {
            (None, None) => sql!("{} WHERE id > $1 ORDER BY id LIMIT $2", SELECT),
            (None, Some(true)) => sql!("{} WHERE id > $1 AND revoked_at IS NOT NULL ORDER BY id LIMIT $2", SELECT),
            (None, Some(false)) => sql!("{} WHERE id > $1 AND revoked_at IS NULL ORDER BY id LIMIT $2", SELECT),
            (Some(_), None) => sql!("{} WHERE {} ORDER BY owner, id LIMIT $2", SELECT, OF_OWNER),
            (Some(_), Some(true)) => {
                sql!("{} WHERE {} AND revoked_at IS NOT NULL ORDER BY owner, id LIMIT $2", SELECT, OF_OWNER)
            }
            (Some(_), Some(false)) => {
                sql!("{} WHERE {} AND revoked_at IS NULL ORDER BY owner, id LIMIT $2", SELECT, OF_OWNER)
            }
        };
        let after = [self.after.as_ref().map_or_else(String::new, KeyId::to_string)];
        let filter = owner.iter().map(|owner| owner.as_str().into()).collect();
        readable_page(tx, Page { kind: "key", sql, after, limit: self.limit, filter }, key).await
    }
}

/// As a range of both columns, so that PostgreSQL does not walk the primary key for an owner of many keys.
const OF_OWNER: &str = "owner IS NOT NULL AND (owner, id) > ($3, $1) AND owner <= $3";
