//! Redeeming an authorization code: one operation, one winner.

use std::sync::Arc;

use doorward_core::{
    access_token::Claims,
    api::Api,
    clock::Timestamp,
    denial::Denial,
    digest::KeyedDigest,
    grant::{
        audience::{Access, Apis},
        code::{self, CodeDecision, CodeFacts, CodeRedemption},
    },
    id::FamilyId,
    new_access_token::{Bearer, NewAccessToken},
    refusal::Refusal,
    scope::ScopeSet,
};

use crate::{
    audit::{self, AuditEvent},
    grants::{self, Credential, GrantRecord},
    refresh, roles, tokens,
    tx::{Operation, Tx, TxError},
};

/// Redeems a code for tokens.
#[derive(Clone, Debug)]
pub struct RedeemCode {
    /// The digests of the code under the live peppers.
    pub candidates: Vec<KeyedDigest>,
    /// What the client presents.
    pub redemption: CodeRedemption,
    /// All APIs.
    pub apis: Arc<Apis>,
    /// `resource`, if sent.
    pub resource: Option<String>,
    /// The access token that would be made.
    pub access_token: NewAccessToken,
    /// The refresh family that would begin, with the digest of its first token and its end.
    pub family: NewFamily,
    /// What the audit says of it: the action is filled in by the outcome.
    pub audit: AuditEvent,
    /// When.
    pub now: Timestamp,
}

/// A refresh family that would begin.
#[derive(Clone, Debug)]
pub struct NewFamily {
    /// Its id.
    pub id: FamilyId,
    /// The digest of its first token.
    pub token: KeyedDigest,
    /// When it ends in any case.
    pub expires_at: Timestamp,
}

/// What a grant gave: everything that the answer is made of.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The grant.
    pub grant: GrantRecord,
    /// The API of the access token; `None`: for the issuer alone.
    pub api: Option<Arc<Api>>,
    /// What the access token may be used for.
    pub scopes: ScopeSet,
    /// What the access token says.
    pub claims: Claims,
    /// Whether a refresh token comes with it.
    pub has_refresh_token: bool,
}

impl Operation for RedeemCode {
    type Output = Result<Issued, Refusal>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Self::Output, TxError> {
        let Some(digest) = self.lock(tx).await? else { return Ok(Err(Denial::CodeUnknown.into())) };
        let sql = "SELECT g.*, u.disabled_at AS user_disabled_at, c.redirect_uri, c.code_challenge,
                     c.expires_at AS code_expires_at, c.redeemed_at
                   FROM codes c JOIN grants g ON g.id = c.grant_id JOIN users u ON u.id = g.user_id
                   WHERE c.digest = $1";
        let rows = tx.query(sql, &[(&digest.digest).into()]).await?;
        // It may have been swept since.
        let Some(row) = rows.first() else { return Ok(Err(Denial::CodeUnknown.into())) };
        let grant = grants::grant(row)?;
        let facts = CodeFacts {
            client_id: grant.client_id.clone(),
            redirect_uri: row.text("redirect_uri")?.to_owned(),
            code_challenge: row.parsed("code_challenge")?,
            requested_scopes: grant.requested_scopes.clone(),
            expires_at: row.time("code_expires_at")?,
            is_redeemed: row.opt_int("redeemed_at")?.is_some(),
            grant_has_ended: grant.ended_at.is_some(),
            user_is_unavailable: row.opt_int("user_disabled_at")?.is_some(),
        };
        let asked = grant.access_request(&self.apis, None, self.resource.as_deref());
        let (access, refresh_token) = match code::decide(&self.redemption, &facts, &asked, self.now) {
            CodeDecision::Redeem { access, refresh_token } => (access, refresh_token),
            CodeDecision::Refuse(refusal) => return Ok(Err(refusal)),
            CodeDecision::Revoke(refusal) => {
                self.append_audit(tx, "code.replayed", &grant).await?;
                grants::end_all(tx, grants::Of::Grant(&grant.id), "code_replayed", self.now).await?;
                return Ok(Err(refusal));
            }
        };
        let sql = "UPDATE codes SET redeemed_at = $1 WHERE digest = $2";
        tx.execute(sql, &[self.now.into(), (&digest.digest).into()]).await?;
        if let Some(binding) = refresh_token {
            let NewFamily { id, token, expires_at } = &self.family;
            refresh::begin(tx, id, &grant, binding, token, *expires_at, self.now).await?;
        }
        let issued = issue(tx, &self.access_token, grant, access, refresh_token.is_some()).await?;
        self.append_audit(tx, "code.redeemed", &issued.grant).await?;
        Ok(Ok(issued))
    }
}

impl RedeemCode {
    /// Locks the grant that the code stands for; the digest by which the code was found.
    async fn lock(&self, tx: &mut impl Tx) -> Result<Option<&KeyedDigest>, TxError> {
        for digest in &self.candidates {
            if grants::lock(tx, Credential::Code, digest, &self.redemption.client.id, self.now).await? {
                return Ok(Some(digest));
            }
        }
        Ok(None)
    }

    async fn append_audit(&self, tx: &mut impl Tx, action: &str, grant: &GrantRecord) -> Result<(), TxError> {
        let event = AuditEvent { action: action.to_owned(), subject: Some(grant.id.to_string()), ..self.audit.clone() };
        audit::append(tx, &event).await
    }
}

/// Makes the access token of a grant.
pub(crate) async fn issue(
    tx: &mut impl Tx,
    token: &NewAccessToken,
    grant: GrantRecord,
    Access { api, scopes }: Access,
    has_refresh_token: bool,
) -> Result<Issued, TxError> {
    let roles = match &api {
        None => Default::default(),
        Some(api) => roles::at_api(tx, grant.user_id.as_str(), &api.id).await?,
    };
    let bearer = Bearer {
        subject: grant.user_id.to_string(),
        client_id: grant.client_id.to_string(),
        scopes: scopes.clone(),
        roles,
        grant_id: Some(grant.id.clone()),
        auth_time: Some(grant.auth_time),
    };
    let claims = token.claims(api.as_deref(), bearer);
    tokens::store(tx, token, api.as_deref(), &claims).await?;
    Ok(Issued { grant, api, scopes, claims, has_refresh_token })
}
