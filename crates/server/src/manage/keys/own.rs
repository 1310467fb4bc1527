//! Keys that users make, see, rename, rotate and revoke themselves.
//!
//! Easy to get wrong: a user has no rights at the management API, and needs none here. What counts instead is checked
//! first, in each function: that the key is the user's own, or that the API lets users make such a key. A key of
//! somebody else is answered as one that does not exist.

use std::{sync::Arc, time::Duration};

use doorward_core::{
    api::Api,
    api_key::Environment,
    denial::Denial,
    holder::Owner,
    id::{KeyId, UserId},
    json::Map,
    key_kind::KeyKind,
    new_api_key::Expiry,
    own_api_key::OwnApiKey,
    refusal::{Mistake, Refusal},
    rights::Rights,
    scope::ScopeSet,
};
use doorward_store::keys::{CreateOwnKey, FindShownKey, ListNewestKeys, OwnKeyCreation, ShownKey};

use super::{
    KeySettings, KeyView,
    creation::{CreatedKey, NewKey, prepare},
};
use crate::{
    actor::Actor,
    app::App,
    manage::{ManageError, apis},
};

mod details;
mod rotation;

pub use self::{
    details::{OwnKeyDetails, details, leaked},
    rotation::{NoRotation, OwnRotation, OwnSuccessor, RotationOffer, offer_rotation, rotate},
};

/// The most keys that a user is shown. An operator may have made more for the user than the user may make.
const SHOWN: i64 = 200;

/// A key that a user wants.
#[derive(Clone, Debug)]
pub struct NewOwnKey {
    /// Its id, from [`new_id`]: the same for a form that is sent twice.
    pub id: KeyId,
    /// Its name, for people.
    pub name: String,
    /// The API that it is for, by name.
    pub api: String,
    /// What it may be used for.
    pub scopes: ScopeSet,
    /// How long it lives: one of [`LIFETIMES`](doorward_core::own_api_key::LIFETIMES).
    pub lifetime: Duration,
}

/// What became of a key that a user wanted.
pub enum OwnKey {
    /// It was created, and is shown this once.
    Created(Box<CreatedKey>),
    /// The same form was sent before: the key exists, and was shown then.
    Before(Box<KeyView>),
    /// The user has as many keys as may be.
    TooMany,
}

/// The id of a key that may be created.
pub fn new_id(app: &App) -> KeyId {
    KeyId::new(app.now(), &*app.rng)
}

/// The APIs for which users may make keys, by name.
pub fn open_apis(app: &App) -> Vec<Arc<Api>> {
    let apis = app.snapshots.apis();
    let is_open = |api: &&Arc<Api>| !api.metadata.user_key_scopes.is_empty();
    let mut open: Vec<_> = apis.iter().filter(is_open).cloned().collect();
    open.sort_by(|one, other| one.metadata.name.cmp(&other.metadata.name));
    open
}

/// The user's keys that are not revoked, newest first.
pub async fn list(app: &App, user_id: &UserId) -> Result<Vec<KeyView>, ManageError> {
    let list = ListNewestKeys { owner: Owner::User(user_id.clone()), limit: SHOWN };
    let (keys, apis) = (app.store.read(list).await?, apis::all(app).await?);
    let now = app.now();
    Ok(keys.into_iter().map(|key| KeyView::of(key, &apis, now)).collect())
}

/// A key of the user.
pub async fn show(app: &App, user_id: &UserId, id: &KeyId) -> Result<KeyView, ManageError> {
    let key = find(app, user_id, id).await?;
    Ok(KeyView::of(key, &apis::all(app).await?, app.now()))
}

/// Creates a key for the user, whom `actor` is.
pub async fn create(app: &App, actor: &Actor, user_id: &UserId, new: NewOwnKey) -> Result<OwnKey, ManageError> {
    let known = apis::all(app).await?;
    let api = known.by_name(&new.api).ok_or_else(|| vec![Mistake::at("api", apis::unknown(&new.api))])?;
    OwnApiKey { api, scope: &new.scopes, lifetime: new.lifetime }.check()?;
    let asked = NewKey {
        name: new.name,
        apis: vec![new.api],
        scopes: new.scopes,
        roles: Vec::new(),
        owner: Some(user_id.to_string()),
        limited_to: Vec::new(),
        limited_to_owners: Vec::new(),
        kind: KeyKind::Secret,
        environment: Environment::Live,
        expiry: Expiry::After(new.lifetime),
        metadata: Map::new(),
        allowed_addresses: Vec::new(),
        allowed_origins: Vec::new(),
        rate_limit: None,
        quota: None,
        uses: None,
    };
    let (mut operation, mut created) = prepare(app, &allowed(actor), asked).await?;
    operation.key.id = new.id.clone();
    created.view.id = new.id.clone();
    let most = app.settings.limits.keys_per_user;
    match app.commit(CreateOwnKey { create: operation, user_id: user_id.clone(), most }).await? {
        OwnKeyCreation::Created => Ok(OwnKey::Created(Box::new(created))),
        OwnKeyCreation::Before => Ok(OwnKey::Before(Box::new(show(app, user_id, &new.id).await?))),
        OwnKeyCreation::TooMany => Ok(OwnKey::TooMany),
        OwnKeyCreation::UserDisabled => Err(Refusal::new(Denial::FormExpired).fact("user", user_id).into()),
    }
}

/// Gives a key of the user another name.
pub async fn rename(
    app: &App,
    actor: &Actor,
    user_id: &UserId,
    id: &KeyId,
    name: &str,
) -> Result<KeyView, ManageError> {
    find(app, user_id, id).await?;
    let edit = |key: &KeyView| Ok(KeySettings { name: name.to_owned(), ..KeySettings::of(key) });
    super::update(app, &allowed(actor), id.as_str(), edit).await
}

/// Revokes a key of the user for good.
pub async fn revoke(app: &App, actor: &Actor, user_id: &UserId, id: &KeyId) -> Result<(), ManageError> {
    find(app, user_id, id).await?;
    super::revoke(app, &allowed(actor), id.as_str()).await.map(drop)
}

async fn find(app: &App, user_id: &UserId, id: &KeyId) -> Result<ShownKey, ManageError> {
    let found = app.store.read(FindShownKey { id: id.clone() }).await?;
    let own = found.filter(|found| found.key.owner.as_ref().is_some_and(|owner| owner.as_str() == user_id.as_str()));
    own.ok_or_else(|| ManageError::NotFound { kind: "key", name: id.to_string() })
}

/// The same actor, once it is certain that the user may do this.
fn allowed(actor: &Actor) -> Actor {
    Actor { rights: Rights::All, ..actor.clone() }
}
