//! Rotating a key: a successor that may do the same, and an end for the old key.

use doorward_core::{
    api_key::{ApiKey, KeyMetadata},
    denial::Denial,
    grant::audience::Apis,
    id::KeyId,
    key_policy::KeyPolicy,
    key_rotation::{self, Overlap, RotationRefused, RotationStep, successor_end},
    refusal::Refusal,
};
use doorward_store::{
    StoreError,
    idempotency::KeptAnswer,
    keys::{DueRotations, EndRotation, KeyRecord, KeyRotations, RotateKey, ShownKey},
};

use super::{CreatedKey, KeyView, creation::check_gives_roles, find_to_change, power};
use crate::{
    actor::Actor,
    app::App,
    manage::{ManageError, apis},
};

/// How a key is rotated.
#[derive(Clone, Copy, Debug, Default)]
pub struct RotationRequest {
    /// For how long both keys work at most, in seconds.
    pub overlap: Option<u64>,
    /// For how long the old key must be unused to end earlier, in seconds.
    pub quiet_for: Option<u64>,
    /// Whether a successor that nobody has used gets another secret.
    pub replace_unused: bool,
}

/// Gives a key, by its id or by the key itself, a successor, after `show` has printed it, and keeps the answer that `show`
/// returns. If that fails, nothing was changed. `check` may refuse what is shown of the key before.
pub async fn rotate_shown<E: From<ManageError>>(
    app: &App,
    actor: &Actor,
    id: &str,
    asked: RotationRequest,
    check: impl Fn(&KeyView) -> Result<(), ManageError>,
    show: impl FnOnce(&CreatedKey) -> Result<Option<KeptAnswer>, E>,
) -> Result<CreatedKey, E> {
    let (operation, created) = prepare(app, actor, id, asked, check).await?;
    let answer = show(&created)?;
    app.commit_kept(operation, answer).await.map_err(ManageError::conflict(changed_meanwhile))?;
    Ok(created)
}

pub(super) fn changed_meanwhile() -> String {
    "somebody else changed this key at the same time; look at it and try again".to_owned()
}

async fn prepare(
    app: &App,
    actor: &Actor,
    id: &str,
    asked: RotationRequest,
    check: impl Fn(&KeyView) -> Result<(), ManageError>,
) -> Result<(RotateKey, CreatedKey), ManageError> {
    let (from, apis) = (find_to_change(app, actor, id).await?, apis::all(app).await?);
    check(&KeyView::of(from.clone(), &apis, app.now()))?;
    let mut planned = Planned::of(app, actor, &from, asked, &apis)?;
    let record = &mut planned.record;
    record.expires_at = actor.rights.end_by_default(&power(&record.metadata, record.expires_at));
    actor.rights.check_gives(&power(&record.metadata, record.expires_at))?;
    check_gives_roles(actor, &record.roles, &apis)?;
    Ok(planned.finish(app, actor, from, &apis).await?)
}

/// The same for a key that asks for its own successor. Its rights are the key itself, which the policy of each of its APIs must
/// allow; the successor is bounded by their maximum lifetime, and not by the end of the key.
pub(crate) async fn rotate_self(
    app: &App,
    actor: &Actor,
    from: ShownKey,
    asked: RotationRequest,
    show: impl FnOnce(&CreatedKey) -> Result<Option<KeptAnswer>, ManageError>,
) -> Result<(), ManageError> {
    let apis = apis::all(app).await?;
    // Everybody who sees the page would replace the key of the page.
    let kind = from.key.metadata.kind;
    if !kind.rotates_itself() {
        let refusal = Refusal::new(Denial::SelfRotationForbidden).fact("key", &from.key.id);
        return Err(refusal.fact("kind", kind.as_str()).into());
    }
    // A leaked key would fetch one that nobody has reported.
    let is_leaked = from.key.leaked_at.is_some();
    if is_leaked || !may_rotate_itself(&from.key, &apis) {
        let refusal = Refusal::new(Denial::SelfRotationForbidden).fact("key", &from.key.id);
        return Err(if is_leaked { refusal.fact("reported", "leaked") } else { refusal }.into());
    }
    // A key that could begin the next rotation before its predecessor has ended could make any number of keys.
    if let Some(predecessor) = from.rotations.predecessor.as_ref().filter(|_| from.rotations.predecessor_is_open) {
        return Err(ManageError::Conflict(format!(
            "this key replaces {predecessor}, which has not ended; try again once it has"
        )));
    }
    let planned = Planned::of(app, actor, &from, asked, &apis)?;
    let (operation, created) = planned.finish(app, actor, from, &apis).await?;
    let answer = show(&created)?;
    app.commit_kept(operation, answer).await.map_err(ManageError::conflict(changed_meanwhile))
}

/// Whether the policies of the APIs of a key let it fetch its own successor. APIs that were deleted have no say.
pub(super) fn may_rotate_itself(key: &KeyRecord, apis: &Apis) -> bool {
    let living = key.metadata.apis.iter().filter_map(|id| apis.by_id(id));
    KeyPolicy::all_allow_self_rotation(living.map(|api| api.metadata.key_policy))
}

/// A rotation that the rules allow, before anybody's rights are looked at.
pub(super) struct Planned {
    key: ApiKey,
    record: KeyRecord,
    overlap: Overlap,
    replace_unused: bool,
}

impl Planned {
    pub(super) fn of(
        app: &App,
        actor: &Actor,
        from: &ShownKey,
        asked: RotationRequest,
        apis: &Apis,
    ) -> Result<Self, ManageError> {
        let now = app.now();
        let policy = policy_of(&from.key, apis);
        let overlap = policy.unwrap_or_default().overlap().requested(asked.overlap, asked.quiet_for)?;
        let successor = from.rotations.replaced.as_ref().map(|replaced| replaced.of(&from.key).successor);
        let step = key_rotation::rotate(&from.key.facts(), successor.as_ref(), asked.replace_unused, now);
        let step = step.map_err(|refused| refusal(refused, from))?;
        let (key, mut record) = successor_of(app, actor, from, apis)?;
        let end = match (step, &from.rotations.replaced) {
            (RotationStep::Reissue, Some(replaced)) => {
                record.id = replaced.successor.clone();
                record.created_at = replaced.successor_created_at;
                successor_end(now, replaced.successor_created_at, replaced.successor_expires_at)
            }
            // A key whose successor was revoked has a deadline, which is not the lifetime that it was created with.
            _ => successor_end(now, from.key.created_at, RotateKey::original_end(from)),
        };
        let latest = policy.and_then(|policy| policy.max_lifetime()).map(|most| now.plus(most));
        record.expires_at = [end, latest].into_iter().flatten().min();
        Ok(Self { key, record, overlap, replace_unused: asked.replace_unused })
    }

    pub(super) async fn finish(
        self,
        app: &App,
        actor: &Actor,
        from: ShownKey,
        apis: &Apis,
    ) -> Result<(RotateKey, CreatedKey), Refusal> {
        let Self { key, record, overlap, replace_unused } = self;
        let (predecessor, now) = (Some(from.key.id.clone()), app.now());
        let rotations = KeyRotations { predecessor, predecessor_is_open: true, ..KeyRotations::default() };
        let mut view = KeyView::of(ShownKey { key: record.clone(), rotations }, apis, now);
        view.show_what_is_left(app).await?;
        let operation = RotateKey {
            from: Box::new(from),
            replace_unused,
            successor: Box::new(record),
            overlap,
            now,
            audit: app.audit(actor),
            audit_of_successor: app.audit(actor),
        };
        Ok((operation, CreatedKey { key, view }))
    }
}

/// The policy of a key: the strictest of its APIs.
pub(super) fn policy_of(key: &KeyRecord, apis: &Apis) -> Option<KeyPolicy> {
    let apis = key.metadata.apis.iter().filter_map(|id| apis.by_id(id));
    KeyPolicy::strictest(apis.filter_map(|api| api.metadata.key_policy.as_ref()))
}

fn refusal(refused: RotationRefused, from: &ShownKey) -> ManageError {
    let successor = from.rotations.replaced.as_ref().map(|replaced| replaced.successor.to_string()).unwrap_or_default();
    ManageError::Conflict(match refused {
        RotationRefused::NotActive(Denial::KeyRevoked) => "this key is revoked: create another one".to_owned(),
        RotationRefused::NotActive(Denial::KeyExpired) => "this key has expired: create another one".to_owned(),
        RotationRefused::NotActive(Denial::KeyDisabled) => "this key is disabled: enable it first".to_owned(),
        RotationRefused::NotActive(_) => "the owner of this key is disabled or gone".to_owned(),
        RotationRefused::SuccessorInUse => format!("{successor} replaces this key and is in use: rotate that one"),
        RotationRefused::SuccessorUnused => format!(
            "{successor} replaces this key and has not been used; use it, or confirm with replace_unused that its secret \
             is replaced"
        ),
    })
}

/// A new key that may do what another one may do now: scopes and roles that were removed from their API stay out.
fn successor_of(
    app: &App,
    actor: &Actor,
    ShownKey { key, .. }: &ShownKey,
    apis: &Apis,
) -> Result<(ApiKey, KeyRecord), ManageError> {
    let now = app.now();
    let living = key.metadata.apis.iter().filter(|id| apis.by_id(id).is_some()).cloned().collect::<Vec<_>>();
    let first = living.first().and_then(|id| apis.by_id(id));
    let first = first.ok_or_else(|| ManageError::Conflict("the APIs of this key are deleted".to_owned()))?;
    let new =
        ApiKey::generate(&key.metadata.kind.prefix(&first.metadata.key_prefix), key.metadata.environment, &*app.rng);
    let scope = apis.living(&key.metadata.scope, key.scope_given_at);
    let scope_given_at = apis.given_again(&scope, now);
    let is_role = |(api, role): &&(_, _)| apis.by_id(api).is_some_and(|api| api.metadata.roles.contains(role));
    let record = KeyRecord {
        id: KeyId::new(now, &*app.rng),
        digest: app.peppers.digest(new.reveal()),
        hint: new.hint(),
        metadata: KeyMetadata {
            apis: living,
            scope,
            counted_as: Some(key.counted_as().clone()),
            ..key.metadata.clone()
        },
        owner: key.owner.clone(),
        roles: key.roles.iter().filter(is_role).cloned().collect(),
        created_at: now,
        created_by: actor.id.clone(),
        scope_given_at,
        expires_at: None,
        revoked_at: None,
        disabled_at: None,
        leaked_at: None,
        leak_source: None,
        last_used_at: None,
        last_used_address: None,
        owner_is_disabled: false,
        owner_is_deleted: false,
    };
    Ok((new, record))
}

/// The most rotations that one round looks at.
const MOST: i64 = 1_000;

/// Ends the old keys that nobody needs any more. Does nothing by a clock that is not plausible.
pub(crate) async fn end_due(app: &App) -> Result<(), StoreError> {
    let Some(now) = app.trusted_now().await? else { return Ok(()) };
    for id in app.store.read(DueRotations { now, limit: MOST }).await? {
        app.commit(EndRotation { id, now, audit: app.audit(&Actor::default()) }).await?;
    }
    Ok(())
}
