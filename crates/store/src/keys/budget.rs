//! What servers have taken out of the quotas and the numbers of uses of keys.
//!
//! A server takes a block of uses, gives it out by itself, and puts back what it did not give. So no use needs a write of its
//! own, and all servers together never give more than there is.

use doorward_core::{
    clock::Timestamp,
    id::KeyId,
    key_limits::{Per, block},
};

use crate::tx::{Operation, Tx, TxError, Value};

/// What is counted apart.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum BudgetKind {
    /// A quota per day.
    Day,
    /// A quota per month.
    Month,
    /// A number of uses.
    Uses,
}

impl From<Per> for BudgetKind {
    fn from(per: Per) -> Self {
        match per {
            Per::Day => Self::Day,
            Per::Month => Self::Month,
        }
    }
}

impl BudgetKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
            Self::Uses => "uses",
        }
    }
}

/// A number of uses of one key.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Budget {
    /// The key.
    pub key: KeyId,
    /// What is counted.
    pub kind: BudgetKind,
    /// The begin of the day or month, or the time at which the number of uses was set.
    pub period: Timestamp,
}

impl Budget {
    fn row(&self) -> [Value; 3] {
        [self.key.as_str().into(), self.kind.name().into(), self.period.as_millis().into()]
    }
}

/// Takes a block of uses.
#[derive(Clone, Debug)]
pub struct ReserveUses {
    /// Out of what.
    pub budget: Budget,
    /// How many uses there are in all.
    pub max: u64,
    /// How many uses the server has that it puts back before.
    pub returned: u64,
}

/// The uses that a server has got.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Reserved {
    /// How many; 0: none are left.
    pub taken: u64,
    /// How many are left for others.
    pub left: u64,
}

impl Operation for ReserveUses {
    type Output = Reserved;

    async fn run(&self, tx: &mut impl Tx) -> Result<Reserved, TxError> {
        let row = self.budget.row();
        let mut locked = tx.query_opt(LOCK, &row).await?;
        if locked.is_none() {
            let [key, kind, _] = self.budget.row();
            tx.execute(FORGET, &[key, kind]).await?;
            let sql = "INSERT INTO key_budgets (key_id, budget, period, reserved) VALUES ($1, $2, $3, 0)
                       ON CONFLICT DO NOTHING";
            tx.execute(sql, &row).await?;
            locked = tx.query_opt(LOCK, &row).await?;
        }
        let reserved = locked.map(|mut row| row.int()).transpose()?.unwrap_or(0);
        let reserved = u64::try_from(reserved).unwrap_or(0).saturating_sub(self.returned);
        let left = self.max.saturating_sub(reserved);
        let taken = block(left);
        if taken + self.returned > 0 {
            let [key, kind, period] = row;
            let sql = "UPDATE key_budgets SET reserved = $4 WHERE key_id = $1 AND budget = $2 AND period = $3";
            tx.execute(sql, &[key, kind, period, count(reserved + taken)]).await?;
        }
        Ok(Reserved { taken, left: left - taken })
    }
}

/// Forgets all but the newest periods. By no clock: one that is wrong would fill a quota up for the others, and a server that has
/// not learned yet that the number of uses was set again may still name the period before.
const FORGET: &str = "DELETE FROM key_budgets WHERE key_id = $1 AND budget = $2 AND period <
                      (SELECT MIN(period) FROM (SELECT period FROM key_budgets WHERE key_id = $1 AND budget = $2
                                                ORDER BY period DESC LIMIT 8) AS newest)";

const LOCK: &str = "UPDATE key_budgets SET reserved = reserved
                    WHERE key_id = $1 AND budget = $2 AND period = $3 RETURNING reserved";

/// Puts uses back that a server did not give out.
#[derive(Clone, Debug)]
pub struct ReturnUses {
    /// How many, each into what.
    pub uses: Vec<(Budget, u64)>,
}

impl Operation for ReturnUses {
    type Output = ();

    async fn run(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        // In one order, so that two servers that write at the same time never wait for each other in a circle.
        let mut uses: Vec<_> = self.uses.iter().collect();
        uses.sort();
        for (budget, returned) in uses {
            let [key, kind, period] = budget.row();
            let sql = "UPDATE key_budgets SET reserved = CASE WHEN reserved > $4 THEN reserved - $4 ELSE 0 END
                       WHERE key_id = $1 AND budget = $2 AND period = $3";
            tx.execute(sql, &[key, kind, period, count(*returned)]).await?;
        }
        Ok(())
    }
}

/// How many uses servers have taken out of each of these, in their order.
#[derive(Clone, Debug)]
pub struct ReservedUses {
    /// The budgets.
    pub budgets: Vec<Budget>,
}

impl Operation for ReservedUses {
    type Output = Vec<u64>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Vec<u64>, TxError> {
        let mut all = Vec::with_capacity(self.budgets.len());
        for budget in &self.budgets {
            let sql = "SELECT reserved FROM key_budgets WHERE key_id = $1 AND budget = $2 AND period = $3";
            let found = tx.query_opt(sql, &budget.row()).await?;
            let reserved = found.map(|mut row| row.int()).transpose()?.unwrap_or(0);
            all.push(u64::try_from(reserved).unwrap_or(0));
        }
        Ok(all)
    }
}

fn count(uses: u64) -> Value {
    i64::try_from(uses).unwrap_or(i64::MAX).into()
}
