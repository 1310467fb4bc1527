//! The key service: it creates, lists, changes, revokes and verifies API keys.

use doorward_core::{
    api_key::{ApiKey, KeyMetadata},
    clock::Timestamp,
    holder::Owner,
    id::KeyId,
    rights::{Belongs, Power},
};
use doorward_store::keys::{FindShownKey, KeyRecord, ShownKey};

pub use doorward_core::new_api_key::Expiry;

pub(super) use self::update::prepare_update;
pub use self::{
    creation::{CreatedKey, NewKey, create, create_shown},
    ending::{KeyChange, change, disable, enable, revoke},
    list::{WhichKeys, list},
    rotation::{RotationRequest, rotate_shown},
    selection::{Conditions, CountOf, MOST as MOST_SELECTED, MatchingKeys, matching, revoke_matching},
    update::{KeySettings, update},
    usage::{UsageDays, UsageView, usage},
    view::{KeyState, KeyView, OldUseView, RotationView},
};
pub(crate) use self::{
    leak::{report_leak, report_leaks},
    notices::notice,
    rotation::{end_due, rotate_self},
};
use super::ManageError;
use crate::{actor::Actor, app::App};

mod creation;
mod ending;
mod leak;
mod list;
mod notices;
pub mod own;
mod rotation;
mod selection;
mod update;
mod usage;
mod view;

/// Whether somebody's rights reach a key.
pub(super) fn reaches(actor: &Actor, key: &KeyRecord) -> bool {
    actor.rights.reach(&Belongs { apis: key.metadata.apis.clone(), owner: key.owner.as_ref().map(Owner::as_str) })
}

/// The key with this id, or the key itself.
pub async fn show(app: &App, actor: &Actor, id: &str) -> Result<KeyView, ManageError> {
    let key = find_reached(app, actor, id).await?;
    let now = app.now();
    let mut view = KeyView::of(key, &super::apis::all(app).await?, now);
    view.show_what_is_left(app).await?;
    Ok(view)
}

async fn find_reached(app: &App, actor: &Actor, id: &str) -> Result<ShownKey, ManageError> {
    let found = find(app, id).await?;
    match reaches(actor, &found.key) {
        true => Ok(found),
        false => Err(ManageError::NotFound { kind: "key", name: shown(id) }),
    }
}

/// The same to be changed, which needs the rights that the key has itself.
async fn find_to_change(app: &App, actor: &Actor, id: &str) -> Result<ShownKey, ManageError> {
    let found = find_reached(app, actor, id).await?;
    actor.rights.check_covers(&power(&found.key.metadata, found.key.expires_at))?;
    Ok(found)
}

/// What a key could do at the management API.
fn power(metadata: &KeyMetadata, expires_at: Option<Timestamp>) -> Power {
    Power { expires_at, ..Power::of_key(metadata) }
}

pub(super) async fn find(app: &App, id: &str) -> Result<ShownKey, ManageError> {
    let not_found = || ManageError::NotFound { kind: "key", name: shown(id) };
    let id = match ApiKey::parse(id) {
        Some(key) => {
            let candidates = app.candidates(key.reveal());
            let found = app.store.read(doorward_store::keys::FindKeyByDigest { candidates }).await?;
            found.ok_or_else(not_found)?.id
        }
        None => KeyId::parse(id).map_err(|_| not_found())?,
    };
    app.store.read(FindShownKey { id }).await?.ok_or_else(not_found)
}

/// What was looked for, without showing a mistyped key.
fn shown(id: &str) -> String {
    match doorward_core::api_key::looks_like_key(id) {
        true => "(a key that is not known here)".to_owned(),
        false => id.chars().take(40).collect(),
    }
}
