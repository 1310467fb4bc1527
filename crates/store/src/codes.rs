//! Redeeming an authorization code: one operation, one winner.

use std::sync::Arc;

use doorward_core::{
    access_token::Claims,
    api::Api,
    clock::Timestamp,
    denial::Denial,
    digest::KeyedDigest,
    grant::{
        audience::{Access, Apis, RequestedAccess},
        code::{self, CodeDecision, CodeFacts, CodeRedemption},
    },
    id::FamilyId,
    new_access_token::{Bearer, NewAccessToken},
    pkce::CodeChallenge,
    refusal::Refusal,
    scope::ScopeSet,
};

use crate::{
    audit::{AuditAction, AuditContext},
    authorization::NewCode,
    grants::{self, Credential, GrantRecord},
    refresh, roles,
    sql::sql,
    tokens,
    tx::{Operation, Row, Tx, TxError},
    users::{self, Profile},
};

/// Redeems a code for tokens.
#[derive(Clone, Debug)]
pub struct RedeemCode {
    /// The digests of the code under the live peppers.
    pub candidates: Vec<KeyedDigest>,
    /// What the client presents.
    pub redemption: CodeRedemption,
    /// All registered APIs, to find the audience among.
    pub apis: Arc<Apis>,
    /// What the access token is to be for, or why that can't be read.
    pub asked: Result<RequestedAccess, Refusal>,
    /// The access token to issue on success.
    pub access_token: NewAccessToken,
    /// The refresh family that would begin, with the digest of its first token and its end.
    pub family: NewFamily,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
    /// The current time by the caller's clock.
    pub now: Timestamp,
}

/// A refresh family that would begin.
#[derive(Clone, Debug)]
pub struct NewFamily {
    /// The id of the new family.
    pub id: FamilyId,
    /// The digest of its first token.
    pub token: KeyedDigest,
    /// When the whole family expires.
    pub expires_at: Timestamp,
}

/// What a grant gave: everything in the response.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The grant, as it was stored.
    pub grant: GrantRecord,
    /// The API of the access token; `None`: for the issuer alone.
    pub api: Option<Arc<Api>>,
    /// What the access token may be used for.
    pub scopes: ScopeSet,
    /// What the access token says.
    pub claims: Claims,
    /// Whether a refresh token comes with it.
    pub has_refresh_token: bool,
    /// The user's data for an ID token.
    pub user: Profile,
}

impl Operation for RedeemCode {
    type Output = Result<Issued, Refusal>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Self::Output, TxError> {
        let Some(digest) = self.lock(tx).await? else { return Ok(Err(Denial::CodeUnknown.into())) };
        let sql = sql!(
            "SELECT {g}, {}, {c}, u.disabled_at, {u}
             FROM codes c JOIN grants g ON g.id = c.grant_id JOIN users u ON u.id = g.user_id WHERE c.digest = $1",
            grants::COLUMNS,
            grants::ENDED_AT,
            COLUMNS,
            users::PROFILE
        );
        // It may have been swept since.
        let found = tx.query_opt(sql, &[(&digest.digest).into()]).await?;
        let Some(mut row) = found else { return Ok(Err(Denial::CodeUnknown.into())) };
        let mut grant = grants::grant(&mut row)?;
        let facts = CodeFacts {
            client_id: grant.client_id.clone(),
            redirect_uri: row.text()?,
            code_challenge: code_challenge(&mut row)?,
            requested_scopes: grant.requested_scopes.clone(),
            expires_at: row.time()?,
            is_redeemed: row.opt_time()?.is_some(),
            grant_has_ended: grant.ended_at.is_some(),
            user_is_unavailable: row.opt_time()?.is_some(),
        };
        let user = users::profile(&mut row)?;
        let registered = self.redemption.client.registered_scope(&self.apis);
        let asked = grant.access_request(&self.apis, &registered, &self.asked);
        let (access, refresh_token) = match code::decide(&self.redemption, &facts, &asked, self.now) {
            CodeDecision::Redeem { access, refresh_token } => (access, refresh_token),
            CodeDecision::Refuse(refusal) => return Ok(Err(refusal)),
            CodeDecision::Revoke(refusal) => {
                self.audit.event(AuditAction::CodeReplayed).about(&grant.id).append(tx).await?;
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
        let ends_with_family = refresh_token.is_some().then_some(self.family.expires_at);
        let ends_with_token = self.access_token.expires_at(access.api.as_deref());
        grant.expires_at = ends_with_family.unwrap_or_default().max(ends_with_token);
        grants::prolong(tx, &grant.id, grant.expires_at).await?;
        let issued = issue(tx, &self.access_token, grant, access, refresh_token.is_some(), user).await?;
        self.audit.event(AuditAction::CodeRedeemed).about(&issued.grant.id).append(tx).await?;
        Ok(Ok(issued))
    }
}

impl RedeemCode {
    /// Locks the grant of the code, and returns the digest by which the code was found.
    async fn lock(&self, tx: &mut impl Tx) -> Result<Option<&KeyedDigest>, TxError> {
        for digest in &self.candidates {
            if grants::lock(tx, Credential::Code, digest, &self.redemption.client.id, self.now).await? {
                return Ok(Some(digest));
            }
        }
        Ok(None)
    }
}

const COLUMNS: &str = "redirect_uri, code_challenge, expires_at, redeemed_at";

/// The challenge of a code; the column is empty where there is none.
fn code_challenge(row: &mut Row) -> Result<Option<CodeChallenge>, TxError> {
    match row.text()?.as_str() {
        "" => Ok(None),
        text => CodeChallenge::parse(text).map(Some).map_err(|_| row.unreadable()),
    }
}

/// Adds the code of a new grant.
pub(crate) async fn insert(
    tx: &mut impl Tx,
    code: &NewCode,
    grant: &GrantRecord,
    now: Timestamp,
) -> Result<(), TxError> {
    tx.execute(
        sql!(
            "INSERT INTO codes (digest, pepper, grant_id, client_id, issued_at, {})
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, NULL)",
            COLUMNS
        ),
        &[
            (&code.digest.digest).into(),
            code.digest.pepper.as_str().into(),
            grant.id.as_str().into(),
            grant.client_id.as_str().into(),
            now.into(),
            code.redirect_uri.as_str().into(),
            code.code_challenge.as_ref().map_or("", CodeChallenge::as_str).into(),
            code.expires_at.into(),
        ],
    )
    .await?;
    Ok(())
}

/// Makes the access token of a grant.
pub(crate) async fn issue(
    tx: &mut impl Tx,
    token: &NewAccessToken,
    grant: GrantRecord,
    Access { api, scopes }: Access,
    has_refresh_token: bool,
    user: Profile,
) -> Result<Issued, TxError> {
    let roles = match &api {
        None => Default::default(),
        Some(api) => roles::at_api(tx, grant.user_id.as_str(), api).await?,
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
    Ok(Issued { grant, api, scopes, claims, has_refresh_token, user })
}
