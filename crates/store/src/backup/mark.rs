//! The mark of a restore that is under way: a row in the table of migrations, with a number that no migration has. No
//! server starts on a database with it, and one that runs serves nothing.
//!
//! It names its restore. If two ever run at once, the second one's mark replaces the first one's, which then does not
//! finish.

use crate::migrate::CREATE_TABLE;
use crate::tx::{Operation, Tx, TxError};

/// The mark of one restore.
#[derive(Clone)]
pub(super) struct Mark {
    number: i64,
    name: String,
}

impl Mark {
    pub(super) fn new(number: i64, id: &str) -> Mark {
        Mark { number, name: format!("restoring {id}") }
    }

    /// Fails if another restore has begun. Until the end of the transaction none can.
    pub(super) async fn hold(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        let sql = "UPDATE schema_migrations SET name = name WHERE number = $1 AND name = $2";
        self.expect_one(tx.execute(sql, &[self.number.into(), self.name.as_str().into()]).await?)
    }

    /// Removes the mark. Fails if it is another restore's.
    pub(super) async fn remove(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        let sql = "DELETE FROM schema_migrations WHERE number = $1 AND name = $2";
        self.expect_one(tx.execute(sql, &[self.number.into(), self.name.as_str().into()]).await?)
    }

    fn expect_one(&self, rows: u64) -> Result<(), TxError> {
        match rows {
            1 => Ok(()),
            _ => Err(TxError::Unavailable("another restore has begun on it: this one was given up".to_owned())),
        }
    }
}

/// Sets the mark, in the place of one that was left behind.
#[derive(Clone)]
pub(super) struct SetMark(pub(super) Mark);

impl Operation for SetMark {
    type Output = ();

    async fn run(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        tx.execute(CREATE_TABLE, &[]).await?;
        let sql = "INSERT INTO schema_migrations (number, name) VALUES ($1, $2)
                   ON CONFLICT (number) DO UPDATE SET name = excluded.name";
        tx.execute(sql, &[self.0.number.into(), self.0.name.as_str().into()]).await.map(drop)
    }
}

/// The number of the mark while a database is filled from a backup: until then it holds nothing.
pub(crate) const FROM_A_BACKUP: i64 = -1;
/// The number of the mark while only what was issued is being ended.
pub(crate) const IN_PLACE: i64 = -2;
