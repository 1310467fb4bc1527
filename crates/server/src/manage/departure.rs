//! What becomes of the keys of a user or client that is disabled: they are refused meanwhile, revoked, or handed over.

use doorward_core::{
    denial::Denial,
    holder::Owner,
    refusal::{Mistake, Refusal},
};
use doorward_store::{
    ChangesOne, IfUnchanged, StoreError, Updated,
    clients::FindClient,
    keys::{KeysOfLeaver, Leave, Leaves, Selected, select_keys_of_leaver},
    users::FindUser,
    uses::{Count, Uses},
};

use super::{ManageError, holders::Named, keys::MOST_SELECTED};
use crate::{actor::Actor, app::App};

/// What becomes of the keys of somebody who is disabled.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Departure {
    /// They are refused until the owner is enabled again.
    #[default]
    KeepKeys,
    /// They are revoked for good.
    RevokeKeys,
    /// They belong to this owner from now on, and go on to work: a client's id, a user's id, `user:NAME`, or the API's own id of a
    /// customer.
    HandOverTo(String),
}

/// What disabling would end, and all that its user or client holds.
#[derive(Clone, Copy, Debug)]
pub struct Disabling {
    /// What ends for good.
    pub ends: Uses,
    /// What there is. What does not end is refused, or belongs to the new owner of the keys.
    pub holds: Uses,
}

/// A departure that the rules and the caller's rights allow.
#[derive(Clone, Default)]
pub(super) struct Planned {
    /// What becomes of the keys, if anything.
    keys: Option<KeysOfLeaver>,
    /// How many keys end.
    ending: usize,
}

impl Planned {
    /// Checks that the caller may do this with every key of the leaver.
    pub(super) async fn of(app: &App, actor: &Actor, leaver: &Owner, asked: &Departure) -> Result<Self, ManageError> {
        let keys = match asked {
            Departure::KeepKeys => return Ok(Self::default()),
            Departure::RevokeKeys => KeysOfLeaver::Revoke,
            Departure::HandOverTo(name) => KeysOfLeaver::HandOver(new_owner(app, actor, leaver, name).await?),
        };
        let select = select_keys_of_leaver(leaver.clone(), actor.rights.clone(), MOST_SELECTED);
        match app.store.read(select).await? {
            Selected::All { keys: found, beyond_rights: 0 } => {
                let ending = if keys == KeysOfLeaver::Revoke { found.len() } else { 0 };
                Ok(Self { keys: Some(keys), ending })
            }
            Selected::All { .. } => {
                Err(Refusal::new(Denial::RightsExceeded).fact("keys", "with rights that the caller lacks").into())
            }
            Selected::TooMany { .. } => Err(ManageError::invalid(
                "keys",
                format!("more than {MOST_SELECTED} keys: revoke some of them before, by the time of their creation"),
            )),
        }
    }

    /// What ends, where disabling itself ends these.
    pub(super) fn ends(&self, by_itself: Uses) -> Uses {
        match self.ending {
            0 => by_itself,
            number => Uses { keys: Count { number, is_more: false }, ..by_itself },
        }
    }

    /// Commits the change that disables with what becomes of the keys.
    pub(super) async fn commit<C: Leaves>(
        self,
        app: &App,
        actor: &Actor,
        from: <C as ChangesOne>::Seen,
        change: C,
    ) -> Result<Updated, ManageError> {
        let changed_meanwhile = || "the keys, or their new owner, were changed at the same time; try again".to_owned();
        match self.keys {
            None => Ok(app.commit(IfUnchanged { from, change }).await?),
            Some(keys) => {
                let change = Leave { change, keys, rights: actor.rights.clone(), most: MOST_SELECTED };
                let committed: Result<Updated, StoreError> = app.commit(IfUnchanged { from, change }).await;
                committed.map_err(ManageError::conflict(changed_meanwhile))
            }
        }
    }
}

/// The new owner of keys, whom the caller must reach: somebody else, who is not disabled.
async fn new_owner(app: &App, actor: &Actor, leaver: &Owner, name: &str) -> Result<Owner, ManageError> {
    let at = |why: String| Mistake::at("hand_over_to", why).within("keys");
    let mut named = Named::new(app, actor).await?;
    let owner = named.owner(name, at).await?;
    named.finish()?;
    let owner = owner.ok_or_else(|| super::users::unknown(name))?;
    let is_disabled = match &owner {
        Owner::Client(id) => {
            let found = app.store.read(FindClient { id: id.clone() }).await?;
            found.is_none_or(|client| client.disabled_at.is_some())
        }
        Owner::User(id) => {
            let found = app.store.read(FindUser::ById(id.clone())).await?;
            found.is_none_or(|user| user.disabled_at.is_some())
        }
        Owner::External(_) => false,
    };
    match (owner == *leaver, is_disabled) {
        (true, _) => Err(vec![at("is the owner that is disabled".to_owned())].into()),
        (false, true) => Err(vec![at("is disabled, so the keys would be refused".to_owned())].into()),
        (false, false) => Ok(owner),
    }
}
