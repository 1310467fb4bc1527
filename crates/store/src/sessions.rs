//! Sessions of signed-in users.

use doorward_core::{
    clock::Timestamp,
    denial::Denial,
    digest::KeyedDigest,
    id::{SessionId, UserId},
    secret::{ExposeSecret, SecretString},
    session::{self, Authentication, SessionTimes, UserSinceCheck},
};

use crate::{
    audit::{AuditAction, AuditContext},
    record::{Page, by_digest, json, readable_page},
    sql::sql,
    tx::{Operation, Row, Tx, TxError},
    users::{self, UserRecord, user},
};

/// A session as remembered.
#[derive(Clone, Debug)]
pub struct SessionRecord {
    /// Its id, which is not secret.
    pub id: SessionId,
    /// The user who signed in.
    pub user_id: UserId,
    /// When it began, was used and was ended.
    pub times: SessionTimes,
    /// How and when the user was authenticated.
    pub authentications: Vec<Authentication>,
    /// The address at the sign-in.
    pub address: String,
    /// The browser's `User-Agent` at the sign-in.
    pub user_agent: String,
}

/// Begins a session, and ends the one that the browser had before. Refused to a user who was removed or disabled, or
/// whose password was changed, since it was checked.
#[derive(Clone, Debug)]
pub struct BeginSession {
    /// The new session, with its digest.
    pub session: SessionRecord,
    /// The digest of its cookie.
    pub digest: KeyedDigest,
    /// The hash that the password was checked against.
    pub password_hash: SecretString,
    /// The session that it takes the place of.
    pub replaces: Option<SessionId>,
    /// The most live sessions of a user; the ones unused longest are ended.
    pub most: i64,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

impl SessionRecord {
    /// When its user last signed in.
    pub fn auth_time(&self) -> Timestamp {
        session::auth_time(&self.times, &self.authentications)
    }
}

impl Operation for BeginSession {
    type Output = Result<(), Denial>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Self::Output, TxError> {
        let session = &self.session;
        let now = session.times.created_at;
        let user = users::lock(tx, &session.user_id).await?.map(|user| UserSinceCheck {
            is_disabled: user.disabled_at.is_some(),
            has_other_password: user.password_hash.expose_secret() != self.password_hash.expose_secret(),
        });
        if let Err(denial) = session::check_begin(user) {
            return Ok(Err(denial));
        }
        if let Some(replaced) = &self.replaces {
            // A browser that changes hands keeps nothing of its former user.
            tx.execute(sql!("{} AND id = $2", END), &[now.into(), replaced.as_str().into()]).await?;
        }
        tx.execute(
            sql!("INSERT INTO sessions (digest, pepper, {}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)", COLUMNS),
            &[
                (&self.digest.digest).into(),
                self.digest.pepper.as_str().into(),
                session.id.as_str().into(),
                session.user_id.as_str().into(),
                now.into(),
                session.times.last_seen_at.into(),
                session.times.ended_at.into(),
                json(&session.authentications),
                session.address.as_str().into(),
                session.user_agent.as_str().into(),
            ],
        )
        .await?;
        tx.execute(
            sql!(
                "{} AND user_id = $2 AND id NOT IN
                   (SELECT id FROM sessions WHERE user_id = $2 AND ended_at IS NULL
                    ORDER BY last_seen_at DESC, id DESC LIMIT $3)",
                END
            ),
            &[now.into(), session.user_id.as_str().into(), self.most.into()],
        )
        .await?;
        let event = self.audit.event(AuditAction::SessionBegan).about(&session.id);
        event.with("user_agent", &session.user_agent).append(tx).await?;
        Ok(Ok(()))
    }
}

/// The session with one of these digests, and its user. Whether it is still good is for `core` to say.
#[derive(Clone, Debug)]
pub struct FindSession {
    /// The digests of the cookie under the live peppers.
    pub candidates: Vec<KeyedDigest>,
}

impl Operation for FindSession {
    type Output = Option<(SessionRecord, UserRecord)>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Self::Output, TxError> {
        let sql = sql!(
            "SELECT {s}, {u} FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.digest = $1 AND s.pepper = $2",
            COLUMNS,
            users::COLUMNS
        );
        let Some(mut row) = by_digest(tx, sql, &self.candidates).await? else { return Ok(None) };
        Ok(Some((session(&mut row)?, user(&mut row)?)))
    }
}

/// Notes that a session was used.
#[derive(Clone, Debug)]
pub struct TouchSession {
    /// The session that was used.
    pub id: SessionId,
    /// The current time by the caller's clock.
    pub now: Timestamp,
}

impl Operation for TouchSession {
    type Output = ();

    async fn run(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        let sql = "UPDATE sessions SET last_seen_at = $1 WHERE id = $2 AND last_seen_at < $1";
        tx.execute(sql, &[self.now.into(), self.id.as_str().into()]).await?;
        Ok(())
    }
}

/// The session with this id, also one that has ended or expired.
#[derive(Clone, Debug)]
pub struct FindSessionById {
    /// Its id, which is not secret.
    pub id: SessionId,
}

impl Operation for FindSessionById {
    type Output = Option<SessionRecord>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Option<SessionRecord>, TxError> {
        let sql = sql!("SELECT {} FROM sessions WHERE id = $1", COLUMNS);
        tx.query_opt(sql, &[self.id.as_str().into()]).await?.as_mut().map(session).transpose()
    }
}

/// Which sessions are listed.
#[derive(Clone, Debug, Default)]
pub struct SessionFilter {
    /// Only those of this user.
    pub user_id: Option<UserId>,
}

/// The sessions that were not ended, in order of creation. Whether one has expired is for `core` to say.
#[derive(Clone, Debug)]
pub struct ListSessions {
    /// Which sessions.
    pub filter: SessionFilter,
    /// Only sessions that began after this one.
    pub after: Option<SessionId>,
    /// Maximum number of rows.
    pub limit: i64,
}

impl Operation for ListSessions {
    type Output = Vec<SessionRecord>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Vec<SessionRecord>, TxError> {
        let user_id = &self.filter.user_id;
        let sql = match user_id {
            None => sql!("SELECT {} FROM sessions WHERE id > $1 AND ended_at IS NULL ORDER BY id LIMIT $2", COLUMNS),
            // As a range of both columns, so that PostgreSQL does not walk the other index.
            Some(_) => sql!(
                "SELECT {} FROM sessions WHERE (user_id, id) > ($3, $1) AND user_id <= $3 AND ended_at IS NULL
                 ORDER BY user_id, id LIMIT $2",
                COLUMNS
            ),
        };
        let after = [self.after.as_ref().map_or_else(String::new, SessionId::to_string)];
        let filter = user_id.iter().map(|user| user.as_str().into()).collect();
        readable_page(tx, Page { kind: "session", sql, after, limit: self.limit, filter }, session).await
    }
}

/// The sessions of a user that were not ended, the last used first.
#[derive(Clone, Debug)]
pub struct ListRecentSessions {
    /// The user whose live sessions are listed.
    pub user_id: UserId,
    /// Only sessions that come after this one, by its last use and its id.
    pub after: Option<(Timestamp, SessionId)>,
    /// Maximum number of rows.
    pub limit: i64,
}

impl Operation for ListRecentSessions {
    type Output = Vec<SessionRecord>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Vec<SessionRecord>, TxError> {
        let sql = sql!(
            "SELECT {} FROM sessions
             WHERE user_id = $1 AND ended_at IS NULL AND ((last_seen_at, id) < ($2, $3) OR $3 IS NULL)
             ORDER BY last_seen_at DESC, id DESC LIMIT $4",
            COLUMNS
        );
        let (time, id) = self.after.clone().unzip();
        let id = id.map(|id| id.to_string());
        let params = [self.user_id.as_str().into(), time.into(), id.into(), self.limit.into()];
        tx.query(sql, &params).await?.iter_mut().map(session).collect()
    }
}

/// Which sessions of a user are ended.
#[derive(Clone, Debug)]
pub enum WhichSessions {
    /// The session with this id, if it is the user's.
    One(SessionId),
    /// All but the one in which it is done.
    Others,
    /// The one in which it is done.
    Own,
}

/// Ends sessions of one user; another user's are not touched. Returns how many. Refused in a session that was ended,
/// except for ending it again.
#[derive(Clone, Debug)]
pub struct EndSessions {
    /// The user whose sessions end.
    pub user_id: UserId,
    /// The session in which it is done.
    pub within: SessionId,
    /// The sessions to end.
    pub which: WhichSessions,
    /// The current time by the caller's clock.
    pub now: Timestamp,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

impl Operation for EndSessions {
    type Output = Result<u64, Denial>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Self::Output, TxError> {
        let one = match &self.which {
            WhichSessions::Others => None,
            WhichSessions::One(id) => Some(id),
            WhichSessions::Own => Some(&self.within),
        };
        if !matches!(self.which, WhichSessions::Own) {
            users::lock(tx, &self.user_id).await?;
            if let Err(denial) = session::check_act(was_ended(tx, &self.within).await?) {
                return Ok(Err(denial));
            }
        }
        let ended = match one {
            None => end_all(tx, &self.user_id, Some(&self.within), self.now).await?,
            Some(id) => {
                let sql = sql!("{} AND id = $2 AND user_id = $3", END);
                tx.execute(sql, &[self.now.into(), id.as_str().into(), self.user_id.as_str().into()]).await?
            }
        };
        if ended > 0 {
            let event = self.audit.event(AuditAction::SessionsEnded);
            let event = match one {
                None => event,
                Some(id) => event.about(id),
            };
            event.append(tx).await?;
        }
        Ok(Ok(ended))
    }
}

/// Ends a session of any user. Returns whether it had not been ended.
#[derive(Clone, Debug)]
pub struct EndSession {
    /// The session to end.
    pub id: SessionId,
    /// The current time by the caller's clock.
    pub now: Timestamp,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

impl Operation for EndSession {
    type Output = bool;

    async fn run(&self, tx: &mut impl Tx) -> Result<bool, TxError> {
        let sql = sql!("{} AND id = $2", END);
        if tx.execute(sql, &[self.now.into(), self.id.as_str().into()]).await? == 0 {
            return Ok(false);
        }
        self.audit.event(AuditAction::SessionsEnded).about(&self.id).append(tx).await?;
        Ok(true)
    }
}

/// Ends every session of a user, from outside of all of them. From now on no browser is known as one that signed in before. Returns
/// how many were ended; `None` if there is no such user.
#[derive(Clone, Debug)]
pub struct EndAllSessions {
    /// The user whose sessions end.
    pub user_id: UserId,
    /// The current time by the caller's clock.
    pub now: Timestamp,
    /// The actor and origin for the audit row of this change.
    pub audit: AuditContext,
}

impl Operation for EndAllSessions {
    type Output = Option<u64>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Option<u64>, TxError> {
        if users::lock(tx, &self.user_id).await?.is_none() {
            return Ok(None);
        }
        let ended = end_all(tx, &self.user_id, None, self.now).await?;
        self.audit.event(AuditAction::SessionsEnded).about(&self.user_id).append(tx).await?;
        Ok(Some(ended))
    }
}

/// Locks a session in which something is done, and returns whether it was ended since the caller checked it. The user's
/// row must be locked before, so that no two transactions wait for each other. A session that is gone was ended longer
/// ago than any request lasts.
pub(crate) async fn was_ended(tx: &mut impl Tx, id: &SessionId) -> Result<bool, TxError> {
    let sql = "UPDATE sessions SET ended_at = ended_at WHERE id = $1 RETURNING ended_at";
    match tx.query_opt(sql, &[id.as_str().into()]).await? {
        Some(mut row) => Ok(row.opt_time()?.is_some()),
        None => Ok(false),
    }
}

/// Ends every session of a user, except for one. From now on no browser is known as one that signed in before.
pub(crate) async fn end_all(
    tx: &mut impl Tx,
    user: &UserId,
    kept: Option<&SessionId>,
    now: Timestamp,
) -> Result<u64, TxError> {
    tx.execute("UPDATE users SET known_browsers = known_browsers + 1 WHERE id = $1", &[user.as_str().into()]).await?;
    let kept = kept.map_or("", SessionId::as_str);
    let sql = sql!("{} AND user_id = $2 AND id <> $3", END);
    tx.execute(sql, &[now.into(), user.as_str().into(), kept.into()]).await
}

const END: &str = "UPDATE sessions SET ended_at = $1 WHERE ended_at IS NULL";

const COLUMNS: &str = "id, user_id, created_at, last_seen_at, ended_at, authentications, address, user_agent";

fn session(row: &mut Row) -> Result<SessionRecord, TxError> {
    Ok(SessionRecord {
        id: row.parsed()?,
        user_id: row.parsed()?,
        times: SessionTimes { created_at: row.time()?, last_seen_at: row.time()?, ended_at: row.opt_time()? },
        authentications: row.json()?,
        address: row.text()?,
        user_agent: row.text()?,
    })
}
