//! Rotating a refresh token: all of the rule in one operation.
//!
//! The successor is fresh random bits. It is sealed under a key derived from the predecessor itself, so that a repeat
//! can be answered with the same successor and nobody but the holder of the predecessor can open it.

mod ended;
mod family;
mod introspection;
mod revocation;

use std::sync::Arc;

use doorward_core::{
    clock::Timestamp,
    denial::Denial,
    digest::KeyedDigest,
    grant::{
        audience::{Apis, RequestedAccess},
        refresh::{self, Consequence, RefreshDecision, RefreshLimits, RefreshRequest},
    },
    new_access_token::NewAccessToken,
    refusal::Refusal,
    scope::ScopeSet,
    secret::SecretString,
};

pub(crate) use self::{ended::RemoveEndedFamilies, family::begin};
pub use self::{
    introspection::{FindRefreshToken, LiveRefreshToken},
    revocation::{RefreshRevocation, RevokeRefreshToken},
};
use crate::{
    audit::{AuditAction, AuditContext, AuditEvent},
    codes::{Issued, issue},
    grants::{self, GrantRecord},
    tx::{Operation, Tx, TxError},
};

/// Presents a refresh token for an access token and a successor.
#[derive(Clone)]
pub struct Refresh {
    /// The token that the client presented.
    pub token: SecretString,
    /// Its digests under the live peppers.
    pub candidates: Vec<KeyedDigest>,
    /// The client and the address that present the token.
    pub request: RefreshRequest,
    /// All registered APIs, to find the audience among.
    pub apis: Arc<Apis>,
    /// The scopes that the client is registered for.
    pub registered: ScopeSet,
    /// What the access token is to be for, or why that can't be read.
    pub asked: Result<RequestedAccess, Refusal>,
    /// The successor to issue on success.
    pub successor: SecretString,
    /// The digest under which the successor is stored.
    pub successor_digest: KeyedDigest,
    /// 12 random bytes for the successor's seal.
    pub seal_nonce: [u8; 12],
    /// The access token to issue on success.
    pub access_token: NewAccessToken,
    /// The lifetimes and grace periods.
    pub limits: RefreshLimits,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
    /// The current time by the caller's clock.
    pub now: Timestamp,
}

/// What a refresh gave.
#[derive(Clone)]
pub struct Refreshed {
    /// Everything in the response, except the refresh token.
    pub issued: Issued,
    /// The successor: the new one, or the one that was issued before.
    pub refresh_token: SecretString,
}

impl Operation for Refresh {
    type Output = Result<Refreshed, Refusal>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Self::Output, TxError> {
        let found = family::lock(tx, &self.candidates, &self.request.client_id, self.now).await?;
        let Some((grant, presented)) = found else { return Ok(Err(Denial::RefreshTokenUnknown.into())) };
        let asked = grant.access_request(&self.apis, &self.registered, &self.asked);
        let facts = presented.facts(&grant);
        let (access, refresh_token, action) =
            match refresh::decide(&self.request, &facts, &asked, &self.limits, self.now) {
                RefreshDecision::Refuse { why, and } => {
                    self.refuse(tx, &grant, &why, and).await?;
                    return Ok(Err(why.fact("grant_id", &grant.id)));
                }
                RefreshDecision::Repeat { access, counted } => {
                    let Some(successor) = presented.open_successor(&self.token) else {
                        // The seal was erased at the end of the grace, by a clock that is ahead of this one.
                        return Ok(Err(Denial::RefreshTokenGraceOver.into()));
                    };
                    if let Some(counted) = counted {
                        presented.count_repeat(tx, counted).await?;
                    }
                    (access, successor, AuditAction::RefreshTokenRepeated)
                }
                RefreshDecision::Rotate(access) => {
                    presented.rotate(tx, self).await?;
                    (access, self.successor.clone(), AuditAction::RefreshTokenRotated)
                }
            };
        self.append_rotation(tx, action, &grant).await?;
        let issued = issue(tx, &self.access_token, grant, access, true, presented.user).await?;
        Ok(Ok(Refreshed { issued, refresh_token }))
    }
}

impl Refresh {
    async fn refuse(
        &self,
        tx: &mut impl Tx,
        grant: &GrantRecord,
        why: &Refusal,
        and: Consequence,
    ) -> Result<(), TxError> {
        match and {
            Consequence::EndGrant => {
                self.append_refusal(tx, AuditAction::RefreshTokenReused, grant, why).await?;
                grants::end_all(tx, grants::Of::Grant(&grant.id), "refresh_token_reused", self.now).await?;
            }
            Consequence::Nothing => {}
            Consequence::Warn => self.append_refusal(tx, AuditAction::RefreshTokenSuspicious, grant, why).await?,
        }
        Ok(())
    }

    /// What happens for each token of a family is recorded about the access token that it gave. Were it recorded about
    /// the grant, the audit's index by subject would be written in as many places as there are grants at work.
    async fn append_rotation(&self, tx: &mut impl Tx, action: AuditAction, grant: &GrantRecord) -> Result<(), TxError> {
        let event = self.audit.event(action).about(&self.access_token.id);
        event.with("grant_id", &grant.id).append(tx).await
    }

    async fn append_refusal(
        &self,
        tx: &mut impl Tx,
        action: AuditAction,
        grant: &GrantRecord,
        refusal: &Refusal,
    ) -> Result<(), TxError> {
        let event =
            AuditEvent { code: Some(refusal.denial.code().to_owned()), ..self.audit.event(action).about(&grant.id) };
        refusal.facts.iter().fold(event, |event, (name, value)| event.with(name, value)).append(tx).await
    }
}
