//! Answers that are given again when a caller repeats its request with the same `Idempotency-Key`.
//!
//! An answer is kept in the transaction that does what it says, so a request is carried out once, even if the server was
//! killed before it could answer.

use doorward_core::{
    clock::Timestamp,
    digest::{Digest, KeyedDigest},
};

use crate::{
    record::by_digest,
    sql::sql,
    tx::{Operation, Tx, TxError},
};

/// An answer that is kept.
#[derive(Clone, Debug)]
pub struct KeptAnswer {
    /// The digest of the caller and its key.
    pub digest: KeyedDigest,
    /// The digest of the request: another one with the same key is refused.
    pub request: Digest,
    /// The answer, sealed.
    pub sealed: Vec<u8>,
    /// Until when it is given again.
    pub expires_at: Timestamp,
}

/// An operation, with the answer that is kept if it is carried out. [`TxError::Conflict`] if one is kept already.
#[derive(Clone, Debug)]
pub struct Kept<O> {
    /// What is done.
    pub operation: O,
    /// The answer, if the caller may repeat its request.
    pub answer: Option<KeptAnswer>,
    /// The current time by the caller's clock.
    pub now: Timestamp,
}

impl<O: Operation> Operation for Kept<O> {
    type Output = O::Output;

    async fn run(&self, tx: &mut impl Tx) -> Result<O::Output, TxError> {
        if let Some(answer) = &self.answer {
            // What is over and was not swept yet is in nobody's way.
            let over = "DELETE FROM kept_answers WHERE digest = $1 AND expires_at <= $2";
            tx.execute(over, &[(&answer.digest.digest).into(), self.now.into()]).await?;
            tx.execute(
                sql!("INSERT INTO kept_answers ({}) VALUES ($1, $2, $3, $4, $5)", COLUMNS),
                &[
                    answer.digest.pepper.as_str().into(),
                    (&answer.digest.digest).into(),
                    (&answer.request).into(),
                    answer.sealed.as_slice().into(),
                    answer.expires_at.into(),
                ],
            )
            .await?;
        }
        self.operation.run(tx).await
    }
}

/// The answer that is kept under one of these digests.
#[derive(Clone, Debug)]
pub struct FindKeptAnswer {
    /// The digests of the caller and its key under the live peppers.
    pub candidates: Vec<KeyedDigest>,
    /// The current time by the caller's clock.
    pub now: Timestamp,
}

impl Operation for FindKeptAnswer {
    type Output = Option<KeptAnswer>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Option<KeptAnswer>, TxError> {
        let sql = sql!("SELECT {} FROM kept_answers WHERE digest = $1 AND pepper = $2", COLUMNS);
        let Some(mut row) = by_digest(tx, sql, &self.candidates).await? else { return Ok(None) };
        let kept = KeptAnswer {
            digest: row.keyed_digest()?,
            request: row.digest()?,
            sealed: row.bytes()?,
            expires_at: row.time()?,
        };
        Ok(Some(kept).filter(|kept| kept.expires_at > self.now))
    }
}

const COLUMNS: &str = "pepper, digest, request, sealed, expires_at";
