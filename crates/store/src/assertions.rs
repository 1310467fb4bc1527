//! Client assertions, each used once (RFC 7523 section 3).

use doorward_core::{clock::Timestamp, digest::Digest, id::ClientId};

use crate::tx::{Operation, Tx, TxError};

/// Uses the `jti` of an assertion. Returns whether this was its first use.
#[derive(Clone, Debug)]
pub struct UseAssertion {
    /// The client that signed it.
    pub client_id: ClientId,
    /// `jti`.
    pub id: String,
    /// Until when it has to be remembered.
    pub expires_at: Timestamp,
}

impl Operation for UseAssertion {
    type Output = bool;

    async fn run(&self, tx: &mut impl Tx) -> Result<bool, TxError> {
        let sql = "INSERT INTO assertion_ids (client_id, id, expires_at) VALUES ($1, $2, $3)
                   ON CONFLICT (client_id, id) DO NOTHING";
        let id = Digest::sha256(self.id.as_bytes());
        let row = [self.client_id.as_str().into(), (&id).into(), self.expires_at.into()];
        Ok(tx.execute(sql, &row).await? == 1)
    }
}
