//! All keys of a selection that somebody may revoke: found by an index, and compared one by one with the selection and with
//! the rights of the caller.

use doorward_core::{
    api_key::KeyMetadata,
    clock::Timestamp,
    holder::Owner,
    id::{ApiId, KeyId},
    key_selection::{KeySelection, SelectedKey},
    rights::{Belongs, Power, Rights},
};

use super::list::{KeysOf, OF_API, OF_CREATOR, OF_OWNER, OF_TIME};
use crate::{
    record::{Page, readable_page},
    sql::sql,
    tx::{Operation, Row, Tx, TxError, Urgency},
};

/// Finds all keys of a selection that are not revoked.
#[derive(Clone, Debug)]
pub struct SelectKeys {
    /// Which keys.
    pub selection: KeySelection,
    /// The rights of the caller. Keys that they don't reach are left out.
    pub rights: Rights,
    /// At most so many keys are looked at, so that the transaction stays short.
    pub most: usize,
}

/// What a selection meets.
#[derive(Clone, Debug)]
pub enum Selected {
    /// All of its keys.
    All {
        /// Those that the caller may change, in order.
        keys: Vec<FoundKey>,
        /// How many others have rights that the caller lacks.
        beyond_rights: usize,
    },
    /// There are more keys to look at than may be.
    TooMany {
        /// Where they are looked at by time: so many were created before then.
        before: Option<Timestamp>,
    },
}

/// A key of a selection.
#[derive(Clone, Debug)]
pub struct FoundKey {
    /// Its id.
    pub id: KeyId,
    /// The APIs that it names.
    pub apis: Vec<ApiId>,
    /// Whom it belongs to.
    pub owner: Option<Owner>,
}

/// A key as it is looked at.
struct Candidate {
    id: KeyId,
    metadata: KeyMetadata,
    owner: Option<Owner>,
    created_at: Timestamp,
    created_by: Option<String>,
    is_revoked: bool,
}

impl Operation for SelectKeys {
    type Output = Selected;

    const URGENCY: Urgency = Urgency::Patient;

    async fn run(&self, tx: &mut impl Tx) -> Result<Selected, TxError> {
        let (mut keys, mut beyond_rights, mut looked_at) = (Vec::new(), 0, 0);
        let mut after = String::new();
        loop {
            let candidates = self.page(tx, after).await?;
            let is_last = candidates.len() < PAGE;
            after = candidates.last().map(|key| key.id.to_string()).unwrap_or_default();
            for key in candidates {
                if looked_at == self.most {
                    let before = self.is_by_time().then_some(key.created_at);
                    return Ok(Selected::TooMany { before });
                }
                looked_at += 1;
                if !self.means(&key) {
                    continue;
                }
                match self.rights.check_covers(&Power::of_key(&key.metadata)).is_ok() {
                    true => keys.push(FoundKey { id: key.id, apis: key.metadata.apis, owner: key.owner }),
                    false => beyond_rights += 1,
                }
            }
            if is_last {
                return Ok(Selected::All { keys, beyond_rights });
            }
        }
    }
}

impl SelectKeys {
    fn means(&self, key: &Candidate) -> bool {
        let selected = SelectedKey {
            metadata: &key.metadata,
            owner: key.owner.as_ref(),
            created_by: key.created_by.as_deref(),
            created_at: key.created_at,
        };
        let belongs = Belongs { apis: key.metadata.apis.clone(), owner: key.owner.as_ref().map(Owner::as_str) };
        !key.is_revoked && self.selection.includes(selected) && self.rights.reach(&belongs)
    }

    /// Whether keys are looked at in the order of their creation, so that a time divides them.
    fn is_by_time(&self) -> bool {
        matches!(KeysOf::selection(&self.selection), Some(KeysOf::Created { .. }))
    }

    async fn page(&self, tx: &mut impl Tx, after: String) -> Result<Vec<Candidate>, TxError> {
        let (sql, filter) = match KeysOf::selection(&self.selection) {
            Some(KeysOf::Created { since, until }) => {
                let until = until.map_or(i64::MAX, Timestamp::as_millis);
                let since = since.map_or(0, Timestamp::as_millis);
                (sql!("{} {}", SELECT, OF_TIME), vec![since.into(), until.into()])
            }
            Some(KeysOf::Creator(creator)) => (sql!("{} {}", SELECT, OF_CREATOR), vec![creator.into()]),
            Some(KeysOf::Api(api)) => (sql!("{} {}", SELECT, OF_API), vec![api.as_str().into()]),
            None => match &self.selection.owner {
                Some(owner) => (
                    sql!("{} WHERE {} AND revoked_at IS NULL ORDER BY owner, id LIMIT $2", SELECT, OF_OWNER),
                    vec![owner.as_str().into()],
                ),
                None => (sql!("{} WHERE id > $1 AND revoked_at IS NULL ORDER BY id LIMIT $2", SELECT), Vec::new()),
            },
        };
        let limit = i64::try_from(PAGE).unwrap_or(i64::MAX);
        readable_page(tx, Page { kind: "key", sql, after: [after], limit, filter }, candidate).await
    }
}

/// Keys that are read at once.
const PAGE: usize = 500;

const SELECT: &str = "SELECT id, metadata, owner, created_at, created_by, revoked_at FROM api_keys";

fn candidate(row: &mut Row) -> Result<Candidate, TxError> {
    Ok(Candidate {
        id: row.parsed()?,
        metadata: row.json()?,
        owner: row.opt_parsed()?,
        created_at: row.time()?,
        created_by: row.opt_text()?,
        is_revoked: row.opt_time()?.is_some(),
    })
}
