//! Authorization requests, stored once and answered once.

use doorward_core::{
    authorization_request::AuthorizationRequest,
    clock::Timestamp,
    digest::{Digest, KeyedDigest},
    id::{ClientId, UserId},
    network::Network,
    pkce::CodeChallenge,
    scope::ScopeSet,
};

use crate::{
    audit::{AuditAction, AuditContext},
    codes,
    grants::{self, GrantRecord},
    record::{by_digest, json},
    sessions,
    sql::sql,
    sweep::Sweep,
    tx::{Operation, Row, Tx, TxError},
    users,
};

/// The most codes of one client that wait for their redemption by one user. A further one ends the oldest.
pub const MAX_UNREDEEMED_CODES: i64 = 20;

/// The most requests of one user that wait for an answer. A further one ends the oldest.
pub const MAX_OPEN_REQUESTS: i64 = 20;

/// A stored authorization request.
#[derive(Clone, Debug)]
pub struct StoredRequest {
    /// The request as it was validated when it came.
    pub request: AuthorizationRequest,
    /// What binds it to one browser.
    pub browser: Digest,
    /// When the request was received.
    pub requested_at: Timestamp,
    /// Until when it can be answered.
    pub expires_at: Timestamp,
    /// When it was answered, if it was.
    pub answered_at: Option<Timestamp>,
}

/// Stores a request. Where too many of the same network wait for their answer, the oldest of somebody who is not signed
/// in makes room: anybody can cause such requests, so they must not keep out who comes next. Of one user only so many wait:
/// an account is not enough to keep everybody else of the network out.
///
/// Requests that come at the same moment don't count each other: the bound keeps a flood out, to the request it is not
/// exact.
#[derive(Clone, Debug)]
pub struct StoreRequest {
    /// The digest of its id.
    pub digest: KeyedDigest,
    /// The request to store, under its digest.
    pub stored: StoredRequest,
    /// Where it came from.
    pub network: Network,
    /// The most requests of a network that may wait.
    pub most: i64,
    /// Who is signed in at its browser and could answer it.
    pub user: Option<UserId>,
}

/// What became of a request that was to be stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stored {
    /// The request is stored.
    Yes,
    /// It was not: all that wait are of people who are signed in. The first of them expires then.
    Full(Timestamp),
}

impl Operation for StoreRequest {
    type Output = Stored;

    async fn run(&self, tx: &mut impl Tx) -> Result<Stored, TxError> {
        let network = self.network.to_string();
        if let Some(user) = &self.user {
            end_oldest_of(tx, user, self.stored.requested_at).await?;
        }
        let mut waiting = tx
            .query_one(
                "SELECT count(*) AS waiting, count(CASE WHEN is_signed_in = 1 THEN 1 END) AS kept, min(expires_at) AS first
                 FROM (SELECT is_signed_in, expires_at FROM authorization_requests
                       WHERE network = $1 AND expires_at > $2 AND answered_at IS NULL
                       ORDER BY expires_at LIMIT $3) AS open_requests",
                &[network.as_str().into(), self.stored.requested_at.into(), self.most.into()],
            )
            .await?;
        let (count, kept, first) = (waiting.int()?, waiting.int()?, waiting.opt_time()?);
        if count >= self.most {
            if let (true, Some(first)) = (kept >= count, first) {
                return Ok(Stored::Full(first));
            }
            let sql = "DELETE FROM authorization_requests WHERE digest IN
                         (SELECT digest FROM authorization_requests
                          WHERE network = $1 AND expires_at > $2 AND answered_at IS NULL AND is_signed_in = 0
                          ORDER BY expires_at LIMIT 1)";
            tx.execute(sql, &[network.as_str().into(), self.stored.requested_at.into()]).await?;
        }
        tx.execute(
            sql!(
                "INSERT INTO authorization_requests (digest, pepper, network, is_signed_in, user_id, {})
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                COLUMNS
            ),
            &[
                (&self.digest.digest).into(),
                self.digest.pepper.as_str().into(),
                network.into(),
                i64::from(self.user.is_some()).into(),
                self.user.as_ref().map(|user| user.as_str().to_owned()).into(),
                json(&self.stored.request),
                (&self.stored.browser).into(),
                self.stored.requested_at.into(),
                self.stored.expires_at.into(),
                self.stored.answered_at.into(),
            ],
        )
        .await?;
        Ok(Stored::Yes)
    }
}

/// Makes room for one more request of a user.
async fn end_oldest_of(tx: &mut impl Tx, user: &UserId, now: Timestamp) -> Result<(), TxError> {
    let sql = "DELETE FROM authorization_requests WHERE digest IN
                 (SELECT digest FROM authorization_requests
                  WHERE user_id = $1 AND expires_at > $2 AND answered_at IS NULL
                  ORDER BY expires_at DESC LIMIT $3 OFFSET $4)";
    let row = [user.as_str().into(), now.into(), Sweep::STEP.into(), (MAX_OPEN_REQUESTS - 1).into()];
    tx.execute(sql, &row).await?;
    Ok(())
}

/// Notes that the browser of a request is signed in now: it makes room for nobody but this user's.
#[derive(Clone, Debug)]
pub struct KeepRequest {
    /// The digests of the id under the live peppers.
    pub candidates: Vec<KeyedDigest>,
    /// Who is signed in.
    pub user: UserId,
    /// The current time by the caller's clock.
    pub now: Timestamp,
}

impl Operation for KeepRequest {
    type Output = ();

    async fn run(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        let user = self.user.as_str();
        for candidate in &self.candidates {
            let (digest, pepper) = (&candidate.digest, candidate.pepper.as_str());
            let sql = "SELECT 1 FROM authorization_requests
                       WHERE digest = $1 AND pepper = $2 AND (user_id IS NULL OR user_id <> $3)";
            if tx.query_opt(sql, &[digest.into(), pepper.into(), user.into()]).await?.is_none() {
                continue;
            }
            end_oldest_of(tx, &self.user, self.now).await?;
            let sql =
                "UPDATE authorization_requests SET is_signed_in = 1, user_id = $3 WHERE digest = $1 AND pepper = $2";
            tx.execute(sql, &[digest.into(), pepper.into(), user.into()]).await?;
        }
        Ok(())
    }
}

/// When the oldest request expires that is kept where there are more than `most`; none where there are not.
#[derive(Clone, Debug)]
pub struct OldestRequestKept {
    /// How many are kept.
    pub most: i64,
}

impl Operation for OldestRequestKept {
    type Output = Option<Timestamp>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Option<Timestamp>, TxError> {
        // One more than are kept, so that nothing is to be done where there are just as many.
        let sql = "SELECT expires_at FROM authorization_requests ORDER BY expires_at DESC LIMIT 2 OFFSET $1";
        let offset = (self.most - 1).max(0);
        match &mut tx.query(sql, &[offset.into()]).await?[..] {
            [oldest, _] => Ok(Some(oldest.time()?)),
            _ => Ok(None),
        }
    }
}

/// Removes requests without a user that expire before one that is kept, [`Sweep::STEP`] at most. Returns how many were
/// removed. Those of users are bounded by the number of users.
#[derive(Clone, Debug)]
pub struct RemoveRequests {
    /// When the oldest one expires that is kept.
    pub before: Timestamp,
}

impl Operation for RemoveRequests {
    type Output = u64;

    async fn run(&self, tx: &mut impl Tx) -> Result<u64, TxError> {
        let sql = "DELETE FROM authorization_requests WHERE is_signed_in = 0 AND digest IN
                     (SELECT digest FROM authorization_requests WHERE is_signed_in = 0 AND expires_at < $1
                      ORDER BY expires_at LIMIT $2)";
        tx.execute(sql, &[self.before.into(), Sweep::STEP.into()]).await
    }
}

/// The request with one of these digests.
#[derive(Clone, Debug)]
pub struct FindRequest {
    /// The digests of the id under the live peppers.
    pub candidates: Vec<KeyedDigest>,
}

impl Operation for FindRequest {
    type Output = Option<StoredRequest>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Option<StoredRequest>, TxError> {
        let sql = sql!("SELECT {} FROM authorization_requests WHERE digest = $1 AND pepper = $2", COLUMNS);
        by_digest(tx, sql, &self.candidates).await?.as_mut().map(stored_request).transpose()
    }
}

const COLUMNS: &str = "request, browser, requested_at, expires_at, answered_at";

fn stored_request(row: &mut Row) -> Result<StoredRequest, TxError> {
    Ok(StoredRequest {
        request: row.json()?,
        browser: row.digest()?,
        requested_at: row.time()?,
        expires_at: row.time()?,
        answered_at: row.opt_time()?,
    })
}

/// Binds a request that no browser has yet to the first one that comes with its id. Returns whether this was it.
#[derive(Clone, Debug)]
pub struct BindRequest {
    /// The digests of the id under the live peppers.
    pub candidates: Vec<KeyedDigest>,
    /// The value in place of a browser until then.
    pub unbound: Digest,
    /// The digest of the browser's cookie.
    pub browser: Digest,
}

impl Operation for BindRequest {
    type Output = bool;

    async fn run(&self, tx: &mut impl Tx) -> Result<bool, TxError> {
        let mut bound = false;
        for candidate in &self.candidates {
            let sql =
                "UPDATE authorization_requests SET browser = $1 WHERE digest = $2 AND pepper = $3 AND browser = $4";
            let row = [
                (&self.browser).into(),
                (&candidate.digest).into(),
                candidate.pepper.as_str().into(),
                (&self.unbound).into(),
            ];
            bound |= tx.execute(sql, &row).await? == 1;
        }
        Ok(bound)
    }
}

/// A code that is given out.
#[derive(Clone, Debug)]
pub struct NewCode {
    /// The digest under which the code is found.
    pub digest: KeyedDigest,
    /// The redirect URI as it was asked.
    pub redirect_uri: String,
    /// What the verifier must fit, if the client uses PKCE.
    pub code_challenge: Option<CodeChallenge>,
    /// When the code expires.
    pub expires_at: Timestamp,
}

/// How a request is answered.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The client gets a code.
    Allow {
        /// The grant that the user allowed.
        grant: Box<GrantRecord>,
        /// The code, bound to that grant.
        code: Box<NewCode>,
        /// What need not be asked again.
        remember: Option<ScopeSet>,
    },
    /// The client gets an error.
    Deny {
        /// The client that asked, for the audit.
        client_id: ClientId,
    },
}

/// Answers a request, once. Returns whether this was the time; never for a user who was disabled meanwhile, or in a
/// session that was ended meanwhile.
#[derive(Clone, Debug)]
pub struct AnswerRequest {
    /// The digests of the stored request's id; empty where it was never stored, since no page was needed.
    pub stored: Vec<KeyedDigest>,
    /// The user's decision, or the error.
    pub answer: Answer,
    /// The current time by the caller's clock.
    pub now: Timestamp,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

impl Operation for AnswerRequest {
    type Output = bool;

    async fn run(&self, tx: &mut impl Tx) -> Result<bool, TxError> {
        if let Answer::Allow { grant, .. } = &self.answer {
            let user = users::lock(tx, &grant.user_id).await?;
            let was_ended = sessions::was_ended(tx, &grant.session_id).await?;
            if user.is_none_or(|user| user.disabled_at.is_some()) || was_ended {
                return Ok(false);
            }
        }
        let mut answered = self.stored.is_empty();
        for digest in &self.stored {
            let sql = "UPDATE authorization_requests SET answered_at = $1
                       WHERE digest = $2 AND pepper = $3 AND answered_at IS NULL AND expires_at > $1";
            let row = [self.now.into(), (&digest.digest).into(), digest.pepper.as_str().into()];
            answered |= tx.execute(sql, &row).await? == 1;
        }
        if !answered {
            return Ok(false);
        }
        match &self.answer {
            Answer::Allow { grant, code, remember } => {
                grants::insert(tx, grant).await?;
                grants::end_oldest_unredeemed(tx, grant, MAX_UNREDEEMED_CODES, self.now).await?;
                if let Some(scopes) = remember {
                    grants::remember_consent(tx, &grant.user_id, &grant.client_id, scopes, self.now).await?;
                }
                codes::insert(tx, code, grant, self.now).await?;
                let event = self.audit.event(AuditAction::GrantGiven).about(&grant.id);
                event.with("client_id", &grant.client_id).with("scope", &grant.scopes).append(tx).await?;
            }
            Answer::Deny { client_id } => {
                self.audit.event(AuditAction::GrantDenied).with("client_id", client_id).append(tx).await?;
            }
        }
        Ok(true)
    }
}
