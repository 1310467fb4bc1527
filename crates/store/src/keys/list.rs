//! Keys a page at a time.

use doorward_core::{holder::Owner, id::KeyId};

use super::{KeyRecord, SELECT, SHOWN, ShownKey, key, shown_key};
use crate::{
    record::{Page, readable_page},
    sql::sql,
    tx::{Operation, Row, Tx, TxError},
};

/// Which keys are listed.
#[derive(Clone, Debug, Default)]
pub struct KeyFilter {
    /// Only those of this owner.
    pub owner: Option<Owner>,
    /// Only those that were revoked, or only those that were not.
    pub revoked: Option<bool>,
}

/// The statement that lists keys by a filter.
macro_rules! statement {
    ($select:expr, $filter:expr) => {
        match ($filter.owner.is_some(), $filter.revoked) {
            (false, None) => sql!("{} WHERE id > $1 ORDER BY id LIMIT $2", $select),
            (false, Some(true)) => sql!("{} WHERE id > $1 AND revoked_at IS NOT NULL ORDER BY id LIMIT $2", $select),
            (false, Some(false)) => sql!("{} WHERE id > $1 AND revoked_at IS NULL ORDER BY id LIMIT $2", $select),
            (true, None) => sql!("{} WHERE {} ORDER BY owner, id LIMIT $2", $select, OF_OWNER),
            (true, Some(true)) => {
                sql!("{} WHERE {} AND revoked_at IS NOT NULL ORDER BY owner, id LIMIT $2", $select, OF_OWNER)
            }
            (true, Some(false)) => {
                sql!("{} WHERE {} AND revoked_at IS NULL ORDER BY owner, id LIMIT $2", $select, OF_OWNER)
            }
        }
    };
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
        self.page(tx, statement!(SELECT, &self.filter), key).await
    }
}

impl ListKeys {
    async fn page<T>(
        &self,
        tx: &mut impl Tx,
        sql: &'static str,
        read: impl Fn(&mut Row) -> Result<T, TxError>,
    ) -> Result<Vec<T>, TxError> {
        let after = [self.after.as_ref().map_or_else(String::new, KeyId::to_string)];
        let filter = self.filter.owner.iter().map(|owner| owner.as_str().into()).collect();
        readable_page(tx, Page { kind: "key", sql, after, limit: self.limit, filter }, read).await
    }
}

/// The same keys as they are shown, each with its rotations.
#[derive(Clone, Debug)]
pub struct ListShownKeys(pub ListKeys);

impl Operation for ListShownKeys {
    type Output = Vec<ShownKey>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Vec<ShownKey>, TxError> {
        self.0.page(tx, statement!(SHOWN, &self.0.filter), shown_key).await
    }
}

/// Keys that are due for rotation, in order of creation.
#[derive(Clone, Debug)]
pub struct ListDueKeys {
    /// Only keys created after this one.
    pub after: Option<KeyId>,
    /// Maximum number of rows.
    pub limit: i64,
}

impl Operation for ListDueKeys {
    type Output = Vec<ShownKey>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Vec<ShownKey>, TxError> {
        let sql =
            sql!("{} JOIN keys_due due ON due.key_id = id WHERE due.key_id > $1 ORDER BY due.key_id LIMIT $2", SHOWN);
        let after = [self.after.as_ref().map_or_else(String::new, KeyId::to_string)];
        let page = Page { kind: "key", sql, after, limit: self.limit, filter: Vec::new() };
        readable_page(tx, page, shown_key).await
    }
}

/// As a range of both columns, so that PostgreSQL does not walk the primary key for an owner of many keys.
const OF_OWNER: &str = "owner IS NOT NULL AND (owner, id) > ($3, $1) AND owner <= $3";
