//! How keys were used: when last, from where, and how often on each day.

use doorward_core::{
    clock::Timestamp,
    digest::KeyedDigest,
    id::KeyId,
    key_usage::{Day, Latencies},
};

use crate::tx::{Operation, Row, Tx, TxError};

/// The last use of a key.
#[derive(Clone, Debug)]
pub struct KeyTouch {
    /// The key.
    pub id: KeyId,
    /// When.
    pub at: Timestamp,
    /// From where, as far as that is kept.
    pub address: Option<String>,
    /// Its digest under the current pepper, if it was under an older one.
    pub digest: Option<KeyedDigest>,
}

/// Notes that keys were used, and digests them under the current pepper where they were under an older one.
#[derive(Clone, Debug)]
pub struct TouchKeys {
    /// The last use of each.
    pub uses: Vec<KeyTouch>,
}

impl Operation for TouchKeys {
    type Output = ();

    async fn run(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        // In one order, so that two servers that write at the same time never wait for each other in a circle.
        let mut uses: Vec<_> = self.uses.iter().collect();
        uses.sort_by(|left, right| left.id.cmp(&right.id));
        for KeyTouch { id, at, address, digest } in uses {
            let sql = "UPDATE api_keys SET last_used_at = $1, last_used_address = $2
                       WHERE id = $3 AND COALESCE(last_used_at, 0) < $1";
            tx.execute(sql, &[(*at).into(), address.as_deref().into(), id.as_str().into()]).await?;
            if let Some(digest) = digest {
                // A key that was given another secret meanwhile has a digest under the current pepper.
                let sql = "UPDATE api_keys SET digest = $1, pepper = $2 WHERE id = $3 AND pepper <> $2";
                let row = [(&digest.digest).into(), digest.pepper.as_str().into(), id.as_str().into()];
                tx.execute(sql, &row).await?;
            }
        }
        Ok(())
    }
}

/// How often a key was verified on a day with one outcome.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct UsageCount {
    /// The key.
    pub key: KeyId,
    /// The day of UTC.
    pub day: Day,
    /// `valid`, or the code of the denial.
    pub outcome: String,
    /// How many took how long.
    pub latencies: Latencies,
}

/// Adds to the counts.
#[derive(Clone, Debug)]
pub struct CountUsage {
    /// What is added, each key, day and outcome once.
    pub counts: Vec<UsageCount>,
}

impl Operation for CountUsage {
    type Output = ();

    async fn run(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        // In one order, so that two servers that write at the same time never wait for each other in a circle.
        let mut counts: Vec<_> = self.counts.iter().collect();
        counts.sort();
        for UsageCount { key, day, outcome, latencies } in counts {
            let [within_1ms, within_10ms, within_100ms, slower] =
                latencies.0.map(|count| i64::try_from(count).unwrap_or(i64::MAX).into());
            let sql = "INSERT INTO key_usage (key_id, day, outcome, within_1ms, within_10ms, within_100ms, slower)
                       VALUES ($1, $2, $3, $4, $5, $6, $7)
                       ON CONFLICT (key_id, day, outcome) DO UPDATE SET
                           within_1ms = key_usage.within_1ms + $4, within_10ms = key_usage.within_10ms + $5,
                           within_100ms = key_usage.within_100ms + $6, slower = key_usage.slower + $7";
            let (key, outcome) = (key.as_str().into(), outcome.as_str().into());
            tx.execute(sql, &[key, day.0.into(), outcome, within_1ms, within_10ms, within_100ms, slower]).await?;
        }
        Ok(())
    }
}

/// The counts of a key on these days, by day and outcome.
#[derive(Clone, Debug)]
pub struct UsageOf {
    /// The key.
    pub key: KeyId,
    /// The first day.
    pub since: Day,
    /// The last day.
    pub until: Day,
    /// Only what comes after this day and outcome.
    pub after: Option<(Day, String)>,
    /// Maximum number of rows.
    pub limit: i64,
}

impl Operation for UsageOf {
    type Output = Vec<UsageCount>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Vec<UsageCount>, TxError> {
        let (day, outcome) = self.after.clone().unwrap_or((Day(i64::MIN), String::new()));
        let sql = "SELECT day, outcome, within_1ms, within_10ms, within_100ms, slower FROM key_usage
                   WHERE key_id = $1 AND day >= $2 AND day <= $3 AND (day > $4 OR (day = $4 AND outcome > $5))
                   ORDER BY day, outcome LIMIT $6";
        let (key, since, until) = (self.key.as_str().into(), self.since.0.into(), self.until.0.into());
        let row = [key, since, until, day.0.into(), outcome.into(), self.limit.into()];
        tx.query(sql, &row).await?.iter_mut().map(|row| self.count(row)).collect()
    }
}

impl UsageOf {
    fn count(&self, row: &mut Row) -> Result<UsageCount, TxError> {
        let (day, outcome) = (Day(row.int()?), row.text()?);
        let mut latencies = Latencies::default();
        for count in &mut latencies.0 {
            *count = u64::try_from(row.int()?).unwrap_or(0);
        }
        Ok(UsageCount { key: self.key.clone(), day, outcome, latencies })
    }
}

/// Notes and counts uses of keys as one change.
#[derive(Clone, Debug)]
pub struct WriteUses {
    /// The last use of each key.
    pub touch: TouchKeys,
    /// What is added to the counts.
    pub count: CountUsage,
}

impl Operation for WriteUses {
    type Output = ();

    async fn run(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        self.touch.run(tx).await?;
        self.count.run(tx).await
    }
}
