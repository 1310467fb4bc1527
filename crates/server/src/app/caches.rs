//! Clients and keys that were looked up lately, bounded.
//!
//! An entry is dropped when the log of changes names it. A look-up that ran beside such a change must not put the old
//! row back: each look-up notes the epoch before it reads, and takes its entry out again if the epoch moved.

use std::{
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use doorward_core::{
    api::Api,
    client::Client,
    clock::Timestamp,
    denial::Denial,
    digest::{Digest, KeyedDigest},
    id::{ApiId, ClientId},
    refusal::Refusal,
};
use doorward_store::{
    clients::{FindClient, FindClientName},
    keys::{FindKeyByDigest, KeyRecord},
};
use quick_cache::sync::Cache;

use crate::app::{App, OpenError, follow::LastRead, unavailable};

/// The caches of one server. Each entry costs about a kilobyte.
pub(crate) struct Caches {
    epoch: AtomicU64,
    clients: Cache<String, Arc<Client>>,
    client_tally: Tally,
    keys: Cache<Digest, Arc<KeyRecord>>,
    key_tally: Tally,
    /// Keys that an API asked about and that are not its own, and when it did.
    misses: Cache<(ApiId, Digest), Miss>,
    /// Addresses with the minute in which their failed client authentications are answered without counting on.
    pub(crate) throttled: Cache<String, ()>,
    pub(crate) last_read: LastRead,
}

/// How many look-ups a cache answered, and how many went on to the store.
#[derive(Default)]
struct Tally {
    hits: AtomicU64,
    misses: AtomicU64,
}

impl Tally {
    fn hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    fn miss(&self) {
        self.misses.fetch_add(1, Ordering::Relaxed);
    }
}

/// How full a cache is, and how often it answered.
pub(crate) struct CacheLoad {
    pub(crate) name: &'static str,
    pub(crate) entries: usize,
    pub(crate) capacity: usize,
    pub(crate) hits: u64,
    pub(crate) misses: u64,
}

/// A key that does not belong to the API that asked: the key of another API, or no key at all.
type Miss = (Option<Arc<KeyRecord>>, Timestamp);

/// How long a miss is remembered. Another process may have created the key a moment ago, and it must work within a
/// second.
const MISS_LIFETIME: Duration = Duration::from_millis(500);

impl Caches {
    pub(crate) fn new(entries: usize) -> Self {
        Self {
            epoch: AtomicU64::new(0),
            clients: Cache::new(entries),
            client_tally: Tally::default(),
            keys: Cache::new(entries),
            key_tally: Tally::default(),
            misses: Cache::new(entries),
            throttled: Cache::new(entries.min(10_000)),
            last_read: LastRead::default(),
        }
    }

    /// How full each cache is, and how often it answered.
    pub(crate) fn load(&self) -> [CacheLoad; 2] {
        fn load<K: Eq + Hash, V: Clone>(name: &'static str, cache: &Cache<K, V>, tally: &Tally) -> CacheLoad {
            CacheLoad {
                name,
                entries: cache.len(),
                capacity: usize::try_from(cache.capacity()).unwrap_or(usize::MAX),
                hits: tally.hits.load(Ordering::Relaxed),
                misses: tally.misses.load(Ordering::Relaxed),
            }
        }
        [load("clients", &self.clients, &self.client_tally), load("keys", &self.keys, &self.key_tally)]
    }

    pub(crate) fn forget_client(&self, id: &str) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.clients.remove(id);
        self.forget_keys_of(id);
    }

    /// Forgets the keys of an owner.
    pub(crate) fn forget_keys_of(&self, owner: &str) {
        self.forget_keys(|key| key.owner.as_ref().is_some_and(|known| known.as_str() == owner));
    }

    /// Forgets the keys for which `changed` holds. Walks the cache: changes of keys are rare.
    pub(crate) fn forget_keys(&self, changed: impl Fn(&KeyRecord) -> bool) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.keys.retain(|_, key| !changed(key));
        self.misses.clear();
    }

    pub(crate) fn clear(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.clients.clear();
        self.keys.clear();
        self.misses.clear();
    }
}

impl App {
    /// The API with this id. If another process has just created it, it may not be in the snapshot yet, while its
    /// credential is already used.
    pub(crate) async fn api(&self, id: &ApiId) -> Result<Option<Arc<Api>>, Refusal> {
        if let Some(api) = self.snapshots.apis().by_id(id) {
            return Ok(Some(api.clone()));
        }
        self.reload_apis().await?;
        Ok(self.snapshots.apis().by_id(id).cloned())
    }

    /// Whether an API accepts a token for `audience` that was issued at `issued_at`. If another process has just created
    /// the API, it may not be in the snapshot yet.
    pub(crate) async fn accepts(&self, audience: &str, issued_at: Timestamp) -> Result<bool, Refusal> {
        if self.snapshots.apis().accepts(audience, issued_at) {
            return Ok(true);
        }
        self.reload_apis().await?;
        Ok(self.snapshots.apis().accepts(audience, issued_at))
    }

    async fn reload_apis(&self) -> Result<(), Refusal> {
        self.snapshots.reload_apis(&self.store).await.map_err(|error| match error {
            OpenError::Store(error) => unavailable(error),
            OpenError::MasterKey(..) => Denial::Unavailable.into(),
        })
    }

    /// The client with this id. A text that is not an id of a client is nobody's.
    pub(crate) async fn client(&self, id: &str) -> Result<Option<Arc<Client>>, Refusal> {
        match self.kept_client(id) {
            Some(client) => Ok(Some(client)),
            None => self.read_client(id).await,
        }
    }

    /// The client, if it is cached.
    pub(crate) fn kept_client(&self, id: &str) -> Option<Arc<Client>> {
        self.caches.clients.get(id).inspect(|_| self.caches.client_tally.hit())
    }

    /// The client as the store has it, which is kept.
    pub(crate) async fn read_client(&self, id: &str) -> Result<Option<Arc<Client>>, Refusal> {
        let Ok(client_id) = ClientId::parse(id) else { return Ok(None) };
        self.caches.client_tally.miss();
        let epoch = self.caches.epoch.load(Ordering::SeqCst);
        let Some(client) = self.read(FindClient { id: client_id }).await?.map(Arc::new) else { return Ok(None) };
        self.caches.clients.insert(id.to_owned(), client.clone());
        if self.caches.epoch.load(Ordering::SeqCst) != epoch {
            self.caches.clients.remove(id);
        }
        Ok(Some(client))
    }

    /// The name of a client, for people. A client that this program can't read still has a name: pages that list
    /// clients must not fail because of it.
    pub(crate) async fn client_name(&self, id: &str) -> Result<Option<String>, Refusal> {
        match (self.client(id).await, ClientId::parse(id)) {
            (Ok(found), _) => Ok(found.map(|client| client.metadata.client_name.clone())),
            (Err(_), Ok(id)) => self.read(FindClientName { id }).await,
            (Err(refusal), Err(_)) => Err(refusal),
        }
    }

    /// The key that `secret` is.
    pub(crate) async fn key(&self, secret: &str) -> Result<Option<Arc<KeyRecord>>, Refusal> {
        let candidates = self.candidates(secret);
        match self.cached_key(&candidates) {
            Some(key) => {
                self.caches.key_tally.hit();
                Ok(Some(key))
            }
            None => self.read_key(candidates).await,
        }
    }

    /// The key that `secret` is, for an API that asks: it may be another one's. What is none of the API's own costs the
    /// same look-ups, whether it exists or not, so that the time of an answer doesn't tell.
    pub(crate) async fn key_for(&self, api: &ApiId, secret: &str) -> Result<Option<Arc<KeyRecord>>, Refusal> {
        let candidates = self.candidates(secret);
        let is_own = |key: &Arc<KeyRecord>| key.metadata.apis.contains(api);
        if let Some(key) = self.cached_key(&candidates).filter(is_own) {
            self.caches.key_tally.hit();
            return Ok(Some(key));
        }
        let asked = candidates.first().map(|newest| (api.clone(), newest.digest));
        let (now, remembered) = (self.now(), asked.as_ref().and_then(|asked| self.caches.misses.get(asked)));
        if let Some((found, at)) = remembered
            && at <= now
            && now.since(at) < MISS_LIFETIME
        {
            self.caches.key_tally.hit();
            return Ok(found);
        }
        let found = self.read_key(candidates).await?;
        if !found.as_ref().is_some_and(is_own)
            && let Some(asked) = asked
        {
            self.caches.misses.insert(asked, (found.clone(), now));
        }
        Ok(found)
    }

    fn cached_key(&self, candidates: &[KeyedDigest]) -> Option<Arc<KeyRecord>> {
        candidates.iter().find_map(|candidate| self.caches.keys.get(&candidate.digest))
    }

    async fn read_key(&self, candidates: Vec<KeyedDigest>) -> Result<Option<Arc<KeyRecord>>, Refusal> {
        self.caches.key_tally.miss();
        let epoch = self.caches.epoch.load(Ordering::SeqCst);
        let Some(key) = self.read(FindKeyByDigest { candidates }).await?.map(Arc::new) else { return Ok(None) };
        let digest = key.digest.digest;
        self.caches.keys.insert(digest, key.clone());
        if self.caches.epoch.load(Ordering::SeqCst) != epoch {
            self.caches.keys.remove(&digest);
        }
        Ok(Some(key))
    }
}
