//! Everything that a handler may use.
//!
//! [`App`] is put together here. Each part of it has a file: what is cached and for how long, what is committed, what
//! is noted for the audit, and how changes by other processes are followed.

use std::{fmt, sync::Arc};

use doorward_core::{
    api::ResourceIdentifier,
    clock::{Clock, Timestamp},
    digest::{KeyedDigest, MasterKey, Peppers},
    id::Sequence,
    random::{self, Rng},
};
use doorward_store::{
    Store, StoreError, peppers::NamedPeppers, signing_keys::SealingMasterKeys, webhooks::MasterKeysOfWebhooks,
};

use crate::{
    audit::{AuditQueue, Budgets},
    metrics::Metrics,
    pages::{Layout, assets::Assets},
    passwords::Passwords,
    settings::Settings,
    webhooks::Sender,
};

mod caches;
mod commit;
pub(crate) mod follow;
mod gauges;
pub(crate) mod github_keys;
mod health;
pub(crate) mod key_limiter;
pub(crate) mod key_uses;
mod legacy;
mod notes;
mod old_uses;
pub(crate) mod signing_keys;
mod snapshots;
pub(crate) mod task_health;
mod trusted_clock;
mod unusual_uses;

pub use self::task_health::TaskHealth;
use self::{
    caches::Caches, github_keys::GithubKeys, health::Health, key_limiter::KeyLimiter, key_uses::KeyUses,
    legacy::Legacy, signing_keys::SigningKeys, snapshots::Snapshots, trusted_clock::TrustedClock,
};
pub(crate) use self::{commit::unavailable, snapshots::read_apis};

/// One authorization server: its settings, its store, its secrets and what it keeps in memory.
pub struct App {
    /// The operator's settings, fixed for the process.
    pub settings: Settings,
    /// The database, with all state that outlives the process.
    pub store: Store,
    /// The clock, passed in for tests.
    pub clock: Arc<dyn Clock>,
    /// The random source, passed in for tests.
    pub rng: Arc<dyn Rng>,
    /// The keys for digests.
    pub peppers: Peppers,
    /// What computes the hashes of passwords.
    pub passwords: Passwords,
    pub(crate) master_keys: Vec<MasterKey>,
    pub(crate) snapshots: Snapshots,
    pub(crate) caches: Caches,
    pub(crate) audit_queue: AuditQueue,
    /// Held by the one that writes what waits.
    audit_flush: tokio::sync::Mutex<()>,
    pub(crate) health: Health,
    pub(crate) trusted_clock: TrustedClock,
    audit_ids: Sequence,
    pub(crate) layout: Layout,
    pub(crate) assets: Assets,
    pub(crate) uses: Arc<KeyUses>,
    pub(crate) legacy: Legacy,
    pub(crate) key_limiter: KeyLimiter,
    pub(crate) webhooks: Sender,
    pub(crate) github_keys: GithubKeys,
    old_uses: old_uses::OldUses,
    unusual_uses: unusual_uses::UnusualUses,
    /// The counters and histograms of this process.
    pub metrics: Metrics,
}

/// The parts of an [`App`].
pub struct Components {
    /// The operator's settings, already checked.
    pub settings: Settings,
    /// The opened store, migrated.
    pub store: Store,
    /// The clock that decides about every expiry.
    pub clock: Arc<dyn Clock>,
    /// The random source for every secret and id.
    pub rng: Arc<dyn Rng>,
    /// The master keys, the newest first; at least one.
    pub master_keys: Vec<MasterKey>,
    /// What the server measures itself with, if it does.
    pub metrics: Metrics,
}

/// Why an [`App`] can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A signing key does not open: the master key is not the one that it was sealed under.
    #[error("signing key {0} can't be opened: its master key {1} is missing")]
    MasterKey(String, String),
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl App {
    /// Opens the server on its store: reads what is kept as a snapshot. Begins no task and listens nowhere.
    pub async fn open(parts: Components) -> Result<Arc<Self>, OpenError> {
        let Components { settings, store, clock, rng, master_keys, metrics } = parts;
        if metrics.is_on() {
            let metrics = metrics.clone();
            store.observed_by(move |kind, took| metrics.stored(kind, took));
        }
        let assets = Assets::new(&settings.accent).with_logo(settings.logo.as_ref());
        let app = Self {
            peppers: needed_peppers(&store, &master_keys).await?,
            snapshots: Snapshots::load(&store, &master_keys).await?,
            caches: Caches::new(settings.limits.cache_entries),
            audit_queue: AuditQueue::new(Budgets::of(&settings)),
            audit_flush: tokio::sync::Mutex::default(),
            health: Health::default(),
            trusted_clock: TrustedClock::default(),
            passwords: Passwords::new(&settings.password),
            audit_ids: Sequence::default(),
            layout: Layout::new(settings.name.clone(), &assets).with_links(&settings.links),
            assets,
            uses: Default::default(),
            legacy: Legacy::default(),
            key_limiter: KeyLimiter::default(),
            webhooks: Sender::new(settings.webhooks.allow_loopback),
            github_keys: GithubKeys::default(),
            old_uses: Default::default(),
            unusual_uses: Default::default(),
            settings,
            store,
            clock,
            rng,
            master_keys,
            metrics,
        };
        Ok(Arc::new(app))
    }

    /// The current time by the app's clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The identifier of the management API.
    pub(crate) fn management_audience(&self) -> ResourceIdentifier {
        ResourceIdentifier::parse(&self.settings.management()).expect("an issuer is an absolute URI")
    }

    /// The digests under which a secret may be stored.
    pub(crate) fn candidates(&self, secret: &str) -> Vec<KeyedDigest> {
        self.peppers.candidates(secret).collect()
    }

    pub(crate) fn random<const N: usize>(&self) -> [u8; N] {
        random::bytes(&*self.rng)
    }

    /// The signing keys at this moment.
    pub(crate) fn signing_keys(&self) -> Arc<SigningKeys> {
        self.snapshots.signing_keys()
    }
}

/// The peppers of the master keys, without those that no digest names any more: each costs every look-up.
async fn needed_peppers(store: &Store, master_keys: &[MasterKey]) -> Result<Peppers, StoreError> {
    let [newest, older @ ..] = master_keys else { return Ok(Peppers::new(master_keys)) };
    if older.is_empty() {
        return Ok(Peppers::new([newest]));
    }
    let named = match store.read(NamedPeppers { ids: older.iter().map(MasterKey::id).collect() }).await {
        Ok(named) => named,
        Err(error) => {
            // On large tables this query can time out. Start anyway.
            tracing::warn!(%error, "could not check which older master keys are still needed: keeping all");
            return Ok(Peppers::new(master_keys));
        }
    };
    let mut sealed = store.read(SealingMasterKeys).await?;
    sealed.extend(store.read(MasterKeysOfWebhooks).await?);
    for unneeded in older.iter().map(MasterKey::id).filter(|id| !named.contains(id) && !sealed.contains(id)) {
        tracing::info!(master_key = unneeded, "this master key is no longer needed: its line can be removed");
    }
    let needed = older.iter().filter(|key| named.contains(&key.id()));
    Ok(Peppers::new(std::iter::once(newest).chain(needed)))
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("issuer", &self.settings.issuer).finish_non_exhaustive()
    }
}
