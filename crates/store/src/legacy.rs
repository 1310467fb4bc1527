//! Uses of legacy ways to present a key: counted per key, API, route and network.
//!
//! APIs report them, so their number is bounded for each API: beyond it the networks of a key are counted together, and
//! beyond twice as many rows what has none yet is not counted.

use doorward_core::{
    api_key::KeyMetadata,
    clock::Timestamp,
    id::{ApiId, KeyId},
    legacy::{LegacyUse, LegacyWay},
};

use crate::{
    record::{Page, readable_page},
    sql::sql,
    tx::{Operation, Row, Tx, TxError},
};

/// The most rows of an API that have a network each.
pub const MOST: i64 = 2_000;

/// Adds uses to what is counted. Those of keys that do not exist are left out.
#[derive(Clone, Debug)]
pub struct RecordLegacyUses {
    /// The API that reports them.
    pub api: ApiId,
    /// The uses.
    pub uses: Vec<LegacyUse>,
}

impl Operation for RecordLegacyUses {
    type Output = ();

    async fn run(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        // In one order, so that two servers that write at the same time never wait for each other in a circle.
        let mut uses: Vec<_> = self.uses.iter().collect();
        uses.sort_by(|left, right| place(left).cmp(&place(right)));
        let count = "SELECT COUNT(*) FROM (SELECT 1 FROM legacy_uses WHERE api_id = $1 LIMIT $2) AS counted";
        let mut rows = tx.query_one(count, &[self.api.as_str().into(), (2 * MOST).into()]).await?.int()?;
        for used in uses {
            if self.add(tx, used, &used.network).await? || rows >= 2 * MOST {
                continue;
            }
            let network = if rows < MOST { used.network.as_str() } else { "" };
            if !self.add(tx, used, network).await? {
                self.begin(tx, used, network).await?;
                rows += 1;
            }
        }
        Ok(())
    }
}

impl RecordLegacyUses {
    /// Adds to a row. Returns whether there is one.
    async fn add(&self, tx: &mut impl Tx, used: &LegacyUse, network: &str) -> Result<bool, TxError> {
        let sql = "UPDATE legacy_uses SET uses = uses + $6,
                     first_at = CASE WHEN first_at < $7 THEN first_at ELSE $7 END,
                     last_at = CASE WHEN last_at > $8 THEN last_at ELSE $8 END
                   WHERE key_id = $1 AND api_id = $2 AND way = $3 AND route = $4 AND network = $5";
        Ok(tx.execute(sql, &self.row(used, network)).await? > 0)
    }

    /// Begins a row. Another server may have begun it in the meantime.
    async fn begin(&self, tx: &mut impl Tx, used: &LegacyUse, network: &str) -> Result<(), TxError> {
        let sql = "INSERT INTO legacy_uses (key_id, api_id, way, route, network, uses, first_at, last_at)
                   SELECT id, $2, $3, $4, $5, CAST($6 AS bigint), CAST($7 AS bigint), CAST($8 AS bigint)
                   FROM api_keys WHERE id = $1
                   ON CONFLICT (key_id, api_id, way, route, network) DO UPDATE SET
                     uses = legacy_uses.uses + excluded.uses, last_at = excluded.last_at";
        tx.execute(sql, &self.row(used, network)).await.map(drop)
    }

    fn row(&self, used: &LegacyUse, network: &str) -> [crate::tx::Value; 8] {
        [
            used.key.as_str().into(),
            self.api.as_str().into(),
            used.way.as_str().into(),
            used.route.as_str().into(),
            network.into(),
            i64::from(used.count).into(),
            Timestamp::from_millis(used.first_at_ms).into(),
            Timestamp::from_millis(used.last_at_ms).into(),
        ]
    }
}

fn place(used: &LegacyUse) -> (&str, LegacyWay, &str, &str) {
    (&used.key, used.way, &used.route, &used.network)
}

/// A key on a route from a network, with how often and when it came by a legacy way.
#[derive(Clone, Debug)]
pub struct LegacyUseRecord {
    /// The key.
    pub key: KeyId,
    /// The API that reported it.
    pub api: ApiId,
    /// How the key came.
    pub way: LegacyWay,
    /// The name of the route.
    pub route: String,
    /// The first address of the network; empty where networks are counted together.
    pub network: String,
    /// How many requests.
    pub uses: i64,
    /// The first one.
    pub first_at: Timestamp,
    /// The last one.
    pub last_at: Timestamp,
    /// What is registered of the key.
    pub metadata: KeyMetadata,
    /// The owner of the key, if it has one.
    pub owner: Option<String>,
    /// The part of the key that may be shown.
    pub hint: String,
    /// When the key was revoked, if it was.
    pub revoked_at: Option<Timestamp>,
    /// When the key ends, if it does.
    pub expires_at: Option<Timestamp>,
}

impl LegacyUseRecord {
    /// Its place in the list.
    pub fn place(&self) -> LegacyPlace {
        let texts = [self.key.as_str(), self.api.as_str(), self.way.as_str(), &self.route, &self.network];
        texts.map(str::to_owned)
    }
}

/// A place in the list: key, API, way, route and network.
pub type LegacyPlace = [String; 5];

/// What is counted, in the order of keys. Keys that were deleted are left out.
#[derive(Clone, Debug)]
pub struct ListLegacyUses {
    /// Only what this API reported.
    pub api: Option<ApiId>,
    /// Only those after this place.
    pub after: Option<LegacyPlace>,
    /// Maximum number of rows.
    pub limit: i64,
}

impl Operation for ListLegacyUses {
    type Output = Vec<LegacyUseRecord>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Vec<LegacyUseRecord>, TxError> {
        let (sql, filter) = match &self.api {
            None => (ALL, vec![]),
            Some(api) => (OF_API, vec![api.as_str().into()]),
        };
        let after = self.after.clone().unwrap_or_default();
        readable_page(tx, Page { kind: "legacy use", sql, after, limit: self.limit, filter }, record).await
    }
}

const SELECT: &str = "SELECT u.key_id, u.api_id, u.way, u.route, u.network, u.uses, u.first_at, u.last_at,
       k.metadata, k.owner, k.hint, k.revoked_at, k.expires_at
     FROM legacy_uses u JOIN api_keys k ON k.id = u.key_id
     WHERE (u.key_id, u.api_id, u.way, u.route, u.network) > ($1, $2, $3, $4, $5)";
const ORDER: &str = "ORDER BY u.key_id, u.api_id, u.way, u.route, u.network LIMIT $6";
const ALL: &str = sql!("{} {}", SELECT, ORDER);
const OF_API: &str = sql!("{} AND u.api_id = $7 {}", SELECT, ORDER);

fn record(row: &mut Row) -> Result<LegacyUseRecord, TxError> {
    Ok(LegacyUseRecord {
        key: row.parsed()?,
        api: row.parsed()?,
        way: row.text()?.parse().map_err(|_| row.unreadable())?,
        route: row.text()?,
        network: row.text()?,
        uses: row.int()?,
        first_at: row.time()?,
        last_at: row.time()?,
        metadata: row.json()?,
        owner: row.opt_text()?,
        hint: row.text()?,
        revoked_at: row.opt_time()?,
        expires_at: row.opt_time()?,
    })
}
