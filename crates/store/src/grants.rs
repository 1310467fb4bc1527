//! Grants: what a user allowed a client, once; and what a user allowed to be given without asking again.
//!
//! Ending a grant ends everything that came from it: its refresh families here, its access tokens wherever they are
//! introspected, since those look at the grant.
//!
//! Easy to get wrong: the grant's row is the one lock for all that came from it. Redeeming a code, rotating a refresh
//! token and ending the grant each begin with an update of that row, so that nothing is issued once an end has
//! committed, and none of them can wait for another in a circle.

use doorward_core::{
    api::ResourceIdentifier,
    clock::Timestamp,
    denial::Denial,
    digest::KeyedDigest,
    grant::audience::{AccessRequest, Apis, RequestedAccess},
    id::{ClientId, GrantId, SessionId, UserId},
    refusal::Refusal,
    scope::ScopeSet,
    session::{self, SignInMethod},
};

mod ending;
mod list;

pub use self::ending::EndGrants;
pub(crate) use self::ending::{AllOf, ENDED_AT, Of, end_all, end_later};
pub use self::list::{FindGrant, GrantFilter, GrantPage, ListGrants};
use crate::{
    apis::ended_since,
    audit::{AuditAction, AuditContext},
    record::json,
    sessions,
    sql::sql,
    tx::{Operation, Row, Tx, TxError},
    users,
};

/// A grant as remembered.
#[derive(Clone, Debug)]
pub struct GrantRecord {
    /// The id by which its tokens refer to it.
    pub id: GrantId,
    /// The user who allowed it.
    pub user_id: UserId,
    /// The client that got it.
    pub client_id: ClientId,
    /// The session in which it was given.
    pub session_id: SessionId,
    /// The scopes that the user allowed.
    pub scopes: ScopeSet,
    /// What had been asked.
    pub requested_scopes: ScopeSet,
    /// The resources named in the request.
    pub resources: Vec<ResourceIdentifier>,
    /// `nonce` of the request.
    pub nonce: Option<String>,
    /// When the user had signed in.
    pub auth_time: Timestamp,
    /// The methods by which the user had signed in.
    pub sign_in_methods: Vec<SignInMethod>,
    /// When it was given.
    pub created_at: Timestamp,
    /// When its client last presented the code or a refresh token that came from it.
    pub last_used_at: Option<Timestamp>,
    /// When nothing that came from it can live any more: with its code, until that was redeemed.
    pub expires_at: Timestamp,
    /// When it was ended, if it was.
    pub ended_at: Option<Timestamp>,
}

impl GrantRecord {
    /// Whether something that came from it can live.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && now < self.expires_at
    }

    /// What is asked of this grant at /token.
    pub(crate) fn access_request<'a>(
        &'a self,
        apis: &'a Apis,
        registered: &'a ScopeSet,
        asked: &'a Result<RequestedAccess, Refusal>,
    ) -> AccessRequest<'a> {
        AccessRequest {
            apis,
            granted: &self.scopes,
            granted_at: self.created_at,
            registered,
            requested: &self.requested_scopes,
            granted_resources: &self.resources,
            asked,
        }
    }
}

pub(crate) async fn insert(tx: &mut impl Tx, grant: &GrantRecord) -> Result<(), TxError> {
    tx.execute(
        sql!(
            "INSERT INTO grants ({}, ended_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
            COLUMNS
        ),
        &[
            grant.id.as_str().into(),
            grant.user_id.as_str().into(),
            grant.client_id.as_str().into(),
            grant.session_id.as_str().into(),
            grant.scopes.to_string().into(),
            grant.requested_scopes.to_string().into(),
            json(&grant.resources),
            grant.nonce.clone().into(),
            grant.auth_time.into(),
            json(&grant.sign_in_methods),
            grant.created_at.into(),
            grant.last_used_at.into(),
            grant.expires_at.into(),
            grant.ended_at.into(),
        ],
    )
    .await?;
    Ok(())
}

/// Ends the oldest grants of a user at a client whose codes wait to be redeemed, except for the newest `most`. The
/// user's row must be locked. Nothing came from them yet, so nobody has to hear of it.
pub(crate) async fn end_oldest_unredeemed(
    tx: &mut impl Tx,
    newest: &GrantRecord,
    most: i64,
    now: Timestamp,
) -> Result<(), TxError> {
    // Until its redemption a grant expires with its code: none of them later than the newest.
    let sql = "UPDATE grants SET ended_at = $1, ended_why = 'too_many_codes', expires_at = $1
               WHERE last_used_at IS NULL AND ended_at IS NULL AND id IN
                 (SELECT id FROM grants
                  WHERE user_id = $2 AND client_id = $3 AND expires_at > $1 AND expires_at <= $4
                    AND last_used_at IS NULL AND ended_at IS NULL
                  ORDER BY created_at DESC, id DESC LIMIT 1000 OFFSET $5)";
    let (user, client) = (newest.user_id.as_str().into(), newest.client_id.as_str().into());
    tx.execute(sql, &[now.into(), user, client, newest.expires_at.into(), most.into()]).await?;
    Ok(())
}

/// Extends a grant: its code was redeemed.
pub(crate) async fn prolong(tx: &mut impl Tx, grant: &GrantId, expires_at: Timestamp) -> Result<(), TxError> {
    let sql = "UPDATE grants SET expires_at = $1 WHERE id = $2";
    tx.execute(sql, &[expires_at.into(), grant.as_str().into()]).await?;
    Ok(())
}

/// What a client may do for a user: by a live grant, or by a remembered consent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientAccess {
    /// A client with live grants or a remembered consent.
    pub client_id: ClientId,
    /// What it may do.
    pub scopes: ScopeSet,
    /// When it was first allowed.
    pub since: Timestamp,
    /// When it was last allowed: scopes that were removed from their API since don't count.
    pub newest: Timestamp,
    /// When it was last used, as far as a live grant says so.
    pub last_used_at: Option<Timestamp>,
}

/// What clients may do for a user, in an entry for each client and set of scopes.
#[derive(Clone, Debug)]
pub struct ListClientAccess {
    /// The user whose connected clients are listed.
    pub user_id: UserId,
    /// The current time by the caller's clock.
    pub now: Timestamp,
    /// At most so many entries.
    pub limit: i64,
}

impl Operation for ListClientAccess {
    type Output = Vec<ClientAccess>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Vec<ClientAccess>, TxError> {
        let sql = sql!(
            "SELECT client_id, scopes, min(created_at) AS since, max(created_at) AS newest, max(last_used_at) AS last_used_at FROM grants g
             WHERE user_id = $1 AND ended_at IS NULL AND {} IS NULL AND expires_at > $2 GROUP BY client_id, scopes
             UNION ALL
             SELECT client_id, scopes, given_at, given_at, CAST(NULL AS bigint) FROM consents c WHERE user_id = $1 AND {}
             ORDER BY client_id, since LIMIT $3",
            ENDED_AT,
            OF_THIS_CLIENT
        );
        let params = [self.user_id.as_str().into(), self.now.into(), self.limit.into()];
        let entry = |row: &mut Row| {
            Ok(ClientAccess {
                client_id: row.parsed()?,
                scopes: row.parsed()?,
                since: row.time()?,
                newest: row.time()?,
                last_used_at: row.opt_time()?,
            })
        };
        tx.query(sql, &params).await?.iter_mut().map(entry).collect()
    }
}

/// The scopes of the remembered consent of a user for a client, without those that were removed from their API since.
#[derive(Clone, Debug)]
pub struct FindConsent {
    /// The user who may have consented.
    pub user_id: UserId,
    /// The client that asks.
    pub client_id: ClientId,
}

impl Operation for FindConsent {
    type Output = Option<ScopeSet>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Option<ScopeSet>, TxError> {
        consent(tx, &self.user_id, &self.client_id).await
    }
}

/// Whether the consent `c` was given to the client that has its id now, and not to a deleted one that had it.
const OF_THIS_CLIENT: &str = "c.client_created_at = (SELECT created_at FROM clients WHERE clients.id = c.client_id)";

async fn consent(tx: &mut impl Tx, user: &UserId, client: &ClientId) -> Result<Option<ScopeSet>, TxError> {
    let sql =
        sql!("SELECT scopes, given_at FROM consents c WHERE user_id = $1 AND client_id = $2 AND {}", OF_THIS_CLIENT);
    let found = tx.query_opt(sql, &[user.as_str().into(), client.as_str().into()]).await?;
    let Some(mut row) = found else { return Ok(None) };
    let (scopes, given_at) = (row.parsed()?, row.time()?);
    Ok(Some(ended_since(tx, given_at).await?.living(&scopes, given_at)))
}

/// Remembers a consent; what was allowed before stays allowed, but for scopes that were removed since. The user's row must be locked.
pub(crate) async fn remember_consent(
    tx: &mut impl Tx,
    user: &UserId,
    client: &ClientId,
    scopes: &ScopeSet,
    now: Timestamp,
) -> Result<(), TxError> {
    let before = consent(tx, user, client).await?.unwrap_or_default();
    let sql = "INSERT INTO consents (user_id, client_id, client_created_at, scopes, given_at)
               VALUES ($1, $2, (SELECT created_at FROM clients WHERE id = $2), $3, $4)
               ON CONFLICT (user_id, client_id) DO UPDATE SET
                 client_created_at = excluded.client_created_at, scopes = excluded.scopes, given_at = excluded.given_at";
    let scopes = before.union(scopes).to_string();
    tx.execute(sql, &[user.as_str().into(), client.as_str().into(), scopes.into(), now.into()]).await?;
    Ok(())
}

/// Ends all that a user granted a client, and forgets the consent. Returns how many grants were ended. Refused in a
/// session that was ended.
#[derive(Clone, Debug)]
pub struct DisconnectClient {
    /// The user who disconnects the client.
    pub user_id: UserId,
    /// The session in which it is done.
    pub within: SessionId,
    /// The client that loses access.
    pub client_id: ClientId,
    /// The current time by the caller's clock.
    pub now: Timestamp,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

impl Operation for DisconnectClient {
    type Output = Result<u64, Denial>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Self::Output, TxError> {
        // Answers to this user's requests take the same lock, so that none brings the consent back.
        users::lock(tx, &self.user_id).await?;
        if let Err(denial) = session::check_act(sessions::was_ended(tx, &self.within).await?) {
            return Ok(Err(denial));
        }
        let sql = "DELETE FROM consents WHERE user_id = $1 AND client_id = $2";
        tx.execute(sql, &[self.user_id.as_str().into(), self.client_id.as_str().into()]).await?;
        let event = self.audit.event(AuditAction::ClientDisconnected).about(&self.user_id);
        event.with("client_id", &self.client_id).append(tx).await?;
        let of = Of::UserAtClient(&self.user_id, &self.client_id);
        end_all(tx, of, "disconnected", self.now).await.map(Ok)
    }
}

/// Ends one grant with its refresh families. Returns whether it was live.
#[derive(Clone, Debug)]
pub struct RevokeGrant {
    /// The grant to end.
    pub id: GrantId,
    /// The current time by the caller's clock.
    pub now: Timestamp,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

impl Operation for RevokeGrant {
    type Output = bool;

    async fn run(&self, tx: &mut impl Tx) -> Result<bool, TxError> {
        let found = FindGrant { id: self.id.clone() }.run(tx).await?;
        let Some(grant) = found.filter(|grant| grant.is_live(self.now)) else { return Ok(false) };
        // Another caller may have ended it since it was read.
        if end_all(tx, Of::Grant(&self.id), "revoked", self.now).await? == 0 {
            return Ok(false);
        }
        let event = self.audit.event(AuditAction::GrantRevoked).about(&self.id);
        event.with("client_id", &grant.client_id).with("user_id", &grant.user_id).append(tx).await?;
        Ok(true)
    }
}

/// A credential that came from a grant.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Credential {
    Code,
    RefreshToken,
}

/// Locks the grant of a credential: a second transaction waits here, and each of its later statements sees what the
/// first one did. Returns whether such a credential is known.
///
/// What there is to know of the grant is read by the next statement, with the rest: for RETURNING, SQLite builds a table
/// of its own each time.
pub(crate) async fn lock(
    tx: &mut impl Tx,
    credential: Credential,
    digest: &KeyedDigest,
    presented_by: &ClientId,
    now: Timestamp,
) -> Result<bool, TxError> {
    let sql = match credential {
        Credential::Code => sql!("{} (SELECT grant_id FROM codes WHERE digest = $3 AND pepper = $4)", USE),
        Credential::RefreshToken => sql!(
            "{} (SELECT f.grant_id FROM refresh_tokens t JOIN refresh_families f ON f.id = t.family_id
                 WHERE t.digest = $3 AND t.pepper = $4)",
            USE
        ),
    };
    let parameters = [presented_by.as_str().into(), now.into(), (&digest.digest).into(), digest.pepper.as_str().into()];
    Ok(tx.execute(sql, &parameters).await? > 0)
}

const USE: &str = "UPDATE grants SET
    last_used_at = CASE WHEN client_id = $1 AND ended_at IS NULL THEN $2 ELSE last_used_at END WHERE id =";

/// All columns of a grant but the time of its end, which is not its row's business alone: see [`ENDED_AT`].
pub(crate) const COLUMNS: &str = "id, user_id, client_id, session_id, scopes, requested_scopes, resources, nonce, \
                                  auth_time, sign_in_methods, created_at, last_used_at, expires_at";

/// Reads [`COLUMNS`] and [`ENDED_AT`].
pub(crate) fn grant(row: &mut Row) -> Result<GrantRecord, TxError> {
    Ok(GrantRecord {
        id: row.parsed()?,
        user_id: row.parsed()?,
        client_id: row.parsed()?,
        session_id: row.parsed()?,
        scopes: row.parsed()?,
        requested_scopes: row.parsed()?,
        resources: row.json()?,
        nonce: row.opt_text()?,
        auth_time: row.time()?,
        sign_in_methods: row.json()?,
        created_at: row.time()?,
        last_used_at: row.opt_time()?,
        expires_at: row.time()?,
        ended_at: row.opt_time()?,
    })
}
