//! Keys a page at a time, filtered.
//!
//! The store walks the keys of an owner, of a creator, of an API or of a time, or those that are revoked or not, by an index. The
//! other filters look at what it finds: one page looks at a bounded number of keys, and may have few entries while more
//! follow.

use std::time::Duration;

use doorward_core::{
    clock::Timestamp, id::KeyId, key_selection::KeySelection, new_api_key::MAX_LIFETIME, refusal::Mistake, scope::Scope,
};
use doorward_store::keys::{KeyFilter, KeyRecord, KeysOf, ListDueKeys, ListKeys, ListKeysOf, ListShownKeys, ShownKey};

use super::{KeyView, reaches, view::KeyState};
use crate::{
    actor::Actor,
    app::App,
    manage::{
        ManageError, apis, holders,
        page::{Page, page},
    },
};

/// Which keys are listed. Each filter that is given leaves fewer.
#[derive(Clone, Debug, Default)]
pub struct WhichKeys {
    /// Only those of this owner: a client's id, a user's id, `user:NAME`, or the API's own id of a customer.
    pub owner: Option<String>,
    /// Only those that were revoked, or only those that were not.
    pub revoked: Option<bool>,
    /// Only those for this API, by name, id or identifier.
    pub api: Option<String>,
    /// Only those with this scope.
    pub scope: Option<Scope>,
    /// Only those that this user, client, key or person at the command line created: as the audit has it.
    pub created_by: Option<String>,
    /// Only those that were created then or later.
    pub created_since: Option<Timestamp>,
    /// Only those that were created before then.
    pub created_until: Option<Timestamp>,
    /// Only those in this state.
    pub state: Option<KeyState>,
    /// Only those that were not used for this time, and existed that long.
    pub unused_for: Option<Duration>,
    /// Only those that can be used and expire within this time.
    pub expires_within: Option<Duration>,
    /// Only those that are due for rotation.
    pub rotation_due: bool,
}

/// A page of the keys, in the order of their creation.
pub async fn list(
    app: &App,
    actor: &Actor,
    which: WhichKeys,
    after: Option<KeyId>,
    limit: usize,
) -> Result<Page<KeyView, KeyId>, ManageError> {
    let owner = match &which.owner {
        Some(name) => match holders::owner(app, name).await {
            Ok(owner) => Some(owner),
            // What is not there has no keys.
            Err(ManageError::NotFound { .. }) => return Ok(Page { items: Vec::new(), next: None }),
            Err(error) => return Err(error),
        },
        None => None,
    };
    which.check_times()?;
    let (known, now) = (apis::all(app).await?, app.now());
    let api = match which.api.as_deref().map(|name| apis::named(&known, name)) {
        Some(Ok(api)) => Some(api.clone()),
        Some(Err(ManageError::NotFound { .. })) => return Ok(Page { items: Vec::new(), next: None }),
        Some(Err(error)) => return Err(error),
        None => None,
    };
    let revoked = match (which.revoked, which.state) {
        (Some(revoked), Some(state)) if revoked != (state == KeyState::Revoked) => {
            return Err(vec![Mistake::at("state", "contradicts revoked")].into());
        }
        (revoked, state) => revoked.or(state.map(|state| state == KeyState::Revoked)),
    };
    let selection = KeySelection {
        owner,
        api: api.map(|api| api.id.clone()),
        scope: None,
        created_by: which.created_by.clone(),
        created_since: which.created_since,
        created_until: which.created_until,
    };
    let walk = match KeysOf::selection(&selection) {
        _ if which.rotation_due => Walk::Due,
        Some(of) => Walk::Of(of),
        None => Walk::Filter(KeyFilter { owner: selection.owner.clone(), revoked }),
    };
    let read = |after, limit| {
        let walk = walk.clone();
        async move {
            Ok(match walk {
                Walk::Due => app.store.read(ListDueKeys { after, limit }).await?,
                Walk::Filter(filter) => app.store.read(ListShownKeys(ListKeys { filter, after, limit })).await?,
                Walk::Of(of) => app.store.read(ListKeysOf { of, after, limit }).await?,
            })
        }
    };
    let show = |found: ShownKey| {
        let key = &found.key;
        let is_meant = reaches(actor, key)
            && selection.includes(key.selected())
            && revoked.is_none_or(|revoked| revoked == key.revoked_at.is_some())
            && is_unused(key, which.unused_for, now);
        let view = is_meant.then(|| KeyView::of(found, &known, now))?;
        which.mean(&view, now).then_some(view)
    };
    let mut page = page(after, limit, read, |found: &ShownKey| found.key.id.clone(), show).await?;
    KeyView::show_what_is_left_of(&mut page.items, app).await?;
    Ok(page)
}

/// How the store finds the keys.
#[derive(Clone)]
enum Walk {
    /// Those that are due for rotation have an index of their own, and are few.
    Due,
    Filter(KeyFilter),
    Of(KeysOf),
}

/// Whether a key was not used for this time.
fn is_unused(key: &KeyRecord, time: Option<Duration>, now: Timestamp) -> bool {
    time.is_none_or(|time| key.last_used_at.unwrap_or(key.created_at) <= now.minus(time))
}

impl WhichKeys {
    /// Refuses times that are longer than any key lives.
    fn check_times(&self) -> Result<(), ManageError> {
        let times = [("unused_for", self.unused_for), ("expires_within", self.expires_within)];
        let is_too_long = |(_, time): &(&str, Option<Duration>)| time.is_some_and(|time| time > MAX_LIFETIME);
        let mistakes =
            times.into_iter().filter(is_too_long).map(|(name, _)| Mistake::at(name, "at most a hundred years"));
        Ok(Mistake::none(mistakes.collect())?)
    }

    fn mean(&self, key: &KeyView, now: Timestamp) -> bool {
        let has_scope = self.scope.as_ref().is_none_or(|scope| key.scopes.contains(scope));
        let is_in_state = self.state.is_none_or(|state| key.state == state);
        let is_due = key.rotation.as_ref().is_some_and(|rotation| rotation.due_since.is_some());
        has_scope
            && is_in_state
            && (is_due || !self.rotation_due)
            && self.expires_within.is_none_or(|time| ends_soon(key, now.plus(time)))
    }
}

/// Whether a key that can be used ends until then.
fn ends_soon(key: &KeyView, until: Timestamp) -> bool {
    key.state == KeyState::Active && key.expires_at.is_some_and(|at| at <= until)
}
