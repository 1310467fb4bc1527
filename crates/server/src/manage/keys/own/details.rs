//! What a user sees of an own key, and of own keys that leaked.

use std::time::Duration;

use doorward_core::{
    clock::Timestamp,
    holder::Owner,
    id::{KeyId, UserId},
    key_usage::DailyUse,
};
use doorward_store::keys::ListLeakedKeys;

use super::{
    SHOWN, find,
    rotation::{NoRotation, check},
    show,
};
use crate::{
    app::App,
    manage::{
        ManageError, apis,
        keys::{KeyView, usage::daily_uses},
    },
};

/// The days whose uses are shown.
const DAYS: u16 = 30;

/// For how long a key that has ended is listed among those that leaked.
const LEAKED_LATELY: Duration = Duration::from_secs(30 * 86_400);

/// An own key, with all that its page shows.
#[derive(Clone, Debug)]
pub struct OwnKeyDetails {
    /// The key.
    pub key: KeyView,
    /// How often it was used on each of the last days, the first one first.
    pub uses: Vec<DailyUse>,
    /// Why the user can't rotate it, if so.
    pub no_rotation: Option<NoRotation>,
    /// The key that replaces it, if it is the user's.
    pub successor: Option<KeyView>,
    /// The key that it replaces, if it is the user's.
    pub predecessor: Option<KeyView>,
    /// When it was rotated.
    pub rotated_at: Option<Timestamp>,
    /// For how long it must be unused to end before the deadline of its rotation.
    pub quiet_for: Option<Duration>,
}

/// An own key of the user, with all that its page shows.
pub async fn details(app: &App, user_id: &UserId, id: &KeyId) -> Result<OwnKeyDetails, ManageError> {
    let (found, apis) = (find(app, user_id, id).await?, apis::all(app).await?);
    let (now, rotations) = (app.now(), found.rotations.clone());
    let no_rotation = check(&found, &apis, now).err();
    let other = async |id: Option<&KeyId>| match id {
        None => Ok(None),
        Some(id) => match show(app, user_id, id).await {
            Err(ManageError::NotFound { .. }) => Ok(None),
            shown => shown.map(Some),
        },
    };
    Ok(OwnKeyDetails {
        uses: daily_uses(app, id, DAYS).await?,
        no_rotation,
        successor: other(rotations.replaced.as_ref().map(|replaced| &replaced.successor)).await?,
        predecessor: other(rotations.predecessor.as_ref()).await?,
        rotated_at: rotations.replaced.as_ref().map(|replaced| replaced.rotated_at),
        quiet_for: rotations.replaced.as_ref().map(|replaced| replaced.quiet_for),
        key: KeyView::of(found, &apis, now),
    })
}

/// The own keys of the user that leaked, the latest first: those that have not ended, and those that leaked lately.
pub async fn leaked(app: &App, user_id: &UserId) -> Result<Vec<KeyView>, ManageError> {
    let (owner, now) = (Owner::User(user_id.clone()), app.now());
    let list = ListLeakedKeys { owner, now, since: now.minus(LEAKED_LATELY), limit: SHOWN };
    let (keys, apis) = (app.store.read(list).await?, apis::all(app).await?);
    Ok(keys.into_iter().map(|key| KeyView::of(key, &apis, now)).collect())
}
