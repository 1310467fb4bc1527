//! Everything that a handler may use.

use std::{collections::BTreeSet, fmt, net::IpAddr, sync::Arc};

use doorward_core::{
    api::ResourceIdentifier,
    clock::{Clock, Timestamp},
    denial::Denial,
    digest::{KeyedDigest, MasterKey, Peppers},
    id::{AuditId, Sequence},
    random::{self, Rng},
    refusal::Refusal,
    trace::TraceId,
};
use doorward_store::{
    Operation, Store, StoreError, audit::AuditEvent, peppers::NamedPeppers, signing_keys::ListSigningKeys,
};
use serde_json::{Map, Value};

use crate::{
    audit::AuditQueue,
    cache::Caches,
    pages::{Layout, assets::Assets},
    passwords::Passwords,
    settings::Settings,
    signing::SigningKeys,
    snapshot::Snapshots,
};

/// One authorization server: its settings, its store, its secrets and what it keeps in memory.
pub struct App {
    /// What was set.
    pub settings: Settings,
    /// What is remembered.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
    /// The keys for digests.
    pub peppers: Peppers,
    /// What computes the hashes of passwords.
    pub passwords: Passwords,
    pub(crate) master_keys: Vec<MasterKey>,
    pub(crate) snapshots: Snapshots,
    pub(crate) caches: Caches,
    pub(crate) audit: AuditQueue,
    audit_ids: Sequence,
    pub(crate) layout: Layout,
    pub(crate) assets: Assets,
    pub(crate) uses: crate::keys::uses::KeyUses,
}

/// What an [`App`] is made of.
pub struct Parts {
    /// What was set.
    pub settings: Settings,
    /// The opened store, migrated.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
    /// The master keys, the newest first; at least one.
    pub master_keys: Vec<MasterKey>,
}

/// Why an [`App`] can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A signing key does not open: the master key is not the one that it was sealed under.
    #[error("signing key {0} does not open: the master key {1} that it was sealed under is not among those given")]
    MasterKey(String, String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl App {
    /// Opens the server on its store: reads what is kept as a snapshot. Begins no task and listens nowhere.
    pub async fn open(parts: Parts) -> Result<Arc<Self>, OpenError> {
        let Parts { settings, store, clock, rng, master_keys } = parts;
        let assets = Assets::new(&settings.accent);
        let app = Self {
            peppers: needed_peppers(&store, &master_keys).await?,
            snapshots: Snapshots::load(&store, &master_keys).await?,
            caches: Caches::new(settings.limits.cache_entries),
            audit: AuditQueue::new(settings.limits.audit_queue, settings.audit.fold_after),
            passwords: Passwords::new(&settings.password),
            audit_ids: Sequence::default(),
            layout: Layout::new(settings.name.clone(), &assets),
            assets,
            uses: Default::default(),
            settings,
            store,
            clock,
            rng,
            master_keys,
        };
        Ok(Arc::new(app))
    }

    /// The present time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The identifier of the management API.
    pub(crate) fn management_audience(&self) -> ResourceIdentifier {
        ResourceIdentifier::parse(&self.settings.url("/v1")).expect("an issuer is an absolute URI")
    }

    /// Runs an operation that changes something. What the store can't do now is a refusal with 503.
    ///
    /// Boxed, as in [`read`](Self::read): else every handler's future has room for the whole transaction, and moves it
    /// about also where a cache or a signature makes it needless.
    pub(crate) async fn write<O: Operation>(&self, operation: O) -> Result<O::Output, Refusal> {
        Box::pin(self.store.write(operation)).await.map_err(unavailable)
    }

    /// Runs an operation that only reads.
    pub(crate) async fn read<O: Operation>(&self, operation: O) -> Result<O::Output, Refusal> {
        Box::pin(self.store.read(operation)).await.map_err(unavailable)
    }

    /// The digests under which a secret may be stored.
    pub(crate) fn candidates(&self, secret: &str) -> Vec<KeyedDigest> {
        self.peppers.candidates(secret).collect()
    }

    /// Random bytes.
    pub(crate) fn random<const N: usize>(&self) -> [u8; N] {
        random::bytes(&*self.rng)
    }

    /// The signing keys at this moment.
    pub(crate) fn signing_keys(&self) -> Arc<SigningKeys> {
        self.snapshots.signing_keys()
    }

    /// The id of a new event of the audit.
    pub(crate) fn audit_id(&self) -> AuditId {
        AuditId::in_order(&self.audit_ids, self.now(), &*self.rng)
    }

    /// An event of the audit, done by `actor`.
    pub(crate) fn event(&self, actor: &Actor, action: &str, subject: Option<String>, details: Details) -> AuditEvent {
        AuditEvent {
            id: self.audit_id(),
            at: self.now(),
            trace_id: actor.trace_id.map(|id| id.to_string()),
            action: action.to_owned(),
            code: None,
            actor: actor.id.clone(),
            subject,
            address: actor.address.map(|address| address.to_string()),
            count: 1,
            details: Value::Object(details.0).to_string(),
        }
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
            // A table can be too large to be looked through in time. That is no reason not to start.
            tracing::warn!(%error, "whether older master keys are still needed is not known: all are kept");
            return Ok(Peppers::new(master_keys));
        }
    };
    let sealed: BTreeSet<_> = store.read(ListSigningKeys).await?.into_iter().map(|key| key.sealed_under).collect();
    for unneeded in older.iter().map(MasterKey::id).filter(|id| !named.contains(id) && !sealed.contains(id)) {
        tracing::info!(master_key = unneeded, "nothing needs this master key any more: its line can be removed");
    }
    let needed = older.iter().filter(|key| named.contains(&key.id()));
    Ok(Peppers::new(std::iter::once(newest).chain(needed)))
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("issuer", &self.settings.issuer).finish_non_exhaustive()
    }
}

/// Who does something: for the audit.
#[derive(Clone, Debug, Default)]
pub struct Actor {
    /// The id of a user, client or key, or `os:name` for the command line; `None` for the server itself.
    pub id: Option<String>,
    /// Where from.
    pub address: Option<IpAddr>,
    /// The trace id of the request.
    pub trace_id: Option<TraceId>,
}

impl Actor {
    /// The user of the operating system who typed a command.
    pub fn command_line(user: &str) -> Self {
        Self { id: Some(format!("os:{user}")), ..Self::default() }
    }
}

/// Names and values without secrets, for an audit event.
#[derive(Clone, Debug, Default)]
pub struct Details(Map<String, Value>);

impl Details {
    /// Nothing more to say.
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.0.insert(name.to_owned(), value.to_string().into());
        self
    }
}

/// A failure of the store as the caller sees it; the log has the cause.
pub(crate) fn unavailable(error: StoreError) -> Refusal {
    tracing::error!(%error, "the store failed");
    Refusal::new(Denial::Unavailable).fact("store", &error).retry_after(std::time::Duration::from_secs(2))
}
