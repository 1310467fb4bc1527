//! Removing what has ended, in small steps, always on.
//!
//! Easy to get wrong: a condition that can become false while the sweep waits for a row must stand beside the
//! sub-select, since PostgreSQL looks again only at what the outer statement says.

use std::time::Duration;

use doorward_core::{clock::Timestamp, id::SessionId, key_usage::Day, throttle, unusual_use::REPORTED_EVERY};

use crate::{
    apis::RemoveDeletedApis,
    changes::SweepChanges,
    refresh::RemoveEndedFamilies,
    tx::{Operation, Tx, TxError, Urgency, Value},
    users::RemoveDeletedUsers,
    webhooks::RemoveDeletedWebhooks,
};

/// Removes rows of one table that have ended, [`Sweep::STEP`] at most.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// The kind of rows to delete.
    pub what: Swept,
    /// The current time by the caller's clock.
    pub now: Timestamp,
    /// The lifetimes that are not in the rows.
    pub retention: Retention,
}

/// How long is kept what does not say so itself.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// How long an unbound client may repeat a refresh: seals of older rotations are erased.
    pub refresh_grace: Duration,
    /// How long a session may live.
    pub session_absolute: Duration,
    /// How long the counts of a day are kept.
    pub key_usage: Duration,
}

macro_rules! swept {
    ($($variant:ident $name:literal,)*) => {
        /// What a sweep removes.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Swept {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl Swept {
            /// Everything that is swept.
            pub const ALL: [Self; [$($name,)*].len()] = [$(Self::$variant,)*];

            /// What it is called where people read it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

swept! {
    AccessTokens "access_tokens",
    AssertionIds "assertion_ids",
    AuthorizationRequests "authorization_requests",
    Changes "changes",
    Codes "codes",
    DeletedApis "deleted_apis",
    DeletedUsers "deleted_users",
    DeletedWebhooks "deleted_webhooks",
    Failures "failures",
    FailuresInARow "failures_in_a_row",
    Families "refresh_families",
    Grants "grants",
    KeptAnswers "kept_answers",
    KeyUnusualUses "key_unusual_uses",
    KeyUsage "key_usage",
    LegacyUses "legacy_uses",
    RefreshSeals "refresh_seals",
    RevokedTokens "revoked_tokens",
    SessionsEnded "ended_sessions",
    SessionsExpired "expired_sessions",
    WebhookDeliveries "webhook_deliveries",
}

impl Sweep {
    /// Rows that one sweep removes at most: no other writer waits for longer than a few milliseconds.
    pub const STEP: i64 = 32;
}

impl Operation for Sweep {
    /// How many rows were removed, and seals erased. As many as [`Sweep::STEP`]: more may be waiting.
    type Output = u64;

    // A step has hundreds of statements. Cut off like a request, it would never get done over a slow network.
    const URGENCY: Urgency = Urgency::Patient;

    async fn run(&self, tx: &mut impl Tx) -> Result<u64, TxError> {
        let before = |ago: Duration| Value::from(self.now.minus(ago));
        let (sql, time) = match self.what {
            Swept::AccessTokens => (ACCESS_TOKENS, before(SKEW)),
            Swept::AssertionIds => (ASSERTION_IDS, before(SKEW)),
            Swept::AuthorizationRequests => (AUTHORIZATION_REQUESTS, before(START_OVER)),
            Swept::Changes => {
                let before_ms = self.now.minus(AFTERGLOW).as_millis();
                return SweepChanges { before_ms, limit: Self::STEP }.run(tx).await;
            }
            Swept::Codes => (CODES, before(AFTERGLOW)),
            Swept::DeletedApis => return RemoveDeletedApis.run(tx).await,
            Swept::DeletedUsers => return RemoveDeletedUsers.run(tx).await,
            Swept::DeletedWebhooks => return RemoveDeletedWebhooks.run(tx).await,
            Swept::Failures => (FAILURES, before(throttle::DECAY)),
            Swept::FailuresInARow => {
                let row = [before(FEW_FORGOTTEN), MANY_FAILURES.into(), before(MANY_FORGOTTEN), Self::STEP.into()];
                return tx.execute(FAILURES_IN_A_ROW, &row).await;
            }
            Swept::Families => return RemoveEndedFamilies { now: self.now }.run(tx).await,
            Swept::Grants => (GRANTS, before(AFTERGLOW)),
            Swept::KeptAnswers => (KEPT_ANSWERS, self.now.into()),
            Swept::KeyUnusualUses => (KEY_UNUSUAL_USES, before(REPORTED_EVERY)),
            Swept::KeyUsage => (KEY_USAGE, Day::of(self.now.minus(self.retention.key_usage)).0.into()),
            Swept::LegacyUses => (LEGACY_USES, before(LEGACY_REPORTED)),
            Swept::RefreshSeals => (REFRESH_SEALS, before(self.retention.refresh_grace)),
            Swept::RevokedTokens => (REVOKED_TOKENS, before(SKEW)),
            Swept::SessionsEnded => (SESSIONS, before(AFTERGLOW)),
            Swept::SessionsExpired => {
                (OLD_SESSIONS, SessionId::floor(self.now.minus(self.retention.session_absolute + AFTERGLOW)).into())
            }
            Swept::WebhookDeliveries => (WEBHOOK_DELIVERIES, before(DELIVERIES_KEPT)),
        };
        tx.execute(sql, &[time, Self::STEP.into()]).await
    }
}

const ACCESS_TOKENS: &str =
    "DELETE FROM access_tokens WHERE digest IN (SELECT digest FROM access_tokens WHERE expires_at < $1 LIMIT $2)";
const KEPT_ANSWERS: &str =
    "DELETE FROM kept_answers WHERE digest IN (SELECT digest FROM kept_answers WHERE expires_at < $1 LIMIT $2)";
const KEY_UNUSUAL_USES: &str = "DELETE FROM key_unusual_uses WHERE (key_id, reason) IN
    (SELECT key_id, reason FROM key_unusual_uses WHERE reported_at < $1 ORDER BY reported_at LIMIT $2)";
const KEY_USAGE: &str = "DELETE FROM key_usage WHERE (key_id, day, outcome) IN
    (SELECT key_id, day, outcome FROM key_usage WHERE day < $1 ORDER BY day LIMIT $2)";
const LEGACY_USES: &str = "DELETE FROM legacy_uses WHERE last_at < $1 AND (key_id, api_id, way, route, network) IN
    (SELECT key_id, api_id, way, route, network FROM legacy_uses WHERE last_at < $1 LIMIT $2)";
/// How long the report has a key that no longer comes by a legacy way.
const LEGACY_REPORTED: Duration = Duration::from_secs(90 * 24 * 3600);
const REVOKED_TOKENS: &str =
    "DELETE FROM revoked_tokens WHERE id IN (SELECT id FROM revoked_tokens WHERE expires_at < $1 LIMIT $2)";
const ASSERTION_IDS: &str = "DELETE FROM assertion_ids WHERE (client_id, id) IN
    (SELECT client_id, id FROM assertion_ids WHERE expires_at < $1 LIMIT $2)";
const CODES: &str = "DELETE FROM codes WHERE digest IN (SELECT digest FROM codes WHERE expires_at < $1 LIMIT $2)";
/// How long an expired page can be started over. Anybody can make such rows, so they don't stay for long.
const START_OVER: Duration = Duration::from_secs(3600);

const AUTHORIZATION_REQUESTS: &str = "DELETE FROM authorization_requests WHERE digest IN
    (SELECT digest FROM authorization_requests WHERE expires_at < $1 LIMIT $2)";
const REFRESH_SEALS: &str = "UPDATE refresh_families SET successor_sealed = NULL, seal_counts_from = NULL
    WHERE seal_counts_from <= $1 AND id IN (SELECT id FROM refresh_families WHERE seal_counts_from <= $1 LIMIT $2)";
const GRANTS: &str = "DELETE FROM grants WHERE id IN (SELECT id FROM grants WHERE expires_at < $1 LIMIT $2)";
const SESSIONS: &str = "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE ended_at < $1 LIMIT $2)";
/// Nobody ended them; they came to their end by themselves.
const OLD_SESSIONS: &str = "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE id < $1 LIMIT $2)";
const FAILURES: &str = "DELETE FROM failures WHERE in_a_row = 0 AND last_at < $1 AND subject IN
    (SELECT subject FROM failures WHERE in_a_row = 0 AND last_at < $1 LIMIT $2)";
const FAILURES_IN_A_ROW: &str = "DELETE FROM failures
    WHERE in_a_row > 0 AND last_at < $1 AND (in_a_row < $2 OR last_at < $3) AND subject IN
    (SELECT subject FROM failures WHERE in_a_row > 0 AND last_at < $1 AND (in_a_row < $2 OR last_at < $3) LIMIT $4)";

const WEBHOOK_DELIVERIES: &str = "DELETE FROM webhook_deliveries WHERE finished_at < $1 AND (webhook_id, event_id) IN
    (SELECT webhook_id, event_id FROM webhook_deliveries WHERE finished_at < $1 LIMIT $2)";

/// How long what was sent to an endpoint, or given up, can be looked at and sent again.
const DELIVERIES_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// Tokens are granted a skew of a minute, so they are remembered for longer than they say.
const SKEW: Duration = Duration::from_secs(120);

/// How long what has ended stays readable for `explain`.
pub(crate) const AFTERGLOW: Duration = Duration::from_secs(24 * 3600);

/// After how long failures in a row are forgotten, if they are many. Much longer than their decay: guesses at a slow pace
/// add up (NIST SP 800-63B-4 section 3.2.2).
const MANY_FORGOTTEN: Duration = Duration::from_secs(30 * 24 * 3600);

/// From how many in a row on they are kept for so long. Each costs a wait, so nobody has that many of many names.
const MANY_FAILURES: i64 = 30;

/// After how long fewer are forgotten: anybody can invent names, and each that fails once has a row.
const FEW_FORGOTTEN: Duration = Duration::from_secs(24 * 3600);
