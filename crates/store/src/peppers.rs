//! Which peppers are still needed: those that some digest names.

use std::collections::BTreeSet;

use crate::tx::{Operation, Tx, TxError};

/// Which of these peppers some digest names. A pepper that none names is searched for everywhere, so this is for the
/// start of a server that has more than one.
#[derive(Clone, Debug)]
pub struct NamedPeppers {
    /// The ids of the peppers.
    pub ids: Vec<String>,
}

impl Operation for NamedPeppers {
    type Output = BTreeSet<String>;

    async fn run(&self, tx: &mut impl Tx) -> Result<BTreeSet<String>, TxError> {
        let mut named = BTreeSet::new();
        for id in &self.ids {
            for sql in NAMING {
                if !tx.query(sql, &[id.as_str().into()]).await?.is_empty() {
                    named.insert(id.clone());
                    break;
                }
            }
        }
        Ok(named)
    }
}

/// Every table that holds digests, the smaller ones first.
const NAMING: [&str; 8] = [
    "SELECT 1 AS found FROM clients WHERE secret_pepper = $1 LIMIT 1",
    "SELECT 1 AS found FROM api_keys WHERE pepper = $1 LIMIT 1",
    "SELECT 1 AS found FROM authorization_requests WHERE pepper = $1 LIMIT 1",
    "SELECT 1 AS found FROM kept_answers WHERE pepper = $1 LIMIT 1",
    "SELECT 1 AS found FROM codes WHERE pepper = $1 LIMIT 1",
    "SELECT 1 AS found FROM sessions WHERE pepper = $1 LIMIT 1",
    "SELECT 1 AS found FROM access_tokens WHERE pepper = $1 LIMIT 1",
    "SELECT 1 AS found FROM refresh_tokens WHERE pepper = $1 LIMIT 1",
];
