//! Keys a page at a time.

use doorward_core::{
    clock::Timestamp,
    holder::Owner,
    id::{ApiId, KeyId},
    key_selection::KeySelection,
};

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

/// The newest keys of an owner that are not revoked, the newest first.
#[derive(Clone, Debug)]
pub struct ListNewestKeys {
    /// Whose keys.
    pub owner: Owner,
    /// Maximum number of rows.
    pub limit: i64,
}

impl Operation for ListNewestKeys {
    type Output = Vec<ShownKey>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Vec<ShownKey>, TxError> {
        let sql = sql!(
            "{} WHERE owner IS NOT NULL AND owner = $3 AND id < $1 AND revoked_at IS NULL
             ORDER BY owner DESC, id DESC LIMIT $2",
            SHOWN
        );
        let filter = vec![self.owner.as_str().into()];
        let page = Page { kind: "key", sql, after: [BEHIND_ALL.to_owned()], limit: self.limit, filter };
        readable_page(tx, page, shown_key).await
    }
}

/// Behind the id of every key: ids have hexadecimal digits only.
const BEHIND_ALL: &str = "key_g";

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

/// By which of their facts keys are found. Each has an index of its own.
#[derive(Clone, Debug)]
pub enum KeysOf {
    /// The API that they name.
    Api(ApiId),
    /// When they were created: from `since` on, and before `until`.
    Created {
        /// The first time, if there is one.
        since: Option<Timestamp>,
        /// The time at which it ends, if it does.
        until: Option<Timestamp>,
    },
    /// Who created them.
    Creator(String),
}

impl KeysOf {
    /// The index that is likely to meet the fewest keys beside those of a selection; `None`: another one, which also knows the
    /// owner, or which of them are revoked.
    pub fn selection(selection: &KeySelection) -> Option<Self> {
        let KeySelection { owner, api, created_by, created_since: since, created_until: until, .. } = selection;
        match (owner, created_by, api) {
            (Some(_), ..) => None,
            (_, Some(creator), _) => Some(Self::Creator(creator.clone())),
            _ if since.is_some() || until.is_some() => Some(Self::Created { since: *since, until: *until }),
            (_, _, Some(api)) => Some(Self::Api(api.clone())),
            (_, _, None) => None,
        }
    }
}

/// The keys of one API, of one creator or of a time, in order of creation.
#[derive(Clone, Debug)]
pub struct ListKeysOf {
    /// Which keys.
    pub of: KeysOf,
    /// Only keys after this one.
    pub after: Option<KeyId>,
    /// Maximum number of rows.
    pub limit: i64,
}

impl Operation for ListKeysOf {
    type Output = Vec<ShownKey>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Vec<ShownKey>, TxError> {
        let (sql, filter) = match &self.of {
            KeysOf::Api(api) => (sql!("{} {}", SHOWN, OF_API), vec![api.as_str().into()]),
            KeysOf::Created { since, until } => {
                let until = until.map_or(i64::MAX, Timestamp::as_millis);
                (sql!("{} {}", SHOWN, OF_TIME), vec![since.map_or(0, Timestamp::as_millis).into(), until.into()])
            }
            KeysOf::Creator(creator) => (sql!("{} {}", SHOWN, OF_CREATOR), vec![creator.as_str().into()]),
        };
        let after = [self.after.as_ref().map_or_else(String::new, KeyId::to_string)];
        readable_page(tx, Page { kind: "key", sql, after, limit: self.limit, filter }, shown_key).await
    }
}

pub(super) const OF_API: &str = "JOIN key_apis named ON named.key_id = id
     WHERE named.api_id = $3 AND named.key_id > $1 ORDER BY named.key_id LIMIT $2";
pub(super) const OF_CREATOR: &str = "WHERE created_by IS NOT NULL AND (created_by, id) > ($3, $1) AND created_by <= $3
     ORDER BY created_by, id LIMIT $2";
/// The place after which a page begins is a key, whose time is the first part of the place in the index.
pub(super) const OF_TIME: &str =
    "WHERE (created_at, id) > (COALESCE((SELECT k.created_at FROM api_keys k WHERE k.id = $1), $3), $1)
     AND created_at < $4 ORDER BY created_at, id LIMIT $2";

/// As a range of both columns, so that PostgreSQL does not walk the primary key for an owner of many keys.
pub(super) const OF_OWNER: &str = "owner IS NOT NULL AND (owner, id) > ($3, $1) AND owner <= $3";
