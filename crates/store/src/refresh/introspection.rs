//! A refresh token as its own client may see it (RFC 7662): only the live one of a live grant is active.

use doorward_core::{clock::Timestamp, digest::KeyedDigest, grant::refresh::FamilyTimes};

use crate::{
    grants::{self, GrantRecord},
    record::by_digest,
    sql::sql,
    tx::{Operation, Tx, TxError},
};

/// The live refresh token with one of these digests.
#[derive(Clone, Debug)]
pub struct FindRefreshToken {
    /// The digests under the live peppers.
    pub candidates: Vec<KeyedDigest>,
}

/// The live refresh token of a live grant. Whether it has expired is for the caller to say.
#[derive(Clone, Debug)]
pub struct LiveRefreshToken {
    /// The grant that the token continues.
    pub grant: GrantRecord,
    /// When the token was issued.
    pub issued_at: Timestamp,
    /// The times of its family.
    pub family: FamilyTimes,
}

impl Operation for FindRefreshToken {
    type Output = Option<LiveRefreshToken>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Self::Output, TxError> {
        let sql = sql!(
            "SELECT {g}, {}, t.issued_at, f.created_at, f.expires_at
             FROM refresh_tokens t
             JOIN refresh_families f ON f.id = t.family_id
             JOIN grants g ON g.id = f.grant_id
             WHERE t.digest = $1 AND t.pepper = $2 AND f.ended_at IS NULL AND {} IS NULL
               AND f.newest_digest = t.digest",
            grants::COLUMNS,
            grants::ENDED_AT,
            grants::ENDED_AT
        );
        let Some(mut row) = by_digest(tx, sql, &self.candidates).await? else { return Ok(None) };
        Ok(Some(LiveRefreshToken {
            grant: grants::grant(&mut row)?,
            issued_at: row.time()?,
            family: FamilyTimes { created_at: row.time()?, expires_at: row.time()? },
        }))
    }
}
