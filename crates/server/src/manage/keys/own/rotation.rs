//! Rotating a key by the user whom it belongs to.
//!
//! Easy to get wrong: an operator may have created a key for a user that the user could not create. If the user could rotate it,
//! it would never end. So such a key is rotated here only where its APIs let a key rotate itself.

use std::time::Duration;

use doorward_core::{
    clock::Timestamp,
    grant::audience::Apis,
    id::{KeyId, UserId},
    key_rotation,
    own_api_key::{could_be_created, overlaps},
    refusal::Mistake,
};
use doorward_store::keys::{OwnKeyRotation, RotateKey, RotateOwnKey, ShownKey};

use super::{find, show};
use crate::{
    actor::Actor,
    app::App,
    manage::{
        ManageError, apis,
        keys::{
            CreatedKey, KeyView, RotationRequest,
            rotation::{Planned, changed_meanwhile, may_rotate_itself, policy_of},
        },
    },
};

/// A rotation that a user wants.
#[derive(Clone, Debug)]
pub struct OwnRotation {
    /// The id of the successor, from [`new_id`](super::new_id): the same for a form that is sent twice.
    pub successor: KeyId,
    /// For how long both keys work at most: one that is offered.
    pub overlap: Duration,
}

/// What became of a rotation that a user wanted.
pub enum OwnSuccessor {
    /// The same form was sent before: the successor exists, and was shown then.
    Before(Box<KeyView>),
    /// The successor was created, and is shown this once.
    Created(Box<CreatedKey>),
    /// The key can't be rotated.
    Refused(NoRotation),
}

/// Why a user can't rotate a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NoRotation {
    /// It has a successor that has not ended.
    HasSuccessor(KeyId),
    /// It can't be used itself.
    NotActive,
    /// It may do more than users may give to a key, and its APIs do not let it rotate itself.
    NotForUsers,
    /// It replaces a key that has not ended. Otherwise a user could create any number of keys.
    PredecessorIsOpen(KeyId),
}

/// How a user may rotate a key.
#[derive(Clone, Debug)]
pub struct RotationOffer {
    /// The key.
    pub key: KeyView,
    /// The overlaps to choose from, the shortest first.
    pub overlaps: Vec<Duration>,
    /// The overlap of the key's APIs.
    pub overlap: Duration,
    /// For how long the key must be unused to end earlier.
    pub quiet_for: Duration,
}

/// How a user may rotate an own key, or why not.
pub async fn offer_rotation(
    app: &App,
    user_id: &UserId,
    id: &KeyId,
) -> Result<Result<RotationOffer, NoRotation>, ManageError> {
    let (found, apis) = (find(app, user_id, id).await?, apis::all(app).await?);
    let now = app.now();
    Ok(check(&found, &apis, now).map(|()| {
        let by_policy = policy_of(&found.key, &apis).unwrap_or_default().overlap();
        RotationOffer {
            key: KeyView::of(found, &apis, now),
            overlaps: overlaps(by_policy.at_most),
            overlap: by_policy.at_most,
            quiet_for: by_policy.quiet_for,
        }
    }))
}

/// Gives an own key of the user, whom `actor` is, a successor.
pub async fn rotate(
    app: &App,
    actor: &Actor,
    user_id: &UserId,
    id: &KeyId,
    asked: &OwnRotation,
) -> Result<OwnSuccessor, ManageError> {
    match show(app, user_id, &asked.successor).await {
        Err(ManageError::NotFound { .. }) => {}
        known => return Ok(OwnSuccessor::Before(Box::new(known?))),
    }
    let offer = match offer_rotation(app, user_id, id).await? {
        Ok(offer) => offer,
        Err(refused) => return Ok(OwnSuccessor::Refused(refused)),
    };
    if !offer.overlaps.contains(&asked.overlap) {
        return Err(vec![Mistake::at("overlap", "choose one of those that are offered")].into());
    }
    let (from, apis) = (find(app, user_id, id).await?, apis::all(app).await?);
    let request = RotationRequest { overlap: Some(asked.overlap.as_secs()), ..RotationRequest::default() };
    let planned = Planned::of(app, actor, &from, request, &apis)?;
    let (mut rotate, mut created) = planned.finish(app, actor, from, &apis).await?;
    rotate.successor.id = asked.successor.clone();
    created.view.id = asked.successor.clone();
    match app.commit(RotateOwnKey { rotate }).await.map_err(ManageError::conflict(changed_meanwhile))? {
        OwnKeyRotation::Rotated => Ok(OwnSuccessor::Created(Box::new(created))),
        OwnKeyRotation::Before => Ok(OwnSuccessor::Before(Box::new(show(app, user_id, &asked.successor).await?))),
    }
}

/// Refuses to rotate a key that the user may not rotate at `now`.
pub(super) fn check(found: &ShownKey, apis: &Apis, now: Timestamp) -> Result<(), NoRotation> {
    let ShownKey { key, rotations } = found;
    let living = || key.metadata.apis.iter().filter_map(|id| apis.by_id(id));
    if key.facts().check(now).is_err() || living().next().is_none() {
        return Err(NoRotation::NotActive);
    }
    let replaced = rotations.replaced.as_ref();
    let successor = replaced.map(|replaced| replaced.of(key).successor);
    if let (Err(_), Some(replaced)) = (key_rotation::rotate(&key.facts(), successor.as_ref(), false, now), replaced) {
        return Err(NoRotation::HasSuccessor(replaced.successor.clone()));
    }
    if let Some(predecessor) = rotations.predecessor.as_ref().filter(|_| rotations.predecessor_is_open) {
        return Err(NoRotation::PredecessorIsOpen(predecessor.clone()));
    }
    let lifetime = RotateKey::original_end(found).map(|end| end.since(key.created_at));
    let could_be = living().any(|api| could_be_created(&key.metadata, !key.roles.is_empty(), lifetime, api));
    match could_be || may_rotate_itself(key, apis) {
        true => Ok(()),
        false => Err(NoRotation::NotForUsers),
    }
}
