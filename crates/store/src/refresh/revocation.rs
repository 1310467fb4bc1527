//! Revoking a refresh token (RFC 7009 section 2.1): its family ends, with the grant and all tokens of that.
//!
//! Easy to get wrong: a predecessor ends its family too. The holder of one may also hold its successor.

use std::sync::Arc;

use doorward_core::{client::Client, clock::Timestamp, digest::KeyedDigest};

use super::family;
use crate::{
    audit::{AuditAction, AuditContext},
    grants,
    tx::{Operation, Tx, TxError},
};

/// Revokes a refresh token, and with it its family.
#[derive(Clone, Debug)]
pub struct RevokeRefreshToken {
    /// The digests under the live peppers.
    pub candidates: Vec<KeyedDigest>,
    /// The client, already authenticated.
    pub client: Arc<Client>,
    /// The current time by the caller's clock.
    pub now: Timestamp,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

/// What became of the revocation of a refresh token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RefreshRevocation {
    /// The family, its grant and its tokens were ended, or had been.
    Ended,
    /// The token is another client's; nothing was revoked.
    OfAnotherClient,
    /// There is no such token.
    Unknown,
}

impl Operation for RevokeRefreshToken {
    type Output = RefreshRevocation;

    async fn run(&self, tx: &mut impl Tx) -> Result<RefreshRevocation, TxError> {
        let found = family::lock(tx, &self.candidates, &self.client.id, self.now).await?;
        let Some(grant) = found.map(|(grant, _)| grant) else { return Ok(RefreshRevocation::Unknown) };
        if grant.client_id != self.client.id {
            return Ok(RefreshRevocation::OfAnotherClient);
        }
        if grant.ended_at.is_none() {
            self.audit.event(AuditAction::RefreshTokenRevoked).about(&grant.id).append(tx).await?;
            grants::end_all(tx, grants::Of::Grant(&grant.id), "revoked", self.now).await?;
        }
        Ok(RefreshRevocation::Ended)
    }
}
