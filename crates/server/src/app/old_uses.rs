//! Who still uses a key that is being replaced: gathered in memory, written every few seconds, of the kind that a crash may
//! lose. Keys that are not being replaced cost one look into a set.

use std::{
    collections::{HashMap, HashSet},
    mem,
    net::IpAddr,
    sync::{Mutex, PoisonError, RwLock},
};

use doorward_core::{clock::Timestamp, credential, id::KeyId};
use doorward_store::{
    StoreError,
    keys::{NoteOldUses, OldUse, RotatingKeys},
};

use crate::app::App;

/// The most callers that are remembered between two writes.
const MOST: usize = 1_000;
/// The most keys whose callers are noted: of more, those whose rotation is looked at last.
const MOST_KEYS: i64 = 10_000;
/// The most characters of a user agent.
const MOST_OF_AGENT: usize = 256;

/// Keys that are being replaced, and callers that wait to be written.
#[derive(Default)]
pub(crate) struct OldUses {
    keys: RwLock<HashSet<KeyId>>,
    waiting: Mutex<HashMap<(KeyId, String, String), Timestamp>>,
}

impl App {
    /// Notes who used a key, if the key is being replaced.
    pub(crate) fn note_caller(&self, key: &str, address: Option<IpAddr>, user_agent: Option<&str>) {
        let Ok(id) = KeyId::parse(key) else { return };
        if !self.old_uses.keys.read().unwrap_or_else(PoisonError::into_inner).contains(&id) {
            return;
        }
        let address = address.map(|address| address.to_string()).unwrap_or_default();
        let user_agent = credential::loggable_line(user_agent.unwrap_or_default(), MOST_OF_AGENT);
        let mut waiting = self.old_uses.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let caller = (id, address, user_agent);
        if waiting.contains_key(&caller) || waiting.len() < MOST {
            waiting.insert(caller, self.now());
        }
    }

    /// Writes the noted callers, and learns which keys are being replaced.
    pub(crate) async fn flush_callers(&self) -> Result<(), StoreError> {
        let waiting = mem::take(&mut *self.old_uses.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        if !waiting.is_empty() {
            let used = |((id, address, user_agent), last_used_at)| (id, OldUse { address, user_agent, last_used_at });
            self.store.write(NoteOldUses { uses: waiting.into_iter().map(used).collect() }).await?;
        }
        let rotating = self.store.read(RotatingKeys { limit: MOST_KEYS }).await?;
        *self.old_uses.keys.write().unwrap_or_else(PoisonError::into_inner) = rotating.into_iter().collect();
        Ok(())
    }
}
