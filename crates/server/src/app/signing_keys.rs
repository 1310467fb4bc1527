//! The signing keys, opened from their seals: they sign, verify our own tokens, and are published as a JWK set.

use std::{collections::BTreeMap, sync::Arc};

use doorward_core::{
    clock::Timestamp,
    denial::Denial,
    digest::MasterKey,
    id::SigningKeyId,
    jwk::{Algorithm, KeySet, SigningKey, VerifyingKey},
    random::Rng,
    refusal::Refusal,
    seal,
    signing::{self, KeyTimes, RotationSchedule},
};
use doorward_store::signing_keys::SigningKeyRecord;
use serde_json::{Map, Value, json};

use super::OpenError;

/// What tokens for the issuer itself are signed with.
pub(crate) const OF_ISSUER: Algorithm = Algorithm::ES256;

/// The algorithms that are always in use: the issuer's own, and the one that clients of OpenID Connect expect of an ID
/// token unless they say otherwise (OpenID Connect Discovery section 3).
pub(crate) const ALWAYS: [Algorithm; 2] = [OF_ISSUER, Algorithm::RS256];

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

    /// The JWK set to publish at `now` (RFC 7517 section 5).
    pub(crate) fn jwks(&self, in_use: &[Algorithm], schedule: &RotationSchedule, now: Timestamp) -> Value {
        let is_published = |times: &KeyTimes| signing::is_published(times, &self.times, in_use, schedule, now);
        let mut published: Vec<_> = self.public.iter().filter(|(times, _)| is_published(times)).collect();
        // Given the whole set, python-jose fails at the first key of another type than the token's, and APIs sign with
        // ES256 by default.
        published.sort_by_key(|(times, _)| times.algorithm != Algorithm::ES256);
        let keys: Vec<_> = published.into_iter().map(|(_, jwk)| jwk).collect();
        json!({ "keys": keys })
    }
}

/// Seals a private key in PKCS #8 under a master key.
pub(crate) fn seal(master_key: &MasterKey, id: &SigningKeyId, pkcs8: &[u8], rng: &dyn Rng) -> Vec<u8> {
    seal::seal(&sealing_key(master_key), &context(id), pkcs8, rng)
}

fn sealing_key(master_key: &MasterKey) -> impl std::ops::Deref<Target = [u8; 32]> + use<> {
    master_key.derive("doorward/signing-keys")
}

fn context(id: &SigningKeyId) -> String {
    format!("signing-key/{id}")
}
