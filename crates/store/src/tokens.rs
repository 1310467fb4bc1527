//! Access tokens: those that have a row, and those that were revoked before their end.

use std::sync::Arc;

use doorward_core::{
    access_token::Claims,
    api::{Api, TokenFormat},
    clock::Timestamp,
    digest::KeyedDigest,
    new_access_token::NewAccessToken,
};

use crate::{
    ChangeKind, append_change,
    audit::{AuditAction, AuditContext, AuditEvent},
    grants::ENDED_AT,
    record::by_digest,
    sql::sql,
    tx::{Operation, Row, Tx, TxError},
};

/// Stores an opaque token of a client that acts for itself.
#[derive(Clone, Debug)]
pub struct StoreAccessToken {
    /// The opaque token's digest and time.
    pub token: NewAccessToken,
    /// The API that accepts the token.
    pub api: Arc<Api>,
    /// The claims that introspection will report.
    pub claims: Claims,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

impl Operation for StoreAccessToken {
    type Output = ();

    async fn run(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        store(tx, &self.token, Some(&self.api), &self.claims).await?;
        Self::event(&self.audit, &self.api, &self.claims).append(tx).await
    }
}

impl StoreAccessToken {
    /// What is recorded of a token of a client that acts for itself, also where it has no row.
    pub fn event(audit: &AuditContext, api: &Api, claims: &Claims) -> AuditEvent {
        let event = audit.event(AuditAction::AccessTokenIssued).about(&claims.id);
        event.with("api", &api.metadata.name).with("scope", &claims.scopes)
    }
}

/// Stores the token if its form is the opaque one.
pub(crate) async fn store(
    tx: &mut impl Tx,
    token: &NewAccessToken,
    api: Option<&Api>,
    claims: &Claims,
) -> Result<(), TxError> {
    if api.is_some_and(|api| api.metadata.token_format == TokenFormat::Opaque) {
        let Some(opaque) = &token.opaque else { return Err(TxError::Defect("no opaque form was drawn".into())) };
        let claims_json = serde_json::to_string(claims).map_err(|_| TxError::Defect("claims are JSON".into()))?;
        tx.execute(
            "INSERT INTO access_tokens (digest, pepper, claims, expires_at) VALUES ($1, $2, $3, $4)",
            &[(&opaque.digest).into(), opaque.pepper.as_str().into(), claims_json.into(), claims.expires_at.into()],
        )
        .await?;
    }
    Ok(())
}

/// The claims of an opaque token, as JSON.
#[derive(Clone, Debug)]
pub struct FindAccessToken {
    /// The digests under the live peppers.
    pub candidates: Vec<KeyedDigest>,
}

impl Operation for FindAccessToken {
    type Output = Option<String>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Option<String>, TxError> {
        let sql = "SELECT claims FROM access_tokens WHERE digest = $1 AND pepper = $2";
        by_digest(tx, sql, &self.candidates).await?.as_mut().map(Row::text).transpose()
    }
}

/// Whether an access token was ended before its time: by its own revocation, or with its grant.
#[derive(Clone, Debug)]
pub struct IsTokenRevoked {
    /// `jti`.
    pub id: String,
    /// The grant, if a user granted it.
    pub grant_id: Option<String>,
}

impl Operation for IsTokenRevoked {
    type Output = bool;

    async fn run(&self, tx: &mut impl Tx) -> Result<bool, TxError> {
        let revoked = tx.query("SELECT id FROM revoked_tokens WHERE id = $1", &[self.id.as_str().into()]).await?;
        if !revoked.is_empty() {
            return Ok(true);
        }
        let Some(grant) = &self.grant_id else { return Ok(false) };
        let found =
            tx.query_opt(sql!("SELECT {} FROM grants g WHERE g.id = $1", ENDED_AT), &[grant.as_str().into()]).await?;
        // A grant that is not there any more can't vouch for a token.
        found.map_or(Ok(true), |mut row| Ok(row.opt_time()?.is_some()))
    }
}

/// Remembers an access token as revoked until its end.
#[derive(Clone, Debug)]
pub struct RevokeAccessToken {
    /// `jti`.
    pub id: String,
    /// When the token expires, after which the row can go.
    pub expires_at: Timestamp,
    /// The current time by the caller's clock.
    pub now: Timestamp,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

impl Operation for RevokeAccessToken {
    type Output = ();

    async fn run(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        let sql = "INSERT INTO revoked_tokens (id, expires_at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING";
        if tx.execute(sql, &[self.id.as_str().into(), self.expires_at.into()]).await? > 0 {
            self.audit.event(AuditAction::AccessTokenRevoked).about(&self.id).append(tx).await?;
            append_change(tx, ChangeKind::Token, &self.id, self.now).await?;
        }
        Ok(())
    }
}
