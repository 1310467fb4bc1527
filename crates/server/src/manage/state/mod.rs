//! The state that an operator declares in a file: compared with what exists, and applied as one change.
//!
//! Easy to get wrong: between comparing and committing, others change things. Each change names what it started from; if
//! that is not there any more, nothing is changed and everything is compared again.

mod changes;
mod document;
mod export;
mod present;
mod view;

use doorward_core::{denial::Denial, desired_state::DesiredState, refusal::Mistake, state_plan::plan};
use doorward_store::{StoreError, together::Together};

pub use self::{
    document::read,
    export::export,
    view::{ChangeView, MemberChange},
};
use super::{ManageError, attempts::until_done, signing_keys};
use crate::{actor::Actor, app::App};

/// How a desired state is applied.
#[derive(Clone, Copy, Debug, Default)]
pub struct How {
    /// Whether what ends something in use is done.
    pub is_confirmed: bool,
    /// Whether nothing is changed, and the changes are only shown.
    pub is_dry_run: bool,
    /// Whether what is not in the state is deleted, of the kinds of things that it has.
    pub prunes: bool,
    /// Whether roles and settings of users, clients and keys that do not exist are left out.
    pub skips_missing: bool,
}

/// What was compared, and done or not.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The changes, in their order.
    pub changes: Vec<ChangeView>,
    /// What was left out: roles and settings of what does not exist, each in a sentence.
    pub skipped: Vec<String>,
    /// What became of the changes.
    pub state: OutcomeState,
}

/// What became of the changes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OutcomeState {
    /// They were applied; also if there were none.
    Applied,
    /// They were only shown.
    Shown,
    /// Nothing was changed: they end something in use, and nobody confirmed that.
    Unconfirmed,
}

/// Applies a desired state, whole or not at all.
pub async fn apply(app: &App, actor: &Actor, desired: &DesiredState, how: How) -> Result<Outcome, ManageError> {
    check_unlimited(actor)?;
    if desired.len() > Together::MOST {
        let why = format!("names more than {} things: use several files", Together::MOST);
        return Err(ManageError::Mistakes(vec![Mistake::in_place("the state".to_owned(), why)]));
    }
    until_done("the same things", || async {
        let (mut desired, mut skipped) = (desired.clone(), Vec::new());
        let planned_at = app.store.position().await?;
        let now = app.now();
        let present = present::read(app, &mut desired, how, &mut skipped).await?;
        let planned = plan(&desired, &present, how.prunes, now, &*app.rng);
        let changes::Prepared { steps, algorithms, mut views } = changes::prepare(app, actor, planned, now).await?;
        if steps.len() > Together::MOST {
            let why = format!("{} changes at once, and {} at most are possible", steps.len(), Together::MOST);
            return Err(ManageError::Conflict(why));
        }
        let state = match views.iter().any(|view| view.ends.is_some()) {
            _ if how.is_dry_run => OutcomeState::Shown,
            true if !how.is_confirmed => OutcomeState::Unconfirmed,
            _ => OutcomeState::Applied,
        };
        if state != OutcomeState::Applied {
            views.iter_mut().for_each(ChangeView::forget_drawn_ids);
            return Ok(Some(Outcome { changes: views, skipped, state }));
        }
        if steps.is_empty() {
            return Ok(Some(Outcome { changes: views, skipped, state }));
        }
        // A key that nothing is signed with yet is no change of the state.
        for algorithm in algorithms {
            signing_keys::ensure(app, algorithm).await?;
        }
        match app.commit(Together { planned_at, steps }).await {
            Ok(()) => Ok(Some(Outcome { changes: views, skipped, state })),
            Err(StoreError::Conflict) => Ok(None),
            Err(error) => Err(error.into()),
        }
    })
    .await
}

/// The state is about every API and owner, so limited callers neither read nor apply it.
fn check_unlimited(actor: &Actor) -> Result<(), ManageError> {
    match actor.rights.are_unlimited() {
        true => Ok(()),
        false => Err(doorward_core::refusal::Refusal::from(Denial::RightsExceeded).into()),
    }
}
