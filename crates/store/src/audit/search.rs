//! Searching the audit: the newest events that match a filter, page by page.
//!
//! One index yields the candidates, newest first: those of an actor, a subject, a code or an action, or else all. The
//! rest of the filter is applied to them here. A filter that matches few of millions of events must not hold a connection,
//! so a page looks at [`SearchAudit::LOOK`] candidates at most and names the event before which the next page continues.
//!
//! Easy to get wrong: PostgreSQL ignores an index on `actor` and `id` where it estimates that an actor is in many rows,
//! and walks the primary key instead. Ordered by both columns and compared as a row, only that index serves.

use std::net::IpAddr;

use doorward_core::{
    clock::Timestamp,
    denial::Denial,
    id::{AuditId, GrantId},
};
use ipnet::IpNet;

use super::{AuditAction, AuditEvent, COLUMNS, SELECT, event, sum};
use crate::{
    sql::sql,
    tx::{Operation, Tx, TxError, Value},
};

/// Which events are found: those that match all that is set.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AuditFilter {
    /// The actor or the subject; for a grant also events that name it among their details.
    pub about: Option<String>,
    /// What happened.
    pub action: Option<AuditAction>,
    /// Why it was refused.
    pub code: Option<Denial>,
    /// Who did it.
    pub actor: Option<String>,
    /// To what it happened.
    pub subject: Option<String>,
    /// Where it came from. A counted row of an IPv6 network has the first address of its /64.
    pub address: Option<IpNet>,
    /// Recorded at this time or later.
    pub since: Option<Timestamp>,
    /// Recorded before this time.
    pub until: Option<Timestamp>,
}

/// A text that is neither an address nor a network.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("neither an IP address, as in 192.0.2.7, nor a network, as in 192.0.2.0/24 or 2001:db8::/64")]
pub struct InvalidAddress;

/// Reads an address, which is a network of one, or a network.
pub fn read_address(text: &str) -> Result<IpNet, InvalidAddress> {
    let address = text.parse::<IpAddr>().map(|address| IpNet::from(address.to_canonical()));
    address.or_else(|_| text.parse()).map_err(|_| InvalidAddress)
}

impl AuditFilter {
    /// Only what is about this id.
    pub fn about(id: impl Into<String>) -> Self {
        Self { about: Some(id.into()), ..Self::default() }
    }

    /// Whether an event matches, whatever the index has decided already.
    fn matches(&self, event: &AuditEvent) -> bool {
        let is = |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
        let code = self.code.map(|code| code.code().to_owned());
        self.action.as_ref().is_none_or(|action| *action == event.action)
            && is(&code, &event.code)
            && is(&self.actor, &event.actor)
            && is(&self.subject, &event.subject)
            && self.about.as_ref().is_none_or(|about| is_about(event, about))
            && self.address.as_ref().is_none_or(|network| is_from(event, network))
    }

    fn candidates(&self) -> Candidates<'_> {
        match self {
            Self { actor: Some(actor), .. } => Candidates::OfActor(actor),
            Self { subject: Some(subject), .. } => Candidates::OfSubject(subject),
            // What happens for each token of a grant names it among the details, which have no index.
            Self { about: Some(about), .. } if GrantId::parse(about).is_err() => Candidates::About(about),
            Self { code, action, address: Some(network), .. }
                if is_host(network) && (code.is_some() || *action == Some(AuditAction::RequestRefused)) =>
            {
                Candidates::RefusalsFrom(network.addr().to_string())
            }
            Self { code: Some(code), .. } => Candidates::OfCode(code.code()),
            Self { action: Some(action), .. } => Candidates::OfAction(action.as_str()),
            _ => Candidates::All,
        }
    }

    /// Whether each candidate matches, so that no more are read than are wanted.
    fn is_by_index(&self) -> bool {
        let bare = Self { since: None, until: None, ..self.clone() };
        let actor = Self { actor: self.actor.clone(), ..Self::default() };
        let subject = Self { subject: self.subject.clone(), ..Self::default() };
        let action = Self { action: self.action.clone(), ..Self::default() };
        let code = Self { code: self.code, ..Self::default() };
        let about =
            Self { about: self.about.clone().filter(|about| GrantId::parse(about).is_err()), ..Self::default() };
        [actor, subject, action, code, about].contains(&bare)
    }
}

/// Whether a network is one address.
fn is_host(network: &IpNet) -> bool {
    network.prefix_len() == network.max_prefix_len()
}

fn is_about(event: &AuditEvent, about: &str) -> bool {
    let named = event.details.get("grant_id").and_then(serde_json::Value::as_str);
    [event.actor.as_deref(), event.subject.as_deref(), named].contains(&Some(about))
}

fn is_from(event: &AuditEvent, network: &IpNet) -> bool {
    let mut addresses = sum::addresses(event).filter_map(|address| address.parse::<IpAddr>().ok());
    addresses.any(|address| network.contains(&address.to_canonical()))
}

/// What an index yields.
enum Candidates<'a> {
    All,
    About(&'a str),
    OfAction(&'a str),
    OfActor(&'a str),
    OfCode(&'a str),
    OfSubject(&'a str),
    RefusalsFrom(String),
}

/// A page of the newest events that match.
#[derive(Clone, Debug)]
pub struct SearchAudit {
    /// Which events.
    pub filter: AuditFilter,
    /// Only events with a greater id than this; ids are ordered by time.
    pub after: Option<String>,
    /// Only events with a smaller id than this: where the page before stopped.
    pub before: Option<AuditId>,
    /// At most so many.
    pub limit: usize,
}

/// What was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuditPage {
    /// The events, newest first.
    pub events: Vec<AuditEvent>,
    /// How many candidates were looked at.
    pub looked_at: usize,
    /// The last one that was looked at, where there may be more before it.
    pub next: Option<AuditId>,
}

impl SearchAudit {
    /// Candidates that a page looks at.
    pub const LOOK: usize = 1_000;

    /// The ids between which events are looked for, both exclusive.
    fn bounds(&self) -> [Value; 2] {
        let since = self.filter.since.map(AuditId::floor).unwrap_or_default();
        // Sorts after every id.
        let end = || format!("{}_g", AuditId::PREFIX);
        let until = self.filter.until.map_or_else(end, AuditId::floor);
        let before = self.before.as_ref().map_or_else(end, AuditId::to_string);
        [since.max(self.after.clone().unwrap_or_default()).into(), until.min(before).into()]
    }
}

impl Operation for SearchAudit {
    type Output = AuditPage;

    async fn run(&self, tx: &mut impl Tx) -> Result<AuditPage, TxError> {
        let look = if self.filter.is_by_index() { self.limit.min(Self::LOOK) } else { Self::LOOK };
        let [after, before] = self.bounds();
        let limit = Value::from(look as i64);
        let mut rows = match self.filter.candidates() {
            Candidates::All => tx.query(ALL, &[after, before, limit]).await?,
            Candidates::About(id) => tx.query(ABOUT, &[after, before, limit, id.into()]).await?,
            Candidates::OfAction(action) => tx.query(OF_ACTION, &[after, before, limit, action.into()]).await?,
            Candidates::OfActor(actor) => tx.query(OF_ACTOR, &[after, before, limit, actor.into()]).await?,
            Candidates::OfCode(code) => tx.query(OF_CODE, &[after, before, limit, code.into()]).await?,
            Candidates::OfSubject(subject) => tx.query(OF_SUBJECT, &[after, before, limit, subject.into()]).await?,
            Candidates::RefusalsFrom(address) => {
                tx.query(REFUSALS_FROM, &[after, before, limit, address.into()]).await?
            }
        };
        let is_all = rows.len() < look;
        let (mut events, mut looked_at, mut last) = (Vec::new(), 0, None);
        for row in &mut rows {
            if events.len() == self.limit {
                return Ok(AuditPage { events, looked_at, next: last });
            }
            let event = event(row)?;
            looked_at += 1;
            last = Some(event.id.clone());
            if self.filter.matches(&event) {
                events.push(event);
            }
        }
        Ok(AuditPage { events, looked_at, next: last.filter(|_| !is_all) })
    }
}

const ALL: &str = sql!("{} WHERE id > $1 AND id < $2 ORDER BY id DESC LIMIT $3", SELECT);
const OF_ACTION: &str =
    sql!("{} WHERE (action, id) > ($4, $1) AND (action, id) < ($4, $2) ORDER BY action DESC, id DESC LIMIT $3", SELECT);
const OF_ACTOR: &str = sql!(
    "{} WHERE actor IS NOT NULL AND (actor, id) > ($4, $1) AND (actor, id) < ($4, $2)
     ORDER BY actor DESC, id DESC LIMIT $3",
    SELECT
);
const OF_CODE: &str = sql!(
    "{} WHERE code IS NOT NULL AND (code, id) > ($4, $1) AND (code, id) < ($4, $2) ORDER BY code DESC, id DESC LIMIT $3",
    SELECT
);
const REFUSALS_FROM: &str = sql!(
    "{} WHERE code IS NOT NULL AND (address, id) > ($4, $1) AND (address, id) < ($4, $2)
     ORDER BY address DESC, id DESC LIMIT $3",
    SELECT
);
const OF_SUBJECT: &str = sql!(
    "{} WHERE subject IS NOT NULL AND (subject, id) > ($4, $1) AND (subject, id) < ($4, $2)
     ORDER BY subject DESC, id DESC LIMIT $3",
    SELECT
);
/// An event whose actor is also its subject is found once.
const ABOUT: &str = sql!(
    "SELECT {} FROM ({}) AS of_actor UNION SELECT {} FROM ({}) AS of_subject ORDER BY id DESC LIMIT $3",
    COLUMNS,
    OF_ACTOR,
    COLUMNS,
    OF_SUBJECT
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_is_one_or_a_network() {
        for (text, network) in [
            ("192.0.2.7", "192.0.2.7/32"),
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("::ffff:192.0.2.7", "192.0.2.7/32"),
        ] {
            assert_eq!(read_address(text), Ok(network.parse().unwrap()), "{text}");
        }
        for bad in ["", "localhost", "192.0.2", "192.0.2.0/33", "192.0.2.7:80"] {
            assert_eq!(read_address(bad), Err(InvalidAddress), "{bad}");
        }
    }

    #[test]
    fn filter_with_one_indexed_condition_reads_only_what_it_shows() {
        let now = Timestamp::from_secs(1);
        let by_index = AuditFilter { since: Some(now), ..AuditFilter::about("cli_1") };
        assert!(by_index.is_by_index() && AuditFilter::default().is_by_index());
        let grant = format!("grt_{}", "0".repeat(32));
        assert!(!AuditFilter::about(grant).is_by_index(), "its name may be among the details");
        let code = Some(Denial::PasswordWrong);
        assert!(AuditFilter { code, ..AuditFilter::default() }.is_by_index());
        assert!(!AuditFilter { code, ..by_index }.is_by_index());
    }
}
