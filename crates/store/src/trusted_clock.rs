//! The last time at which a server's clock was found plausible, for the server that starts next.

use doorward_core::clock::Timestamp;

use crate::tx::{Operation, Tx, TxError};

/// The last plausible time that was noted. In a database of an older program that is the time of the newest audit event;
/// `None` where there is none either.
#[derive(Clone, Debug)]
pub struct FindTrustedTime;

impl Operation for FindTrustedTime {
    type Output = Option<Timestamp>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Option<Timestamp>, TxError> {
        if let Some(mut noted) = tx.query_opt("SELECT at FROM trusted_clock WHERE id = 1", &[]).await? {
            return noted.time().map(Some);
        }
        let newest = tx.query_opt("SELECT at FROM audit ORDER BY id DESC LIMIT 1", &[]).await?;
        newest.map(|mut row| row.time()).transpose()
    }
}

/// The newest time in the database: that of the newest audit event, or the last plausible time that was noted.
#[derive(Clone, Debug)]
pub struct FindNewestTime;

impl Operation for FindNewestTime {
    type Output = Option<Timestamp>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Option<Timestamp>, TxError> {
        let noted = tx.query_opt("SELECT at FROM trusted_clock WHERE id = 1", &[]).await?;
        let newest = tx.query_opt("SELECT at FROM audit ORDER BY id DESC LIMIT 1", &[]).await?;
        let times = [noted, newest].into_iter().flatten().map(|mut row| row.time());
        Ok(times.collect::<Result<Vec<_>, _>>()?.into_iter().max())
    }
}

/// Notes a plausible time.
#[derive(Clone, Debug)]
pub struct NoteTrustedTime {
    /// The time that was found plausible.
    pub at: Timestamp,
}

impl Operation for NoteTrustedTime {
    type Output = ();

    async fn run(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        let sql = "INSERT INTO trusted_clock (id, at) VALUES (1, $1)
                   ON CONFLICT (id) DO UPDATE SET at = excluded.at";
        tx.execute(sql, &[self.at.into()]).await?;
        Ok(())
    }
}
