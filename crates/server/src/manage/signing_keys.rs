//! Signing keys: listed, and rotated on schedule or by command.

use doorward_core::{
    clock::Timestamp,
    denial::Denial,
    id::SigningKeyId,
    jwk::{Algorithm, SigningKey},
    refusal::Refusal,
    signing::{self, KeyState, KeyTimes, RotationSchedule},
};
use doorward_store::{
    StoreError,
    idempotency::KeptAnswer,
    signing_keys::{AddSigningKey, ListSigningKeys, RemoveSigningKey, SigningKeyRecord, WithdrawSigningKey},
};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{ManageError, page::Page, times};
use crate::{
    actor::Actor,
    app::{App, signing_keys},
};

/// A signing key as it is shown: all but its private half.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = SigningKey)]
pub struct SigningKeyView {
    /// The key's id, as in tokens.
    pub kid: SigningKeyId,
    /// The one algorithm that it signs with.
    pub alg: Algorithm,
    /// Where in its life it is: `published` and not signing yet, `active`, `retired` and still published, or `gone`.
    #[schema(value_type = String)]
    pub state: &'static str,
    /// When it came into the JWKS.
    #[serde(serialize_with = "times::serialize")]
    pub published_at: Timestamp,
    /// From when it signs.
    #[serde(serialize_with = "times::serialize")]
    pub active_from: Timestamp,
    /// The public half, as in the JWKS.
    #[schema(value_type = Object)]
    pub jwk: Value,
}

impl SigningKeyView {
    /// Shows a key among all keys, which decide about its state.
    fn of(key: &SigningKeyRecord, all: &[KeyTimes], app: &App) -> Result<Self, ManageError> {
        let jwk = serde_json::from_str(&key.public_jwk);
        Ok(Self {
            kid: key.times.id.clone(),
            alg: key.times.algorithm,
            state: signing::state(&key.times, all, &app.settings.signing, app.now()).as_str(),
            published_at: key.times.published_at,
            active_from: key.times.active_from,
            jwk: jwk.map_err(|error| StoreError::Fault(format!("signing key {}: {error}", key.times.id)))?,
        })
    }
}

/// Every signing key, the newest last. They belong to no API and no owner: who is limited finds none.
pub async fn list(app: &App, actor: &Actor) -> Result<Vec<SigningKeyView>, ManageError> {
    if !actor.rights.are_unlimited() {
        return Ok(Vec::new());
    }
    let records = app.store.read(ListSigningKeys).await?;
    let times: Vec<_> = records.iter().map(|record| record.times.clone()).collect();
    records.iter().map(|record| SigningKeyView::of(record, &times, app)).collect()
}

/// A page of the signing keys, in the order of their ids. They are few, and read whole.
pub async fn page(
    app: &App,
    actor: &Actor,
    after: Option<SigningKeyId>,
    limit: usize,
) -> Result<Page<SigningKeyView, SigningKeyId>, ManageError> {
    let mut keys = list(app, actor).await?;
    keys.sort_by(|one, other| one.kid.cmp(&other.kid));
    keys.retain(|key| after.as_ref().is_none_or(|after| key.kid > *after));
    let has_more = keys.len() > limit;
    keys.truncate(limit);
    Ok(Page { next: keys.last().filter(|_| has_more).map(|key| key.kid.clone()), items: keys })
}

/// The signing key with this `kid`.
pub async fn show(app: &App, actor: &Actor, kid: &str) -> Result<SigningKeyView, ManageError> {
    let found = list(app, actor).await?.into_iter().find(|key| key.kid.as_str() == kid);
    found.ok_or_else(|| unknown(kid))
}

fn unknown(kid: &str) -> ManageError {
    ManageError::NotFound { kind: "signing key", name: kid.to_owned() }
}

/// Makes a successor for `algorithm`: published at once, signing as early as it may.
pub async fn rotate(app: &App, actor: &Actor, algorithm: Algorithm) -> Result<SigningKeyView, ManageError> {
    rotate_shown(app, actor, algorithm, |_| Ok(None)).await
}

/// The same, after `show` has noted the key, and keeps the answer that it returns. If that fails, nothing was changed.
pub async fn rotate_shown(
    app: &App,
    actor: &Actor,
    algorithm: Algorithm,
    show: impl FnOnce(&SigningKeyView) -> Result<Option<KeptAnswer>, ManageError>,
) -> Result<SigningKeyView, ManageError> {
    if !actor.rights.are_unlimited() {
        return Err(Refusal::new(Denial::RightsExceeded).fact("limits", "only who has none rotates keys").into());
    }
    if !app.snapshots.algorithms_in_use().contains(&algorithm) {
        let why = format!("nothing is signed with {algorithm}; choose it for an API or a client first");
        return Err(ManageError::invalid("alg", why));
    }
    let now = app.now();
    let schedule = &app.settings.signing;
    let records = app.store.read(ListSigningKeys).await?;
    let mut all: Vec<_> = records.into_iter().map(|record| record.times).collect();
    let waiting = || format!("{} keys for {algorithm} wait to sign already; withdraw one first", signing::MAX_WAITING);
    if !signing::may_add(algorithm, &all, now) {
        return Err(ManageError::Conflict(waiting()));
    }
    let operation = prepare(app, actor, algorithm, signing::earliest(algorithm, &all, schedule, now), None)?;
    all.push(operation.key.times.clone());
    let view = SigningKeyView::of(&operation.key, &all, app)?;
    let answer = show(&view)?;
    app.commit_kept(operation, answer).await.map_err(ManageError::conflict(waiting))?;
    Ok(view)
}

/// Withdraws a key that others may know: it leaves the JWKS, and what it signed is refused from now on. If it is the one
/// that signs, a successor signs at once. A key that may have signed something is refused unless that is confirmed.
pub async fn withdraw(app: &App, actor: &Actor, kid: &str, is_confirmed: bool) -> Result<(), ManageError> {
    let key = show(app, actor, kid).await?;
    if !is_confirmed && key.state != KeyState::Published.as_str() {
        let ends = json!({ "tokens_signed_by": key.kid });
        return Err(Refusal::new(Denial::ConfirmationRequired).extension("ends", ends).into());
    }
    let AddSigningKey { key: successor, .. } = prepare(app, actor, key.alg, app.now(), None)?;
    let operation = WithdrawSigningKey { id: key.kid, successor, now: app.now(), audit: app.audit(actor) };
    match app.commit(operation).await? {
        true => Ok(()),
        false => Err(unknown(kid)),
    }
}

/// Makes a key of `algorithm` if there is none, so that something can be signed with it from now on.
pub(crate) async fn ensure(app: &App, algorithm: Algorithm) -> Result<(), ManageError> {
    let (now, schedule) = (app.now(), app.settings.signing);
    if app.store.read(ListSigningKeys).await?.iter().any(|key| key.times.algorithm == algorithm) {
        return Ok(());
    }
    let operation = prepare(app, &Actor::default(), algorithm, now, Some(schedule))?;
    app.commit(operation).await?;
    Ok(())
}

/// Creates the keys that are due, for the algorithms in use, and deletes the retired ones. If the clock is not
/// plausible, it creates only the first key of an algorithm.
pub(crate) async fn rotate_due(app: &App) -> Result<(), ManageError> {
    let (now, schedule) = (app.now(), &app.settings.signing);
    let is_plausible = app.trusted_now().await?.is_some();
    let records = app.store.read(ListSigningKeys).await?;
    let times: Vec<_> = records.into_iter().map(|record| record.times).collect();
    for algorithm in app.snapshots.algorithms_in_use() {
        let has_one = times.iter().any(|times| times.algorithm == algorithm);
        if (is_plausible || !has_one)
            && let Some(active_from) = signing::due(algorithm, &times, schedule, now)
        {
            let operation = prepare(app, &Actor::default(), algorithm, active_from, Some(*schedule))?;
            app.commit(operation).await?;
        }
    }
    let is_gone = |key: &&KeyTimes| is_plausible && signing::state(key, &times, schedule, now) == KeyState::Gone;
    for key in times.iter().filter(is_gone) {
        let audit = app.audit(&Actor::default());
        app.commit(RemoveSigningKey { id: key.id.clone(), now, audit }).await?;
    }
    Ok(())
}

fn prepare(
    app: &App,
    actor: &Actor,
    algorithm: Algorithm,
    active_from: Timestamp,
    only_if_due: Option<RotationSchedule>,
) -> Result<AddSigningKey, ManageError> {
    let now = app.now();
    let id = SigningKeyId::new(now, &*app.rng);
    let key = SigningKey::generate(id.to_string(), algorithm, &*app.rng).map_err(|_| ManageError::Signing)?;
    let master_key = &app.master_keys[0];
    let pkcs8 = key.to_pkcs8().map_err(|_| ManageError::Signing)?;
    let from = jiff::Timestamp::from_second(active_from.as_secs()).unwrap_or(jiff::Timestamp::MAX);
    Ok(AddSigningKey {
        audit: app.audit(actor).with("active_from", from),
        key: SigningKeyRecord {
            sealed: signing_keys::seal(master_key, &id, &pkcs8, &*app.rng),
            sealed_under: master_key.id(),
            public_jwk: Value::Object(key.public_jwk()).to_string(),
            times: KeyTimes { id, algorithm, published_at: now, active_from, unused_since: None },
        },
        only_if_due,
        now,
    })
}
