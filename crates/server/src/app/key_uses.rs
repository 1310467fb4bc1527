//! How keys are used: gathered in memory, and written every second.
//!
//! A crash loses what was not written, a clean end nothing. Easy to get wrong: what was taken out of the memory to be written is
//! nowhere else. So writing is a task of its own, which goes on when the server's own one ends, and what could not be
//! written goes back.

use std::{
    collections::HashMap,
    mem,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use doorward_core::{
    clock::Timestamp,
    id::KeyId,
    key_usage::{Day, Latencies},
};
use doorward_store::{
    Store, StoreError,
    keys::{CountUsage, KeyRecord, KeyTouch, TouchKeys, UsageCount, WriteUses},
};
use tokio::sync::{Mutex as AsyncMutex, Notify};

use crate::app::App;

/// The most counts that wait: about 150 bytes each. Beyond it, and while the store is away, they are dropped.
const MOST: usize = 100_000;
/// Rows in one transaction.
const BATCH: usize = 1_000;
/// How exact the time of the last use is.
const RESOLUTION: Duration = Duration::from_secs(60);

/// Uses that wait to be written.
#[derive(Default)]
pub(crate) struct KeyUses {
    waiting: Mutex<Waiting>,
    /// Held by the one that writes.
    turn: Arc<AsyncMutex<()>>,
    /// Wakes the one that writes before the second is over.
    pub(crate) is_half_full: Notify,
}

#[derive(Default)]
struct Waiting {
    touches: HashMap<KeyId, KeyTouch>,
    counts: HashMap<(KeyId, Day, &'static str), Latencies>,
    /// The keys whose last use was noted in the last minute, and when.
    noted: HashMap<KeyId, Timestamp>,
    dropped: u64,
}

/// One use of a key.
pub(crate) struct KeyUse<'a> {
    pub(crate) key: &'a KeyRecord,
    /// The key itself: if its digest is under an older pepper, the next write digests it again.
    pub(crate) secret: &'a str,
    pub(crate) address: Option<IpAddr>,
    /// Whether the key itself was good.
    pub(crate) is_good: bool,
    /// `valid`, or the code of the denial.
    pub(crate) outcome: &'static str,
    pub(crate) took: Duration,
    /// How often an API has used the last answer about it by itself, which was that it is valid.
    pub(crate) further_uses: u64,
}

impl App {
    /// Counts a use of a key, and notes when and from where it was.
    pub(crate) fn note_use(&self, used: &KeyUse<'_>) {
        let (now, key) = (self.now(), used.key);
        let is_old = key.digest.pepper != self.peppers.current().id();
        let mut waiting = self.uses.waiting();
        let mut latencies = Latencies::default();
        latencies.count(used.took);
        waiting.count((key.id.clone(), Day::of(now), used.outcome), latencies);
        if used.further_uses > 0 {
            // From memory.
            waiting.count((key.id.clone(), Day::of(now), "valid"), Latencies([used.further_uses, 0, 0, 0]));
        }
        if used.is_good && (is_old || waiting.is_due(key, now)) && waiting.noted.len() < MOST {
            let address = used.address.and_then(|address| self.settings.keys.last_used_address.of(address));
            let digest = is_old.then(|| self.peppers.digest(used.secret));
            waiting.noted.insert(key.id.clone(), now);
            waiting.touches.insert(key.id.clone(), KeyTouch { id: key.id.clone(), at: now, address, digest });
        }
        if waiting.counts.len() >= MOST / 2 {
            self.uses.is_half_full.notify_one();
        }
    }

    /// Writes the noted uses of keys. Once it returns, what another call took before is written too.
    pub async fn flush_uses(&self) -> Result<(), StoreError> {
        let turn = self.uses.turn.clone().lock_owned().await;
        let (uses, store, now) = (self.uses.clone(), self.store.clone(), self.now());
        let task = tokio::spawn(async move {
            let written = uses.write(&store, now).await;
            drop(turn);
            written
        });
        task.await.unwrap_or_else(|error| Err(StoreError::Fault(error.to_string())))
    }
}

impl KeyUses {
    async fn write(&self, store: &Store, now: Timestamp) -> Result<(), StoreError> {
        let (mut touches, mut counts, dropped) = self.waiting().take(now);
        if dropped > 0 {
            tracing::warn!(dropped, "too many uses of keys waited to be counted: these were not counted");
        }
        while !touches.is_empty() || !counts.is_empty() {
            let rest = (touches.split_off(touches.len().min(BATCH)), counts.split_off(counts.len().min(BATCH)));
            let batch = (touches.clone(), counts.clone());
            if let Err(error) = write_batch(store, batch).await {
                touches.extend(rest.0);
                counts.extend(rest.1);
                self.waiting().put_back(touches, counts);
                return Err(error);
            }
            (touches, counts) = rest;
        }
        Ok(())
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Count = ((KeyId, Day, &'static str), Latencies);

async fn write_batch(store: &Store, (touches, counts): (Vec<KeyTouch>, Vec<Count>)) -> Result<(), StoreError> {
    let row = |((key, day, outcome), latencies): Count| UsageCount { key, day, outcome: outcome.to_owned(), latencies };
    let counts = counts.into_iter().map(row).collect();
    store.write(WriteUses { touch: TouchKeys { uses: touches }, count: CountUsage { counts } }).await
}

impl Waiting {
    fn count(&mut self, name: (KeyId, Day, &'static str), latencies: Latencies) {
        if self.counts.len() < MOST || self.counts.contains_key(&name) {
            self.counts.entry(name).or_default().add(latencies);
        } else {
            self.dropped += latencies.total();
        }
    }

    fn is_due(&self, key: &KeyRecord, now: Timestamp) -> bool {
        let last = key.last_used_at.max(self.noted.get(&key.id).copied());
        last.is_none_or(|last| now.since(last) >= RESOLUTION)
    }

    fn take(&mut self, now: Timestamp) -> (Vec<KeyTouch>, Vec<Count>, u64) {
        self.noted.retain(|_, noted| now.since(*noted) < RESOLUTION);
        let touches = mem::take(&mut self.touches).into_values().collect();
        (touches, mem::take(&mut self.counts).into_iter().collect(), mem::take(&mut self.dropped))
    }

    fn put_back(&mut self, touches: Vec<KeyTouch>, counts: Vec<Count>) {
        for touch in touches {
            self.touches.entry(touch.id.clone()).or_insert(touch);
        }
        for (name, latencies) in counts {
            self.counts.entry(name).or_default().add(latencies);
        }
    }
}
