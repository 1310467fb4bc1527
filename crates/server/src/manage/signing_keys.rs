//! Signing keys: listed, and rotated on schedule or by command.

use doorward_core::{
    clock::Timestamp,
    id::SigningKeyId,
    jwk::{Algorithm, SigningKey},
    signing::{self, KeyState, KeyTimes, RotationSchedule},
};
use doorward_store::{
    StoreError,
    signing_keys::{AddSigningKey, ListSigningKeys, RemoveSigningKey, SigningKeyRecord},
};
use serde::Serialize;
use serde_json::Value;

use super::{ManageError, times};
use crate::{
    actor::Actor,
    app::{App, signing_keys},
};

/// A signing key as it is shown: all but its private half.
#[derive(Clone, Debug, Serialize)]
pub struct SigningKeyView {
    /// The key's id, as in tokens.
    pub kid: SigningKeyId,
    /// The one algorithm that it signs with.
    pub alg: Algorithm,
    /// Where in its life it is.
    pub state: &'static str,
    /// When it came into the JWKS.
    #[serde(serialize_with = "times::serialize")]
    pub published_at: Timestamp,
    /// From when it signs.
    #[serde(serialize_with = "times::serialize")]
    pub active_from: Timestamp,
    /// The public half, as in the JWKS.
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

/// Every signing key, the newest last.
pub async fn list(app: &App) -> Result<Vec<SigningKeyView>, ManageError> {
    let records = app.store.read(ListSigningKeys).await?;
    let times: Vec<_> = records.iter().map(|record| record.times.clone()).collect();
    records.iter().map(|record| SigningKeyView::of(record, &times, app)).collect()
}

/// Makes a successor for `algorithm`: published at once, signing as early as it may.
pub async fn rotate(app: &App, actor: &Actor, algorithm: Algorithm) -> Result<SigningKeyView, ManageError> {
    if !app.snapshots.algorithms_in_use().contains(&algorithm) {
        let why = format!("nothing is signed with {algorithm}; choose it for an API or a client first");
        return Err(ManageError::Invalid { member: "algorithm", why });
    }
    let now = app.now();
    let schedule = &app.settings.signing;
    let records = app.store.read(ListSigningKeys).await?;
    let mut all: Vec<_> = records.into_iter().map(|record| record.times).collect();
    let operation = prepare(app, actor, algorithm, signing::earliest(algorithm, &all, schedule, now), None)?;
    all.push(operation.key.times.clone());
    let view = SigningKeyView::of(&operation.key, &all, app)?;
    app.commit(operation).await?;
    Ok(view)
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
            times: KeyTimes { id, algorithm, published_at: now, active_from },
        },
        only_if_due,
        now,
    })
}
