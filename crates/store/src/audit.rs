//! The audit: structured, append-only, without secrets.
//!
//! A state change appends its event in its own transaction; refusals and issuance that writes nothing come later, in
//! batches, out of a bounded queue.

use std::fmt;

use doorward_core::{clock::Timestamp, denial::Denial, id::AuditId};
use serde_json::Map;

pub use self::{
    action::{AuditAction, UnknownAction},
    bound::{RemoveExcess, RemoveOlder, ReportRemoved},
    search::{AuditFilter, AuditPage, InvalidAddress, SearchAudit, read_address},
    sum::{FindMinute, Minute, SumUp, SummedGroup},
    tally::{CountAudit, MeasureAudit},
};
use crate::{
    record::json,
    sql::sql,
    tx::{Operation, Row, Tx, TxError, Value},
};

mod action;
mod bound;
mod search;
mod sum;
mod tally;

/// Names and values without secrets, beside what has a column of its own. Each value is a text.
pub type Details = Map<String, serde_json::Value>;

/// Who does something, from where and when: what an operation makes its event of, once it knows what happened.
#[derive(Clone, Debug)]
pub struct AuditContext {
    /// The row of the event.
    pub id: AuditId,
    /// When.
    pub at: Timestamp,
    /// The trace id of the request, 32 hexadecimal digits.
    pub trace_id: Option<String>,
    /// Who: the id of a user, client or key, or `os:name` for the command line; `None` for the server itself.
    pub actor: Option<String>,
    /// Where from.
    pub address: Option<String>,
    /// What the operation itself does not know, such as names.
    pub details: Details,
}

/// What happened, to whom, and who did it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuditEvent {
    /// Its row.
    pub id: AuditId,
    /// When.
    pub at: Timestamp,
    /// The trace id of the request, 32 hexadecimal digits.
    pub trace_id: Option<String>,
    /// What happened.
    pub action: AuditAction,
    /// The denial, if it is a refusal.
    pub code: Option<String>,
    /// Who did it: see [`AuditContext::actor`].
    pub actor: Option<String>,
    /// To what it happened: an id.
    pub subject: Option<String>,
    /// Where from.
    pub address: Option<String>,
    /// How many equal events this one represents.
    pub count: i64,
    /// What else is known.
    pub details: Details,
}

impl AuditContext {
    /// Adds a detail.
    pub fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.details.insert(name.to_owned(), value.to_string().into());
        self
    }

    /// The event of an action that happened.
    pub fn event(&self, action: AuditAction) -> AuditEvent {
        AuditEvent {
            id: self.id.clone(),
            at: self.at,
            trace_id: self.trace_id.clone(),
            action,
            code: None,
            actor: self.actor.clone(),
            subject: None,
            address: self.address.clone(),
            count: 1,
            details: self.details.clone(),
        }
    }
}

impl AuditEvent {
    /// Names to what it happened.
    pub fn about(self, subject: impl fmt::Display) -> Self {
        Self { subject: Some(subject.to_string()), ..self }
    }

    /// Adds a detail.
    pub fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.details.insert(name.to_owned(), value.to_string().into());
        self
    }

    /// Adds a detail, if it is known.
    pub fn with_known(self, name: &str, value: Option<impl fmt::Display>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Appends it, in the transaction of what happened.
    pub async fn append(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        tx.execute(INSERT, &self.values()).await?;
        Ok(())
    }

    /// The values of its row, in the order of the columns.
    fn values(&self) -> [Value; 10] {
        [
            self.id.as_str().into(),
            self.at.into(),
            self.trace_id.clone().into(),
            self.action.as_str().into(),
            self.code.clone().into(),
            self.actor.clone().into(),
            self.subject.clone().into(),
            self.address.clone().into(),
            self.count.into(),
            json(&self.details),
        ]
    }
}

/// Appends a batch of events.
#[derive(Clone, Debug)]
pub struct AppendAudit {
    /// The events.
    pub events: Vec<AuditEvent>,
}

impl Operation for AppendAudit {
    type Output = ();

    async fn run(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        for event in &self.events {
            event.append(tx).await?;
        }
        tally::count_late(tx, &self.events).await
    }
}

/// The events of one trace, oldest first. A caller chooses the id of a trace, so there can be any number.
#[derive(Clone, Debug)]
pub struct AuditOfTrace {
    /// The trace id.
    pub trace_id: String,
    /// At most so many.
    pub limit: i64,
}

impl Operation for AuditOfTrace {
    /// The events, and how many more there are.
    type Output = (Vec<AuditEvent>, u64);

    async fn run(&self, tx: &mut impl Tx) -> Result<Self::Output, TxError> {
        let trace_id = Value::from(self.trace_id.as_str());
        let sql = sql!("{} WHERE trace_id = $1 ORDER BY at, id LIMIT $2", SELECT);
        let mut rows = tx.query(sql, &[trace_id.clone(), self.limit.into()]).await?;
        let events: Vec<_> = rows.iter_mut().map(event).collect::<Result<_, _>>()?;
        let mut more = 0;
        if events.len() as i64 >= self.limit {
            let count = tx.query_one("SELECT count(*) FROM audit WHERE trace_id = $1", &[trace_id]).await?.int()?;
            more = u64::try_from(count).unwrap_or(0).saturating_sub(events.len() as u64);
        }
        Ok((events, more))
    }
}

/// The newest events that a user may want to know of, newest first: what the user did, what was done to the account,
/// and what happened to what the user granted.
#[derive(Clone, Debug)]
pub struct AuditOfUser {
    /// The user's id.
    pub user_id: doorward_core::id::UserId,
    /// At most so many.
    pub limit: i64,
}

impl Operation for AuditOfUser {
    type Output = Vec<AuditEvent>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Vec<AuditEvent>, TxError> {
        // Each part has its index; one condition with OR would walk the whole audit, the newest first. A partial index
        // is used only where the statement repeats its condition.
        let sql = sql!(
            "{} WHERE id IN (
                     SELECT id FROM audit WHERE actor = $1 AND action IN ({})
                     UNION
                     SELECT id FROM audit WHERE subject = $1 AND action NOT IN ({}) AND action IN ({})
                     UNION
                     SELECT audit.id FROM grants JOIN audit ON audit.subject = grants.id
                     WHERE grants.user_id = $1 AND audit.action NOT IN ({}) AND audit.action IN ({}))
                   ORDER BY id DESC LIMIT $2",
            SELECT,
            action::SHOWN_OF_USER,
            action::MANY,
            action::SHOWN_OF_USER,
            action::MANY,
            action::SHOWN_OF_GRANT
        );
        tx.query(sql, &[self.user_id.as_str().into(), self.limit.into()]).await?.iter_mut().map(event).collect()
    }
}

/// The newest refused sign-ins of a user with a wrong password, newest first.
#[derive(Clone, Debug)]
pub struct FailedSignIns {
    /// The user's id.
    pub user_id: doorward_core::id::UserId,
    /// At most so many.
    pub limit: i64,
}

impl Operation for FailedSignIns {
    type Output = Vec<AuditEvent>;

    async fn run(&self, tx: &mut impl Tx) -> Result<Vec<AuditEvent>, TxError> {
        let sql = sql!("{} WHERE subject = $1 AND action = $2 AND code = $3 ORDER BY id DESC LIMIT $4", SELECT);
        let (action, code) = (AuditAction::RequestRefused, Denial::PasswordWrong.code());
        let values = [self.user_id.as_str().into(), action.as_str().into(), code.into(), self.limit.into()];
        tx.query(sql, &values).await?.iter_mut().map(event).collect()
    }
}

const COLUMNS: &str = "id, at, trace_id, action, code, actor, subject, address, count, details";
const SELECT: &str = sql!("SELECT {} FROM audit", COLUMNS);
const INSERT: &str = sql!("INSERT INTO audit ({}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)", COLUMNS);

fn event(row: &mut Row) -> Result<AuditEvent, TxError> {
    Ok(AuditEvent {
        id: row.parsed()?,
        at: row.time()?,
        trace_id: row.opt_text()?,
        action: row.text()?.as_str().into(),
        code: row.opt_text()?,
        actor: row.opt_text()?,
        subject: row.opt_text()?,
        address: row.opt_text()?,
        count: row.int()?,
        details: row.json()?,
    })
}
