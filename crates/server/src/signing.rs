//! Signing keys: opened from their seals, published as a JWK set, rotated on schedule or by command.

use std::{collections::BTreeMap, sync::Arc};

use doorward_core::{
    clock::Timestamp,
    denial::Denial,
    digest::MasterKey,
    id::SigningKeyId,
    jwk::{Algorithm, KeySet, SigningKey, VerifyingKey},
    refusal::Refusal,
    seal,
    signing::{self, KeyState, KeyTimes, RotationSchedule},
};
use doorward_store::signing_keys::{AddSigningKey, ListSigningKeys, RemoveSigningKey, SigningKeyRecord};
use serde_json::{Map, Value, json};

use crate::{
    admin::AdminError,
    app::{Actor, App, Details, OpenError},
};

/// Every signing key of the store, opened.
#[derive(Default)]
pub(crate) struct SigningKeys {
    keys: BTreeMap<SigningKeyId, Arc<SigningKey>>,
    times: Vec<KeyTimes>,
    public: Vec<(KeyTimes, Map<String, Value>)>,
    verifying: Arc<KeySet>,
}

impl SigningKeys {
    pub(crate) fn open(records: Vec<SigningKeyRecord>, master_keys: &[MasterKey]) -> Result<Self, OpenError> {
        let mut opened = Self::default();
        let mut verifying = Vec::new();
        for record in records {
            let id = record.times.id.clone();
            let broken = || OpenError::MasterKey(id.to_string(), record.sealed_under.clone());
            let master_key = master_keys.iter().find(|key| key.id() == record.sealed_under).ok_or_else(broken)?;
            let pkcs8 = seal::open(&sealing_key(master_key), &context(&id), &record.sealed).map_err(|_| broken())?;
            let key = SigningKey::from_pkcs8(id.to_string(), record.times.algorithm, &pkcs8).map_err(|_| broken())?;
            verifying.extend(VerifyingKey::parse(&key.public_jwk()));
            opened.public.push((record.times.clone(), key.public_jwk()));
            opened.times.push(record.times);
            opened.keys.insert(id, Arc::new(key));
        }
        opened.verifying = Arc::new(KeySet::new(verifying));
        Ok(opened)
    }

    /// The key that signs with `algorithm` at `now`.
    pub(crate) fn active(&self, algorithm: Algorithm, now: Timestamp) -> Result<Arc<SigningKey>, Refusal> {
        signing::active(algorithm, &self.times, now)
            .and_then(|times| self.keys.get(&times.id).cloned())
            .ok_or_else(|| Refusal::new(Denial::Unavailable).fact("no_signing_key_for", algorithm))
    }

    /// Every public key, to verify our own tokens.
    pub(crate) fn verifying(&self) -> &Arc<KeySet> {
        &self.verifying
    }

    /// The algorithms of which there is a key.
    pub(crate) fn algorithms(&self) -> Vec<Algorithm> {
        let has = |algorithm: &Algorithm| self.times.iter().any(|times| times.algorithm == *algorithm);
        Algorithm::ALL.into_iter().filter(has).collect()
    }

    /// The JWK set to publish at `now` (RFC 7517 section 5).
    pub(crate) fn jwks(&self, schedule: &RotationSchedule, now: Timestamp) -> Value {
        let is_published = |times: &KeyTimes| signing::state(times, &self.times, schedule, now) != KeyState::Gone;
        let keys: Vec<_> = self.public.iter().filter(|(times, _)| is_published(times)).map(|(_, jwk)| jwk).collect();
        json!({ "keys": keys })
    }
}

/// A signing key and where in its life it is.
#[derive(Clone, Debug)]
pub struct ListedKey {
    /// Its id, algorithm and times.
    pub times: KeyTimes,
    /// Where in its life it is.
    pub state: KeyState,
    /// Its public half.
    pub public_jwk: Value,
}

/// Every signing key, the newest last.
pub async fn list(app: &App) -> Result<Vec<ListedKey>, AdminError> {
    let records = app.store.read(ListSigningKeys).await?;
    let times: Vec<_> = records.iter().map(|record| record.times.clone()).collect();
    let now = app.now();
    Ok(records
        .into_iter()
        .map(|record| ListedKey {
            state: signing::state(&record.times, &times, &app.settings.signing, now),
            public_jwk: serde_json::from_str(&record.public_jwk).unwrap_or(Value::Null),
            times: record.times,
        })
        .collect())
}

/// Makes a successor for `algorithm`: published at once, signing as early as it may.
pub async fn rotate(app: &App, actor: &Actor, algorithm: Algorithm) -> Result<ListedKey, AdminError> {
    let now = app.now();
    let schedule = &app.settings.signing;
    let records = app.store.read(ListSigningKeys).await?;
    let mut all: Vec<_> = records.into_iter().map(|record| record.times).collect();
    let operation = prepare(app, actor, algorithm, signing::earliest(algorithm, &all, schedule, now), None)?;
    let times = operation.key.times.clone();
    all.push(times.clone());
    let public_jwk = serde_json::from_str(&operation.key.public_jwk).unwrap_or(Value::Null);
    app.store.write(operation).await?;
    Ok(ListedKey { state: signing::state(&times, &all, schedule, now), times, public_jwk })
}

/// Makes a key of `algorithm` if there is none, so that something can be signed with it from now on.
pub(crate) async fn ensure(app: &App, algorithm: Algorithm) -> Result<(), AdminError> {
    let (now, schedule) = (app.now(), app.settings.signing);
    if app.store.read(ListSigningKeys).await?.iter().any(|key| key.times.algorithm == algorithm) {
        return Ok(());
    }
    let operation = prepare(app, &Actor::default(), algorithm, now, Some(schedule))?;
    app.store.write(operation).await?;
    app.snapshots.reload_signing_keys(&app.store, &app.master_keys).await?;
    Ok(())
}

/// Makes the keys that are due and removes those that are gone. Every algorithm that has a key keeps one; EdDSA and
/// RS256 always have.
pub(crate) async fn run_due(app: &App) -> Result<(), AdminError> {
    let (now, schedule) = (app.now(), &app.settings.signing);
    let records = app.store.read(ListSigningKeys).await?;
    let times: Vec<_> = records.into_iter().map(|record| record.times).collect();
    let apis = app.snapshots.apis();
    for algorithm in Algorithm::ALL {
        let is_wanted = matches!(algorithm, Algorithm::EdDSA | Algorithm::RS256)
            || times.iter().any(|times| times.algorithm == algorithm)
            || apis.iter().any(|api| api.signing_algorithm == algorithm);
        if is_wanted && let Some(active_from) = signing::due(algorithm, &times, schedule, now) {
            let operation = prepare(app, &Actor::default(), algorithm, active_from, Some(*schedule))?;
            app.store.write(operation).await?;
        }
    }
    for key in times.iter().filter(|key| signing::state(key, &times, schedule, now) == KeyState::Gone) {
        let audit = app.event(&Actor::default(), "signing_key.removed", Some(key.id.to_string()), Details::none());
        app.store.write(RemoveSigningKey { id: key.id.clone(), now, audit }).await?;
    }
    Ok(())
}

fn prepare(
    app: &App,
    actor: &Actor,
    algorithm: Algorithm,
    active_from: Timestamp,
    only_if_due: Option<RotationSchedule>,
) -> Result<AddSigningKey, AdminError> {
    let now = app.now();
    let id = SigningKeyId::new(now, &*app.rng);
    let key = SigningKey::generate(id.to_string(), algorithm, &*app.rng).map_err(|_| AdminError::Signing)?;
    let master_key = &app.master_keys[0];
    let pkcs8 = key.to_pkcs8().map_err(|_| AdminError::Signing)?;
    let from = jiff::Timestamp::from_second(active_from.as_secs()).unwrap_or(jiff::Timestamp::MAX);
    let details = Details::none().with("algorithm", algorithm).with("active_from", from);
    Ok(AddSigningKey {
        audit: app.event(actor, "signing_key.created", Some(id.to_string()), details),
        key: SigningKeyRecord {
            sealed: seal::seal(&sealing_key(master_key), &context(&id), &pkcs8, &*app.rng),
            sealed_under: master_key.id(),
            public_jwk: Value::Object(key.public_jwk()).to_string(),
            times: KeyTimes { id, algorithm, published_at: now, active_from },
        },
        only_if_due,
        now,
    })
}

fn sealing_key(master_key: &MasterKey) -> impl std::ops::Deref<Target = [u8; 32]> + use<> {
    master_key.derive("doorward/signing-keys")
}

fn context(id: &SigningKeyId) -> String {
    format!("signing-key/{id}")
}
