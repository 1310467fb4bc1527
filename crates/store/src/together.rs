//! Several changes as one: all of them, or none.
//!
//! Easy to get wrong: a step that does not find what it started from must roll the earlier ones back. So it is an error
//! here, where for a single change it is an outcome.

use crate::{
    apis::{CreateApi, DeleteApi, UpdateApi},
    changes::hold_changes,
    clients::{ChangeClient, CreateClient, UpdateClient},
    keys::UpdateKey,
    record::Updated,
    roles::ChangeRole,
    tx::{Operation, Tx, TxError, Urgency},
};

/// One of several changes.
#[derive(Clone, Debug)]
pub enum Step {
    /// Disables, enables or deletes a client.
    ChangeClient(ChangeClient),
    /// Grants or withdraws a role.
    ChangeRole(ChangeRole),
    /// Creates an API.
    CreateApi(Box<CreateApi>),
    /// Creates a client.
    CreateClient(Box<CreateClient>),
    /// Deletes an API.
    DeleteApi(DeleteApi),
    /// Changes an API.
    UpdateApi(Box<UpdateApi>),
    /// Changes a client.
    UpdateClient(Box<UpdateClient>),
    /// Changes a key.
    UpdateKey(Box<UpdateKey>),
}

/// Changes in their order, in one transaction. [`TxError::Conflict`], and nothing is changed, if something is not as a
/// change expects it. The caller plans again.
#[derive(Clone, Debug)]
pub struct Together {
    /// The position of the log of changes when what the changes start from was read. A change of an API, a client or a key
    /// since then is a conflict: a name that was free may be taken.
    pub planned_at: i64,
    /// The changes: at most [`Together::MOST`].
    pub steps: Vec<Step>,
}

impl Together {
    /// The maximum number of changes in one transaction.
    pub const MOST: usize = 1_000;
}

impl Operation for Together {
    type Output = ();

    const URGENCY: Urgency = Urgency::Patient;

    async fn run(&self, tx: &mut impl Tx) -> Result<(), TxError> {
        if self.steps.len() > Self::MOST {
            return Err(TxError::Defect("too many changes in one transaction".to_owned()));
        }
        hold_changes(tx).await?;
        let since =
            "SELECT 1 AS found FROM changes WHERE position > $1 AND kind IN ('api', 'client', 'key', 'keys') LIMIT 1";
        if tx.query_opt(since, &[self.planned_at.into()]).await?.is_some() {
            return Err(TxError::Conflict);
        }
        for step in &self.steps {
            let is_done = match step {
                Step::ChangeClient(change) => change.run(tx).await?,
                // A role that somebody else granted or withdrew meanwhile is as it should be.
                Step::ChangeRole(change) => change.run(tx).await.map(|_| true)?,
                Step::CreateApi(create) => create.run(tx).await.map(|()| true)?,
                Step::CreateClient(create) => create.run(tx).await.map(|()| true)?,
                Step::DeleteApi(delete) => delete.run(tx).await?,
                Step::UpdateApi(update) => update.run(tx).await? == Updated::Done,
                Step::UpdateClient(update) => update.run(tx).await? == Updated::Done,
                Step::UpdateKey(update) => update.run(tx).await? == Updated::Done,
            };
            if !is_done {
                return Err(TxError::Conflict);
            }
        }
        Ok(())
    }
}
