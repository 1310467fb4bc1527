//! When keys were last used: gathered in memory, written at most every few seconds, of the kind that a crash may lose.

use std::{
    collections::HashMap,
    mem,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use doorward_core::{clock::Timestamp, digest::KeyedDigest, id::KeyId};
use doorward_store::{
    StoreError,
    keys::{KeyRecord, TouchKeys},
};

use crate::app::App;

/// The most keys that are remembered between two writes.
const MOST: usize = 10_000;
/// How exact the time of the last use is.
const RESOLUTION: Duration = Duration::from_secs(60);

/// Uses that wait to be written.
#[derive(Default)]
pub(crate) struct KeyUses(Mutex<HashMap<KeyId, (Timestamp, Option<KeyedDigest>)>>);

impl App {
    /// Notes that a key was used. If its digest is under an older pepper, the next write digests it again.
    pub(crate) fn note_use(&self, key: &KeyRecord, secret: &str) {
        let now = self.now();
        let is_old = key.digest.pepper != self.peppers.current().id();
        if !is_old && key.last_used_at.is_some_and(|last| now.since(last) < RESOLUTION) {
            return;
        }
        let mut uses = self.uses.0.lock().unwrap_or_else(PoisonError::into_inner);
        if uses.contains_key(&key.id) || uses.len() < MOST {
            let digest = is_old.then(|| self.peppers.digest(secret));
            uses.insert(key.id.clone(), (now, digest));
        }
    }

    /// Writes the noted uses of keys in one operation.
    pub async fn flush_uses(&self) -> Result<(), StoreError> {
        let uses = mem::take(&mut *self.uses.0.lock().unwrap_or_else(PoisonError::into_inner));
        if uses.is_empty() {
            return Ok(());
        }
        let uses = uses.into_iter().map(|(id, (at, digest))| (id, at, digest)).collect();
        self.store.write(TouchKeys { uses }).await
    }
}
